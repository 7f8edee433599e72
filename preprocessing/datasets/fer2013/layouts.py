"""The five forms in which FER2013 goes around, recognised by themselves and read into one table.

    fer2013.csv              emotion,pixels,Usage
    icml_face_data.csv       the same, header `emotion, Usage, pixels` with blanks
    train.csv, test.csv      Kaggle: quoted, no Usage; test.csv has no labels
    train|test/<emotion>/Training_<n>.jpg, PublicTest_<n>.jpg, PrivateTest_<n>.jpg
    train|test/<emotion>/im<k>.png

The last form mixes PublicTest and PrivateTest in its test folder and cannot tell them apart; their pictures get the
usage "Test". Needs no TensorFlow. A fault of a whole file raises ValueError; a fault of one row leaves the row out
and names it in `Faces.rejected`.
"""
import dataclasses
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from preprocessing import emotions

SIZE = 48
USAGES = ("Training", "PublicTest", "PrivateTest")

FER2013_CSV = "fer2013.csv"
ICML_CSV = "icml_face_data.csv"
KAGGLE_CSV = "Kaggle train.csv and test.csv"
USAGE_FOLDERS = "folders with Training_<n>.jpg, PublicTest_<n>.jpg, PrivateTest_<n>.jpg"
NUMBER_FOLDERS = "folders with im<k>.png"

NO_LABEL = "no label"


class Source(NamedTuple):
    """What `find` recognised: the layout, the folder it lies in, and its files in reading order."""
    layout: str
    root: Path
    files: tuple[Path, ...]


class Face(NamedTuple):
    """One good row: its id, its usage ("Test" where Public and Private are mixed), emotion name and 48 * 48 bytes."""
    id: str
    usage: str
    emotion: str
    pixels: bytes


class Rejected(NamedTuple):
    """One row that was not used: its file, its number there from 0 (empty for a picture file), and why."""
    source: str
    row: str
    status: str


@dataclasses.dataclass(frozen=True)
class Faces:
    """The table of all good rows in source order, n long.

    `pixels` uint8 [n, 48, 48]; `emotions` canonical names [n]; `usages` [n]; `ids` [n], unique; `rejected` the rest.
    """
    source: Source
    pixels: np.ndarray
    emotions: np.ndarray
    usages: np.ndarray
    ids: list[str]
    rejected: list[Rejected]

    @property
    def unlabelled(self) -> int:
        """Rows that the layout itself gives no label, such as Kaggle's test.csv."""
        return sum(row.status == NO_LABEL for row in self.rejected)

    @property
    def faults(self) -> list[Rejected]:
        """Rows left out because something is wrong with them."""
        return [row for row in self.rejected if row.status != NO_LABEL]


def find(source) -> Source:
    """Recognise the layout of `source`: one csv file, or a folder that holds one layout up to two levels down.

    Raises FileNotFoundError where `source` does not exist, ValueError where nothing or more than one thing was found.
    """
    source = Path(source).expanduser()
    if source.is_file():
        return Source(_csv_layout(source), source.parent, (source,))
    if not source.is_dir():
        raise FileNotFoundError(f"FER2013 source {source} does not exist; expected one of its files or their folder")
    found = list(_candidates(source))
    if len(found) == 1:
        return found[0]
    if found:
        listing = "".join(f"\n  {one.files[0]} ({one.layout})" for one in found)
        raise ValueError(f"{source} holds FER2013 more than once; name the file or folder to use:{listing}")
    there = sorted(entry.name for entry in source.iterdir())
    more = ", ..." if len(there) > 20 else ""
    raise ValueError(f"no FER2013 in {source}. Looked for fer2013.csv, icml_face_data.csv, train.csv, or train and "
                     f"test with a folder per emotion, up to two levels down (archives must be unpacked). "
                     f"There was: {', '.join(there[:20]) + more if there else 'nothing'}")


def _candidates(folder: Path, levels: int = 2) -> Iterator[Source]:
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    files = {entry.name.casefold(): entry for entry in entries if entry.is_file()}
    for name in (FER2013_CSV, ICML_CSV):
        if name in files:
            yield Source(_csv_layout(files[name]), folder, (files[name],))
    kaggle = tuple(files[name] for name in ("train.csv", "test.csv") if name in files)
    if kaggle:
        yield Source(KAGGLE_CSV, folder, kaggle)
    pictures = _pictures(folder)
    if pictures:
        yield Source(_folder_layout(folder, pictures), folder, pictures)
    elif levels:
        for entry in entries:
            if entry.is_dir():
                yield from _candidates(entry, levels - 1)


def _csv_layout(path: Path) -> str:
    """The layout of a csv by its header, not its name; but only a file called train.csv may lack Usage.

    Otherwise a fer2013.csv that lost its last column would pass as 35,887 training rows.
    """
    header = _header(path)
    columns = set(_columns(header))
    if {"emotion", "pixels", "usage"} <= columns:
        return ICML_CSV if " " in header else FER2013_CSV
    if path.name.casefold() == "train.csv" and {"emotion", "pixels"} <= columns:
        return KAGGLE_CSV
    if path.name.casefold() == "test.csv" and "pixels" in columns:
        return KAGGLE_CSV
    expected = "emotion, pixels" if path.name.casefold() == "train.csv" else "emotion, pixels, Usage"
    raise ValueError(f"{path}: expected a header with the columns {expected}; found {header[:80]!r}")


def _header(path: Path) -> str:
    with _open(path) as lines:
        header = lines.readline(1000)
    if not header.strip():
        raise ValueError(f"{path} is empty or starts with an empty line; expected the FER2013 header emotion,pixels,Usage")
    return header.rstrip("\r\n")


def _columns(header: str) -> list[str]:
    return [name.casefold() for name in _fields(header)]


def _open(path: Path):
    # Undecodable bytes become a character that no number and no name contains: a fault of their row alone.
    return open(path, encoding="utf-8-sig", errors="replace")


def _fields(line: str) -> list[str]:
    # No value holds a comma, a quote or a line break, so a line is a row; a stray quote spoils its own row only,
    # where a csv parser would swallow the rows that follow.
    return [field.strip().strip('"').strip() for field in line.split(",")]


def read(source) -> Faces:
    """Read every row of `source` (see `find`) in its order; about 85 MB for the whole data set.

    Raises ValueError naming the file where it is not what its layout promises, holds no labelled row, or where more
    than half of its rows are faulty.
    """
    found = source if isinstance(source, Source) else find(source)
    rows = _picture_rows(found) if found.layout in (USAGE_FOLDERS, NUMBER_FOLDERS) else _csv_rows(found)
    pixels, good, rejected = bytearray(), [], []
    for row in rows:
        if isinstance(row, Rejected):
            rejected.append(row)
        else:
            good.append((row.id, row.usage, row.emotion))
            pixels += row.pixels
    ids, usages, names = zip(*good) if good else ((), (), ())
    table = np.frombuffer(pixels, np.uint8).reshape(-1, SIZE, SIZE)
    faces = Faces(found, table, np.array(names, str), np.array(usages, str), list(ids), rejected)
    _check_usable(faces)
    return faces


def _check_usable(faces: Faces) -> None:
    place, faults = faces.source.files[0], faces.faults
    if len(faults) > len(faces.ids):
        first = "".join(f"\n  {Path(row.source).name} {row.row}: {row.status}" for row in faults[:3])
        raise ValueError(f"{place}: {len(faults)} of {len(faults) + len(faces.ids)} labelled rows are faulty, "
                         f"more than half; this is not a sound FER2013. The first:{first}")
    if not faces.ids:
        raise ValueError(f"{place}: no labelled row ({faces.unlabelled} without a label); nothing to prepare")


def _csv_rows(found: Source) -> Iterator[Face | Rejected]:
    for path in found.files:
        layout = _csv_layout(path)
        columns = _columns(_header(path))
        with _open(path) as lines:
            next(lines)
            for number, line in enumerate(line for line in lines if line.strip()):
                try:
                    yield _csv_row(line, columns, number, kaggle=layout == KAGGLE_CSV)
                except ValueError as fault:
                    yield Rejected(str(path), str(number), str(fault))


def _csv_row(line: str, columns: list[str], number: int, *, kaggle: bool) -> Face:
    """One line -> Face. `kaggle`: no Usage column, every labelled row is Training. ValueError says what is wrong."""
    fields = _fields(line)
    if len(fields) != len(columns):
        raise ValueError(f"{len(fields)} columns instead of {len(columns)}")
    row = dict(zip(columns, fields))
    if "emotion" not in row:
        raise ValueError(NO_LABEL)
    usage = row.get("usage", "Training" if kaggle else "")
    if usage not in USAGES:
        raise ValueError(f"unknown Usage {usage[:40]!r}, known: {', '.join(USAGES)}")
    return Face(f"fer2013-{number:05d}", usage, emotions.from_code("FER2013", row["emotion"]), _pixels(row["pixels"]))


def _pixels(text: str) -> bytes:
    try:
        values = np.fromstring(text, np.int64, sep=" ")     # five times as fast as int() on every word
    except ValueError:
        values = np.empty(0)
    if values.size == SIZE * SIZE and values.min() >= 0 and values.max() <= 255:
        return values.astype(np.uint8).tobytes()
    words = text.split()
    for word in words:
        if not (word.isascii() and word.isdigit() and int(word) <= 255):
            raise ValueError(f"pixel {word[:20]!r} is not a number from 0 to 255")
    raise ValueError(f"{len(words)} pixels instead of {SIZE * SIZE}")


def _pictures(folder: Path) -> tuple[Path, ...]:
    """All files of train|test/<emotion>/ under `folder`, by folder and then by the number in their name."""
    paths = []
    for entry in folder.iterdir():
        if entry.name in ("train", "test") and entry.is_dir():
            for inside in entry.iterdir():
                if inside.is_dir() and _emotion(inside.name):
                    paths += [path for path in inside.iterdir() if not path.name.startswith(".")]
    order = {"train": 0, "test": 1}
    return tuple(sorted(paths, key=lambda path: (order[path.parts[-3]], path.parts[-2], _number(path), path.name)))


def _emotion(folder_name: str) -> str | None:
    try:
        return emotions.canonical(folder_name)
    except ValueError:
        return None


def _number(path: Path) -> int:
    digits = re.search(r"\d+", path.stem)
    return int(digits[0]) if digits else -1


_USAGE_NAME = re.compile(r"(Training|PublicTest|PrivateTest)_\d+\.\w+")
_NUMBER_NAME = re.compile(r"im\d+\.\w+")


def _folder_layout(folder: Path, pictures: tuple[Path, ...]) -> str:
    usage_names = sum(bool(_USAGE_NAME.fullmatch(path.name)) for path in pictures)
    number_names = sum(bool(_NUMBER_NAME.fullmatch(path.name)) for path in pictures)
    if bool(usage_names) == bool(number_names):
        raise ValueError(f"{folder}: expected pictures named like Training_10118481.jpg, or like im12.png, not both; "
                         f"found {usage_names} and {number_names} among {len(pictures)} files, such as {pictures[0].name}")
    return USAGE_FOLDERS if usage_names else NUMBER_FOLDERS


def _picture_rows(found: Source) -> Iterator[Face | Rejected]:
    for path in found.files:
        try:
            usage = _usage(path, found.layout)
            name = path.relative_to(found.root).as_posix()
            yield Face(name, usage, emotions.canonical(path.parent.name), _decode(path))
        except ValueError as fault:
            yield Rejected(str(path), "", str(fault))


def _usage(path: Path, layout: str) -> str:
    folder = path.parts[-3]
    if layout == NUMBER_FOLDERS:
        if not _NUMBER_NAME.fullmatch(path.name):
            raise ValueError("not named im<k>.png like the other files")
        return "Training" if folder == "train" else "Test"
    match = _USAGE_NAME.fullmatch(path.name)
    if not match:
        raise ValueError("not named <Usage>_<n>.jpg like the other files")
    if (match[1] == "Training") != (folder == "train"):
        raise ValueError(f"a {match[1]} picture in the folder {folder}")
    return match[1]


def _decode(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    # OpenCV fills up a picture that breaks off; the marks at the end of a JPEG and a PNG tell a whole one.
    image = None
    if b"\xff\xd9" in data or b"IEND" in data:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise ValueError("not a whole JPEG or PNG picture")
    if image.shape != (SIZE, SIZE):
        raise ValueError(f"a picture of {image.shape[1]}x{image.shape[0]} pixels instead of {SIZE}x{SIZE}")
    return image.tobytes()


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
