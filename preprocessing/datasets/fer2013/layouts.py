"""The five forms in which FER2013 goes around, recognised by themselves.

    fer2013.csv              emotion,pixels,Usage
    icml_face_data.csv       the same, header `emotion, Usage, pixels` with blanks
    train.csv, test.csv      Kaggle: quoted, no Usage; test.csv has no labels
    train|test/<emotion>/Training_<n>.jpg, PublicTest_<n>.jpg, PrivateTest_<n>.jpg
    train|test/<emotion>/im<k>.png

Needs no TensorFlow. `table` reads what is found here.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from edram_fer.errors import MissingFileError, UserError
from edram_fer.preprocessing import emotions

FER2013_CSV = "fer2013.csv"
ICML_CSV = "icml_face_data.csv"
KAGGLE_CSV = "Kaggle train.csv and test.csv"
USAGE_FOLDERS = "folders with Training_<n>.jpg, PublicTest_<n>.jpg, PrivateTest_<n>.jpg"
NUMBER_FOLDERS = "folders with im<k>.png"

SPLITS = {"train": 0, "test": 1}  # the folders of images, in reading order
USAGE_NAME = re.compile(r"(Training|PublicTest|PrivateTest)_\d+\.\w+")
NUMBER_NAME = re.compile(r"im\d+\.\w+")


class Source(NamedTuple):
    """What `find` recognised: the layout, the folder it lies in, and its files in reading order."""

    layout: str
    root: Path
    files: tuple[Path, ...]


def find(source) -> Source:
    """Recognise the layout of `source`: one csv file, or a folder that holds one layout up to two levels down.

    Raises FileNotFoundError where `source` does not exist, ValueError where nothing or more than one thing was found.
    """
    source = Path(source).expanduser()
    if source.is_file():
        return Source(csv_layout(source), source.parent, (source,))
    if not source.is_dir():
        raise MissingFileError(f"FER2013 source {source} does not exist; expected one of its files or their folder")
    found = list(_candidates(source))
    if len(found) == 1:
        return found[0]
    if found:
        listing = "".join(f"\n  {one.files[0]} ({one.layout})" for one in found)
        raise UserError(f"{source} holds FER2013 more than once; name the file or folder to use:{listing}")
    there = sorted(entry.name for entry in source.iterdir())
    more = ", ..." if len(there) > 20 else ""
    raise UserError(
        f"no FER2013 in {source}. Looked for fer2013.csv, icml_face_data.csv, train.csv, or train and "
        f"test with a folder per emotion, up to two levels down (archives must be unpacked). "
        f"There was: {', '.join(there[:20]) + more if there else 'nothing'}"
    )


def _candidates(folder: Path, levels: int = 2) -> Iterator[Source]:
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    files = {entry.name.casefold(): entry for entry in entries if entry.is_file()}
    for name in (FER2013_CSV, ICML_CSV):
        if name in files:
            yield Source(csv_layout(files[name]), folder, (files[name],))
    kaggle = tuple(files[name] for name in ("train.csv", "test.csv") if name in files)
    if kaggle:
        yield Source(KAGGLE_CSV, folder, kaggle)
    images = _images(folder)
    if images:
        yield Source(_folder_layout(folder, images), folder, images)
    elif levels:
        for entry in entries:
            if entry.is_dir():
                yield from _candidates(entry, levels - 1)


def csv_layout(path: Path) -> str:
    """The layout of a csv by its header, not its name; but only a file called train.csv may lack Usage.

    Otherwise a fer2013.csv that lost its last column would pass as 35,887 training rows.
    Raises ValueError naming the file, the columns expected and the header found.
    """
    name, header, found = path.name.casefold(), _header(path), set(columns(path))
    if {"emotion", "pixels", "usage"} <= found:
        return ICML_CSV if " " in header else FER2013_CSV
    if (name == "train.csv" and {"emotion", "pixels"} <= found) or (name == "test.csv" and "pixels" in found):
        return KAGGLE_CSV
    expected = "emotion, pixels" if name == "train.csv" else "emotion, pixels, Usage"
    raise UserError(f"{path}: expected a header with the columns {expected}; found {header[:80]!r}")


def columns(path: Path) -> list[str]:
    """The names in the first line of a csv, in lower case."""
    return [name.casefold() for name in fields(_header(path))]


def _header(path: Path) -> str:
    with open_text(path) as lines:
        header = lines.readline(1000)
    if not header.strip():
        raise UserError(f"{path} is empty or starts with an empty line; expected the header emotion,pixels,Usage")
    if not header.strip().isprintable():
        raise UserError(
            f"{path} is no csv in plain text or UTF-8; expected the header emotion,pixels,Usage (archives "
            f"must be unpacked)"
        )
    return header.rstrip("\r\n")


def open_text(path: Path):
    """A csv opened for reading lines, whichever its line ends."""
    # Undecodable bytes become a character that no number and no name contains: a fault of their row alone.
    return open(path, encoding="utf-8-sig", errors="replace")


def fields(line: str) -> list[str]:
    """The values of one line, without quotes and the blanks around them."""
    # No value holds a comma, a quote or a line break, so a line is a row; a stray quote spoils its own row only,
    # where a csv parser would swallow the rows that follow.
    return [field.strip().strip('"').strip() for field in line.split(",")]


def _images(folder: Path) -> tuple[Path, ...]:
    """All files <split>/<emotion>/<name> under a `folder` with train or test, by folder and then by their number.

    Folders beside train and test, and of other emotions, are taken along, so that the reader names what they hold.
    """
    if not any(entry.is_dir() and entry.name.casefold() in SPLITS for entry in folder.iterdir()):
        return ()
    paths = [path for path in folder.glob("*/*/*") if not path.name.startswith(".")]
    if not any(is_class(path.parts[-2]) for path in paths):
        return ()
    return tuple(
        sorted(
            paths,
            key=lambda path: (
                SPLITS.get(path.parts[-3].casefold(), 2),
                path.parts[-3],
                path.parts[-2],
                _number(path),
                path.name,
            ),
        )
    )


def is_class(folder_name: str) -> bool:
    """Whether a folder is named after one of FER2013's seven emotions, in any of the usual forms."""
    try:
        return emotions.canonical(folder_name) in emotions.SEVEN
    except ValueError:
        return False


def _number(path: Path) -> int:
    digits = re.search(r"\d+", path.stem)
    return int(digits[0]) if digits else -1


def _folder_layout(folder: Path, images: tuple[Path, ...]) -> str:
    usage_names = sum(bool(USAGE_NAME.fullmatch(path.name)) for path in images)
    number_names = sum(bool(NUMBER_NAME.fullmatch(path.name)) for path in images)
    if bool(usage_names) == bool(number_names):
        raise UserError(
            f"{folder}: expected images named like Training_10118481.jpg, or like im12.png, not both; "
            f"found {usage_names} and {number_names} among {len(images)} files, such as "
            f"{images[0].name}"
        )
    return USAGE_FOLDERS if usage_names else NUMBER_FOLDERS


def fingerprint(source) -> str:
    """SHA-256 of the source: of its bytes where it is one file, else of the list of all files' names and sums."""
    found = source if isinstance(source, Source) else find(source)
    sums = []
    for path in found.files:
        with open(path, "rb") as file:
            sums.append(hashlib.file_digest(file, "sha256").hexdigest())
    if len(sums) == 1:
        return sums[0]
    lines = [f"{digest}  {path.relative_to(found.root).as_posix()}\n" for path, digest in zip(found.files, sums)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
