"""Read a FER2013 source in any layout into one table of faces.

A fault of a whole file raises UserError; a faulty row is left out and listed with the reason in `Faces.rejected`.
Does not need TensorFlow.
"""

import dataclasses
import io
from collections.abc import Iterator, Sequence, Set
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from edram_fer.errors import UserError, as_status
from edram_fer.preprocessing import emotions, image_paths
from edram_fer.preprocessing.datasets.fer2013 import layouts
from edram_fer.preprocessing.datasets.fer2013.layouts import SIZE
from edram_fer.preprocessing.readers import Location, open_text, split_name

USAGES = ("Training", "PublicTest", "PrivateTest")
NO_LABEL = "no label"


class Face(NamedTuple):
    """A usable row.

    Attributes:
        id: unique in the source.
        usage: one of USAGES, or "Test" if the layout mixes PublicTest and PrivateTest.
        emotion: canonical name.
        pixels: 48 * 48 bytes.
    """

    id: str
    usage: str
    emotion: str
    pixels: bytes


class Rejected(NamedTuple):
    """A row that is not used.

    Attributes:
        file: path.
        row: number in the file from 0; "" for an image file.
        status: the reason.
    """

    file: str
    row: str
    status: str


@dataclasses.dataclass(frozen=True, eq=False)  # by identity, so that what is expensive to find is found once
class Faces:
    """All n usable rows of a source, in its order.

    Attributes:
        location: the source.
        pixels: uint8 [n, 48, 48].
        emotions: canonical names, text [n].
        usages: text [n], see Face.
        ids: n unique ids.
        rejected: all other rows.
    """

    location: Location
    pixels: np.ndarray
    emotions: np.ndarray
    usages: np.ndarray
    ids: list[str]
    rejected: list[Rejected]

    @property
    def unlabelled(self) -> int:
        """Number of rows that have no label in this layout, such as the rows of Kaggle's test.csv."""
        return sum(row.status == NO_LABEL for row in self.rejected)

    @property
    def faults(self) -> list[Rejected]:
        """The rejected rows except for those without a label."""
        return [row for row in self.rejected if row.status != NO_LABEL]


def read(source: Path | str | Location) -> Faces:
    """Read every row of a source in its order; about 85 MB for the whole data set.

    Args:
        source: see `layouts.locate`, or its result.

    Raises:
        UserError: a file does not match its layout, has no labelled row, or more than half of its rows are faulty.
    """
    location = source if isinstance(source, Location) else layouts.locate(source)
    rows = _image_rows(location) if location.layout in layouts.FOLDERS else _csv_rows(location)
    pixels, usable, rejected = bytearray(), [], []
    for row in rows:
        if isinstance(row, Rejected):
            rejected.append(row)
        else:
            usable.append((row.id, row.usage, row.emotion))
            pixels += row.pixels
    ids, usages, names = zip(*usable) if usable else ((), (), ())
    images = np.frombuffer(pixels, np.uint8).reshape(-1, SIZE, SIZE)
    faces = Faces(location, images, np.array(names, str), np.array(usages, str), list(ids), rejected)
    _check_usable(faces)
    return faces


def _check_usable(faces: Faces) -> None:
    path, faults = faces.location.files[0], faces.faults
    if len(faults) > len(faces.ids):
        first = "".join(f"\n  {Path(row.file).name} {row.row}: {row.status}" for row in faults[:3])
        raise UserError(
            f"{path}: {len(faults)} of {len(faults) + len(faces.ids)} labelled rows are faulty, "
            f"more than half; this is not an intact FER2013. The first:{first}"
        )
    if not faces.ids:
        raise UserError(f"{path}: no labelled row ({faces.unlabelled} without a label); nothing to prepare")


def _csv_rows(location: Location) -> Iterator[Face | Rejected]:
    for path in location.files:
        layout = layouts.csv_layout(path)
        columns = layouts.columns(path)
        is_test = path.name.casefold() == layouts.TEST_CSV
        usage = ("Test" if is_test else "Training") if layout == layouts.KAGGLE_CSV else ""
        prefix = "fer2013-test" if is_test else "fer2013"  # both files count their rows from 0
        with open_text(path) as lines:
            separator = layouts.separator(next(lines))
            for number, line in enumerate(line for line in lines if line.strip()):
                try:
                    yield _csv_row(layouts.fields(line, separator), columns, f"{prefix}-{number:05d}", usage)
                except Exception as error:  # one row must not stop all others
                    yield Rejected(str(path), str(number), as_status(error))


def _csv_row(fields: Sequence[str], columns: Sequence[str], row_id: str, usage: str) -> Face:
    """The face in the fields of a line; `usage` is that of all rows if there is no Usage column, otherwise ""."""
    if len(fields) != len(columns):
        raise UserError(f"{len(fields)} columns instead of {len(columns)}")
    row = dict(zip(columns, fields))
    if "emotion" not in row:
        raise UserError(NO_LABEL)
    return Face(
        row_id,
        usage or _usage_column(row["usage"]),
        emotions.from_code("FER2013", row["emotion"]),
        layouts.parse_pixels(row["pixels"]).tobytes(),
    )


def _usage_column(text: str) -> str:
    for usage in USAGES:
        if usage.casefold() == text.casefold():
            return usage
    raise UserError(f"unknown Usage {text[:40]!r}, known: {', '.join(USAGES)}")


def _image_rows(location: Location) -> Iterator[Face | Rejected]:
    splits = {split_name(path.parts[-3]) for path in location.files} & layouts.SPLITS.keys()
    for path in location.files:
        try:
            if not layouts.is_class(path.parent.name):
                raise UserError(f"the folder {path.parent.name} is none of {', '.join(emotions.SEVEN)}")
            usage = _usage(path, location.layout, splits)
            name = path.relative_to(location.root).as_posix()
            yield Face(
                name, usage, emotions.canonical(path.parent.name), _decode(image_paths.path_inside(location.root, name))
            )
        except Exception as error:  # one image must not stop all others
            yield Rejected(str(path), "", as_status(error))


def _usage(path: Path, layout: str, splits: Set[str]) -> str:
    """The usage of an image in a copy with folders for these splits; only three folders keep all usages apart."""
    split = split_name(path.parts[-3])
    if split not in layouts.SPLITS:
        raise UserError(f"in the folder {path.parts[-3]}, expected {', '.join(layouts.SPLITS)}")
    if layout == layouts.USAGE_FOLDERS:
        match = layouts.USAGE_NAME.fullmatch(path.name)
        if not match:
            raise UserError("not named <Usage>_<n>.jpg like the other files")
        if (match[1] == "Training") != (split == "train"):
            raise UserError(f"a {match[1]} image in the folder {path.parts[-3]}")
        return match[1]
    if layout == layouts.NUMBER_FOLDERS and not layouts.NUMBER_NAME.fullmatch(path.name):
        raise UserError("not named im<k>.png like the other files")
    if split == "train":
        return "Training"
    return {"validation": "PublicTest", "test": "PrivateTest"}[split] if len(splits) == 3 else "Test"


def _decode(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}") from error
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as header:  # reads only the size
            size = header.size
    except Image.DecompressionBombError:
        raise UserError(f"an image with many more pixels than {SIZE}x{SIZE}") from None
    except (OSError, ValueError):  # not an image; a ValueError comes from the text chunks of a PNG file
        size = None
    if size not in (None, (SIZE, SIZE)):
        raise UserError(f"an image of {size[0]}x{size[1]} pixels instead of {SIZE}x{SIZE}")
    # OpenCV fills in the rest of a truncated image, so the markers at the end of a JPEG and a PNG file are checked.
    complete = size is not None and (b"\xff\xd9" in data or b"IEND" in data)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if complete else None
    if image is None:
        raise UserError("not a complete JPEG or PNG image")
    return image.tobytes()
