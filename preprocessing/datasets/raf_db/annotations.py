"""RAF-DB's seven basic expressions, in its two layouts.

EmoLabel/list_patition_label.txt (sic, or list_partition_label.txt), lines `train_00001.jpg 5`, with
    Image/aligned/train_00001_aligned.jpg and Image/original/train_00001.jpg
train|test/<1 to 7>/train_00001_aligned.jpg; train_labels.csv and test_labels.csv (`image,label`) beside them or one
    level up must agree with the folders if they exist
"""

import csv
import functools
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from edram_fer.errors import UserError
from edram_fer.preprocessing import emotions, readers, records
from edram_fer.preprocessing.records import Annotations, FaceRecord

LIST, FOLDERS = "list of labels", "a folder per label"
LISTS = ("list_patition_label.txt", "list_partition_label.txt")
IMAGES = ("aligned", "original")
NAME = re.compile(r"((train|test)_\d+)(_aligned)?")
COMPOUND = {"8", "9", "10", "11"}  # labels that occur only in the list of the compound expressions
_ORDER = ("surprise", "fear", "disgust", "happy", "sad", "anger", "neutral")
PUBLISHED = {
    "train": dict(zip(_ORDER, (1290, 281, 717, 4772, 1982, 705, 2524))),
    "test": dict(zip(_ORDER, (329, 74, 160, 1185, 478, 162, 680))),
}


def find(source: Path | str, images: str = "aligned") -> Annotations:
    """RAF-DB in `source`.

    Args:
        source: the folder `basic` or `DATASET`, a folder above it, or the list.
        images: "aligned" (100x100 faces) or "original" (the photos, which come only with the list).

    Raises:
        MissingFileError: `source` does not exist.
        UserError: the data set is not there, occurs more than once, or lacks these images, or the list contains the
            compound expressions.
    """
    if images not in IMAGES:
        raise UserError(f"images: expected one of {', '.join(IMAGES)}, got {images!r}")
    location = readers.locate(
        source,
        _recognise,
        dataset="RAF-DB",
        expected=f"EmoLabel/{LISTS[0]}, or folders train and test with folders 1 to 7",
    )
    if location.layout == LIST:
        rows, notes = _read_list(location, images), ()
    elif images == "original":
        raise UserError(f"{location.root} holds aligned images only; the original ones come with EmoLabel")
    else:
        rows, notes = _read_folders(location.root)
    return Annotations(
        name="RAF-DB",
        layout=f"{location.layout}, {images}",
        root=location.root,
        files=location.files,
        classes=emotions.SEVEN,
        records=rows,
        published=PUBLISHED,
        published_rows={split: sum(classes.values()) for split, classes in PUBLISHED.items()},
        detectors=("none",) if images == "aligned" else readers.PHOTO_DETECTORS,
        notes=notes,
    )


def _recognise(folder: Path) -> Iterator[readers.Location]:
    # The folder `compound` beside `basic` has lists with the same names and other labels.
    if folder.name.casefold() != "compound":
        lists = (readers.find_child(folder, "EmoLabel", name) for name in LISTS)
        yield from (readers.Location(LIST, folder, (path,)) for path in lists if path)
    codes = {str(code) for code in emotions.codes("RAF-DB")}
    splits = (readers.find_child(folder, split) for split in PUBLISHED)
    if any(codes & {subfolder.name for subfolder in readers.subfolders(split)} for split in splits if split):
        yield readers.Location(FOLDERS, folder)


def _read_list(location: readers.Location, images: str) -> Callable[[], Iterator[FaceRecord]]:
    [path] = location.files
    if COMPOUND <= {line.split()[-1] for _, line in readers.lines(path)}:
        raise UserError(f"{path} is RAF-DB's list of the compound expressions (labels up to 11), not of the basic ones")
    folder = readers.find_child(location.root, "Image", images)
    if folder is None:
        parent = readers.find_child(location.root, "Image") or location.root
        names = readers.abbreviate([subfolder.name for subfolder in readers.subfolders(parent)])
        raise UserError(
            f"no images for {path}: expected the folder {location.root / 'Image' / images}, there were "
            f"the folders {names or 'none'}"
        )
    ending = "_aligned" if images == "aligned" else ""
    read = functools.partial(_line, folder.relative_to(location.root), ending)
    return functools.partial(readers.line_records, path, read)


def _line(folder: Path, ending: str, number: int, line: str) -> dict[str, Any]:
    fields = line.split()
    image = Path(fields[0])
    match = NAME.fullmatch(image.stem)
    if len(fields) != 2 or not match:
        raise UserError(f"expected a line like `train_00001.jpg 5`, got {line.strip()[:60]!r}")
    return {
        "id": match[1],
        "split": match[2],
        "emotion": emotions.from_code("RAF-DB", fields[1]),
        "image": (folder / f"{match[1]}{ending}{image.suffix}").as_posix(),
    }


def _read_folders(root: Path) -> tuple[Callable[[], Iterator[FaceRecord]], tuple[str, ...]]:
    """The rows and notes of the layout with a folder per label."""
    folders = [folder for split in PUBLISHED if (folder := readers.find_child(root, split))]
    files, notes = readers.select_images(path for folder in folders for path in records.image_files(folder))
    labels = {}
    for split in PUBLISHED:
        name = f"{split}_labels.csv"
        path = readers.find_child(root, name) or readers.find_child(root.parent, name)
        labels |= _csv_labels(path) if path else {}
    missing = sorted(labels.keys() - {path.name for path in files})
    if missing:
        notes += (f"images named in the csv that do not exist: {len(missing):,} ({readers.abbreviate(missing)})",)
    return functools.partial(readers.image_records, root, files, functools.partial(_image, labels)), notes


def _csv_labels(path: Path) -> dict[str, str]:
    """Name of an image -> its code."""
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = csv.DictReader(file)
        if not {"image", "label"} <= set(rows.fieldnames or ()):
            raise UserError(f"{path}: expected the columns image, label; found {rows.fieldnames}")
        return {row["image"]: row["label"] for row in rows}


def _image(labels: Mapping[str, str], path: PurePosixPath) -> dict[str, Any]:
    match = NAME.fullmatch(path.stem)
    if not match or len(path.parts) != 3 or path.parts[0].casefold() != match[2]:
        raise UserError("expected a path like train/5/train_00001_aligned.jpg")
    folder = path.parts[1]
    emotion = emotions.from_code("RAF-DB", folder)
    label = labels.get(path.name, folder)
    if label != folder:
        raise UserError(f"in the folder {folder}, but the csv says {label}")
    return {"id": match[1], "split": match[2], "emotion": emotion}
