"""A FER2013 source, whichever its layout, read into one table of faces.

A fault of a whole file raises ValueError; a fault of one row leaves the row out and names it in `Faces.rejected`.
Needs no TensorFlow.
"""

import dataclasses
import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from edram_fer.errors import UserError
from edram_fer.preprocessing import emotions, photos
from edram_fer.preprocessing.datasets.fer2013 import layouts
from edram_fer.preprocessing.datasets.fer2013.layouts import Source

SIZE = 48
USAGES = ("Training", "PublicTest", "PrivateTest")
NO_LABEL = "no label"


class Face(NamedTuple):
    """One good row: its id, its usage ("Test" where Public and Private are mixed), emotion name and 48 * 48 bytes."""

    id: str
    usage: str
    emotion: str
    pixels: bytes


class Rejected(NamedTuple):
    """One row that was not used: its file, its number there from 0 (empty for an image file), and why."""

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


def read(source) -> Faces:
    """Read every row of `source` (see `layouts.find`) in its order; about 85 MB for the whole data set.

    Raises ValueError naming the file where it is not what its layout promises, holds no labelled row, or where more
    than half of its rows are faulty.
    """
    found = source if isinstance(source, Source) else layouts.find(source)
    rows = _image_rows(found) if found.layout in (layouts.USAGE_FOLDERS, layouts.NUMBER_FOLDERS) else _csv_rows(found)
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
        raise UserError(
            f"{place}: {len(faults)} of {len(faults) + len(faces.ids)} labelled rows are faulty, "
            f"more than half; this is not a sound FER2013. The first:{first}"
        )
    if not faces.ids:
        raise UserError(f"{place}: no labelled row ({faces.unlabelled} without a label); nothing to prepare")


def _csv_rows(found: Source) -> Iterator[Face | Rejected]:
    for path in found.files:
        layout = layouts.csv_layout(path)
        columns = layouts.columns(path)
        with layouts.open_text(path) as lines:
            next(lines)
            for number, line in enumerate(line for line in lines if line.strip()):
                try:
                    yield _csv_row(line, columns, number, kaggle=layout == layouts.KAGGLE_CSV)
                except ValueError as fault:
                    yield Rejected(str(path), str(number), str(fault))


def _csv_row(line: str, columns: list[str], number: int, *, kaggle: bool) -> Face:
    """One line -> Face. `kaggle`: no Usage column, every labelled row is Training. ValueError says what is wrong."""
    fields = layouts.fields(line)
    if len(fields) != len(columns):
        raise UserError(f"{len(fields)} columns instead of {len(columns)}")
    row = dict(zip(columns, fields))
    if "emotion" not in row:
        raise UserError(NO_LABEL)
    usage = row.get("usage", "Training" if kaggle else "")
    if usage not in USAGES:
        raise UserError(f"unknown Usage {usage[:40]!r}, known: {', '.join(USAGES)}")
    return Face(f"fer2013-{number:05d}", usage, emotions.from_code("FER2013", row["emotion"]), _pixels(row["pixels"]))


def _pixels(text: str) -> bytes:
    try:
        values = np.fromstring(text, np.int64, sep=" ")  # five times as fast as int() on every word
    except ValueError:
        values = np.empty(0)
    if values.size == SIZE * SIZE and values.min() >= 0 and values.max() <= 255:
        return values.astype(np.uint8).tobytes()
    words = text.split()
    for word in words:
        if not (word.isascii() and word.isdigit() and int(word) <= 255):
            raise UserError(f"pixel {word[:20]!r} is not a number from 0 to 255")
    raise UserError(f"{len(words)} pixels instead of {SIZE * SIZE}")


def _image_rows(found: Source) -> Iterator[Face | Rejected]:
    for path in found.files:
        try:
            if not layouts.is_class(path.parent.name):
                raise UserError(f"the folder {path.parent.name} is none of {', '.join(emotions.SEVEN)}")
            usage = _usage(path, found.layout)
            name = path.relative_to(found.root).as_posix()
            yield Face(name, usage, emotions.canonical(path.parent.name), _decode(photos.inside(found.root, name)))
        except ValueError as fault:
            yield Rejected(str(path), "", str(fault))


def _usage(path: Path, layout: str) -> str:
    folder = path.parts[-3].casefold()
    if folder not in layouts.SPLITS:
        raise UserError(f"in the folder {path.parts[-3]}, expected train or test")
    if layout == layouts.NUMBER_FOLDERS:
        if not layouts.NUMBER_NAME.fullmatch(path.name):
            raise UserError("not named im<k>.png like the other files")
        return "Training" if folder == "train" else "Test"
    match = layouts.USAGE_NAME.fullmatch(path.name)
    if not match:
        raise UserError("not named <Usage>_<n>.jpg like the other files")
    if (match[1] == "Training") != (folder == "train"):
        raise UserError(f"a {match[1]} image in the folder {folder}")
    return match[1]


def _decode(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}") from error
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as header:  # the size, before anything is decoded
            size = header.size
    except Image.DecompressionBombError:
        raise UserError(f"an image of many more pixels than {SIZE}x{SIZE}") from None
    except (OSError, SyntaxError, ValueError):
        size = None
    if size not in (None, (SIZE, SIZE)):
        raise UserError(f"an image of {size[0]}x{size[1]} pixels instead of {SIZE}x{SIZE}")
    # OpenCV fills up an image that breaks off; the marks at the end of a JPEG and a PNG tell a whole one.
    whole = size is not None and (b"\xff\xd9" in data or b"IEND" in data)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if whole else None
    if image is None:
        raise UserError("not a whole JPEG or PNG image")
    return image.tobytes()
