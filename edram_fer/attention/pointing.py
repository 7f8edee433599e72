"""How well maps find the pixels that are known to matter, compared with baselines that need no model.

Each image has two scores: the pointing game (Zhang et al. 2016, arXiv 1608.00507), which tests whether the maximum of
the map lies in the mask, and the area under the ROC curve of the map as a detector of the mask's pixels.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import distance_transform_edt
from sklearn.metrics import roc_auc_score

from edram_fer.attention.baselines import centre_bias, other_images
from edram_fer.errors import UserError
from edram_fer.intervals import bootstrap

SCORES = ("pointing", "auc")


def dilate(mask: ArrayLike, tolerance: float) -> np.ndarray:
    """Pixels whose centre is within a tolerance of the centre of a pixel of the mask.

    Args:
        mask: bool [H, W].
        tolerance: in pixels.

    Returns:
        bool [H, W].
    """
    return distance_transform_edt(~np.asarray(mask, bool)) <= tolerance


def hit(saliency: ArrayLike, mask: ArrayLike, tolerance: float = 0) -> float:
    """Whether the maximum of a map lies in or near a mask.

    Args:
        saliency: [H, W].
        mask: bool [H, W].
        tolerance: in pixels.

    Returns:
        1 or 0; if several pixels have the maximum, the share of them in or near the mask.

    >>> hit([[0, 3, 3]], [[0, 0, 1]])
    0.5
    """
    saliency = np.asarray(saliency)
    return float(dilate(mask, tolerance)[saliency == saliency.max()].mean())


def auc(saliency: ArrayLike, mask: ArrayLike) -> float:
    """Area under the ROC curve: the probability that a pixel of the mask has a larger value than one outside it.

    Args:
        saliency: [H, W].
        mask: bool [H, W], neither empty nor full.

    Returns:
        In [0, 1]; ties count half.
    """
    return float(roc_auc_score(np.asarray(mask, bool).ravel(), np.asarray(saliency).ravel()))


def pointing(
    maps: Mapping[str, ArrayLike],
    masks: ArrayLike,
    *,
    subjects: ArrayLike | None = None,
    tolerance: float = 0,
    seed: int = 0,
    repeats: int = 1000,
) -> dict[str, Any]:
    """Score maps and baselines against masks.

    Args:
        maps: {name: [n, H, W]}. An image is excluded if one of its maps is nan, or if its mask is empty or full.
        masks: bool or uint8 [n, H, W] or [n, H, W, 1].
        subjects: [n] names, resampled together; None: the images are resampled.
        tolerance: tolerance of the pointing game, in pixels.
        seed: seed of the shuffling and of the bootstrap.
        repeats: number of bootstrap samples.

    Returns:
        {"images", "excluded", "tolerance", "scores": {name: {"pointing" and "auc": {"value", "interval"}}}}: means over
        the images and 95 % intervals. The scores also include "shuffled_NAME", each map scored on another image;
        "centre_bias", a Gaussian in the middle; and "chance", a random pixel: the share of the image that the masks
        (with the tolerance) cover, and 0.5.

    Raises:
        UserError: the tolerance is below 0, maps and masks are of different shapes, or no image is left.
    """
    masks = _masks(masks)
    _check(maps, masks, tolerance)
    kept = scorable(maps, masks)
    if not kept.any():
        raise UserError(f"none of {len(masks)} images has both maps and a mask that is neither empty nor full")
    count, masks = int(kept.sum()), masks[kept]
    maps = {name: np.asarray(values)[kept] for name, values in maps.items()}
    if count > 1:
        others = other_images(count, seed)
        maps |= {f"shuffled_{name}": values[others] for name, values in maps.items()}
    maps["centre_bias"] = np.broadcast_to(centre_bias(masks.shape[1:]), masks.shape)
    scores = {name: _scores(values, masks, tolerance) for name, values in maps.items()}
    shares = [dilate(mask, tolerance).mean() for mask in masks]
    scores["chance"] = np.array([shares, np.full(count, 0.5)])
    ends = bootstrap(
        lambda rows: {name: values[:, rows].mean(axis=1) for name, values in scores.items()},
        count,
        subjects=None if subjects is None else np.asarray(subjects)[kept],
        seed=seed,
        repeats=repeats,
    )
    return {
        "images": count,
        "excluded": int((~kept).sum()),
        "tolerance": tolerance,
        "scores": {name: _summary(values, ends[name]) for name, values in scores.items()},
    }


def scorable(maps: Mapping[str, ArrayLike], masks: ArrayLike) -> np.ndarray:
    """Which images `pointing` does not exclude, bool [n]; see there for the arguments."""
    masks = _masks(masks)
    finite = np.all([np.isfinite(values).all(axis=(1, 2)) for values in maps.values()], axis=0)
    return finite & masks.any(axis=(1, 2)) & ~masks.all(axis=(1, 2))


def _masks(masks):
    """Masks as bool [n, H, W]."""
    return np.asarray(masks).astype(bool).reshape(np.shape(masks)[:3])


def _scores(maps, masks, tolerance):
    """Pointing game and AUC of each image, [2, n]."""
    pairs = list(zip(maps, masks, strict=True))
    return np.array([[hit(*pair, tolerance) for pair in pairs], [auc(*pair) for pair in pairs]])


def _summary(scores, ends):
    """{"pointing", "auc": {"value", "interval"}} from scores [2, n] and the ends [2, 2] of their intervals."""
    values = zip(SCORES, scores, ends, strict=True)
    return {name: {"value": float(score.mean()), "interval": interval.tolist()} for name, score, interval in values}


def _check(maps, masks, tolerance):
    if not tolerance >= 0:
        raise UserError(f"tolerance: expected 0 or more pixels, got {tolerance}")
    for name, values in maps.items():
        if np.shape(values) != masks.shape:
            raise UserError(
                f"maps {name!r} and masks must be [n, H, W] of the same images, got "
                f"{list(np.shape(values))} and {list(masks.shape)}"
            )
