"""RAF-DB's seven basic expressions, in its two forms.

EmoLabel/list_patition_label.txt (so spelled, or list_partition_label.txt), lines `train_00001.jpg 5`; images
    Image/aligned/train_00001_aligned.jpg and Image/original/train_00001.jpg
train|test/<1 to 7>/train_00001_aligned.jpg; train_labels.csv and test_labels.csv (`image,label`) beside or above,
    if they lie there, must agree with the folders
"""

import csv
import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from edram_fer.errors import UserError
from edram_fer.preprocessing import emotions, records, sources
from edram_fer.preprocessing.records import Annotations, FaceRecord

LIST, FOLDERS = "list of labels", "a folder per label"
LISTS = ("list_patition_label.txt", "list_partition_label.txt")
IMAGES = ("aligned", "original")
NAME = re.compile(r"((train|test)_\d+)(_aligned)?")
COMPOUND = {"8", "9", "10", "11"}  # labels that only the list of the compound expressions has
_ORDER = ("surprise", "fear", "disgust", "happy", "sad", "anger", "neutral")
PUBLISHED = {
    "train": dict(zip(_ORDER, (1290, 281, 717, 4772, 1982, 705, 2524))),
    "test": dict(zip(_ORDER, (329, 74, 160, 1185, 478, 162, 680))),
}


def find(source, images: str = "aligned") -> Annotations:
    """RAF-DB in `source`: the folder `basic` or `DATASET`, one above it, or the list.

    Args:
        images: "aligned" (100x100 faces) or "original" (the photos; only beside the list).
    """
    if images not in IMAGES:
        raise UserError(f"images: expected one of {', '.join(IMAGES)}, got {images!r}")
    place = sources.find(
        source,
        _forms,
        dataset="RAF-DB",
        expected=f"EmoLabel/{LISTS[0]}, or folders train and test with folders 1 to 7",
    )
    if place.form == LIST:
        rows, notes = _listed(place, images), ()
    elif images == "original":
        raise UserError(f"{place.root} holds aligned images only; the original ones come with EmoLabel")
    else:
        rows, notes = _in_folders(place.root)
    rows_of = {split: sum(classes.values()) for split, classes in PUBLISHED.items()}
    return Annotations(
        "RAF-DB",
        f"{place.form}, {images}",
        place.root,
        place.files,
        emotions.SEVEN,
        rows,
        PUBLISHED,
        rows_of,
        ("none",) if images == "aligned" else sources.PHOTO_DETECTORS,
        notes,
    )


def _forms(folder: Path) -> Iterator[sources.Place]:
    # Beside `basic` lies `compound` with lists of the same names and other labels.
    if folder.name.casefold() != "compound":
        lists = (sources.child(folder, "EmoLabel", name) for name in LISTS)
        yield from (sources.Place(LIST, folder, (path,)) for path in lists if path)
    codes = {str(code) for code in emotions.codes("RAF-DB")}
    splits = (sources.child(folder, split) for split in PUBLISHED)
    if any(codes & {below.name for below in sources.subfolders(split)} for split in splits if split):
        yield sources.Place(FOLDERS, folder)


def _listed(place: sources.Place, images: str) -> Callable[[], Iterator[FaceRecord]]:
    path = place.files[0]
    if COMPOUND <= {line.split()[-1] for _, line in sources.lines(path)}:
        raise UserError(f"{path} is RAF-DB's list of the compound expressions (labels up to 11), not of the basic")
    folder = sources.child(place.root, "Image", images)
    if folder is None:
        there = [below.name for below in sources.subfolders(sources.child(place.root, "Image") or place.root)]
        raise UserError(
            f"no images for {path}: expected the folder {place.root / 'Image' / images}, there were "
            f"the folders {sources.some(there) or 'none'}"
        )
    ending = "_aligned" if images == "aligned" else ""
    folder = folder.relative_to(place.root)
    return functools.partial(sources.from_lines, path, functools.partial(_line, folder, ending))


def _line(folder: Path, ending: str, number: int, line: str) -> dict:
    words = line.split()
    image = Path(words[0])
    match = NAME.fullmatch(image.stem)
    if len(words) != 2 or not match:
        raise UserError(f"expected a line like `train_00001.jpg 5`, got {line.strip()[:60]!r}")
    return {
        "id": match[1],
        "split": match[2],
        "emotion": emotions.from_code("RAF-DB", words[1]),
        "image": (folder / f"{match[1]}{ending}{image.suffix}").as_posix(),
    }


def _in_folders(root: Path) -> tuple[Callable[[], Iterator[FaceRecord]], tuple[str, ...]]:
    folders = [folder for split in PUBLISHED if (folder := sources.child(root, split))]
    files, notes = sources.only_images(path for folder in folders for path in records.image_files(folder))
    labels = {}
    for split in PUBLISHED:
        path = sources.child(root, f"{split}_labels.csv") or sources.child(root.parent, f"{split}_labels.csv")
        labels |= _csv_labels(path) if path else {}
    missing = sorted(labels.keys() - {path.name for path in files})
    if missing:
        notes += (f"images that the csv names and that are not there: {len(missing):,} ({sources.some(missing)})",)
    return functools.partial(sources.from_images, root, files, functools.partial(_image, labels)), notes


def _csv_labels(path: Path) -> dict[str, str]:
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = csv.DictReader(file)
        if not {"image", "label"} <= set(rows.fieldnames or ()):
            raise UserError(f"{path}: expected the columns image, label; found {rows.fieldnames}")
        return {row["image"]: row["label"] for row in rows}


def _image(labels: dict[str, str], path: PurePosixPath) -> dict:
    match = NAME.fullmatch(path.stem)
    if not match or len(path.parts) != 3 or path.parts[0].casefold() != match[2]:
        raise UserError("expected a place like train/5/train_00001_aligned.jpg")
    emotion = emotions.from_code("RAF-DB", path.parts[1])
    label = labels.get(path.name, path.parts[1])
    if label != path.parts[1]:
        raise UserError(f"in the folder {path.parts[1]}, but the csv says {label}")
    return {"id": match[1], "split": match[2], "emotion": emotion}
