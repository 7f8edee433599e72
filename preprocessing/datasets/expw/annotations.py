"""ExpW (Expression in the Wild): web photos, and a list of the faces in them.

    label/label.lst or label.lst
    image/origin/name.jpg, origin/name.jpg or image/name.jpg

A line of the list is `name.jpg face top left right bottom confidence emotion`; the confidence refers to the box and is
not used.
"""

import functools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edram_fer.errors import UserError
from edram_fer.preprocessing import emotions, readers, splits
from edram_fer.preprocessing.records import Annotations

FILE = "label.lst"
FOLDERS = (("image", "origin"), ("origin",), ("image",))
_ORDER = ("anger", "disgust", "fear", "happy", "sad", "surprise", "neutral")
PUBLISHED: dict[str, int] = dict(zip(_ORDER, (3671, 3995, 1088, 30537, 10559, 7060, 34883)))  # 91,793 faces
SHARES = {"train": 80, "validation": 10, "test": 10}


def find(source: Path | str, seed: int = 0) -> Annotations:
    """ExpW in `source`.

    There are no official splits: 80, 10 and 10 % of the photos are selected by a digest of (seed, name of the photo),
    so all faces of a photo are in one split.

    Args:
        source: the folder that contains label/label.lst, a folder above it, or that file.
        seed: seed of the splits.

    Raises:
        MissingFileError: `source` does not exist.
        UserError: the data set is not there, or occurs more than once, or has no images.
    """
    location = readers.locate(source, _recognise, dataset="ExpW", expected=f"label/{FILE}")
    [path], folder = location.files, _images(location.root)
    if folder is None:
        names = readers.abbreviate([subfolder.name for subfolder in readers.subfolders(location.root)])
        raise UserError(
            f"no images for {path}: expected one of the folders image/origin, origin, "
            f"image in {location.root}, there were {names or 'none'}"
        )
    read = functools.partial(_face, folder.relative_to(location.root).as_posix(), seed)
    return Annotations(
        name="ExpW",
        layout=f"{FILE}, split by seed {seed}",
        root=location.root,
        files=location.files,
        classes=emotions.SEVEN,
        records=functools.partial(readers.line_records, path, read),
        published={"": PUBLISHED},
        published_rows={"": sum(PUBLISHED.values())},
        detectors=("annotation",),
    )


def _recognise(folder: Path) -> Iterator[readers.Location]:
    path = readers.find_child(folder, "label", FILE)
    if path is None and _images(folder):
        path = readers.find_child(folder, FILE)
    if path:
        yield readers.Location(FILE, folder, (path,))


def _images(root: Path) -> Path | None:
    folders = (readers.find_child(root, *names) for names in FOLDERS)
    return next((folder for folder in folders if folder), None)


def _face(folder: str, seed: int, number: int, line: str) -> dict[str, Any]:
    fields = line.strip().rsplit(maxsplit=7)  # from the right, since a name may contain blanks
    if len(fields) != 8:
        raise UserError(f"{len(fields)} columns instead of 8")
    name, face, *edges, _, code = fields
    return {
        "id": f"{name}#{face}",
        "image": f"{folder}/{name}",
        "split": splits.digest_split(name, SHARES, seed),
        "emotion": emotions.from_code("ExpW", code),
        "box": _box(edges),
    }


def _box(edges: Sequence[str]) -> tuple[float, float, float, float]:
    """(left, top, width, height) from the texts (top, left, right, bottom)."""
    try:
        top, left, right, bottom = (float(edge) for edge in edges)
    except ValueError:
        raise UserError(f"box {' '.join(edges)[:60]!r}: expected four numbers") from None
    if not (math.isfinite(top + left + right + bottom) and right > left and bottom > top):
        raise UserError(f"box from left {left:g} to right {right:g}, top {top:g} to bottom {bottom:g} has no area")
    return left, top, right - left, bottom - top
