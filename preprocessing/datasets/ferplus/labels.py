"""The votes of FERPlus (fer2013new.csv), and the four ways in which papers make one label of them.

Barsoum, Zhang, Ferrer, Zhang, "Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label
Distribution", ICMI 2016. Needs no TensorFlow.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edram_fer.errors import UserError
from edram_fer.preprocessing import emotions, records
from edram_fer.preprocessing.datasets.fer2013 import layouts

CATEGORIES = tuple(emotions.codes("FERPlus").values())  # what is voted for, in FERPlus' order
EMOTIONS = 8  # the first of CATEGORIES; then unknown, no face
CANONICAL = [CATEGORIES.index(name) for name in emotions.EIGHT]
VOTES = 10
SHORT = {10_435: 9}  # row from 0 -> votes: the one row of the published file with fewer, which its counts include
NO_NAME = "no image name"


@dataclasses.dataclass(frozen=True)
class Votes:
    """fer2013new.csv, a row per row of fer2013.csv, n long.

    `usages` and `names` text [n], a name is "" where the file gives none; `votes` int [n, 10] in the order of
    CATEGORIES, all 0 in a faulty row; `faults` row number from 0 -> what is wrong with the row.
    """

    path: Path
    usages: np.ndarray
    names: np.ndarray
    votes: np.ndarray
    faults: dict[int, str]


@dataclasses.dataclass(frozen=True)
class Labels:
    """What a mode makes of the votes, n long.

    `emotions` canonical names [n], "" where there is no label; `soft` float32 [n, 8] probabilities in the order of
    `emotions.EIGHT`, all 0 without a label; `statuses` `records.OK`, or why there is no label.
    """

    emotions: np.ndarray
    soft: np.ndarray
    statuses: list[str]


def read(path, rows: int | None = None) -> Votes:
    """Read fer2013new.csv; its columns are found by name.

    A faulty row keeps its place. Raises ValueError naming the file for a missing column, and where it does not hold
    as many rows as given in `rows`.
    """
    path = Path(path)
    columns = _columns(path)
    with layouts.open_text(path) as lines:
        next(lines)
        fields = [layouts.fields(line) for line in lines if line.strip()]
    if rows is not None and len(fields) != rows:
        raise UserError(
            f"{path}: {len(fields)} rows, expected {rows} as in the file with the pixels, since the two "
            f"are joined by row number"
        )
    votes, faults = np.zeros((len(fields), len(CATEGORIES)), int), {}
    for number, row in enumerate(fields):
        try:
            votes[number] = _votes(row, columns, SHORT.get(number, VOTES))
        except ValueError as fault:
            faults[number] = str(fault)
    return Votes(path, _text(fields, columns["usage"]), _text(fields, columns["image name"]), votes, faults)


def _columns(path: Path) -> dict[str, int]:
    """Column name -> position: "usage", "image name" and CATEGORIES."""
    found = {}
    with layouts.open_text(path) as lines:
        header = layouts.fields(lines.readline(1000))
    for position, column in enumerate(header):
        try:
            found[emotions.canonical(column)] = position
        except ValueError:  # no emotion: Usage, Image name, or a column of somebody's own
            found[column.casefold()] = position
    missing = [name for name in ("usage", "image name", *CATEGORIES) if name not in found]
    if missing:
        raise UserError(
            f"{path}: expected the header of fer2013new.csv (Usage, Image name, neutral, happiness, ..., "
            f"unknown, NF); not found: {', '.join(missing)}"
        )
    return found


def _votes(row: Sequence[str], columns: dict[str, int], expected: int) -> list[int]:
    if len(row) != len(columns):
        raise UserError(f"{len(row)} columns instead of {len(columns)}")
    texts = [row[columns[name]] for name in CATEGORIES]
    for name, text in zip(CATEGORIES, texts):
        if not (text.isascii() and text.isdigit()):
            raise UserError(f"votes for {name}: {text[:20]!r} is not a number")
    votes = [int(text) for text in texts]
    if sum(votes) not in (expected, VOTES):
        raise UserError(f"votes sum to {sum(votes)} instead of {VOTES}")
    return votes


def _text(fields: list[list[str]], position: int) -> np.ndarray:
    return np.array([row[position] if position < len(row) else "" for row in fields], str)


def label(votes: Votes, mode: str) -> Labels:
    """One emotion and a soft label for every row in one of MODES, or the reason why there is none.

    The emotion is the category with most of the votes that the mode keeps, in a tie the first in FERPlus' order.
    Raises ValueError for an unknown mode.
    """
    if mode not in MODES:
        raise UserError(f"label mode: expected one of {', '.join(MODES)}, got {mode!r}")
    names, statuses = [], []
    soft = np.zeros((len(votes.votes), EMOTIONS), np.float32)
    for number, row in enumerate(votes.votes.tolist()):
        kept = MODES[mode](row)
        winner = CATEGORIES[kept.index(max(kept))]
        status = _status(votes, number, mode, kept, winner)
        statuses.append(status)
        names.append(winner if status == records.OK else "")
        if status == records.OK:
            soft[number] = np.array(kept)[CANONICAL] / sum(kept[:EMOTIONS])
    return Labels(np.array(names, str), soft, statuses)


def _status(votes: Votes, number: int, mode: str, kept: list[int], winner: str) -> str:
    if number in votes.faults:
        return votes.faults[number]
    if not votes.names[number] and mode != ARGMAX:
        return NO_NAME
    if not any(kept):
        return f"votes too spread for {mode}"
    return records.OK if emotions.is_emotion(winner) else records.no_label(winner)


# The modes: the ten votes of a row -> the votes that count, all 0 where the row gives no label.


def _majority(votes: list[int]) -> list[int]:
    """The category with more than half of the votes, single votes set to 0 first."""
    votes = _without_single(votes)
    return [count if 2 * count > sum(votes) else 0 for count in votes]


def _probability(votes: list[int]) -> list[int]:
    """The most voted categories, equals together, until they hold three quarters of the votes or are three.

    Unknown and no face end it, and count only where no emotion was before them. No label where the categories hold
    half of the votes or less, or equals make them more than three.
    """
    votes = _without_single(votes)
    kept = [0] * len(votes)
    while 4 * sum(kept) < 3 * sum(votes) and _number(kept) < 3:
        most = max(count for count, taken in zip(votes, kept) if not taken)
        equals = [place for place, count in enumerate(votes) if count == most and not kept[place]]
        for place in equals:
            if place < EMOTIONS or not any(kept):
                kept[place] = most
            if place >= EMOTIONS:
                return _half(kept, votes)
    return _half(kept, votes)


def _multi_target(votes: list[int]) -> list[int]:
    """All categories with at least 0.3 of the votes; no label where these hold half of them or less."""
    votes = _without_single(votes)
    return _half([count if 10 * count >= 3 * sum(votes) else 0 for count in votes], votes)


def _argmax(votes: list[int]) -> list[int]:
    """All votes as they are, single ones too."""
    return votes


def _without_single(votes: list[int]) -> list[int]:
    return [count if count > 1 else 0 for count in votes]


def _half(kept: list[int], votes: list[int]) -> list[int]:
    return kept if 2 * sum(kept) > sum(votes) and _number(kept) <= 3 else [0] * len(kept)


def _number(kept: list[int]) -> int:
    return sum(count > 0 for count in kept)


ARGMAX = "argmax"
MODES = {"majority": _majority, "probability": _probability, "multi_target": _multi_target, ARGMAX: _argmax}
