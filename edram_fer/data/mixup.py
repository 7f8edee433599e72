"""Mixup: images and targets of two faces as one (Zhang, Cisse, Dauphin, Lopez-Paz 2018, arXiv 1710.09412)."""

import numpy as np
from keras import ops

from edram_fer.preprocessing.records import UNKNOWN_AFFECT


def draw(seed, epoch, count, alpha):
    """The share of each image in its mixture in one epoch: NumPy float32 [count], in [.5, 1].

    lambda ~ Beta(alpha, alpha), then max(lambda, 1 - lambda): the pairs are as likely either way round, so only the
    names of the two are exchanged, and an image outweighs its partner (Berthelot et al. 2019, MixMatch, eq. 9): its
    landmarks are the mixture's.
    """
    shares = np.random.default_rng([seed, epoch, 3]).beta(alpha, alpha, count)
    return np.maximum(shares, 1 - shares).astype("float32")


def mix(images, targets, shares):
    """x = lambda x_i + (1 - lambda) x_j and y = lambda y_i + (1 - lambda) y_j, eqs. 1 and 2.

    The partner j is the next image of the batch, for the last one the first: a random one, as the order is random.

    Args:
        images: float32 [B, H, W, C].
        targets: dict of "emotion" float32 [B, K], probabilities, and perhaps "affect" float32 [B, 2], UNKNOWN_AFFECT
            where it is; others are left as they are.
        shares: lambda, float32 [B], from `draw`.

    Returns: (images, targets) mixed. Affect is UNKNOWN_AFFECT where it is of one of the two.
    """
    mixed = {"emotion": _mixed(targets["emotion"], shares)}
    if "affect" in targets:
        known = ops.all(targets["affect"] >= -1.0, axis=-1, keepdims=True)
        both = ops.logical_and(known, ops.roll(known, -1, axis=0))
        mixed["affect"] = ops.where(both, _mixed(targets["affect"], shares), UNKNOWN_AFFECT)
    return _mixed(images, shares), {**targets, **mixed}


def _mixed(values, shares):
    shares = ops.reshape(shares, (-1, *[1] * (len(values.shape) - 1)))
    return shares * values + (1 - shares) * ops.roll(values, -1, axis=0)
