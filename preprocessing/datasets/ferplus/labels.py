"""The votes of FERPlus (fer2013new.csv), and the four ways in which papers derive a label from them.

Barsoum, Zhang, Ferrer, Zhang, "Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label
Distribution", ICMI 2016. Does not need TensorFlow.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edram_fer.errors import UserError, as_status
from edram_fer.preprocessing import emotions, records
from edram_fer.preprocessing.datasets.fer2013 import layouts
from edram_fer.preprocessing.readers import open_text

CATEGORIES = tuple(emotions.codes("FERPlus").values())  # what people voted for, in FERPlus' order
EMOTIONS = 8  # the first CATEGORIES; unknown and no face follow
CANONICAL = [CATEGORIES.index(name) for name in emotions.EIGHT]
VOTES = 10
SHORT = {10_435: 9}  # row from 0 -> votes: the only row of the published file with fewer votes; it is counted
NO_NAME = "no image name"


@dataclasses.dataclass(frozen=True)
class Votes:
    """fer2013new.csv, with n rows like fer2013.csv.

    Attributes:
        path: the file.
        usages: text [n].
        names: text [n]; "" if the file has none.
        votes: int [n, 10] in the order of CATEGORIES; all 0 in a faulty row.
        faults: row number from 0 -> what is wrong with the row.
    """

    path: Path
    usages: np.ndarray
    names: np.ndarray
    votes: np.ndarray
    faults: dict[int, str]


@dataclasses.dataclass(frozen=True)
class Labels:
    """The labels that a mode derives from n rows of votes.

    Attributes:
        emotions: canonical names, text [n]; "" without a label.
        soft: float32 [n, 8], probabilities in the order of `emotions.EIGHT`; all 0 without a label.
        statuses: `records.OK`, or why there is no label.
    """

    emotions: np.ndarray
    soft: np.ndarray
    statuses: list[str]


def read(path: Path | str, rows: int | None = None) -> Votes:
    """Read fer2013new.csv, whose columns are identified by name; faulty rows keep their position.

    Args:
        path: the file.
        rows: the number of rows that it must have.

    Raises:
        UserError: a column is missing, or the number of rows is not `rows`.
    """
    path = Path(path)
    columns = _columns(path)
    with open_text(path) as lines:
        separator = layouts.separator(next(lines))
        fields = [layouts.fields(line, separator) for line in lines if line.strip()]
    if rows is not None and len(fields) != rows:
        raise UserError(
            f"{path}: {len(fields)} rows, expected {rows} as in the file with the pixels, since both "
            f"are joined by row number"
        )
    votes, faults = np.zeros((len(fields), len(CATEGORIES)), int), {}
    for number, row in enumerate(fields):
        try:
            votes[number] = _votes(row, columns, SHORT.get(number, VOTES))
        except Exception as error:  # one row must not stop all others
            faults[number] = as_status(error)
    return Votes(path, _text(fields, columns["usage"]), _text(fields, columns["image name"]), votes, faults)


def _columns(path: Path) -> dict[str, int]:
    """Column name -> position: "usage", "image name" and CATEGORIES."""
    positions = {}
    with open_text(path) as lines:
        line = lines.readline(1000)
    header = layouts.fields(line, layouts.separator(line))
    for position, column in enumerate(header):
        try:
            positions[emotions.canonical(column)] = position
        except UserError:  # not an emotion: Usage, Image name, or a column that someone added
            positions[column.casefold()] = position
    missing = [name for name in ("usage", "image name", *CATEGORIES) if name not in positions]
    if missing:
        raise UserError(
            f"{path}: expected the header of fer2013new.csv (Usage, Image name, neutral, happiness, ..., "
            f"unknown, NF); not found: {', '.join(missing)}"
        )
    return positions


def _votes(row: Sequence[str], columns: Mapping[str, int], expected: int) -> list[int]:
    if len(row) != len(columns):
        raise UserError(f"{len(row)} columns instead of {len(columns)}")
    texts = [row[columns[name]] for name in CATEGORIES]
    for name, text in zip(CATEGORIES, texts):
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise UserError(f"votes for {name}: {text[:20]!r} is not a number")
    votes = [int(text) for text in texts]
    if sum(votes) not in (expected, VOTES):
        raise UserError(f"votes sum to {sum(votes)} instead of {VOTES}")
    return votes


def _text(fields: Sequence[Sequence[str]], position: int) -> np.ndarray:
    return np.array([row[position] if position < len(row) else "" for row in fields], str)


def label(votes: Votes, mode: str) -> Labels:
    """An emotion and a soft label for every row, or the reason why there is none.

    The emotion is the category with most of the votes that the mode keeps; in a tie the first in FERPlus' order.

    Args:
        votes: n rows.
        mode: one of MODES.

    Raises:
        UserError: the mode is unknown.
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


def _status(votes: Votes, number: int, mode: str, kept: Sequence[int], winner: str) -> str:
    if number in votes.faults:
        return votes.faults[number]
    if not votes.names[number] and mode != ARGMAX:
        return NO_NAME
    if not any(kept):
        return f"votes too spread for {mode}"
    return records.OK if emotions.is_emotion(winner) else records.no_label(winner)


# The modes: the ten votes of a row -> the votes that count; all 0 if the row gets no label.


def _majority(votes: list[int]) -> list[int]:
    """The category with more than half of the votes, after single votes are set to 0."""
    votes = _drop_single_votes(votes)
    return [count if 2 * count > sum(votes) else 0 for count in votes]


def _probability(votes: list[int]) -> list[int]:
    """The categories with most votes, ties together, until they have three quarters of the votes or there are three.

    Unknown and no face end the selection, and count only if no emotion was selected before. There is no label if the
    categories have half of the votes or less, or if ties make them more than three.
    """
    votes = _drop_single_votes(votes)
    kept = [0] * len(votes)
    while 4 * sum(kept) < 3 * sum(votes) and _count(kept) < 3:
        most = max(count for count, taken in zip(votes, kept) if not taken)
        ties = [category for category, count in enumerate(votes) if count == most and not kept[category]]
        for category in ties:
            if category < EMOTIONS or not any(kept):
                kept[category] = most
            if category >= EMOTIONS:
                return _keep_majority(kept, votes)
    return _keep_majority(kept, votes)


def _multi_target(votes: list[int]) -> list[int]:
    """All categories with at least 0.3 of the votes; no label if they have half of the votes or less."""
    votes = _drop_single_votes(votes)
    return _keep_majority([count if 10 * count >= 3 * sum(votes) else 0 for count in votes], votes)


def _argmax(votes: list[int]) -> list[int]:
    """All votes, single ones included."""
    return votes


def _drop_single_votes(votes: list[int]) -> list[int]:
    return [count if count > 1 else 0 for count in votes]


def _keep_majority(kept: list[int], votes: list[int]) -> list[int]:
    """The kept votes if they are more than half of all votes and in at most three categories, otherwise zeros."""
    return kept if 2 * sum(kept) > sum(votes) and _count(kept) <= 3 else [0] * len(kept)


def _count(kept: list[int]) -> int:
    """Number of categories with votes."""
    return sum(count > 0 for count in kept)


ARGMAX = "argmax"
MODES = {"majority": _majority, "probability": _probability, "multi_target": _multi_target, ARGMAX: _argmax}
