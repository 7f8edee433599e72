"""Where the attention of each class lay at each step, over its mean face, and how two such maps differ.

A density is [H, W], non-negative, and sums to 1 (see `windows.density`); one that is not defined, of a class without
images or a step whose windows all miss the image, is nan.
"""

import numpy as np

from edram_fer.attention.windows import grouped_coverage, weighted_coverage
from edram_fer.errors import UserError


def densities(windows, weights, groups, order, shape, *, by_step=True):
    """Density of each group of images, by default at each step.

    Args:
        windows, weights: [B, N, 2, 3] and [B, N].
        groups: names [B], for instance the true or the predicted emotions; other names than those of `order`, and
            None, are left out.
        order: the G names wanted, each once.
        shape: (H, W) of the image.
        by_step: a map for each of the N windows; False: one for all, by their weights.

    Returns: [G, N, H, W], or [G, H, W] without `by_step`.

    Raises ValueError when the shapes do not agree and for windows or weights that `windows.weighted_coverage` refuses.
    """
    windows, weights, groups = np.asarray(windows), np.asarray(weights), np.asarray(groups, dtype=object)
    count, steps = windows.shape[:2]
    if weights.shape != (count, steps) or groups.shape != (count,):
        raise UserError(
            f"expected weights [{count}, {steps}] and {count} groups for windows {list(windows.shape)}, "
            f"got {list(weights.shape)} and {list(groups.shape)}"
        )
    numbers = {name: number for number, name in enumerate(order)}
    row = np.array([numbers.get(name, -1) for name in groups], int)[:, None]
    steps = steps if by_step else 1
    cell = np.where(row < 0, -1, row * steps + np.arange(steps))
    total = grouped_coverage(windows, weights, cell, len(order) * steps, shape)
    maps = normalised(total).reshape(len(order), steps, *shape)
    return maps if by_step else maps[:, 0]


def normalised(maps):
    """Maps [..., H, W] divided by their sums; nan where the sum is 0."""
    maps = np.asarray(maps, float)
    total = maps.sum(axis=(-2, -1), keepdims=True)
    return np.divide(maps, total, out=np.full_like(maps, np.nan), where=total > 0)


def shares(windows, weights, shape, by_step=True):
    """Share of the images in which each pixel of the map is looked at.

    Args:
        windows, weights: [n, N, 2, 3] and [n, N].
        shape: (H, W).
        by_step: one map for each of N > 1 windows and then their mean, by the mean weights; False: only the mean, by
            the weights of each image.

    Returns: [maps, H, W] in [0, 1].
    """
    if not by_step or windows.shape[1] == 1:
        return weighted_coverage(windows, weights / len(windows), shape)[None]
    maps = [weighted_coverage(windows[:, t], 1 / len(windows), shape) for t in range(windows.shape[1])]
    return np.stack([*maps, np.average(maps, axis=0, weights=weights.mean(axis=0))])


def mean_face(images):
    """Mean of uint8 [n, H, W, C] as [H, W, C] in [0, 1], its contrast stretched: averaging has taken most of it."""
    face = images.mean(axis=0)
    low, high = np.percentile(face, (1, 99))
    return np.clip(0.1 + 0.8 * (face - low) / max(high - low, 1), 0, 1)


def difference(maps, reference):
    """`maps` minus `reference`, [..., H, W]: where one class, step, model or labelling looks more than another.

    Both are densities of the same image shape, so that each difference sums to 0 and half the sum of its absolute
    values is the share of the attention that would have to move (total variation). Leading axes are broadcast: all
    steps against one, [G, N, H, W] and [G, 1, H, W]; true against predicted label, the `densities` by either.

    Raises ValueError when the maps are of different images or do not sum to 1.
    """
    maps, reference = _densities(maps), _densities(reference)
    if maps.shape[-2:] != reference.shape[-2:]:
        raise UserError(f"maps of {list(maps.shape[-2:])} and {list(reference.shape[-2:])} pixels cannot be compared")
    return maps - reference


def one_vs_rest(maps, sizes):
    """Each class minus all others together: what sets it apart, [G, ..., H, W].

    Args:
        maps: densities [G, ..., H, W] of the classes; nan where there are none.
        sizes: [G] images of each class, the weights in the mean of the others; a class without images has none.

    Returns: `difference` of each class to the weighted mean of the others; nan where there are no others.
    """
    maps, sizes = _densities(maps), np.asarray(sizes, float)
    weighted = np.nan_to_num(maps) * sizes.reshape(-1, *[1] * (maps.ndim - 1))
    return difference(maps, normalised(weighted.sum(axis=0) - weighted))


def between_steps(maps):
    """Each step minus the one before, [..., N - 1, H, W] of densities [..., N, H, W]."""
    maps = _densities(maps)
    return maps[..., 1:, :, :] - maps[..., :-1, :, :]


def total_variation(differences):
    """Share of the attention that differs, [...] in [0, 1]: half the sum of |difference| over [..., H, W]."""
    return np.abs(differences).sum(axis=(-2, -1)) / 2


def _densities(maps):
    maps = np.asarray(maps, float)
    total = maps.sum(axis=(-2, -1))
    if not np.all(np.isnan(total) | np.isclose(total, 1)):
        raise UserError(f"expected densities, which sum to 1, got sums from {np.nanmin(total)} to {np.nanmax(total)}")
    return maps
