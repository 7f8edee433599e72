"""Parse and check the values of annotations: numbers, landmarks, boxes.

Every function raises UserError for a bad value; its message is the status of the row.
"""

import math
from collections.abc import Iterable
from typing import Any

from edram_fer.errors import UserError
from edram_fer.preprocessing.records import LANDMARK_COUNT


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
