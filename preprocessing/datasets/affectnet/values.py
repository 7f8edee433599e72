"""The values of AffectNet's annotations, checked, whichever file they stand in. ValueError is the status of the row."""

import functools
import math
import os
from collections.abc import Iterable
from pathlib import Path

from edram_fer.errors import UserError
from edram_fer.preprocessing import emotions, sources
from edram_fer.preprocessing.records import LANDMARK_COUNT, no_label


@functools.lru_cache(maxsize=1000, typed=True)  # a million rows have eleven codes
def emotion(code) -> str:
    """The name behind one of AffectNet's codes, which must be an emotion."""
    name = emotions.from_code("AffectNet", code)
    if not emotions.is_emotion(name):
        raise UserError(no_label(name))
    return name


def number(name: str, value) -> float:
    """A finite number; text that is one counts."""
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise UserError(f"{name} {str(value)[:20]!r} is not a number")
    return found


def landmarks(values: Iterable) -> tuple[tuple[float, float], ...] | None:
    """136 numbers x, y, x, y, ... as 68 points; none at all: None. No value may be a bool, which counts as a number."""
    values = list(values)
    if not values:
        return None
    try:
        found = list(map(float, values))
    except (TypeError, ValueError, OverflowError):
        found = []
    if not found or not math.isfinite(sum(found)):  # one by one is slow, but names the one that is none
        found = [number("landmark", value) for value in values]
    if len(found) != 2 * LANDMARK_COUNT:
        raise UserError(f"{len(found)} landmark numbers instead of {2 * LANDMARK_COUNT}")
    return tuple(zip(found[::2], found[1::2]))


def index(folder: Path, annotation: str) -> dict[str, str]:
    """All rows of `folder`/images and `folder`/annotations: name without ending -> ending of the image.

    Args:
        folder: train_set or the like.
        annotation: ending of the annotation files that stand for a row, "_exp.npy".

    The order is that of the numbers in the names. A row without an image gets the ending ".jpg".
    """
    found = {
        name.removesuffix(annotation): ".jpg" for name in _names(folder / "annotations") if name.endswith(annotation)
    }
    endings = {}  # of a million equal endings one is kept
    for name in _names(folder / "images"):
        stem, ending = os.path.splitext(name)
        found[stem] = endings.setdefault(ending, ending)
    return {stem: found[stem] for stem in sorted(found, key=_by_number)}


def _names(folder: Path) -> Iterable[str]:
    try:
        with os.scandir(folder) as entries:
            yield from (
                entry.name
                for entry in entries
                if not entry.name.startswith(".") and entry.name.casefold() not in sources.IGNORED_FILES
            )
    except FileNotFoundError:
        return


def _by_number(name: str) -> tuple[float, str]:
    return (int(name) if name.isascii() and name.isdigit() else math.inf, name)
