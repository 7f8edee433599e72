"""Mixup: mix the images and targets of two faces (Zhang, Cisse, Dauphin, Lopez-Paz 2018, arXiv 1710.09412)."""

from typing import Any

import numpy as np
from keras import ops

from edram_fer.preprocessing.records import UNKNOWN_AFFECT


def draw(seed: int, epoch: int, count: int, alpha: float) -> np.ndarray:
    """The share of each image in its mixture in one epoch: float32 [count], in [.5, 1].

    lambda ~ Beta(alpha, alpha), then max(lambda, 1 - lambda). Both orders of a pair are equally likely, so this only
    determines which of the two counts as the image: it outweighs its partner (Berthelot et al. 2019, MixMatch, eq. 9),
    and the mixture has its landmarks.
    """
    shares = np.random.default_rng([seed, epoch, 3]).beta(alpha, alpha, count)
    return np.maximum(shares, 1 - shares).astype("float32")


def mix(images: Any, targets: dict[str, Any], shares: Any) -> tuple[Any, dict[str, Any]]:
    """x = lambda x_i + (1 - lambda) x_j and y = lambda y_i + (1 - lambda) y_j, eqs. 1 and 2.

    The partner j is the next image in the batch, and for the last image the first. The order is random, so the partner
    is random, too.

    Args:
        images: float32 [B, H, W, C].
        targets: "emotion" float32 [B, K], probabilities, and optionally "affect" float32 [B, 2], UNKNOWN_AFFECT where
            it is not known; other targets stay unchanged.
        shares: lambda, float32 [B], from `draw`.

    Returns:
        (images, targets), mixed. Affect is known only if it is known for both images.
    """
    mixed = {"emotion": _mix(targets["emotion"], shares)}
    if "affect" in targets:
        known = ops.all(targets["affect"] >= -1.0, axis=-1, keepdims=True)
        both = ops.logical_and(known, ops.roll(known, -1, axis=0))
        mixed["affect"] = ops.where(both, _mix(targets["affect"], shares), UNKNOWN_AFFECT)
    return _mix(images, shares), {**targets, **mixed}


def _mix(values, shares):
    shares = ops.reshape(shares, (-1, *[1] * (len(values.shape) - 1)))
    return shares * values + (1 - shares) * ops.roll(values, -1, axis=0)
