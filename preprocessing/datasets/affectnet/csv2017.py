"""AffectNet of 2017: csv lists with a row per image; paths, boxes and landmarks are those of whole photos."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edram_fer.errors import UserError
from edram_fer.preprocessing import sources
from edram_fer.preprocessing.datasets.affectnet import values
from edram_fer.preprocessing.records import FaceRecord, checked_affect

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


class Layout(NamedTuple):
    """The columns of a list, in lower case, and whether its first line names them."""

    columns: tuple[str, ...]
    header: bool


def layout(path: Path) -> Layout:
    """The columns of a list by its header, or the published ones where it has none.

    Raises ValueError naming the file where its first lines are neither.
    """
    first = [_fields(line) for _, line in itertools.islice(sources.lines(path), 10)] or [[""]]
    names = tuple(name.casefold() for name in first[0])
    if set(COLUMNS) <= set(names):
        return Layout(names, True)
    if any(len(row) == len(COLUMNS) and "/" in row[0] for row in first):  # the very first row may be malformed
        return Layout(COLUMNS, False)
    raise UserError(
        f"{path}: expected the header of an AffectNet list, subDirectory_filePath,face_x,...,arousal, or "
        f"rows of {len(COLUMNS)} columns; found {','.join(first[0])[:80]!r}"
    )


def first_images(path: Path, count: int = 20) -> list[str]:
    """The paths of the images in the first rows of a list."""
    columns, header = layout(path)
    rows = (_fields(line) for _, line in sources.lines(path, header=header))
    place = columns.index(COLUMNS[0])
    return [row[place] for row in itertools.islice(rows, count) if len(row) == len(columns)]


def count(lists: Mapping[str, Path]) -> int:
    """How many rows the lists have."""
    return sum(1 for path in lists.values() for _ in sources.lines(path, header=layout(path).header))


def records(lists: Mapping[str, Path], images: str) -> Iterator[FaceRecord]:
    """All rows of the lists {split: path}, one at a time; `images`: folder that their paths start from."""
    for split, path in lists.items():
        columns, header = layout(path)
        repeated = _repeated(path, columns, header)
        for number, line in sources.lines(path, header=header):
            record = _record(_fields(line), columns, f"{path.name}:{number}", split, images)
            if repeated.get(record.id, number) != number:  # another face of an image, or the same one again
                record = dataclasses.replace(record, id=f"{record.id} ({record.row})")
            yield record


def _repeated(path: Path, columns: Sequence[str], header: bool) -> dict[str, int]:
    """Paths of images that more than one row of a list has -> the first of these rows. A million paths are held as
    numbers; two with the same number are looked at again."""
    place = columns.index(COLUMNS[0])

    def named():
        for number, line in sources.lines(path, header=header):
            fields = _fields(line)
            if len(fields) == len(columns):
                yield number, fields[place]

    codes = np.fromiter((hash(name) for _, name in named()), np.int64)
    codes, counts = np.unique(codes, return_counts=True)
    often, rows = set(codes[counts > 1].tolist()), {}
    for number, name in named() if often else ():
        if hash(name) in often:
            rows.setdefault(name, number)
    return rows


def _fields(line: str) -> list[str]:
    # No value holds a comma, a quote or a line break, so a line is a row; a stray quote spoils its own row only.
    fields = line.split(",")
    if '"' in line or " " in line or "\t" in line:
        return [field.strip().strip('"').strip() for field in fields]
    fields[-1] = fields[-1].rstrip()
    return fields


def _record(fields: list[str], columns: Sequence[str], row: str, split: str, images: str) -> FaceRecord:
    if len(fields) != len(columns):
        return FaceRecord(
            id=row, row=row, image="", split=split, status=f"{len(fields)} columns instead of {len(columns)}"
        )
    named = dict(zip(columns, fields))
    path, points = named[COLUMNS[0]], named[COLUMNS[5]]
    known = {"id": path or row, "row": row, "image": f"{images}/{path}", "split": split}
    try:
        if not path:
            raise UserError("no image path")
        known["emotion"] = values.emotion(named["expression"])
        known["box"] = _box(named)
        known["landmarks"] = values.landmarks(points.split(";") if points else ())
        known["valence"], known["arousal"] = checked_affect(named["valence"], named["arousal"])
    except ValueError as fault:
        known["status"] = str(fault)
    return FaceRecord(**known)


def _box(named: Mapping[str, str]) -> tuple[float, float, float, float]:
    """A box without area is a fault; one that crosses the border is not, the face is cut from what lies inside."""
    left, top, width, height = (values.number(name, named[name]) for name in _BOX)
    if width <= 0 or height <= 0:
        raise UserError(f"box {width:g}x{height:g}")
    return left, top, width, height
