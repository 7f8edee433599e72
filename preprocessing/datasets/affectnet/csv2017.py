"""AffectNet of 2017: CSV lists with one row per image; paths, boxes and landmarks refer to whole photos.

Lists that were exported by Windows tools are read, too: UTF-16, semicolons or tabs between the columns, decimal commas,
backslashes in paths.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edram_fer.errors import UserError, as_status
from edram_fer.preprocessing import readers
from edram_fer.preprocessing.datasets.affectnet import values
from edram_fer.preprocessing.records import LANDMARK_COUNT, FaceRecord, checked_affect
from edram_fer.preprocessing.values import parse_landmarks, parse_number

COLUMNS = (
    "subdirectory_filepath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)
_BOX = COLUMNS[1:5]
SEPARATORS = (",", ";", "\t")


class Columns(NamedTuple):
    """The columns of a list, in lower case, whether its first line is a header, and the character between columns."""

    names: tuple[str, ...]
    header: bool
    separator: str = ","


def read_columns(path: Path) -> Columns:
    """The columns of a list from its header, or the published ones if it has none.

    Raises:
        UserError: the first lines are neither a header nor rows of an AffectNet list.
    """
    first = [line for _, line in itertools.islice(readers.lines(path), 10)] or [""]
    for separator in SEPARATORS:
        names = tuple(name.casefold() for name in _fields(first[0], Columns(COLUMNS, False, separator)))
        if set(COLUMNS) <= set(names):
            return Columns(names, True, separator)
    for separator in SEPARATORS:
        columns = Columns(COLUMNS, False, separator)
        rows = [_fields(line, columns) for line in first]  # the very first row may be malformed
        if any(len(row) == len(COLUMNS) and "/" in row[0] for row in rows):
            return columns
    raise UserError(
        f"{path}: expected the header of an AffectNet list, subDirectory_filePath,face_x,...,arousal, or "
        f"rows of {len(COLUMNS)} columns; found {first[0].rstrip()[:80]!r}"
    )


def first_images(path: Path, count: int = 20) -> list[str]:
    """The paths of the images in the first rows of a list; malformed rows are skipped."""
    columns = read_columns(path)
    rows = (_fields(line, columns) for _, line in readers.lines(path, header=columns.header))
    column = columns.names.index(COLUMNS[0])
    return [row[column] for row in itertools.islice(rows, count) if len(row) == len(columns.names)]


def count(lists: Mapping[str, Path]) -> int:
    """Number of rows of the lists {split: path}."""
    return sum(1 for path in lists.values() for _ in readers.lines(path, header=read_columns(path).header))


def records(lists: Mapping[str, Path], images: str) -> Iterator[FaceRecord]:
    """All rows of the lists, lazily.

    Args:
        lists: split -> path.
        images: the folder that the paths in the lists are relative to.
    """
    for split, path in lists.items():
        columns = read_columns(path)
        repeated = _repeated_images(path, columns)
        for number, line in readers.lines(path, header=columns.header):
            record = _record(_fields(line, columns), columns, f"{path.name}:{number}", split, images)
            if repeated.get(record.id, number) != number:  # another face in an image, or the same face again
                record = dataclasses.replace(record, id=f"{record.id} ({record.row})")
            yield record


def _repeated_images(path: Path, columns: Columns) -> dict[str, int]:
    """Images that occur in more than one row of a list -> the first of these rows.

    To save memory, a first pass keeps a hash for each of the million paths; a second pass compares the paths whose hash
    occurs more than once.
    """
    column = columns.names.index(COLUMNS[0])

    def numbered_images() -> Iterator[tuple[int, str]]:
        for number, line in readers.lines(path, header=columns.header):
            fields = _fields(line, columns)
            if len(fields) == len(columns.names):
                yield number, fields[column]

    hashes = np.fromiter((hash(image) for _, image in numbered_images()), np.int64)
    hashes, counts = np.unique(hashes, return_counts=True)
    repeated_hashes, first_rows = set(hashes[counts > 1].tolist()), {}
    if repeated_hashes:
        for number, image in numbered_images():
            if hash(image) in repeated_hashes:
                first_rows.setdefault(image, number)
    return first_rows


def _fields(line: str, columns: Columns) -> list[str]:
    """The values of a line, with "/" in paths."""
    if columns.separator != ",":
        return _exported_fields(line, columns)
    # No value contains a comma, a quote or a line break, so a line is a row; a stray quote affects only its own row.
    fields = line.split(",")
    if '"' in line or " " in line or "\t" in line or "\\" in line:
        return [field.strip().strip('"').strip().replace("\\", "/") for field in fields]
    fields[-1] = fields[-1].rstrip()
    return fields


def _exported_fields(line: str, columns: Columns) -> list[str]:
    """The values of a line with another separator, with decimal points; the 136 landmarks may be unquoted."""
    fields = [field.strip().replace("\\", "/") for field in readers.csv_cells(line, columns.separator)]
    landmarks, extra = columns.names.index("facial_landmarks"), len(fields) - len(columns.names)
    if columns.separator == ";" and extra == 2 * LANDMARK_COUNT - 1:
        fields[landmarks : landmarks + extra + 1] = [";".join(fields[landmarks : landmarks + extra + 1])]
    path = columns.names.index(COLUMNS[0])
    return [field if position == path else field.replace(",", ".") for position, field in enumerate(fields)]


def _record(fields: Sequence[str], columns: Columns, row: str, split: str, images: str) -> FaceRecord:
    if len(fields) != len(columns.names):
        return FaceRecord(
            id=row, row=row, image="", split=split, status=f"{len(fields)} columns instead of {len(columns.names)}"
        )
    texts = dict(zip(columns.names, fields))
    path, points = texts[COLUMNS[0]], texts[COLUMNS[5]]
    features: dict[str, Any] = {"id": path or row, "row": row, "image": f"{images}/{path}", "split": split}
    try:
        if not path:
            raise UserError("no image path")
        features["emotion"] = values.emotion(texts["expression"])
        features["box"] = _box(texts)
        features["landmarks"] = parse_landmarks(points.split(";") if points else ())
        features["valence"], features["arousal"] = checked_affect(texts["valence"], texts["arousal"])
    except Exception as error:  # one row must not stop all others
        features["status"] = as_status(error)
    return FaceRecord(**features)


def _box(texts: Mapping[str, str]) -> tuple[float, float, float, float]:
    """The box of a row. A box without area is an error; a box that crosses the border is not, because the face is then
    cropped from the part inside."""
    left, top, width, height = (parse_number(name, texts[name]) for name in _BOX)
    if width <= 0 or height <= 0:
        raise UserError(f"box {width:g}x{height:g}")
    return left, top, width, height
