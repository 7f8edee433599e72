"""CK+ as distributed by its publisher: sequences of frames from a neutral face to an emotion, some with a label.

cohn-kanade-images/S005/001/S005_001_00000011.png
Emotion/S005/001/S005_001_00000011_emotion.txt, containing `   3.0000000e+00`
"""

import functools
import hashlib
import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from edram_fer.errors import UserError
from edram_fer.preprocessing import counts, emotions, readers, records, splits
from edram_fer.preprocessing.records import Annotations, FaceRecord

LAYOUT = "sequences"
IMAGES, LABELS = "cohn-kanade-images", "Emotion"
NAME = re.compile(r"(S\d{3})_(\d{3})_\d{8}", re.IGNORECASE)
PUBLISHED_SEQUENCES, PUBLISHED_SUBJECTS = 593, 123
PUBLISHED = {"anger": 45, "contempt": 18, "disgust": 59, "fear": 25, "happy": 69, "sad": 28, "surprise": 83}  # labels


def images(folder: Path) -> Path | None:
    """The folder of the images in `folder`, or one level deeper as in the publisher's archive; None if missing."""
    return readers.find_child(folder, IMAGES) or readers.find_child(folder, f"extended-{IMAGES}", IMAGES)


def labels(folder: Path) -> Path | None:
    """The folder of the labels in `folder`, or one level deeper as in the publisher's archive; None if missing."""
    return readers.find_child(folder, LABELS) or readers.find_child(folder, f"{LABELS}_labels", LABELS)


def annotations(location: readers.Location, last_frames: int, folds: int) -> Annotations:
    """The labelled sequences of a folder that has `images` and `labels`; see `ck_plus.annotations.find`.

    The folds consist of the subjects with a label, so they do not depend on unlabelled sequences.
    """
    if isinstance(last_frames, bool) or not isinstance(last_frames, int) or last_frames < 1:
        raise UserError(f"last_frames: expected a whole number of at least 1, got {last_frames!r}")
    image_folder, label_folder = images(location.root), labels(location.root)
    if image_folder is None or label_folder is None:
        raise UserError(f"{location.root}: expected the folders {IMAGES} and {LABELS}")
    files = readers.select_images(records.image_files(image_folder))
    frames = _group(_sequence, files)
    misplaced = frames.pop("", [])
    names = "\n".join(path.relative_to(image_folder).as_posix() for path in files)
    texts = (path for path in records.image_files(label_folder) if path.match("*/*/*_emotion.txt"))
    label_files = _group(_folder, texts)
    fold_of_subject = splits.folds((sequence.split("/")[0] for sequence in label_files), folds)

    def rows() -> Iterator[FaceRecord]:
        for sequence, paths in frames.items():
            if sequence in label_files:
                selected = [paths[0], *paths[1:][-last_frames:]]
                read = functools.partial(_frame, paths, label_files[sequence], fold_of_subject, last_frames)
                yield from readers.image_records(location.root, selected, read)
        yield from readers.image_records(location.root, misplaced, _refuse)

    label_counts, row_counts = published_labels(last_frames, neutral=True)
    return Annotations(
        name="CK+",
        layout=f"{LAYOUT}, last {last_frames} frames, {folds} folds",
        root=location.root,
        files=tuple(itertools.chain(*label_files.values())),
        classes=emotions.EIGHT,
        records=rows,
        published=label_counts,
        published_rows=row_counts,
        detectors=readers.PHOTO_DETECTORS,
        notes=_notes(frames, label_files),
        options=hashlib.sha256(os.fsencode(names)).hexdigest(),  # the number of frames decides which are selected
    )


def _group(key: Callable[[Path], str], paths: Iterable[Path]) -> dict[str, list[Path]]:
    groups = {}
    for path in paths:
        groups.setdefault(key(path), []).append(path)
    return groups


def _sequence(path: Path) -> str:
    """The sequence of a frame, such as "S005/001"; "" if its name and folder disagree."""
    match = NAME.fullmatch(path.stem)
    sequence = "/".join(match.groups()).upper() if match else ""
    return sequence if sequence == _folder(path) else ""


def _folder(path: Path) -> str:
    return "/".join(path.parts[-3:-1]).upper()


def _frame(
    frames: Sequence[Path],
    label_files: Sequence[Path],
    fold_of_subject: Mapping[str, str],
    last_frames: int,
    path: PurePosixPath,
) -> dict[str, Any]:
    if len(frames) <= last_frames:
        raise UserError(f"a sequence of {len(frames)} frames, expected more than the {last_frames} of the emotion")
    subject = path.parts[-3].upper()
    emotion = "neutral" if path.name == frames[0].name else _emotion(label_files)
    return {"id": path.stem, "split": fold_of_subject[subject], "emotion": emotion, "subject": subject}


def _emotion(label_files: Sequence[Path]) -> str:
    if len(label_files) > 1:
        raise UserError(f"{len(label_files)} label files, expected one")
    return emotions.from_code("CK+", label_files[0].read_text(encoding="utf-8", errors="replace")[:40])


def _refuse(path: PurePosixPath) -> dict[str, Any]:
    raise UserError("expected a path like S005/001/S005_001_00000011.png")


def published_labels(frames: int, neutral: bool = False) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
    """Published labels and rows, as in `Annotations`.

    Args:
        frames: number of frames of each sequence that show its emotion.
        neutral: whether one more frame of each sequence is neutral.
    """
    label_counts = {emotion: frames * number for emotion, number in PUBLISHED.items()}
    label_counts |= {"neutral": sum(PUBLISHED.values())} if neutral else {}
    return {"": label_counts}, {"": sum(label_counts.values())}


def _notes(frames: Mapping[str, list[Path]], label_files: Mapping[str, list[Path]]) -> tuple[str, ...]:
    subjects = {sequence.partition("/")[0] for sequence in frames}
    notes = (
        counts.published_line("sequences", len(frames), PUBLISHED_SEQUENCES),
        counts.published_line("subjects", len(subjects), PUBLISHED_SUBJECTS),
        counts.published_line("labelled sequences", len(label_files), sum(PUBLISHED.values())),
    )
    if unlabelled := frames.keys() - label_files.keys():
        notes += (f"sequences without a label, left out: {len(unlabelled)}",)
    if without_images := sorted(label_files.keys() - frames.keys()):
        notes += (f"labels without images: {len(without_images)} ({readers.abbreviate(without_images)})",)
    return notes
