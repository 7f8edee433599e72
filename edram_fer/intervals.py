"""Bootstrap intervals for any statistic."""

import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from edram_fer.errors import UserError


def bootstrap(
    statistic: Callable[[np.ndarray], Mapping[str, ArrayLike]],
    count: int,
    *,
    subjects: Sequence[str | None] | np.ndarray | None = None,
    repeats: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    centred: Sequence[str] = (),
) -> dict[str, np.ndarray]:
    """Percentile intervals of statistics of `count` images (Efron), resampling whole subjects where they are known.

    Images of one person resemble each other, so they are drawn together; an image without a subject ("" or None) is
    drawn alone.

    Args:
        statistic: Function of rows (int [m], with repetitions) to a dict of floats or arrays.
        count: Number of images.
        subjects: A name for each image, or None.
        repeats: Number of samples.
        level: Coverage of the intervals.
        seed: Seed of the samples.
        centred: Names of statistics that are at least 0 and that resampling increases, such as calibration errors.
            Their intervals are shifted by the mean increase, but not below 0.

    Returns:
        The same keys with float [..., 2], lower and upper end; nan where a statistic is never defined.

    Raises:
        UserError: The number of subjects differs from `count`.

    >>> values = np.arange(100)
    >>> bootstrap(lambda rows: {"mean": values[rows].mean()}, 100)["mean"].round()
    array([44., 55.])
    """
    group = _groups(subjects, count)
    size, rows, random = group.max() + 1, np.arange(count), np.random.default_rng(seed)
    samples = []
    for _ in range(repeats):
        times = np.bincount(random.integers(0, size, size), minlength=size)
        samples.append(statistic(np.repeat(rows, times[group])))
    tail = (1 - level) / 2
    ends = {name: _quantiles([sample[name] for sample in samples], (tail, 1 - tail)) for name in samples[0]}
    actual = statistic(rows) if centred else {}
    for name in centred:
        increase = np.mean([sample[name] for sample in samples], axis=0) - actual[name]
        ends[name] = np.maximum(ends[name] - np.asarray(increase)[..., None], 0)
    return ends


def _groups(subjects, count):
    """Group number int [count] of each image: its subject, or itself where the subject is not known."""
    if subjects is None:
        return np.arange(count)
    if len(subjects) != count:
        raise UserError(f"expected {count} subjects, got {len(subjects)}")
    keys = [("subject", name) if name else ("image", row) for row, name in enumerate(subjects)]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys])


def _quantiles(samples, ends):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a statistic that is nan in all samples stays nan
        return np.moveaxis(np.nanquantile(np.asarray(samples, float), ends, axis=0), 0, -1)
