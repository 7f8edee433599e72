"""How well maps find the pixels that are known to matter, beside what knows nothing of the image.

Two scores for each image: the pointing game (Zhang et al. 2016, arXiv 1608.00507), whether the map is
largest in the mask, and the area under the ROC curve of the map as a detector of the mask's pixels.
"""

import numpy as np
from scipy.ndimage import distance_transform_edt
from sklearn.metrics import roc_auc_score

from edram_fer.attention.baselines import centre_bias, other_images
from edram_fer.errors import UserError
from edram_fer.intervals import bootstrap


def near(mask, tolerance):
    """Pixels whose centre lies at most `tolerance` pixels from that of one of the mask's; bool [H, W]."""
    return distance_transform_edt(~np.asarray(mask, bool)) <= tolerance


def hit(saliency, mask, tolerance=0):
    """Whether the map [H, W] is largest in or near the mask [H, W]: 1 or 0, of several equal maxima the share."""
    saliency = np.asarray(saliency)
    return float(near(mask, tolerance)[saliency == saliency.max()].mean())


def auc(saliency, mask):
    """Area under the ROC curve: the chance that a pixel of the mask is larger than one beside it, ties half."""
    return float(roc_auc_score(np.asarray(mask, bool).ravel(), np.asarray(saliency).ravel()))


def pointing(maps, masks, *, tolerance=0, seed=0, repeats=1000):
    """Score maps against masks, and beside them what needs no model.

    Args:
        maps: {name: [n, H, W]}; an image whose map is nan in any of them is left out, and so is one whose mask is
            empty or full, for it has no place to find.
        masks: bool or uint8 [n, H, W] or [n, H, W, 1].
        tolerance: of the pointing game, in pixels.
        seed, repeats: of the bootstrap over images.

    Returns: {"images", "excluded", "tolerance", "scores": {name: {"pointing" and "auc": {"value", "interval"}}}} of
    means over the images and 95 % intervals. Beside the maps: "shuffled_NAME", the same maps exchanged
    between the images; "centre_bias", a Gaussian in the middle; "chance", a random pixel: the masks' share of the image
    (with the tolerance), and 0.5.

    Raises ValueError for a tolerance below 0, maps and masks of other shapes, or where no image is left.
    """
    masks = np.asarray(masks).astype(bool).reshape(np.shape(masks)[:3])
    _check(maps, masks, tolerance)
    kept = masks.any(axis=(1, 2)) & ~masks.all(axis=(1, 2))
    kept &= np.all([np.isfinite(values).all(axis=(1, 2)) for values in maps.values()], axis=0)
    if not kept.any():
        raise UserError(f"none of {len(masks)} images has both maps and a mask that is neither empty nor full")
    count, masks = int(kept.sum()), masks[kept]
    maps = {name: np.asarray(values)[kept] for name, values in maps.items()}
    if count > 1:
        others = other_images(count, seed)
        maps |= {f"shuffled_{name}": values[others] for name, values in maps.items()}
    maps["centre_bias"] = np.broadcast_to(centre_bias(masks.shape[1:]), masks.shape)
    found = {
        name: {
            "pointing": np.array([hit(*pair, tolerance) for pair in zip(values, masks)]),
            "auc": np.array([auc(*pair) for pair in zip(values, masks)]),
        }
        for name, values in maps.items()
    }
    share = np.array([near(mask, tolerance).mean() for mask in masks])
    found["chance"] = {"pointing": share, "auc": np.full(count, 0.5)}
    flat = np.stack([each for row in found.values() for each in row.values()])
    ends = bootstrap(lambda rows: {"mean": flat[:, rows].mean(axis=1)}, count, seed=seed, repeats=repeats)["mean"]
    each = ({"value": float(values.mean()), "interval": end.tolist()} for values, end in zip(flat, ends))
    scores = {name: {score: next(each) for score in row} for name, row in found.items()}
    return {"images": count, "excluded": int((~kept).sum()), "tolerance": tolerance, "scores": scores}


def _check(maps, masks, tolerance):
    if not tolerance >= 0:
        raise UserError(f"tolerance: expected 0 or more pixels, got {tolerance}")
    for name, values in maps.items():
        if np.shape(values) != masks.shape:
            raise UserError(
                f"maps {name!r} and masks must be [n, H, W] of the same images, got "
                f"{list(np.shape(values))} and {list(masks.shape)}"
            )
