"""Agreement of an attention map with human fixations, or with another map.

The measures follow Bylinskii, Judd, Oliva, Torralba and Durand 2016 (arXiv 1604.03605, section 4). A map is [H, W] with
any finite values; for the measures on distributions (`sim`, `kl`) it must be non-negative and is divided by its sum.
Fixations are [F, 2] as (x, y) in pixels of the map, with pixel centres at whole numbers; the value at a fixation is the
value of the pixel that contains it. A measure that is undefined is nan, never 0.

Faces are centred in their crops, so a Gaussian in the middle scores well on every measure but the shuffled AUC. Always
report the maps of `baselines` for comparison.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from edram_fer.errors import UserError

EPSILON = 2.2204e-16  # in `kl`: as in the code of the MIT saliency benchmark
_CONSTANT = 1e-12  # share of a map's largest absolute value; a smaller range is a rounding error


def nss(saliency: ArrayLike, fixations: ArrayLike) -> float:
    """Normalised scanpath saliency: mean over the fixations of (P - mean P) / sd P, with the population sd.

    Args:
        saliency: map P [H, W].
        fixations: [F, 2].

    Returns:
        0 at chance and for a constant map, 1 for one standard deviation above the mean of the map; nan without
        fixations.

    >>> round(nss([[0, 0], [0, 1]], [[1, 1]]), 3)
    1.732
    """
    saliency = _checked(saliency)
    values = values_at(saliency, fixations)
    if not len(values):
        return np.nan
    largest = np.abs(saliency).max()
    if _is_constant(saliency):
        return 0.0
    return float(np.mean(values / largest - (saliency / largest).mean()) / (saliency / largest).std())


def cc(saliency: ArrayLike, other: ArrayLike) -> float:
    """Pearson's correlation of two maps [H, W] over the pixels, in [-1, 1]; nan if either is constant.

    >>> round(cc([[0, 1], [2, 3]], [[3, 2], [1, 0]]), 3)
    -1.0
    """
    saliency, other = _pair(saliency, other)
    if _is_constant(saliency) or _is_constant(other):
        return np.nan
    return float(np.corrcoef(*(values.ravel() / np.abs(values).max() for values in (saliency, other)))[0, 1])


def sim(saliency: ArrayLike, other: ArrayLike) -> float:
    """Similarity, the intersection of two distributions [H, W]: sum of min(P, Q), in [0, 1].

    >>> sim([[1, 1]], [[1, 3]])
    0.75
    """
    return float(np.minimum(*_distributions(saliency, other)).sum())


def kl(saliency: ArrayLike, human: ArrayLike) -> float:
    """Kullback-Leibler divergence of a model's map P from the human map Q: sum of Q log(e + Q / (P + e)).

    It is not symmetric: positions that people fixated and the model ignored cost most.

    Args:
        saliency: P [H, W].
        human: Q [H, W].

    Returns:
        0 for equal maps, without an upper bound, in nats; e = 2.2204e-16.

    >>> round(kl([[0.5, 0.5]], [[1.0, 0.0]]), 3), round(kl([[1.0, 0.0]], [[0.5, 0.5]]), 1)
    (0.693, 17.3)
    """
    p, q = _distributions(saliency, human)
    return float(np.sum(q * np.log(EPSILON + q / (p + EPSILON))))


def auc_judd(saliency: ArrayLike, fixations: ArrayLike) -> float:
    """Area under the ROC curve of the map as a detector of fixated pixels (Judd, Ehinger, Durand and Torralba 2009).

    Positives are the map's values at the fixations, counting every fixation; negatives are its values at all pixels
    without a fixation. Ties count half (mid-ranks). The authors' code counts a pixel with two fixations once.

    Args:
        saliency: [H, W].
        fixations: [F, 2].

    Returns:
        1 at best, 0.5 at chance and for a constant map; nan without fixations, or if every pixel is fixated.

    >>> auc_judd([[0, 1, 2]], [[2, 0]]), auc_judd([[0, 1, 2]], [[1, 0]])
    (1.0, 0.5)
    """
    saliency = _checked(saliency)
    not_fixated = np.ones(saliency.shape, bool)
    columns, rows = _cells(saliency.shape, fixations)
    not_fixated[rows, columns] = False
    return _auc(saliency[rows, columns], saliency[not_fixated])


def auc_shuffled(saliency: ArrayLike, fixations: ArrayLike, others: ArrayLike) -> float:
    """Area under the ROC curve against the fixations of OTHER images (Zhang, Tong, Marks, Shan and Cottrell 2008).

    Like `auc_judd`, but the negatives are the map's values at positions that people look at in any image. All of these
    are used, not a sample.

    Args:
        saliency: [H, W].
        fixations: [F, 2] on the same image.
        others: [G, 2] on other images.

    Returns:
        0.5 for a map that does not depend on the image; nan if either set of fixations is empty.

    >>> auc_shuffled([[0, 1, 2]], [[2, 0]], others=[[0, 0], [2, 0]])
    0.75
    """
    saliency = _checked(saliency)
    return _auc(values_at(saliency, fixations), values_at(saliency, others))


def all_measures(
    saliency: ArrayLike, fixations: ArrayLike, human: ArrayLike, others: ArrayLike | None = None
) -> dict[str, float]:
    """All measures of one map.

    Args:
        saliency: [H, W].
        fixations: [F, 2] on the same image.
        human: [H, W], the density of these fixations (`fixations.fixation_map`).
        others: [G, 2] on other images; without them "auc_shuffled" is nan.

    Returns:
        {"nss", "auc_judd", "auc_shuffled", "cc", "sim", "kl"}.

    >>> from edram_fer.attention.fixations import fixation_map
    >>> human = fixation_map([[2, 0]], (1, 5), sigma=1)
    >>> round(all_measures(human, [[2, 0]], human)["sim"], 3)
    1.0
    """
    return {
        "nss": nss(saliency, fixations),
        "auc_judd": auc_judd(saliency, fixations),
        "auc_shuffled": np.nan if others is None else auc_shuffled(saliency, fixations, others),
        "cc": cc(saliency, human),
        "sim": sim(saliency, human),
        "kl": kl(saliency, human),
    }


def values_at(saliency: np.ndarray, fixations: ArrayLike) -> np.ndarray:
    """Values of a map in the pixels that contain the fixations.

    Args:
        saliency: [H, W].
        fixations: [F, 2].

    Returns:
        [F].

    Raises:
        UserError: the fixations are not [F, 2], or lie outside the map.
    """
    columns, rows = _cells(saliency.shape, fixations)
    return saliency[rows, columns]


def _cells(shape: tuple[int, ...], fixations: ArrayLike) -> np.ndarray:
    points = np.asarray(fixations, float)
    points = points.reshape(0, 2) if points.size == 0 else points
    if points.ndim != 2 or points.shape[1] != 2:
        raise UserError(f"fixations must be [F, 2] as (x, y), not {list(points.shape)}")
    height, width = shape
    cells = np.floor(points + 0.5)
    outside = ~((cells >= 0) & (cells < (width, height))).all(axis=1)
    if outside.any():
        x, y = points[outside][0]
        raise UserError(
            f"{outside.sum()} of {len(points)} fixations lie outside a map of {width} x {height} pixels, such as "
            f"({x:g}, {y:g})"
        )
    return cells.astype(int).T


def _auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """P(positive > negative) + P(equal) / 2: the Mann-Whitney statistic divided by the number of pairs."""
    if not (len(positive) and len(negative)):
        return np.nan
    ranks = rankdata(np.concatenate([positive, negative]))[: len(positive)]
    return float((ranks.sum() - len(positive) * (len(positive) + 1) / 2) / (len(positive) * len(negative)))


def _checked(saliency: ArrayLike) -> np.ndarray:
    saliency = np.asarray(saliency, float)
    if saliency.ndim != 2 or not np.isfinite(saliency).all():
        bad = np.sum(~np.isfinite(saliency))
        raise UserError(f"a map must be [H, W] and finite; got {list(saliency.shape)}, {bad} values not finite")
    return saliency


def _is_constant(saliency: np.ndarray) -> bool:
    return not np.ptp(saliency) > _CONSTANT * np.abs(saliency).max()


def _pair(saliency: ArrayLike, other: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    saliency, other = _checked(saliency), _checked(other)
    if saliency.shape != other.shape:
        raise UserError(f"maps of {list(saliency.shape)} and {list(other.shape)} pixels cannot be compared")
    return saliency, other


def _distributions(saliency: ArrayLike, other: ArrayLike) -> list[np.ndarray]:
    maps = _pair(saliency, other)
    if lowest := min(0, *(values.min() for values in maps)):
        raise UserError(f"a map with values below 0 is not a distribution; got {lowest:g}")
    if not all(values.sum() > 0 for values in maps):
        raise UserError("a map that is 0 everywhere is not a distribution")
    return [values / values.sum() for values in maps]
