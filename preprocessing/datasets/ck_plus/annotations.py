"""CK+ (extended Cohn-Kanade), in the three forms in which it goes around.

cohn-kanade-images/S005/001/S005_001_00000011.png with Emotion/S005/001/S005_001_00000011_emotion.txt
CK+48/<emotion>/S010_004_00000017.png
ckextended.csv: pixels in lines; an image is called `ckextended.csv#17`, and whoever makes faces of it takes them
    from `ckextended.pixels` instead of opening a file
"""

import dataclasses
import functools
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from edram_fer.errors import UserError
from edram_fer.preprocessing import emotions, records, sources, splits
from edram_fer.preprocessing.datasets.ck_plus import ckextended, sequences
from edram_fer.preprocessing.records import Annotations, FaceRecord

FOLDERS = "CK+48"
FRAMES = 3  # of each labelled sequence in CK+48: 981 images
SHARES = {"train": 70, "validation": 10, "test": 20}
NAME = re.compile(r"(S\d{3})_\d{3}_\d{8}", re.IGNORECASE)


def find(source, last_frames: int = 3, folds: int = 10, split: str = splits.STRICT) -> Annotations:
    """CK+ in `source`: the folder of one of its forms, one above it, or ckextended.csv.

    Splits are "fold_0", "fold_1", ... with disjoint subjects; ckextended.csv names no subjects and keeps its own three.

    Args:
        last_frames: how many images at the end of a labelled sequence show the emotion; the first is neutral.
            The other two forms have their images chosen already.
        folds: number of splits.
        split: "strict", the folds; or "published": train, validation and test with 70, 10 and 20 % of the images, as
            Minaee and Abdolrashidi 2019 had, at random: the frames of one sequence are on all sides.
    """
    variant = splits.variant(split)
    place = sources.find(
        source,
        _forms,
        dataset="CK+",
        expected=f"{sequences.IMAGES} with {sequences.LABELS} beside "
        f"it, folders of emotions with images like S010_004_00000017.png, or {ckextended.FILE}",
    )
    if place.form == ckextended.FILE:
        if variant:
            raise UserError(f"split: {ckextended.FILE} has three splits of its own, {split!r} is for the other forms")
        return ckextended.annotations(place)
    if place.form == sequences.FORM:
        return _resplit(sequences.annotations(place, last_frames, folds), variant)
    files, notes = sources.only_images(records.image_files(place.root))
    subjects = (match[1].upper() for path in files if (match := NAME.fullmatch(path.stem)))
    read = functools.partial(_image, splits.folds(subjects, folds))
    found = Annotations(
        "CK+",
        place.form,
        place.root,
        (),
        emotions.EIGHT,
        functools.partial(sources.from_images, place.root, files, read),
        *sequences.published(FRAMES),
        notes=notes,
    )
    return _resplit(found, variant)


def _resplit(found: Annotations, variant: str) -> Annotations:
    """With the splits of published work where the variant says so."""
    if not variant:
        return found

    def rows() -> Iterator[FaceRecord]:
        for record in found.records():
            split = splits.by_digest(record.id, SHARES, seed=0) if record.split else ""
            yield dataclasses.replace(record, split=split)

    return dataclasses.replace(found, form=f"{found.form}, {variant} split", records=rows, variant=variant)


def _forms(folder: Path) -> Iterator[sources.Place]:
    path = sources.child(folder, ckextended.FILE)
    if path:
        yield sources.Place(ckextended.FILE, folder, (path,))
    if sequences.images(folder) and sequences.labels(folder):
        yield sources.Place(sequences.FORM, folder)
    if any(
        sources.is_emotion(below.name) and any(NAME.fullmatch(path.stem) for path in below.iterdir())
        for below in sources.subfolders(folder)
    ):
        yield sources.Place(FOLDERS, folder)


def _image(fold: dict[str, str], path: PurePosixPath) -> dict:
    match = NAME.fullmatch(path.stem)
    if not match or len(path.parts) != 2:
        raise UserError("expected a place like anger/S010_004_00000017.png")
    subject = match[1].upper()
    return {
        "id": path.stem,
        "split": fold[subject],
        "emotion": sources.emotion_named(path.parts[0]),
        "subject": subject,
    }
