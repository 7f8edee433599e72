"""CK+ (extended Cohn-Kanade), in the three forms in which it goes around.

    cohn-kanade-images/S005/001/S005_001_00000011.png with Emotion/S005/001/S005_001_00000011_emotion.txt
    CK+48/<emotion>/S010_004_00000017.png
    ckextended.csv: pixels in lines; a picture is called `ckextended.csv#17`, and whoever makes faces of it takes them
        from `ckextended.pixels` instead of opening a file
"""
import functools
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from preprocessing import emotions, records, sources, splits
from preprocessing.datasets.ck_plus import ckextended, sequences
from preprocessing.records import Annotations

FOLDERS = "CK+48"
FRAMES = 3      # of each labelled sequence in CK+48: 981 pictures
NAME = re.compile(r"(S\d{3})_\d{3}_\d{8}", re.IGNORECASE)


def find(source, last_frames: int = 3, folds: int = 10) -> Annotations:
    """CK+ in `source`: the folder of one of its forms, one above it, or ckextended.csv.

    Splits are "fold_0", "fold_1", ... with disjoint subjects; ckextended.csv names no subjects and keeps its own three.

    Args:
        last_frames: how many pictures at the end of a labelled sequence show the emotion; the first is neutral.
            The other two forms have their pictures chosen already.
        folds: number of splits.
    """
    place = sources.find(source, _forms, dataset="CK+", looked_for=f"{sequences.IMAGES} with {sequences.LABELS} beside "
                         f"it, folders of emotions with pictures like S010_004_00000017.png, or {ckextended.FILE}")
    if place.form == ckextended.FILE:
        return ckextended.annotations(place)
    if place.form == sequences.FORM:
        return sequences.annotations(place, last_frames, folds)
    files, notes = sources.only_pictures(records.pictures(place.root))
    subjects = (match[1].upper() for path in files if (match := NAME.fullmatch(path.stem)))
    read = functools.partial(_picture, splits.folds(subjects, folds))
    return Annotations("CK+", place.form, place.root, (), emotions.EIGHT,
                       functools.partial(sources.from_pictures, place.root, files, read),
                       *sequences.published(FRAMES), notes=notes)


def _forms(folder: Path) -> Iterator[sources.Place]:
    path = sources.child(folder, ckextended.FILE)
    if path:
        yield sources.Place(ckextended.FILE, folder, (path,))
    if sequences.images(folder) and sequences.labels(folder):
        yield sources.Place(sequences.FORM, folder)
    if any(sources.is_emotion(below.name) and any(NAME.fullmatch(path.stem) for path in below.iterdir())
           for below in sources.subfolders(folder)):
        yield sources.Place(FOLDERS, folder)


def _picture(fold: dict[str, str], path: PurePosixPath) -> dict:
    match = NAME.fullmatch(path.stem)
    if not match or len(path.parts) != 2:
        raise ValueError("expected a place like anger/S010_004_00000017.png")
    subject = match[1].upper()
    return {"id": path.stem, "split": fold[subject], "emotion": sources.emotion_named(path.parts[0]),
            "subject": subject}
