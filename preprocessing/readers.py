"""Functions shared by the readers of data sets: locate a data set on disk, and turn image files or lines into rows.

`locate` searches for a data set in a file or folder. `image_records` and `line_records` make one row per image file or
line; unusable items become rows with a status.
"""

import codecs
import csv
import dataclasses
import io
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TextIO

from edram_fer.errors import MissingFileError, UserError, as_status
from edram_fer.preprocessing import emotions
from edram_fer.preprocessing.records import OK, FaceRecord, no_label

PHOTO_DETECTORS = ("yunet", "dlib")  # the detectors for images that show more than a face
EXTENSIONS = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
IGNORED_FILES = {"desktop.ini", "thumbs.db"}  # Windows writes them into folders of images
LEVELS = 2  # number of levels below the source that are searched for a data set
# Common names of the three splits that training and evaluation use; other names stay unchanged.
SPLITS = {
    **{"training": "train", "val": "validation", "valid": "validation", "dev": "validation", "testing": "test"},
    **{"publictest": "validation", "privatetest": "test"},  # FER2013's names
    **{split: split for split in ("train", "validation", "test")},
}


class Location(NamedTuple):
    """A data set on disk: its layout, the folder that image paths are relative to, and its annotation files."""

    layout: str
    root: Path
    files: tuple[Path, ...] = ()


def locate(
    source: Path | str,
    recognise: Callable[[Path], Iterable[Location]],
    *,
    dataset: str,
    expected: str,
    hint: Callable[[Path], str] = lambda folder: "",
) -> Location:
    """The only location of a data set in `source`.

    Args:
        source: a folder that contains the data set up to two levels down, or one of its annotation files.
        recognise: returns the locations directly in a folder.
        dataset: name of the data set, for messages.
        expected: description of the expected files, for messages.
        hint: returns a text that the message adds if the data set is not in a folder.

    Raises:
        MissingFileError: `source` does not exist.
        UserError: the data set is not there, or occurs more than once.
    """
    source = Path(source).expanduser().absolute()
    if source.is_dir():
        locations = list(_search(source, recognise, LEVELS))
    elif source.exists():
        above = source.parents[:LEVELS]
        locations = [location for folder in above for location in recognise(folder) if source in location.files]
    else:
        raise MissingFileError(f"{dataset} source {source} does not exist")
    if len(locations) == 1:
        return locations[0]
    if locations:
        raise UserError(
            f"{source} holds {dataset} more than once; name the file or folder to use:"
            + "".join(f"\n  {_first_path(location)} ({location.layout})" for location in locations)
        )
    folder = source if source.is_dir() else source.parent
    content = abbreviate(sorted(entry.name for entry in folder.iterdir())) or "nothing"
    raise UserError(
        f"no {dataset} in {source}. Looked for {expected}, up to {LEVELS} levels down (archives must "
        f"be unpacked). There was: {content}{hint(folder)}"
    )


def _search(folder: Path, recognise: Callable[[Path], Iterable[Location]], levels: int) -> Iterator[Location]:
    locations = list(recognise(folder))
    yield from locations
    if not locations and levels:
        for subfolder in subfolders(folder):
            yield from _search(subfolder, recognise, levels - 1)


def _first_path(location: Location) -> Path:
    return location.files[0] if location.files else location.root


def subfolders(folder: Path) -> list[Path]:
    """The folders directly in a folder, except hidden folders and folders that macOS adds to archives."""
    return sorted(
        entry for entry in entries(folder) if os.path.isdir(entry) and not entry.name.startswith((".", "__MACOSX"))
    )


def entries(folder: Path) -> list[Path]:
    """What is directly in a folder: nothing in one that cannot be read, of which `records.image_files` makes a row."""
    try:
        return list(folder.iterdir())
    except PermissionError:
        return []


def absolute(path: Path | str) -> Path:
    """An absolute path without "..", with which the paths of images are compared."""
    path = Path(path).expanduser().absolute()
    return path.resolve() if ".." in path.parts else path


def find_child(folder: Path, *names: str) -> Path | None:
    """The file or folder `folder`/name/name/..., ignoring the case of its names; None if there is none."""
    for name in names:
        if not folder.is_dir():
            return None
        matches = [entry for entry in entries(folder) if entry.name.casefold() == name.casefold()]
        if not matches:
            return None
        folder = folder / name if folder / name in matches else min(matches)
    return folder


def select_images(paths: Iterable[Path]) -> list[Path]:
    """The paths with the extension of an image.

    A link to a folder, or a folder that cannot be read, counts as an image regardless of its name, and becomes a row
    that cannot be read; otherwise the images behind it would be missing unnoticed.
    """
    return [path for path in paths if path.suffix.casefold() in EXTENSIONS or os.path.isdir(path)]


def split_name(name: str) -> str:
    """The name of a split: "train", "validation" or "test" for its common names, otherwise `name`.

    Example:
        >>> split_name("Val"), split_name("fold_3")
        ('validation', 'fold_3')
    """
    return SPLITS.get(name.strip().casefold(), name.strip())


def present_classes(requested: Sequence[str] | None, counts: Counter[str], location: Path) -> tuple[str, ...]:
    """The classes of a data set.

    Args:
        requested: the classes that the user named; None: all emotions that occur.
        counts: class -> number of rows.
        location: what was read, for the message.

    Returns:
        The requested classes in their order; of "seven" and "eight" only those that occur.

    Raises:
        UserError: a requested class does not occur.
    """
    if requested is None or tuple(requested) in emotions.SETS.values():
        return tuple(name for name in requested or emotions.EIGHT if counts[name])
    if missing := [name for name in requested if not counts[name]]:
        present = ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"
        raise UserError(f"{location}: no image of the class {', '.join(missing)}; there are: {present}")
    return tuple(requested)


def image_records(
    root: Path, files: Iterable[Path], read: Callable[[PurePosixPath], dict[str, Any]]
) -> Iterator[FaceRecord]:
    """One row per image file.

    Args:
        root: the folder that the paths of the rows are relative to.
        files: the image files.
        read: returns the fields of a row from the path of its image below `root`; a UserError becomes its status.
    """
    names = (path.relative_to(root).as_posix() for path in files)
    return _unique(_row(name, read, PurePosixPath(name), image=name) for name in names)


def line_records(
    path: Path, read: Callable[[int, str], dict[str, Any]], *, header: bool = False
) -> Iterator[FaceRecord]:
    """One row for each of the `lines` of a file.

    Args:
        path: the file.
        read: returns the fields of a row from its number and its line; a UserError becomes its status.
        header: whether the first line is a header.
    """
    return _unique(_row(f"{path.name}:{number}", read, number, line) for number, line in lines(path, header=header))


def lines(path: Path, *, header: bool = False) -> Iterator[tuple[int, str]]:
    """The lines of a file that are not blank, with their numbers from 1; a `header` is not counted."""
    with open_text(path) as file:
        if header:
            next(file, "")
        yield from ((number, line) for number, line in enumerate(file, 1) if line.strip())


def open_text(path: Path) -> TextIO:
    """Open a text file in UTF-8 or UTF-16, with or without a byte order mark, to read lines with any line endings."""
    with open(path, "rb") as file:
        start = file.read(1000)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif start[1::2].count(0) > len(start) / 4:  # ASCII characters in UTF-16 without its mark
        encoding = "utf-16-le"
    else:
        encoding = "utf-16-be" if start[::2].count(0) > len(start) / 4 else "utf-8-sig"
    # Undecodable bytes become a character that occurs in no name or number, so only their line is faulty.
    return open(path, encoding=encoding, errors="replace")


def csv_cells(line: str, separator: str) -> list[str]:
    """The cells of a line; none if it cannot be divided, as with a cell of more than 131,072 characters."""
    try:
        return next(csv.reader(io.StringIO(line, newline=""), delimiter=separator), [])
    except csv.Error:
        return []


def _row(row: str, read: Callable[..., dict[str, Any]], *arguments: Any, image: str = "") -> FaceRecord:
    try:
        fields = read(*arguments)
    except Exception as error:  # one row must not stop all others
        return FaceRecord(id=row, row=row, image=image, split="", status=as_status(error))
    return FaceRecord(row=row, **{"image": image, **fields})


def _unique(rows: Iterable[FaceRecord]) -> Iterator[FaceRecord]:
    """The rows; a row that repeats an earlier id in its split gets a new id and a status."""
    first_rows = {}
    for record in rows:
        first_row = first_rows.setdefault((record.split, record.id), record.row)
        if first_row != record.row:
            status = f"its id {record.id} is also that of {first_row}" if record.status == OK else record.status
            record = dataclasses.replace(record, id=f"{record.id} ({record.row})", status=status)
        yield record


def emotion_from_folder(name: str) -> str:
    """The emotion that a folder is named after, in any common spelling.

    Raises:
        UserError: the folder is not named after an emotion.

    Example:
        >>> emotion_from_folder("Happiness")
        'happy'
    """
    emotion = emotions.canonical(name)
    if not emotions.is_emotion(emotion):
        raise UserError(no_label(emotion))
    return emotion


def is_emotion_folder(name: str) -> bool:
    """Whether a folder is named after an emotion, in any common spelling."""
    try:
        return bool(emotion_from_folder(name))
    except UserError:
        return False


def abbreviate(names: Sequence[str], most: int = 20) -> str:
    """The first names of a list, for a message.

    Example:
        >>> abbreviate(["a", "b", "c"], most=2)
        'a, b, ...'
    """
    return ", ".join([*names[:most], "..."] if len(names) > most else names)
