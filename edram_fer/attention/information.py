"""Information gain: by how many bits per fixation a map predicts where people look better than a baseline does.

Kümmerer, Wallis and Bethge 2015, "Information-theoretic model comparison unifies saliency metrics", PNAS 112:16054. A
map is taken as a probability distribution over its pixels. Zero bits are the baseline's; what other people's map gains
over the same baseline is the gain that can be explained.
"""

import numpy as np
from numpy.typing import ArrayLike

from edram_fer.attention.agreement import values_at
from edram_fer.errors import UserError

UNIFORM = 0.01  # share of a uniform distribution in each map: a single fixation outside it would cost infinitely many


def information_gain(
    saliency: ArrayLike, baseline: ArrayLike, fixations: ArrayLike, *, uniform: float = UNIFORM
) -> float:
    """Mean over the fixations of log2(P / B), in bits per fixation.

    The authors first fit each model's blur, centre bias and nonlinearity to fixations. Without that fit, the gain of a
    map that was not trained on fixations is a lower bound.

    Args:
        saliency: P [H, W], non-negative; divided by its sum.
        baseline: B [H, W], such as the centre bias, or the fixations on other images.
        fixations: [F, 2] as (x, y) in pixels of the maps.
        uniform: in (0, 1): each map is mixed with this share of a uniform distribution.

    Returns:
        nan without fixations.

    Raises:
        UserError: a map is not a distribution, the shapes differ, or a fixation lies outside the maps.

    >>> round(information_gain([[3, 1]], [[1, 1]], [[0, 0]], uniform=0.5), 2)
    0.32
    """
    if not 0 < uniform < 1:
        raise UserError(f"uniform: expected a share between 0 and 1, got {uniform}")
    maps = [np.asarray(values, float) for values in (saliency, baseline)]
    if maps[0].shape != maps[1].shape or maps[0].ndim != 2:
        raise UserError(f"maps of {list(maps[0].shape)} and {list(maps[1].shape)} pixels cannot be compared")
    for values in maps:
        if not (np.isfinite(values).all() and values.min() >= 0 and values.sum() > 0):
            raise UserError("expected distributions: finite, at least 0 and not 0 everywhere")
    p, b = (values_at((1 - uniform) * values / values.sum() + uniform / values.size, fixations) for values in maps)
    return float(np.mean(np.log2(p / b))) if len(p) else np.nan
