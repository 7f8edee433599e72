"""CK+ as its publisher gives it: sequences of frames from a neutral face to an emotion, some with a label.

cohn-kanade-images/S005/001/S005_001_00000011.png
Emotion/S005/001/S005_001_00000011_emotion.txt, holding `   3.0000000e+00`
"""

import functools
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from edram_fer.errors import UserError
from edram_fer.preprocessing import counts, emotions, records, sources, splits
from edram_fer.preprocessing.records import Annotations, FaceRecord

FORM = "sequences"
IMAGES, LABELS = "cohn-kanade-images", "Emotion"
NAME = re.compile(r"(S\d{3})_(\d{3})_\d{8}", re.IGNORECASE)
PUBLISHED_SEQUENCES, PUBLISHED_SUBJECTS = 593, 123
PUBLISHED = {"anger": 45, "contempt": 18, "disgust": 59, "fear": 25, "happy": 69, "sad": 28, "surprise": 83}  # labels


# The publisher's archives unpack into folders of their own.
def images(folder: Path) -> Path | None:
    return sources.child(folder, IMAGES) or sources.child(folder, f"extended-{IMAGES}", IMAGES)


def labels(folder: Path) -> Path | None:
    return sources.child(folder, LABELS) or sources.child(folder, f"{LABELS}_labels", LABELS)


def annotations(place: sources.Place, last_frames: int, folds: int) -> Annotations:
    """The labelled sequences of a folder that has both `images` and `labels`; see `ck_plus.annotations.find`.

    The folds are those of the subjects with a label, so that they do not depend on what else lies there.
    """
    if isinstance(last_frames, bool) or not isinstance(last_frames, int) or last_frames < 1:
        raise UserError(f"last_frames: expected a whole number from 1, got {last_frames!r}")
    files, notes = sources.only_images(records.image_files(images(place.root)))
    frames = _by(_sequence, files)
    odd = frames.pop("", [])
    label_files = _by(_folder, records.image_files(labels(place.root), "*/*/*_emotion.txt"))
    fold = splits.folds((key.split("/")[0] for key in label_files), folds)

    def rows() -> Iterator[FaceRecord]:
        for key in frames:
            if key in label_files:
                chosen = [frames[key][0], *frames[key][1:][-last_frames:]]
                read = functools.partial(_frame, frames[key], label_files[key], fold, last_frames)
                yield from sources.from_images(place.root, chosen, read)
        yield from sources.from_images(place.root, odd, _odd)

    form = f"{FORM}, last {last_frames} frames, {folds} folds"
    return Annotations(
        "CK+",
        form,
        place.root,
        tuple(itertools.chain(*label_files.values())),
        emotions.EIGHT,
        rows,
        *published(last_frames, neutral=True),
        sources.PHOTO_DETECTORS,
        notes + _notes(frames, label_files),
    )


def _by(key: Callable[[Path], str], paths: Iterable[Path]) -> dict[str, list[Path]]:
    groups = {}
    for path in paths:
        groups.setdefault(key(path), []).append(path)
    return groups


def _sequence(path: Path) -> str:
    """ "S005/001", or "" for a frame whose name and folder do not fit."""
    match = NAME.fullmatch(path.stem)
    key = "/".join(match.groups()).upper() if match else ""
    return key if key == _folder(path) else ""


def _folder(path: Path) -> str:
    return "/".join(path.parts[-3:-1]).upper()


def _frame(
    frames: Sequence[Path], label_files: Sequence[Path], fold: dict[str, str], last_frames: int, path: PurePosixPath
) -> dict:
    if len(frames) <= last_frames:
        raise UserError(f"a sequence of {len(frames)} frames, expected more than the {last_frames} of the emotion")
    subject = NAME.fullmatch(path.stem)[1].upper()
    emotion = "neutral" if path.name == frames[0].name else _emotion(label_files)
    return {"id": path.stem, "split": fold[subject], "emotion": emotion, "subject": subject}


def _emotion(label_files: Sequence[Path]) -> str:
    if len(label_files) > 1:
        raise UserError(f"{len(label_files)} label files, expected one")
    return emotions.from_code("CK+", label_files[0].read_text(encoding="utf-8", errors="replace")[:40])


def _odd(path: PurePosixPath) -> dict:
    raise UserError("expected a place like S005/001/S005_001_00000011.png")


def published(frames: int, neutral: bool = False) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
    """Labels and rows where so many frames of each sequence show its emotion, and perhaps another a neutral face."""
    labels = {emotion: frames * number for emotion, number in PUBLISHED.items()}
    labels |= {"neutral": sum(PUBLISHED.values())} if neutral else {}
    return {"": labels}, {"": sum(labels.values())}


def _notes(frames: dict[str, list[Path]], label_files: dict[str, list[Path]]) -> tuple[str, ...]:
    subjects = {key.partition("/")[0] for key in frames}
    notes = (
        counts.beside("sequences", len(frames), PUBLISHED_SEQUENCES),
        counts.beside("subjects", len(subjects), PUBLISHED_SUBJECTS),
        counts.beside("labelled sequences", len(label_files), sum(PUBLISHED.values())),
    )
    if unlabelled := frames.keys() - label_files.keys():
        notes += (f"sequences without a label, left out: {len(unlabelled)}",)
    if lost := sorted(label_files.keys() - frames.keys()):
        notes += (f"labels without images: {len(lost)} ({sources.some(lost)})",)
    return notes
