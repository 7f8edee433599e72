"""Parse and check the values of AffectNet's annotations, from any layout.

Every function raises UserError for a bad value; its message is the status of the row.
"""

import functools
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edram_fer.errors import UserError
from edram_fer.preprocessing import emotions, readers
from edram_fer.preprocessing.records import LANDMARK_COUNT, no_label


@functools.lru_cache(maxsize=1000, typed=True)  # a million rows share eleven codes
def emotion(code: float | str) -> str:
    """The emotion for one of AffectNet's codes; UserError for a non-emotion."""
    name = emotions.from_code("AffectNet", code)
    if not emotions.is_emotion(name):
        raise UserError(no_label(name))
    return name


def number(name: str, value: Any) -> float:
    """A finite number, from a number or a text.

    Args:
        name: name of the value, for the message.
        value: True and False do not count as numbers.
    """
    try:
        result = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        result = math.nan
    if not math.isfinite(result):
        raise UserError(f"{name} {str(value)[:20]!r} is not a number")
    return result


def landmarks(values: Iterable[Any]) -> tuple[tuple[float, float], ...] | None:
    """136 numbers x, y, x, y, ... as 68 points; None if there are no values.

    Args:
        values: numbers or texts, but no bools, which would be read as numbers.
    """
    values = list(values)
    if not values:
        return None
    try:
        numbers = list(map(float, values))
    except (TypeError, ValueError, OverflowError):
        numbers = []
    if not numbers or not math.isfinite(sum(numbers)):  # one by one is slow, but names the bad value
        numbers = [number("landmark", value) for value in values]
    if len(numbers) != 2 * LANDMARK_COUNT:
        raise UserError(f"{len(numbers)} landmark numbers instead of {2 * LANDMARK_COUNT}")
    return tuple(zip(numbers[::2], numbers[1::2]))


def index(folder: Path, annotation: str) -> dict[str, str]:
    """All rows of `folder`/images and `folder`/annotations.

    Args:
        folder: train_set, val_set, ...
        annotation: the suffix of the annotation file that every row has, "_exp.npy".

    Returns:
        File name without suffix -> suffix of the image, in the order of the numbers in the names. A row without an
        image has the suffix ".jpg".
    """
    rows = {
        name.removesuffix(annotation): ".jpg" for name in _names(folder / "annotations") if name.endswith(annotation)
    }
    endings = {}  # one object for a million equal suffixes
    for name in _names(folder / "images"):
        stem, ending = os.path.splitext(name)
        rows[stem] = endings.setdefault(ending, ending)
    return {stem: rows[stem] for stem in sorted(rows, key=_number_first)}


def _names(folder: Path) -> Iterable[str]:
    try:
        with os.scandir(folder) as entries:
            yield from (
                entry.name
                for entry in entries
                if not entry.name.startswith(".") and entry.name.casefold() not in readers.IGNORED_FILES
            )
    except FileNotFoundError:
        return


def _number_first(name: str) -> tuple[float, str]:
    return (int(name) if name.isascii() and name.isdigit() else math.inf, name)
