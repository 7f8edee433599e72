"""RAF-DB's seven basic or eleven compound expressions, in its two layouts.

EmoLabel/list_patition_label.txt (sic, or list_partition_label.txt), lines `train_00001.jpg 5`, with
    Image/aligned/train_00001_aligned.jpg and Image/original/train_00001.jpg
train|test/<1 to 7>/train_00001_aligned.jpg; train_labels.csv and test_labels.csv (`image,label`) beside them or one
    level up must agree with the folders if they exist. The folder of the test split may also be called valid or val.
"""

import functools
import re
import reprlib
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
BASIC, COMPOUND = "RAF-DB", "RAF-DB compound"  # names of the codes in `emotions.CODES`
COMPOUND_CODES = {"8", "9", "10", "11"}  # labels that occur only in the list of the compound expressions
_ORDER = ("surprise", "fear", "disgust", "happy", "sad", "anger", "neutral")
PUBLISHED = {
    "train": dict(zip(_ORDER, (1290, 281, 717, 4772, 1982, 705, 2524))),
    "test": dict(zip(_ORDER, (329, 74, 160, 1185, 478, 162, 680))),
}


COMPOUND_ROWS = {"train": 3162, "test": 792}


def find(source: Path | str, images: str = "aligned", compound: bool = False) -> Annotations:
    """RAF-DB in `source`.

    Args:
        source: the folder `basic` or `DATASET`, a folder above it, or the list.
        images: "aligned" (100x100 faces) or "original" (the photos, which come only with the list).
        compound: read the eleven compound expressions, such as "Happily Surprised", instead of the basic ones.

    Raises:
        MissingFileError: `source` does not exist.
        UserError: the data set is not there, occurs more than once, or lacks these images, or the list contains the
            other expressions.
    """
    name = COMPOUND if compound else BASIC
    if images not in IMAGES:
        raise UserError(f"images: expected one of {', '.join(IMAGES)}, got {images!r}")
    location = readers.locate(
        source,
        functools.partial(_recognise, name),
        dataset=name,
        expected=f"EmoLabel/{LISTS[0]}, or folders train and test with folders 1 to {11 if compound else 7}",
    )
    if location.layout == LIST:
        rows, notes = _read_list(location, images, name), ()
    elif images == "original":
        raise UserError(f"{location.root} holds aligned images only; the original ones come with EmoLabel")
    else:
        rows, notes = _read_folders(location.root, name)
    published = {} if compound else PUBLISHED
    return Annotations(
        name=name,
        layout=f"{location.layout}, {images}",
        root=location.root,
        files=location.files,
        classes=tuple(emotions.codes(COMPOUND).values()) if compound else emotions.SEVEN,
        records=rows,
        published=published,
        published_rows=COMPOUND_ROWS if compound else {split: sum(row.values()) for split, row in PUBLISHED.items()},
        detectors=("none",) if images == "aligned" else readers.PHOTO_DETECTORS,
        notes=notes,
        variant="compound" if compound else "",
    )


def _recognise(name: str, folder: Path) -> Iterator[readers.Location]:
    # The folders `basic` and `compound` have lists with the same names and other labels.
    if folder.name.casefold() != ("basic" if name == COMPOUND else "compound"):
        lists = (readers.find_child(folder, "EmoLabel", file) for file in LISTS)
        yield from (readers.Location(LIST, folder, (path,)) for path in lists if path)
    codes = {str(code) for code in emotions.codes(name)}
    names = {below.name for split in _split_folders(folder) for below in readers.subfolders(split)}
    if "0" not in names and codes & names and (name == BASIC or not names <= set("1234567")):
        yield readers.Location(FOLDERS, folder)  # with a folder 0 the codes are AffectNet's


def _split_folders(folder: Path) -> dict[Path, str]:
    """Folder -> split. Without a folder test the folder valid or val holds the test split."""
    folders = [below for below in readers.subfolders(folder) if below.name.casefold() in readers.SPLITS]
    splits = {below: readers.split_name(below.name) for below in folders}
    if "test" in splits.values():
        return splits
    return {below: "train" if split == "train" else "test" for below, split in splits.items()}


def _read_list(location: readers.Location, images: str, name: str) -> Callable[[], Iterator[FaceRecord]]:
    [path] = location.files
    is_compound = COMPOUND_CODES <= {line.split()[-1] for _, line in readers.lines(path)}
    if is_compound and name == BASIC:
        raise UserError(
            f"{path} is RAF-DB's list of the compound expressions (labels up to 11), not of the basic ones; "
            f"--set compound=true reads it"
        )
    if name == COMPOUND and not is_compound:
        raise UserError(f"{path} is not RAF-DB's list of the compound expressions, whose labels go up to 11")
    folder = readers.find_child(location.root, "Image", images)
    if folder is None:
        parent = readers.find_child(location.root, "Image") or location.root
        names = readers.abbreviate([subfolder.name for subfolder in readers.subfolders(parent)])
        raise UserError(
            f"no images for {path}: expected the folder {location.root / 'Image' / images}, there were "
            f"the folders {names or 'none'}"
        )
    ending = "_aligned" if images == "aligned" else ""
    read = functools.partial(_line, folder.relative_to(location.root), ending, name)
    return functools.partial(readers.line_records, path, read)


def _line(folder: Path, ending: str, dataset: str, number: int, line: str) -> dict[str, Any]:
    fields = line.split()
    image = Path(fields[0])
    match = NAME.fullmatch(image.stem)
    if len(fields) != 2 or not match:
        raise UserError(f"expected a line like `train_00001.jpg 5`, got {line.strip()[:60]!r}")
    return {
        "id": match[1],
        "split": match[2],
        "emotion": emotions.from_code(dataset, fields[1]),
        "image": (folder / f"{match[1]}{ending}{image.suffix}").as_posix(),
    }


def _read_folders(root: Path, name: str) -> tuple[Callable[[], Iterator[FaceRecord]], tuple[str, ...]]:
    """The rows and notes of the layout with a folder per label."""
    folders = _split_folders(root)
    files = readers.select_images(path for folder in folders for path in records.image_files(folder))
    labels, notes = {}, ()
    for split in PUBLISHED:
        file_name = f"{split}_labels.csv"
        path = readers.find_child(root, file_name) or readers.find_child(root.parent, file_name)
        labels |= _csv_labels(path) if path else {}
    missing = sorted(labels.keys() - {path.name for path in files})
    if missing:
        notes += (f"images named in the csv that do not exist: {len(missing):,} ({readers.abbreviate(missing)})",)
    splits = {folder.name: split for folder, split in folders.items()}
    renamed = [folder for folder, split in splits.items() if split != readers.split_name(folder)]
    notes += tuple(
        f"the folder {folder} is the test split here, as RAF-DB has no validation split" for folder in renamed
    )
    read = functools.partial(_image, labels, splits, name)
    return functools.partial(readers.image_records, root, files, read), notes


def _csv_labels(path: Path) -> dict[str, str]:
    """Name of an image -> its code."""
    rows = [readers.csv_cells(line, ",") for _, line in readers.lines(path)]
    names = [name.strip() for name in rows[0]] if rows else []
    if names.count("image") != 1 or names.count("label") != 1:
        raise UserError(f"{path}: expected the columns image and label, once each; got {reprlib.repr(names)}")
    image, label = names.index("image"), names.index("label")
    return {row[image]: row[label] for row in rows[1:] if len(row) == len(names)}


def _image(labels: Mapping[str, str], splits: Mapping[str, str], dataset: str, path: PurePosixPath) -> dict[str, Any]:
    """The fields of the row of an image. A published name must fit the split."""
    match = NAME.fullmatch(path.stem)
    split = splits[path.parts[0]]
    # A validation folder beside the test folder is somebody's choice from the training images.
    fits = match is None or match[2] == ("test" if split == "test" else "train")
    if len(path.parts) != 3 or not fits:
        raise UserError("expected a path like train/5/train_00001_aligned.jpg")
    folder = path.parts[1]
    emotion = emotions.from_code(dataset, folder)
    label = labels.get(path.name, folder)
    if label != folder:
        raise UserError(f"in the folder {folder}, but the csv says {label}")
    return {"id": match[1] if match else path.as_posix(), "split": split, "emotion": emotion}
