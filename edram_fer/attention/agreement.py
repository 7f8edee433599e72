"""How well a map of attention agrees with where people looked, or with another map.

The measures of Bylinskii, Judd, Oliva, Torralba and Durand 2016 (arXiv 1604.03605, section 4). A map is [H, W] of any
finite values; where a distribution is meant (`sim`, `kl`) it is non-negative and divided by its sum. Fixations are
[F, 2] as (x, y) in pixels of the map, pixel centres at whole numbers, and are looked up in the pixel that they lie in.
A measure that is not defined is nan, never 0.

Faces are centred in their crops, so that a blob in the middle scores well with any of them but the shuffled AUC: tell
none without the maps of `baselines` beside it.
"""

import numpy as np
from scipy.stats import rankdata

from edram_fer.errors import UserError

EPSILON = 2.22e-16  # of KL: float64's, as in the authors' code
_CONSTANT = 1e-12  # of a map's largest value: a range below it is rounding


def nss(saliency, fixations):
    """Normalised scanpath saliency: mean over the fixations of (P - mean P) / sd P, with the population sd.

    0 is chance, 1 is one standard deviation above the mean of the map. 0 for a constant map, nan without fixations.
    """
    saliency = _checked(saliency)
    values = at(saliency, fixations)
    if not len(values):
        return np.nan
    largest = np.abs(saliency).max()
    if _is_constant(saliency):
        return 0.0
    return float(np.mean(values / largest - (saliency / largest).mean()) / (saliency / largest).std())


def cc(saliency, other):
    """Pearson's correlation of two maps over the pixels, in [-1, 1]; nan where one of them is constant."""
    saliency, other = _pair(saliency, other)
    if _is_constant(saliency) or _is_constant(other):
        return np.nan
    return float(np.corrcoef(*(values.ravel() / np.abs(values).max() for values in (saliency, other)))[0, 1])


def sim(saliency, other):
    """Similarity, the intersection of two distributions: sum of min(P, Q), in [0, 1]."""
    return float(np.minimum(*_distributions(saliency, other)).sum())


def kl(saliency, human):
    """Kullback-Leibler divergence of the model's `saliency` P from the `human` map Q: sum of Q log(e + Q / (P + e)).

    0 for equal maps, no upper end, in nats; e = 2.22e-16. Not symmetric: what people looked at and the model did not
    costs most.
    """
    p, q = _distributions(saliency, human)
    return float(np.sum(q * np.log(EPSILON + q / (p + EPSILON))))


def auc_judd(saliency, fixations):
    """Area under the ROC curve of the map as a detector of fixated pixels (Judd, Ehinger, Durand and Torralba 2009).

    True positives: the map's values at the fixations, each fixation counted; false positives: at all pixels without
    any. Ties count half (mid-ranks). 1 at best, 0.5 for chance and for a constant map; nan without fixations, or
    where all pixels are fixated. The authors' code counts a pixel that is fixated twice once.
    """
    saliency = _checked(saliency)
    others = np.ones(saliency.shape, bool)
    columns, rows = _cells(saliency.shape, fixations)
    others[rows, columns] = False
    return _auc(saliency[rows, columns], saliency[others])


def auc_shuffled(saliency, fixations, others):
    """Area under the ROC curve against the fixations of OTHER images (Zhang, Tong, Marks, Shan and Cottrell 2008).

    As `auc_judd`, but false positives are the map's values at `others` [G, 2], where people look whatever the image
    is; all of them are used, not a sample. 0.5 for a map that knows no more than that.
    """
    saliency = _checked(saliency)
    return _auc(at(saliency, fixations), at(saliency, others))


def all_measures(saliency, fixations, human, others=None):
    """{"nss", "auc_judd", "auc_shuffled", "cc", "sim", "kl"} of one map.

    Args:
        saliency: [H, W].
        fixations: [F, 2] on the same image.
        human: [H, W], the map of these fixations (`fixations.fixation_map`).
        others: [G, 2] on other images; without them "auc_shuffled" is nan.
    """
    return {
        "nss": nss(saliency, fixations),
        "auc_judd": auc_judd(saliency, fixations),
        "auc_shuffled": np.nan if others is None else auc_shuffled(saliency, fixations, others),
        "cc": cc(saliency, human),
        "sim": sim(saliency, human),
        "kl": kl(saliency, human),
    }


def at(saliency, fixations):
    """Values of `saliency` [H, W] in the pixels that `fixations` [F, 2] lie in, [F].

    Raises ValueError for fixations that are not [F, 2] or lie outside the map.
    """
    columns, rows = _cells(saliency.shape, fixations)
    return saliency[rows, columns]


def _cells(shape, fixations):
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


def _auc(positive, negative):
    """P(positive > negative) + P(equal) / 2, the Mann-Whitney statistic divided by the number of pairs."""
    if not (len(positive) and len(negative)):
        return np.nan
    ranks = rankdata(np.concatenate([positive, negative]))[: len(positive)]
    return float((ranks.sum() - len(positive) * (len(positive) + 1) / 2) / (len(positive) * len(negative)))


def _checked(saliency):
    saliency = np.asarray(saliency, float)
    if saliency.ndim != 2 or not np.isfinite(saliency).all():
        bad = np.sum(~np.isfinite(saliency))
        raise UserError(f"a map must be [H, W] and finite; got {list(saliency.shape)}, {bad} values not finite")
    return saliency


def _is_constant(saliency):
    return not np.ptp(saliency) > _CONSTANT * np.abs(saliency).max()


def _pair(saliency, other):
    saliency, other = _checked(saliency), _checked(other)
    if saliency.shape != other.shape:
        raise UserError(f"maps of {list(saliency.shape)} and {list(other.shape)} pixels cannot be compared")
    return saliency, other


def _distributions(saliency, other):
    maps = _pair(saliency, other)
    if lowest := min(0, *(values.min() for values in maps)):
        raise UserError(f"a map with values below 0 is no distribution; got {lowest:g}")
    if not all(values.sum() > 0 for values in maps):
        raise UserError("a map that is 0 everywhere is no distribution")
    return [values / values.sum() for values in maps]
