"""Intervals: of any statistic (`bootstrap`) or one of means (`bootstrap_means`), of a share near 0 or 1 (`wilson`), and
of a mean over two samples, such as images and people or images and seeds (`crossed`).

With few subjects the bootstrap is too sure: in simulations with images of 10, 5 and 2 subjects its 95 % intervals of an
accuracy cover the true one in 91, 87 and about 50 % of the samples (`python -m benchmarks.interval_coverage`); with one
subject nothing is known about others. `note` says so.
"""

import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm, t

from edram_fer.errors import UserError

FEW_SUBJECTS = 20  # with fewer, bootstrap intervals are noticeably too narrow
_FEW_IMAGES = 30  # with fewer images inside or outside a share, its bootstrap intervals are
_CHUNK = 2_000_000  # largest number of elements of the samples that are drawn at once


def bootstrap(
    statistic: Callable[[np.ndarray], Mapping[str, ArrayLike]],
    count: int,
    *,
    subjects: Sequence[str | None] | np.ndarray | None = None,
    repeats: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    centred: Sequence[str] = (),
    shares: Sequence[str] = (),
) -> dict[str, np.ndarray]:
    """Percentile intervals of statistics of `count` images (Efron), resampling whole subjects where they are known.

    Images of one person resemble each other, so they are drawn together; an image without a subject ("" or None) is
    drawn alone. All images of a single subject say nothing about other people, and a single image says nothing about
    others: their intervals are undefined.

    Args:
        statistic: Function of rows (int [m], with repetitions) to a dict of floats or arrays.
        count: Number of images.
        subjects: A name for each image, or None.
        repeats: Number of samples.
        level: Coverage of the intervals.
        seed: Seed of the samples.
        centred: Names of statistics that are at least 0 and that resampling increases, such as calibration errors.
            Their intervals are shifted by the mean increase, but not below 0.
        shares: Names of statistics that are shares of the images, such as accuracies. Near 0 or 1 the bootstrap is too
            sure: of 16 images that are all correct it makes an interval of no width. Where fewer than 30 independent
            images are inside or outside the share, the interval is `wilson`'s, also that of a single image, and where
            no image of several subjects is, it is that of as many images as there are subjects.

    Returns:
        The same keys with float [..., 2], lower and upper end; nan where a statistic is never defined, if all images
        are of one subject, and, except for shares, if there is a single image.

    Raises:
        UserError: The number of subjects differs from `count`.

    >>> values = np.arange(100)
    >>> bootstrap(lambda rows: {"mean": values[rows].mean()}, 100)["mean"].round()
    array([44., 55.])
    """
    group, rows = groups(subjects, count), np.arange(count)
    if _is_one(group):
        return _of_one(statistic(rows), subjects, level, shares)
    samples = [statistic(np.repeat(rows, times[group])) for times in _draws(group, repeats, seed)]
    columns = {name: np.array([sample[name] for sample in samples], float) for name in samples[0]}
    actual = statistic(rows) if centred or shares else {}
    return _ends(columns, actual, group, level, centred, shares)


def bootstrap_means(
    statistic: Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]],
    values: Mapping[str, ArrayLike],
    *,
    subjects: Sequence[str | None] | np.ndarray | None = None,
    repeats: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    shares: Sequence[str] = (),
) -> dict[str, np.ndarray]:
    """`bootstrap` of statistics that depend on the images only through means: all samples at once, much faster.

    Args:
        statistic: Function of {name: means [..., ...]} over the images to a dict of arrays, for any number of leading
            axes, one of which counts the samples.
        values: {name: [n, ...]}, finite; the same number of images n for each.
        subjects, repeats, level, seed, shares: See `bootstrap`, which draws the same samples.

    Returns:
        See `bootstrap`.

    Raises:
        UserError: The number of subjects differs from n.

    >>> values = np.arange(100)
    >>> bootstrap_means(lambda means: means, {"mean": values})["mean"].round()
    array([44., 55.])
    """
    arrays = {name: np.asarray(array, float) for name, array in values.items()}
    count = len(next(iter(arrays.values())))
    group = groups(subjects, count)
    size = group.max() + 1
    sums = {}
    for name, array in arrays.items():
        sums[name] = np.zeros((size, *array.shape[1:]))
        np.add.at(sums[name], group, array)
    images = np.bincount(group)
    actual = statistic({name: of.sum(axis=0) / count for name, of in sums.items()})
    if _is_one(group):
        return _of_one(actual, subjects, level, shares)
    parts: list[Mapping[str, np.ndarray]] = []
    draws = _draws(group, repeats, seed)
    while drawn := list(itertools.islice(draws, max(1, _CHUNK // size))):
        times = np.array(drawn, float)
        drawn_images = times @ images
        means = {
            name: np.tensordot(times, of, 1) / drawn_images.reshape(-1, *[1] * (of.ndim - 1))
            for name, of in sums.items()
        }
        parts.append(statistic(means))
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return _ends(columns, actual, group, level, (), shares)


def note(subjects: Sequence[str | None] | np.ndarray | None) -> str:
    """A sentence on what the number of subjects means for bootstrap intervals; "" if there is nothing to say.

    Args:
        subjects: a name for each image. None, or an image without a subject ("" or None): their number is not known.

    >>> note(["ray"] * 9)
    'Intervals are undefined: the images of a single person say nothing about other people.'
    """
    count = None if subjects is None or not all(subjects) else len(set(subjects))
    if count is None or count >= FEW_SUBJECTS:
        return ""
    if count < 2:
        return "Intervals are undefined: the images of a single person say nothing about other people."
    return f"Intervals are too narrow: there are {count} subjects, and resampling them needs about {FEW_SUBJECTS}."


def excludes_zero(interval: ArrayLike) -> bool:
    """Whether 0 lies outside an interval (lower, upper); not if its ends are undefined, nan or None.

    >>> excludes_zero([0.1, 0.3]), excludes_zero([None, None])
    (True, False)
    """
    low, high = np.array(interval, float)
    return bool(low > 0 or high < 0)


def wilson(share: ArrayLike, count: int, level: float = 0.95) -> np.ndarray:
    """Wilson's score interval of shares of `count` independent images (Wilson 1927).

    Args:
        share: [...] in [0, 1].
        count: number of images, at least 1.
        level: coverage.

    Returns:
        float [..., 2] in [0, 1].

    >>> wilson(1.0, 16).round(3).tolist()
    [0.806, 1.0]
    """
    share, z = np.asarray(share, float), norm.ppf((1 + level) / 2)
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return np.clip(np.stack([middle - half, middle + half], axis=-1), 0, 1)


def crossed_mean(values: ArrayLike) -> np.ndarray:
    """Mean over the rows of [R, C] of the mean over their columns, without nan; nan if all are nan.

    >>> float(crossed_mean([[1, np.nan], [2, 4], [np.nan, np.nan]]))
    2.0
    """
    values, weights = _weighted(values)
    return np.sum(weights * values) if weights.any() else np.array(np.nan)


def crossed(
    values: ArrayLike,
    other: ArrayLike | None = None,
    *,
    subjects: Sequence[str | None] | np.ndarray | None = None,
    level: float = 0.95,
) -> np.ndarray:
    """Interval of a mean whose rows AND columns are samples: images and people, or images and runs with several seeds.

    Resampling only the images would treat the people, or the seeds, as the only ones there are. The variance is that of
    the row means plus that of the column means minus that of the cells (two-way clustering: Cameron, Gelbach, Miller
    2011, Journal of Business and Economic Statistics 29:238), with Student's t and Satterthwaite's degrees of freedom.

    Args:
        values: [R, C]; nan where missing.
        other: [R, D]: values of other columns for the same rows. The interval is then one of the difference of the
            two means: paired over the rows, and Welch's over the columns, which are independent.
        subjects: a name for each row, see `bootstrap`: the rows of a subject are one.
        level: coverage.

    Returns:
        float [2], lower and upper end; nan with fewer than two rows (or subjects) or columns.

    Raises:
        UserError: the numbers of rows differ.

    >>> crossed([[1, 2], [2, 3], [3, 4]]).round(2).tolist()
    [0.36, 4.64]
    """
    parts = [np.asarray(values, float)] + ([] if other is None else [np.asarray(other, float)])
    if len({len(part) for part in parts}) > 1:
        raise UserError(f"expected values for the same rows, got {' and '.join(str(len(part)) for part in parts)} rows")
    group = groups(subjects, len(parts[0]))
    rows, columns, cells, estimate = np.zeros(group.max(initial=-1) + 1), [], 0.0, 0.0
    for sign, part in zip((1, -1), parts):
        part, weights = _weighted(part)
        used = weights.any(axis=0)
        if used.sum() < 2:
            return np.full(2, np.nan)
        mean = np.sum(weights * part)
        influence = np.zeros((len(rows), int(used.sum())))
        np.add.at(influence, group, (weights * (part - mean))[:, used])
        estimate += sign * mean
        rows += sign * influence.sum(axis=1)
        cells += np.sum(influence**2)
        columns.append((np.sum(influence.sum(axis=0) ** 2), int(used.sum())))
    present = np.unique(group[np.isfinite(np.concatenate(parts, axis=1)).any(axis=1)])
    if len(present) < 2:
        return np.full(2, np.nan)
    variances = [(np.sum(rows**2), len(present)), *columns]
    variances = [(variance * size / (size - 1), size - 1) for variance, size in variances]
    total = max(sum(variance for variance, _ in variances) - cells, *(variance for variance, _ in variances))
    if not total > 0:
        return np.full(2, estimate)
    freedom = sum(variance for variance, _ in variances) ** 2 / sum(v**2 / degrees for v, degrees in variances)
    return estimate + t.ppf([(1 - level) / 2, (1 + level) / 2], freedom) * np.sqrt(total)


def _weighted(values):
    """Values [R, C] with 0 for nan, and the weights [R, C] with which their sum is the `crossed_mean`."""
    values = np.asarray(values, float)
    finite = np.isfinite(values)
    sizes = finite.sum(axis=1, keepdims=True)
    weights = finite / np.maximum(sizes, 1) / max(1, int((sizes > 0).sum()))
    return np.where(finite, values, 0), weights


def groups(subjects: Sequence[str | None] | np.ndarray | None, count: int) -> np.ndarray:
    """Group number int [count] of each image: its subject, or itself where the subject is not known.

    Raises:
        UserError: The number of subjects differs from `count`.
    """
    if subjects is None:
        return np.arange(count)
    if len(subjects) != count:
        raise UserError(f"expected {count} subjects, got {len(subjects)}")
    keys = [("subject", name) if name else ("image", row) for row, name in enumerate(subjects)]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys])


def _is_one(group):
    """Whether there is one subject, or one image: every sample would be the same."""
    return len(group) > 0 and group.max() == 0


def _of_one(actual, subjects, level, shares):
    """The intervals of one subject or image: undefined, except for shares of an image without a subject."""
    known = () if subjects is not None and subjects[0] else shares
    return {
        name: wilson(value, 1, level) if name in known else np.full((*np.shape(value), 2), np.nan)
        for name, value in actual.items()
    }


def _draws(group, repeats, seed):
    """For each sample, how often it holds each group: int [groups]."""
    size, random = group.max() + 1, np.random.default_rng(seed)
    for _ in range(repeats):
        yield np.bincount(random.integers(0, size, size), minlength=size)


def _ends(samples, actual, group, level, centred, shares):
    """The intervals of statistics from their values in all samples, {name: [repeats, ...]}, and in all images."""
    count, size, tail = len(group), group.max() + 1, (1 - level) / 2
    ends = {name: _quantiles(values, (tail, 1 - tail)) for name, values in samples.items()}
    for name in centred:
        increase = np.mean(samples[name], axis=0) - actual[name]
        ends[name] = np.maximum(ends[name] - np.asarray(increase)[..., None], 0)
    for name in shares:
        share = np.asarray(actual[name], float)
        rarer = np.minimum(share, 1 - share) * count
        few = rarer < _FEW_IMAGES if size == count else rarer < 1e-9
        ends[name] = np.where(few[..., None], wilson(share, size, level), ends[name])
    return ends


def _quantiles(samples, ends):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a statistic that is nan in all samples stays nan
        return np.moveaxis(np.nanquantile(samples, ends, axis=0), 0, -1)
