"""CK+ (extended Cohn-Kanade) in its three common layouts.

cohn-kanade-images/S005/001/S005_001_00000011.png with Emotion/S005/001/S005_001_00000011_emotion.txt
CK+48/<emotion>/S010_004_00000017.png
ckextended.csv, whose lines hold the pixels
"""

import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from edram_fer.errors import UserError
from edram_fer.preprocessing import emotions, readers, records, splits
from edram_fer.preprocessing.datasets.ck_plus import ckextended, sequences
from edram_fer.preprocessing.records import Annotations, FaceRecord

FOLDERS = "CK+48"
FRAMES = 3  # frames of each labelled sequence in CK+48: 981 images
SHARES = {"train": 70, "validation": 10, "test": 20}
NAME = re.compile(r"(S\d{3})_\d{3}_\d{8}", re.IGNORECASE)


def find(source: Path | str, last_frames: int = 3, folds: int = 10, split: str = splits.STRICT) -> Annotations:
    """CK+ in `source`.

    Splits are "fold_0", "fold_1", ... with disjoint subjects; ckextended.csv names no subjects and has three splits.

    Args:
        source: the folder of one of the layouts, a folder above it, or ckextended.csv.
        last_frames: number of images at the end of a labelled sequence that show the emotion; its first image is
            neutral. In the other two layouts the images are already selected.
        folds: number of splits.
        split: "strict" for the folds; "published" for train, validation and test with 70, 10 and 20 % of the images at
            random, as in Minaee and Abdolrashidi 2019. Frames of one sequence are then in all splits.

    Raises:
        MissingFileError: `source` does not exist.
        UserError: the data set is not there, or occurs more than once, or an option is invalid.
    """
    variant = splits.variant(split)
    location = readers.locate(
        source,
        _recognise,
        dataset="CK+",
        expected=f"{sequences.IMAGES} with {sequences.LABELS} beside it, folders of emotions with images like "
        f"S010_004_00000017.png, or {ckextended.FILE}",
    )
    if location.layout == ckextended.FILE:
        if variant:
            raise UserError(f"split: {ckextended.FILE} has its own three splits; {split!r} is for the other layouts")
        return ckextended.annotations(location)
    if location.layout == sequences.LAYOUT:
        return _apply_variant(sequences.annotations(location, last_frames, folds), variant)
    files = readers.select_images(records.image_files(location.root))
    subjects = (match[1].upper() for path in files if (match := NAME.fullmatch(path.stem)))
    read = functools.partial(_image, splits.folds(subjects, folds))
    labels, rows = sequences.published_labels(FRAMES)
    annotations = Annotations(
        name="CK+",
        layout=location.layout,
        root=location.root,
        classes=emotions.EIGHT,
        records=functools.partial(readers.image_records, location.root, files, read),
        published=labels,
        published_rows=rows,
    )
    return _apply_variant(annotations, variant)


def _apply_variant(annotations: Annotations, variant: str) -> Annotations:
    """The annotations with the published splits if the variant asks for them."""
    if not variant:
        return annotations

    def rows() -> Iterator[FaceRecord]:
        for record in annotations.records():
            split = splits.digest_split(record.id, SHARES, seed=0) if record.split else ""
            yield dataclasses.replace(record, split=split)

    layout = f"{annotations.layout}, {variant} split"
    return dataclasses.replace(annotations, layout=layout, records=rows, variant=variant)


def _recognise(folder: Path) -> Iterator[readers.Location]:
    path = readers.find_child(folder, ckextended.FILE)
    if path:
        yield readers.Location(ckextended.FILE, folder, (path,))
    if sequences.images(folder) and sequences.labels(folder):
        yield readers.Location(sequences.LAYOUT, folder)
    if any(
        readers.is_emotion_folder(subfolder.name) and NAME.fullmatch(path.stem)
        for subfolder in readers.subfolders(folder)
        for path in readers.entries(subfolder)
    ):
        yield readers.Location(FOLDERS, folder)


def _image(folds: Mapping[str, str], path: PurePosixPath) -> dict[str, Any]:
    match = NAME.fullmatch(path.stem)
    if not match or len(path.parts) != 2:
        raise UserError("expected a path like anger/S010_004_00000017.png")
    subject = match[1].upper()
    return {
        "id": path.stem,
        "split": folds[subject],
        "emotion": readers.emotion_from_folder(path.parts[0]),
        "subject": subject,
    }
