"""Attention densities of each class at each step, and differences between densities.

A density is [H, W], non-negative, and sums to 1 (see `windows.density`). It is nan where it is undefined: for a class
without images, or a step whose windows all miss the image.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from edram_fer.attention.coverage_maps import grouped_coverage, weighted_coverage
from edram_fer.errors import UserError


def densities(
    windows: ArrayLike,
    weights: ArrayLike,
    groups: ArrayLike,
    order: Sequence[str],
    shape: tuple[int, int],
    *,
    by_step: bool = True,
) -> np.ndarray:
    """Density of each group of images, by default at each step.

    Args:
        windows: [B, N, 2, 3].
        weights: [B, N].
        groups: names [B], for instance the true or the predicted emotions; images whose name is None or not in `order`
            are left out.
        order: G distinct names, in the order of the result.
        shape: (H, W) of the image.
        by_step: compute a map for each of the N windows; False: one map for all windows, weighted by their weights.

    Returns:
        [G, N, H, W], or [G, H, W] without `by_step`.

    Raises:
        UserError: the shapes do not agree; see also `windows.weighted_coverage`.

    >>> windows, weights = np.broadcast_to(np.eye(2, 3) * 1.5, (3, 2, 2, 3)), np.full((3, 2), 0.5)
    >>> densities(windows, weights, ["happy", "sad", "happy"], ["happy", "sad"], (48, 48)).shape
    (2, 2, 48, 48)
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
    maps = normalise(total).reshape(len(order), steps, *shape)
    return maps if by_step else maps[:, 0]


def normalise(maps: ArrayLike) -> np.ndarray:
    """Maps [..., H, W] divided by their sums; nan where the sum is 0.

    >>> normalise([[1, 3]]).tolist()
    [[0.25, 0.75]]
    """
    maps = np.asarray(maps, float)
    total = maps.sum(axis=(-2, -1), keepdims=True)
    return np.divide(maps, total, out=np.full_like(maps, np.nan), where=total > 0)


def shares(windows: np.ndarray, weights: np.ndarray, shape: tuple[int, int], by_step: bool = True) -> np.ndarray:
    """Share of the images in which each pixel lies inside the window.

    Args:
        windows: [n, N, 2, 3].
        weights: [n, N].
        shape: (H, W) of the image.
        by_step: with N > 1, compute a map for each window, and then their mean, weighted by the mean weights; False:
            compute only the mean, weighted by the weights of each image.

    Returns:
        [maps, H, W] in [0, 1]; maps is N + 1 or 1.
    """
    if not by_step or windows.shape[1] == 1:
        return weighted_coverage(windows, weights / len(windows), shape)[None]
    maps = [weighted_coverage(windows[:, step], 1 / len(windows), shape) for step in range(windows.shape[1])]
    return np.stack([*maps, np.average(maps, axis=0, weights=weights.mean(axis=0))])


def mean_face(images: np.ndarray) -> np.ndarray:
    """Mean of uint8 images [n, H, W, C] as [H, W, C] in [0, 1], with the contrast that averaging removes restored."""
    face = images.mean(axis=0)
    low, high = np.percentile(face, (1, 99))
    return np.clip(0.1 + 0.8 * (face - low) / max(high - low, 1), 0, 1)


def difference(maps: ArrayLike, reference: ArrayLike) -> np.ndarray:
    """Difference of densities: where one class, step, model or labelling attracts more attention than another.

    Each difference sums to 0, and half the sum of its absolute values is the `total_variation`. Leading axes are
    broadcast, for instance to compare all steps with one: [G, N, H, W] and [G, 1, H, W].

    Args:
        maps: densities [..., H, W].
        reference: densities [..., H, W], subtracted from `maps`.

    Returns:
        [..., H, W].

    Raises:
        UserError: the maps are of different image sizes or do not sum to 1.

    >>> difference([[0.5, 0.5]], [[0.25, 0.75]]).tolist()
    [[0.25, -0.25]]
    """
    maps, reference = _densities(maps), _densities(reference)
    if maps.shape[-2:] != reference.shape[-2:]:
        raise UserError(f"maps of {list(maps.shape[-2:])} and {list(reference.shape[-2:])} pixels cannot be compared")
    return maps - reference


def one_vs_rest(maps: ArrayLike, sizes: ArrayLike) -> np.ndarray:
    """Difference of each class from all other classes together.

    Args:
        maps: densities [G, ..., H, W] of the classes; nan for a class without images.
        sizes: [G] numbers of images, which weight the classes in the mean over the others.

    Returns:
        [G, ..., H, W]: `difference` of each class from the weighted mean of the others; nan if there are no others.

    >>> one_vs_rest([[[1.0, 0.0]], [[0.5, 0.5]], [[0.0, 1.0]]], [10, 10, 10])[0].tolist()
    [[0.75, -0.75]]
    """
    maps, sizes = _densities(maps), np.asarray(sizes, float)
    weighted = np.nan_to_num(maps) * sizes.reshape(-1, *[1] * (maps.ndim - 1))
    return difference(maps, normalise(weighted.sum(axis=0) - weighted))


def step_differences(maps: ArrayLike) -> np.ndarray:
    """Each step minus the step before: [..., N - 1, H, W] from densities [..., N, H, W].

    >>> step_differences([[[0.5, 0.5]], [[0.25, 0.75]]]).tolist()
    [[[-0.25, 0.25]]]
    """
    maps = _densities(maps)
    return maps[..., 1:, :, :] - maps[..., :-1, :, :]


def total_variation(differences: ArrayLike) -> np.ndarray:
    """Total variation distance: the share of the attention that differs, half the sum of |difference| over the pixels.

    Args:
        differences: [..., H, W], as returned by `difference`.

    Returns:
        [...] in [0, 1].

    >>> float(total_variation(difference([[0.5, 0.5]], [[0.25, 0.75]])))
    0.25
    """
    return np.abs(differences).sum(axis=(-2, -1)) / 2


def _densities(maps: ArrayLike) -> np.ndarray:
    maps = np.asarray(maps, float)
    total = maps.sum(axis=(-2, -1))
    if not np.all(np.isnan(total) | np.isclose(total, 1)):
        raise UserError(f"expected densities, which sum to 1, got sums from {np.nanmin(total)} to {np.nanmax(total)}")
    return maps
