"""ExpW (Expression in the Wild): web photos, and a list of the faces in them.

label/label.lst or label.lst: lines `name.jpg face top left right bottom confidence emotion`; the confidence is
    that of the box and not used
image/origin/name.jpg, origin/name.jpg or image/name.jpg
"""

import functools
import math
from collections.abc import Iterator
from pathlib import Path

from edram_fer.errors import UserError
from edram_fer.preprocessing import emotions, sources, splits
from edram_fer.preprocessing.records import Annotations

FILE = "label.lst"
FOLDERS = (("image", "origin"), ("origin",), ("image",))
_ORDER = ("anger", "disgust", "fear", "happy", "sad", "surprise", "neutral")
PUBLISHED = dict(zip(_ORDER, (3671, 3995, 1088, 30537, 10559, 7060, 34883)))  # 91,793 faces
SHARES = {"train": 80, "validation": 10, "test": 10}


def find(source, seed: int = 0) -> Annotations:
    """ExpW in `source`: the folder that holds label/label.lst, one above it, or that file.

    There are no official splits: 80, 10 and 10 % are chosen by a digest of (seed, name of the image), all faces of a
    image on one side.
    """
    place = sources.find(source, _forms, dataset="ExpW", expected=f"label/{FILE}")
    folder = _images(place.root)
    if folder is None:
        there = sources.some([below.name for below in sources.subfolders(place.root)])
        raise UserError(
            f"no images for {place.files[0]}: expected one of the folders image/origin, origin, "
            f"image in {place.root}, there were {there or 'none'}"
        )
    read = functools.partial(_face, folder.relative_to(place.root).as_posix(), seed)
    rows = functools.partial(sources.from_lines, place.files[0], read)
    return Annotations(
        "ExpW",
        f"{FILE}, split by seed {seed}",
        place.root,
        place.files,
        emotions.SEVEN,
        rows,
        {"": PUBLISHED},
        {"": sum(PUBLISHED.values())},
        ("annotation",),
    )


def _forms(folder: Path) -> Iterator[sources.Place]:
    path = sources.child(folder, "label", FILE)
    if path is None and _images(folder):
        path = sources.child(folder, FILE)
    if path:
        yield sources.Place(FILE, folder, (path,))


def _images(root: Path) -> Path | None:
    folders = (sources.child(root, *names) for names in FOLDERS)
    return next((folder for folder in folders if folder), None)


def _face(folder: str, seed: int, number: int, line: str) -> dict:
    words = line.strip().rsplit(maxsplit=7)  # from the right, since a name may hold blanks
    if len(words) != 8:
        raise UserError(f"{len(words)} columns instead of 8")
    name, face, *corners, _, code = words
    return {
        "id": f"{name}#{face}",
        "image": f"{folder}/{name}",
        "split": splits.by_digest(name, SHARES, seed),
        "emotion": emotions.from_code("ExpW", code),
        "box": _box(corners),
    }


def _box(corners: list[str]) -> tuple[float, float, float, float]:
    """(left, top, width, height) of "top", "left", "right", "bottom"."""
    try:
        top, left, right, bottom = (float(corner) for corner in corners)
    except ValueError:
        raise UserError(f"box {' '.join(corners)[:60]!r}: expected four numbers") from None
    if not (math.isfinite(top + left + right + bottom) and right > left and bottom > top):
        raise UserError(f"box from left {left:g} to right {right:g}, top {top:g} to bottom {bottom:g} has no area")
    return left, top, right - left, bottom - top
