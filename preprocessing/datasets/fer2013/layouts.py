"""The six common layouts of FER2013, recognised by their content.

    fer2013.csv              emotion,pixels,Usage
    icml_face_data.csv       the same with the header `emotion, Usage, pixels`, with blanks
    train.csv, test.csv      Kaggle: quoted, no Usage; in the original, test.csv has no labels
    train|test/<emotion>/Training_<n>.jpg, PublicTest_<n>.jpg, PrivateTest_<n>.jpg
    train|test/<emotion>/im<k>.png
    train|validation|test/<emotion>/*.jpg    with any other names, or only two of these folders

The csv files may be in UTF-8 or UTF-16 and have commas, semicolons, tabs or bars between their columns. `table` reads
the files that are located here. Does not need TensorFlow.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edram_fer.errors import MissingFileError, UserError
from edram_fer.preprocessing import emotions
from edram_fer.preprocessing.readers import Location, abbreviate, open_text, split_name

FER2013_CSV = "fer2013.csv"
ICML_CSV = "icml_face_data.csv"
KAGGLE_CSV = "Kaggle train.csv and test.csv"
USAGE_FOLDERS = "folders with Training_<n>.jpg, PublicTest_<n>.jpg, PrivateTest_<n>.jpg"
NUMBER_FOLDERS = "folders with im<k>.png"
OTHER_FOLDERS = "folders of images with other names"
FOLDERS = (USAGE_FOLDERS, NUMBER_FOLDERS, OTHER_FOLDERS)
TEST_CSV = "test.csv"
SEPARATORS = (",", ";", "\t", "|")

SIZE = 48  # pixels per side
SPLITS = {"train": 0, "validation": 1, "test": 2}  # the folders of images, in reading order
USAGE_NAME = re.compile(r"(Training|PublicTest|PrivateTest)_\d+\.\w+")
NUMBER_NAME = re.compile(r"im\d+\.\w+")


def locate(source: Path | str) -> Location:
    """Recognise the layout of a FER2013 source.

    Args:
        source: one csv file, or a folder that contains one layout up to two levels down.

    Returns:
        The layout, its folder, and its files in reading order.

    Raises:
        MissingFileError: `source` does not exist.
        UserError: the data set is not there, or occurs more than once.

    Example:
        >>> locate("fer2013.csv").layout  # doctest: +SKIP
        'fer2013.csv'
    """
    source = Path(source).expanduser()
    if source.is_file():
        return Location(csv_layout(source), source.parent, (source,))
    if not source.is_dir():
        raise MissingFileError(f"FER2013 source {source} does not exist; expected one of its files or their folder")
    locations = list(_search(source))
    if len(locations) == 1:
        return locations[0]
    if locations:
        listing = "".join(f"\n  {location.files[0]} ({location.layout})" for location in locations)
        raise UserError(f"{source} holds FER2013 more than once; name the file or folder to use:{listing}")
    content = abbreviate(sorted(entry.name for entry in source.iterdir())) or "nothing"
    raise UserError(
        f"no FER2013 in {source}. Looked for fer2013.csv, icml_face_data.csv, train.csv, or train, "
        f"validation and test with a folder per emotion, up to two levels down (archives must be unpacked). "
        f"There was: {content}"
    )


def _search(folder: Path, levels: int = 2) -> Iterator[Location]:
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    files = {entry.name.casefold(): entry for entry in entries if entry.is_file()}
    for name in (FER2013_CSV, ICML_CSV):
        if name in files:
            yield Location(csv_layout(files[name]), folder, (files[name],))
    kaggle = tuple(files[name] for name in ("train.csv", TEST_CSV) if name in files)
    if kaggle:
        yield Location(KAGGLE_CSV, folder, kaggle)
    images = _images(folder)
    if images:
        yield Location(_folder_layout(folder, images), folder, images)
    elif levels:
        for entry in entries:
            if entry.is_dir():
                yield from _search(entry, levels - 1)


def csv_layout(path: Path) -> str:
    """The layout of a csv file, from its header.

    The name is relevant only because a file without Usage must be called train.csv or test.csv. Otherwise a fer2013.csv
    without its last column would be accepted as 35,887 training rows.

    Raises:
        UserError: the header does not have the expected columns.
    """
    name, line, names = path.name.casefold(), header(path), set(columns(path))
    if {"emotion", "pixels", "usage"} <= names:
        return ICML_CSV if " " in line else FER2013_CSV
    if (name == "train.csv" and {"emotion", "pixels"} <= names) or (name == TEST_CSV and "pixels" in names):
        return KAGGLE_CSV
    expected = "emotion, pixels" if name == "train.csv" else "emotion, pixels, Usage"
    raise UserError(f"{path}: expected a header with the columns {expected}; found {line[:80]!r}")


def columns(path: Path) -> list[str]:
    """The column names in the first line of a csv file, in lower case."""
    line = header(path)
    return [name.casefold() for name in fields(line, separator(line))]


def separator(line: str) -> str:
    """The character between the columns of a csv file: the most frequent one in its header.

    Example:
        >>> separator("emotion;pixels;Usage")
        ';'
    """
    return max(SEPARATORS, key=line.count)


def header(path: Path) -> str:
    """The first line of a csv file.

    Raises:
        UserError: it is empty or not text.
    """
    with open_text(path) as lines:
        line = lines.readline(1000)
    if not line.strip():
        raise UserError(f"{path} is empty or starts with an empty line; expected the header emotion,pixels,Usage")
    if not line.strip().replace("\t", " ").isprintable():
        raise UserError(
            f"{path} is not a csv file in plain text or UTF-8; expected the header emotion,pixels,Usage (archives "
            f"must be unpacked)"
        )
    return line.rstrip("\r\n")


def fields(line: str, separator: str = ",") -> list[str]:
    """The values of a line, without quotes and surrounding blanks.

    Example:
        >>> fields('"6", "70 80 82"')
        ['6', '70 80 82']
    """
    # No value contains a separator, a quote or a line break, so a line is a row; a stray quote affects only its own
    # row, while a csv parser would swallow the rows that follow.
    return [field.strip().strip('"').strip() for field in line.split(separator)]


def parse_pixels(text: str) -> np.ndarray:
    """The image of a row: 48 * 48 grey values from 0 to 255, separated by blanks, as uint8 [48, 48].

    Raises:
        UserError: a value is not a number from 0 to 255, or the number of values is wrong.
    """
    try:
        values = np.fromstring(text, np.int64, sep=" ")  # five times as fast as int() for every word
    except ValueError:
        values = np.empty(0)
    if values.size == SIZE * SIZE and values.min() >= 0 and values.max() <= 255:
        return values.astype(np.uint8).reshape(SIZE, SIZE)
    tokens = text.split()
    for word in tokens:
        if not (word.isascii() and word.isdigit() and len(word) < 10 and int(word) <= 255):
            raise UserError(f"pixel {word[:20]!r} is not a number from 0 to 255")
    raise UserError(f"{len(tokens)} pixels instead of {SIZE * SIZE}")


def _images(folder: Path) -> tuple[Path, ...]:
    """All files <split>/<emotion>/<name> below a folder with a split, sorted by folder and then by number.

    Files in other folders beside the splits, or of other emotions, are included, so that `table` rejects them by
    name. A folder without any emotion gives ().
    """
    if not any(entry.is_dir() and split_name(entry.name) in SPLITS for entry in folder.iterdir()):
        return ()
    paths = [path for path in folder.glob("*/*/*") if not path.name.startswith(".")]
    if not any(is_class(path.parts[-2]) for path in paths):
        return ()
    return tuple(sorted(paths, key=_reading_order))


def _reading_order(path: Path) -> tuple[int, str, str, int, str]:
    split, emotion = path.parts[-3:-1]
    number = re.search(r"\d+", path.stem)
    return SPLITS.get(split_name(split), len(SPLITS)), split, emotion, int(number[0]) if number else -1, path.name


def is_class(folder_name: str) -> bool:
    """Whether a folder is named after one of FER2013's seven emotions, in any common spelling."""
    try:
        return emotions.canonical(folder_name) in emotions.SEVEN
    except UserError:
        return False


def _folder_layout(folder: Path, images: tuple[Path, ...]) -> str:
    usage_count = sum(bool(USAGE_NAME.fullmatch(path.name)) for path in images)
    number_count = sum(bool(NUMBER_NAME.fullmatch(path.name)) for path in images)
    if usage_count and number_count:
        raise UserError(
            f"{folder}: expected images named like Training_10118481.jpg, or like im12.png, not both; "
            f"found {usage_count} and {number_count} among {len(images)} files, such as "
            f"{images[0].name}"
        )
    if usage_count or number_count:
        return USAGE_FOLDERS if usage_count else NUMBER_FOLDERS
    return OTHER_FOLDERS


def fingerprint(source: Path | str | Location) -> str:
    """The SHA-256 of a source: of the content of its only file, otherwise of a list of names and digests of its files.

    Args:
        source: a source or, to avoid searching it again, its location.
    """
    location = source if isinstance(source, Location) else locate(source)
    digests = []
    for path in location.files:
        try:
            with open(path, "rb") as file:
                digests.append(hashlib.file_digest(file, "sha256").hexdigest())
        except OSError:  # such as a folder or a broken link among the images, which `table` rejects by name
            digests.append("unreadable")
    if len(digests) == 1:
        return digests[0]
    names = [path.relative_to(location.root).as_posix() for path in location.files]
    lines = [f"{digest}  {name}\n" for name, digest in zip(names, digests)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
