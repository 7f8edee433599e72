"""Parse and check the values of annotations and of other files: numbers, landmarks, names.

Every function raises UserError for a bad value; its message is the status of the row.
"""

import math
import os
import re
import reprlib
from collections.abc import Iterable
from typing import Any

from edram_fer.errors import UserError
from edram_fer.preprocessing.records import LANDMARK_COUNT

LONGEST_COMPONENT = 200  # bytes; file systems allow 255, and endings are added


def path_component(name: str, value: Any) -> str:
    """A name from a file that may become the name of a file or folder, such as a split; checked wherever one is read.

    Args:
        name: what it names, for the message.
        value: the name: at most LONGEST_COMPONENT bytes, a single component of a path on every platform.

    >>> path_component("split", "fold_0+fold_1")
    'fold_0+fold_1'
    >>> path_component("split", "../../outside")
    Traceback (most recent call last):
    edram_fer.errors.UserError: split: expected a name that can be that of a file, got '../../outside'
    """
    if (
        not isinstance(value, str)
        or not value.isprintable()
        or not 0 < len(os.fsencode(value)) <= LONGEST_COMPONENT
        or value[0] in " ."
        or value[-1] in " ."
        or set(value) & set('<>:"/\\|?*')
    ):
        raise UserError(f"{name}: expected a name that can be that of a file, got {reprlib.repr(value)}")
    return value


def split_component(value: Any) -> str:
    """The name of a split of a data set that is prepared: a `path_component` by which TFDS can read it.

    TFDS reserves "all" and reads names of letters, digits, "_" and "-" only; "a+b" are two splits, "a[:9]" is a part.

    >>> split_component("fold_0")
    'fold_0'
    >>> split_component("fold_0+fold_1")
    Traceback (most recent call last):
    edram_fer.errors.UserError: split: expected letters, digits, '_' and '-', and not 'all', got 'fold_0+fold_1'
    """
    name = path_component("split", value)
    if name.casefold() == "all" or not re.fullmatch(r"[\w-]+", name):
        raise UserError(f"split: expected letters, digits, '_' and '-', and not 'all', got {reprlib.repr(name)}")
    return name


def parse_number(name: str, value: Any) -> float:
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


def parse_landmarks(values: Iterable[Any]) -> tuple[tuple[float, float], ...] | None:
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
        numbers = [parse_number("landmark", value) for value in values]
    if len(numbers) != 2 * LANDMARK_COUNT:
        raise UserError(f"{len(numbers)} landmark numbers instead of {2 * LANDMARK_COUNT}")
    return tuple(zip(numbers[::2], numbers[1::2]))
