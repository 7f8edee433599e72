"""Maps of affine windows: the exact share of each pixel that a window, or many weighted windows, cover."""

import numpy as np
from numpy.typing import ArrayLike

from edram_fer.attention.windows import checked, corner_pixels, determinant
from edram_fer.errors import UserError

_CHUNK = 1_000_000  # largest number of elements in any temporary array of the rasteriser
_DIGITS = 12  # decimals of a pixel's share that are kept: rounding errors beyond them would rank equal values


def coverage(windows: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    """Share of each pixel that lies inside each window.

    Args:
        windows: [..., 2, 3].
        shape: (H, W) of the image; parts of a window outside the image are cut off.

    Returns:
        float64 [..., H, W] in [0, 1]: the exact area of the intersection of parallelogram and pixel footprint.

    >>> coverage([[0.5, 0, 0], [0, 0.5, 0]], (3, 3)).round(2).tolist()
    [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    windows = checked(windows)
    flat = windows.reshape(-1, 2, 3)
    maps = np.empty((len(flat), *shape))
    for part in _chunks(len(flat), shape):
        count = len(flat[part])
        maps[part] = _rasterise(flat[part], shape, np.arange(count), count)
    return np.clip(np.round(maps, _DIGITS), 0, 1).reshape(*windows.shape[:-2], *shape)


def weighted_coverage(windows: ArrayLike, weights: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    """Sum over all windows of weight times `coverage`, without storing a map for each window.

    With weights 1 / B over the B images of a class it is the share of the images in which the window covers each pixel.

    Args:
        windows: [..., 2, 3].
        weights: non-negative, broadcast against [...].
        shape: (H, W) of the image.

    Returns:
        [H, W].

    Raises:
        UserError: the windows are not [..., 2, 3] or not finite, or a weight is negative or not finite.

    The middle is inside both windows, the rim inside the larger one alone:

    >>> windows = [np.eye(2, 3) * 1.5, np.eye(2, 3) * 0.5]
    >>> weighted_coverage(windows, [0.25, 0.75], (3, 3)).tolist()
    [[0.25, 0.25, 0.25], [0.25, 1.0, 0.25], [0.25, 0.25, 0.25]]
    """
    return grouped_coverage(windows, weights, 0, 1, shape)[0]


def grouped_coverage(
    windows: ArrayLike, weights: ArrayLike, group: ArrayLike, groups: int, shape: tuple[int, int]
) -> np.ndarray:
    """`weighted_coverage` of each of several groups of windows in one pass.

    Args:
        windows: [..., 2, 3].
        weights: non-negative, broadcast against [...].
        group: int, broadcast against [...]: the number of each window's group, 0 to `groups` - 1; negative: none.
        groups: number of groups; the map of a group without windows is 0 everywhere.
        shape: (H, W) of the image.

    Returns:
        [groups, H, W].

    Raises:
        UserError: see `weighted_coverage`; also if a group number is too large.

    >>> windows = [np.eye(2, 3) * 1.5, np.eye(2, 3) * 0.5]
    >>> grouped_coverage(windows, 1, [1, 0], 2, (3, 3))[0].tolist()
    [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    windows = checked(windows)
    weights, group = (np.broadcast_to(values, windows.shape[:-2]).ravel() for values in (weights, group))
    if not np.all(np.isfinite(weights) & (weights >= 0)):
        raise UserError("weights of windows must be finite and non-negative")
    if group.max(initial=-1) >= groups:
        raise UserError(f"expected group numbers below {groups}, got {group.max()}")
    order = np.argsort(group, kind="stable")  # a chunk then holds few groups, and few maps are in memory at once
    order = order[group[order] >= 0]
    flat, weights, group = windows.reshape(-1, 2, 3)[order], weights[order], group[order]
    total = np.zeros((groups, *shape))
    for part in _chunks(len(flat), shape):
        first, last = group[part][0], group[part][-1] + 1
        total[first:last] += _rasterise(flat[part], shape, group[part] - first, last - first, weights[part])
    largest = np.bincount(group, weights, minlength=groups)[:, None, None]  # where all windows of a group overlap
    largest[largest == 0] = 1
    return np.maximum(np.round(total / largest, _DIGITS), 0) * largest


def density(windows: ArrayLike, weights: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    """Density of the attention: `weighted_coverage` divided by its sum.

    Args:
        windows: [..., 2, 3].
        weights: non-negative, broadcast against [...].
        shape: (H, W) of the image.

    Returns:
        [H, W], summing to 1.

    Raises:
        UserError: no window with a weight covers any of the image.

    >>> density([np.eye(2, 3) * 1.5], [1], (2, 2)).tolist()
    [[0.25, 0.25], [0.25, 0.25]]
    """
    total = weighted_coverage(windows, weights, shape)
    if not total.sum() > 0:
        count = np.size(windows) // 6
        raise UserError(f"a density needs a window that covers some of the image; none of {count} does")
    return total / total.sum()


def _chunks(count: int, shape: tuple[int, int]) -> list[slice]:
    """Slices over `count` windows that limit the rasteriser's temporary arrays (4 edges of H + W + 4 points each)."""
    size = max(1, _CHUNK // (4 * (sum(shape) + 4)))
    return [slice(start, start + size) for start in range(0, count, size)]


def _rasterise(
    windows: np.ndarray, shape: tuple[int, int], index: np.ndarray, maps: int, weights: np.ndarray | None = None
) -> np.ndarray:
    """Exact coverage of `windows` [n, 2, 3], times `weights` [n], summed by `index` [n] into [maps, H, W].

    This is the accumulation method of scan-line font rasterisers; it is exact because the area is linear in the edges.
    Each edge is cut where it crosses a grid line, so that every piece lies in one pixel. To its right, a piece of
    height dy at mean column x covers dy * (1 - fraction of x) of its own pixel and dy of every later pixel in the row:
    two entries in a buffer whose running sum along the row is the coverage. Falling edges add what rising edges
    subtract. Pieces outside the image are moved to its border: above and below they have no height, at the right no
    pixel follows them, and at the left they count in full from column 0.
    """
    height, width = shape
    start = corner_pixels(windows, shape) + 0.5  # from here pixel i is [i, i + 1]
    end = np.roll(start, -1, axis=1)
    x, y = _pieces(start, end - start, height, width)
    rise = np.diff(y) * -np.sign(determinant(windows))[:, None, None]
    if weights is not None:
        rise *= weights[:, None, None]
    middle = (x[..., 1:] + x[..., :-1]) / 2
    column = np.minimum(middle.astype(np.intp), width)
    row = np.minimum(((y[..., 1:] + y[..., :-1]) / 2).astype(np.intp), height - 1)
    count = height * (width + 2)
    cell = index[:, None, None] * count + row * (width + 2) + column
    fraction = middle - column
    buffer = np.bincount(cell.ravel(), (rise * (1 - fraction)).ravel(), minlength=maps * count)
    buffer += np.bincount(cell.ravel() + 1, (rise * fraction).ravel(), minlength=maps * count)
    return buffer.reshape(maps, height, width + 2).cumsum(axis=-1)[..., :width]


def _pieces(start: np.ndarray, step: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut edges `start` + t * `step` ([n, 4, 2], 0 <= t <= 1) at all grid lines.

    Returns: x and y [n, 4, pieces + 1], moved into the image.
    """
    lines = [np.arange(width + 1.0), np.arange(height + 1.0)]
    cuts = [np.broadcast_to([0.0, 1.0], (*start.shape[:2], 2))]
    with np.errstate(divide="ignore", invalid="ignore"):
        for axis in (0, 1):
            cut = (lines[axis] - start[..., axis, None]) / step[..., axis, None]
            cuts.append(np.nan_to_num(np.clip(cut, 0, 1), copy=False))  # 0 / 0: an edge along the line needs no cut
    t = np.sort(np.concatenate(cuts, axis=-1), axis=-1)
    x, y = (start[..., axis, None] + t * step[..., axis, None] for axis in (0, 1))
    return np.clip(x, 0, width), np.clip(y, 0, height)
