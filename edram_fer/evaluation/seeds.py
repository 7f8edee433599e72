"""Compare ways of training: several runs of each, with different seeds, evaluated on the same images.

An interval of one run is about other images for the same trained model. Another seed, and even another processor or
number of threads, gives another model, whose accuracy can lie far outside it. A statement about a way of training needs
at least three to five runs and an interval that allows for both: for other images and for other seeds.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from edram_fer import intervals

ENOUGH = 3  # runs; with fewer, the spread between seeds is hardly known


def compare_groups(
    correct: Mapping[str, ArrayLike], *, subjects: Sequence[Any] | np.ndarray | None = None
) -> list[dict[str, Any]]:
    """Mean accuracies of groups of runs, and their differences from the first group.

    Args:
        correct: {group: bool [n, R], which of the same n images each of the group's R runs classifies correctly}.
        subjects: [n] or None, see `intervals.bootstrap`.

    Returns:
        One row for each group: "group"; "runs"; "accuracy", the mean over the runs; "sd", the standard deviation of
        their accuracies; "low" and "high", the 95 % interval of the mean for other images and other seeds
        (`intervals.crossed`); and, except for the first group, "difference" with "difference_low" and
        "difference_high", paired over the images and Welch's over the runs. None where undefined: without an
        interval if a group has a single run.

    >>> runs = {"a": [[True, True], [True, False]], "b": [[False, True], [False, False]]}
    >>> [round(row["accuracy"], 2) for row in compare_groups(runs)]
    [0.75, 0.25]
    """
    rows, first = [], None
    for name, values in correct.items():
        values = np.asarray(values, float)
        accuracies = values.mean(axis=0)
        row: dict[str, Any] = {"group": name, "runs": len(accuracies), "accuracy": float(accuracies.mean())}
        row["sd"] = float(accuracies.std(ddof=1)) if len(accuracies) > 1 else None
        row["low"], row["high"] = _ends(intervals.crossed(values, subjects=subjects))
        row |= dict.fromkeys(("difference", "difference_low", "difference_high"))
        if first is None:
            first = values
        else:
            row["difference"] = float(values.mean() - first.mean())
            ends = intervals.crossed(values, first, subjects=subjects)
            row["difference_low"], row["difference_high"] = _ends(ends)
        rows.append(row)
    return rows


def _ends(interval):
    return [None if np.isnan(end) else float(end) for end in interval]
