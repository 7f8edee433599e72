"""Geometry of affine windows, in NumPy alone: where a model looked.

Every model attends to a weighted set of windows: matrices [[a0, a1, a2], [a3, a4, a5]] that map the window's [-1, 1]^2
onto the image's, and weights, non-negative and summing to 1 over the windows of an image. Coordinates are (x, y) with y
down and 0 in the middle of the image, with aligned corners: x_pixel = (x + 1) / 2 * (W - 1), so that -1 and 1 are the
CENTRES of the outermost pixels. A pixel's footprint is the unit square around its centre.

The size of a window is the size of its parallelogram (`area`, `extents`), not the entries a0 and a4: a window rotated
by 90 degrees has a0 = a4 = 0 and still covers the same area.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from edram_fer.errors import UserError

OFF_MIDDLE = 0.1  # distance of a centre from the middle, in [-1, 1], beyond which it is not called "middle"
COLLAPSED = 0.02  # spread of the centres, in [-1, 1], below which a step looks at the same position in every image
_UNIT_CORNERS = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
_CHUNK = 1_000_000  # largest number of elements in any temporary array of the rasteriser
_DIGITS = 12  # decimals of a pixel's share that are kept: rounding errors beyond them would rank equal values


def has_windows(windows: ArrayLike) -> bool:
    """Whether a model has windows other than the whole image.

    Args:
        windows: [B, N, 2, 3].

    >>> has_windows([[[[0.5, 0, 0.2], [0, 0.5, 0]]]])
    True
    """
    return not np.allclose(windows, np.eye(2, 3))


def is_recurrent(predictions: Mapping[str, np.ndarray]) -> bool:
    """Whether a model predicts after each of several windows.

    Args:
        predictions: dict with "probabilities" [n, T, K] and "windows" [n, N, 2, 3], as returned by
            `run.predictions.unpack` and `evaluation.inference.predict`.
    """
    return predictions["probabilities"].shape[1] == predictions["windows"].shape[1] > 1


def names(windows: ArrayLike) -> list[str]:
    """Name windows by their positions, as the viewer sees them; all names are different.

    The whole image is "face"; the others are "upper left", "upper middle", "left", "middle" and so on. Windows at the
    same position are distinguished by their zoom ("middle, 90%") and, if the zoom is the same as well, by a number.

    Args:
        windows: [N, 2, 3].

    Returns:
        N names.

    >>> names([[[1, 0, 0], [0, 1, 0]], [[0.5, 0, -0.5], [0, 0.5, -0.5]]])
    ['face', 'upper left']
    """
    places: list[str] = []
    for window, (x, y) in zip(np.asarray(windows), centres(windows), strict=True):
        row = "upper" if y < -OFF_MIDDLE else "lower" if y > OFF_MIDDLE else ""
        column = "left" if x < -OFF_MIDDLE else "right" if x > OFF_MIDDLE else "middle"
        places.append(f"{row} {column}".strip() if has_windows(window) else "face")
    zoomed = [
        f"{place}, {size:.0%}" if places.count(place) > 1 else place
        for place, size in zip(places, zoom(windows), strict=True)
    ]
    return [
        f"{name} ({zoomed[:index].count(name) + 1})" if zoomed.count(name) > 1 else name
        for index, name in enumerate(zoomed)
    ]


def require_weighted_windows(name: object, windows: ArrayLike, recurrent: bool) -> None:
    """Check that a model weighs several windows of an image against each other.

    Args:
        name: name of the model or its run, for the message.
        windows: [B, N, 2, 3].
        recurrent: whether the windows are in time order, which gives them equal weights.

    Raises:
        UserError: the model has one window, or is recurrent.

    >>> require_weighted_windows("runs/edram", np.zeros((1, 6, 2, 3)), recurrent=True)
    Traceback (most recent call last):
    edram_fer.errors.UserError: runs/edram: expected a model that weighs several windows of an image, got a recurrent...
    """
    count = np.shape(windows)[1]
    if recurrent:
        raise UserError(
            f"{name}: expected a model that weighs several windows of an image, got a recurrent model, whose {count} "
            f"glimpses have equal weights"
        )
    if count < 2:
        raise UserError(f"{name}: expected a model that weighs several windows of an image, got one window")


def centres(windows: ArrayLike) -> np.ndarray:
    """Centres (x, y) of windows in the image's [-1, 1].

    Args:
        windows: [..., 2, 3].

    Returns:
        [..., 2].

    >>> centres([[0.5, 0, 0.2], [0, 0.5, -0.1]]).tolist()
    [0.2, -0.1]
    """
    return _checked(windows)[..., 2]


def area(windows: ArrayLike) -> np.ndarray:
    """Area |det A| of windows, as a share of the image's area; above 1 if larger than the image.

    Args:
        windows: [..., 2, 3].

    Returns:
        [...].

    >>> float(area([[0, -0.5, 0], [0.5, 0, 0]]))
    0.25
    """
    return np.abs(_determinant(_checked(windows)))


def zoom(windows: ArrayLike) -> np.ndarray:
    """Zoom sqrt(area) of windows: the side of the square of the same area, as a share of the image's side.

    Args:
        windows: [..., 2, 3].

    Returns:
        [...].

    >>> float(zoom([[0, -0.5, 0], [0.5, 0, 0]]))
    0.5
    """
    return np.sqrt(area(windows))


def extents(windows: ArrayLike) -> np.ndarray:
    """Half width and half height (|a0| + |a1|, |a3| + |a4|) of the bounding boxes of windows, in [-1, 1] units.

    Args:
        windows: [..., 2, 3].

    Returns:
        [..., 2].

    >>> extents([[0.5, 0.25, 0], [0, 0.5, 0]]).tolist()
    [0.75, 0.5]
    """
    return np.abs(_checked(windows)[..., :2]).sum(axis=-1)


def corners(windows: ArrayLike) -> np.ndarray:
    """Corners (x, y) of windows in the image's [-1, 1].

    Args:
        windows: [..., 2, 3].

    Returns:
        [..., 4, 2]: upper left, upper right, lower right, lower left, as seen in the window.

    >>> corners([[0.5, 0, 0], [0, 0.25, 0]]).tolist()
    [[-0.5, -0.25], [0.5, -0.25], [0.5, 0.25], [-0.5, 0.25]]
    """
    windows = _checked(windows)
    return np.einsum("...ij,kj->...ki", windows[..., :2], _UNIT_CORNERS) + windows[..., None, :, 2]


def pixels(points: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    """Convert points from [-1, 1] to pixels; pixel centres are at whole numbers.

    Args:
        points: [..., 2] as (x, y).
        shape: (H, W) of the image.

    Returns:
        [..., 2] as (column, row).

    >>> pixels([0, 1], (11, 21)).tolist()
    [10.0, 10.0]
    """
    height, width = shape
    return (np.asarray(points, float) + 1) / 2 * (width - 1, height - 1)


def corner_pixels(windows: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    """`corners` of windows [..., 2, 3] as [..., 4, 2] in pixels (column, row) of an image of `shape` (H, W).

    >>> corner_pixels(np.eye(2, 3), (48, 64)).tolist()
    [[0.0, 0.0], [63.0, 0.0], [63.0, 47.0], [0.0, 47.0]]
    """
    return pixels(corners(windows), shape)


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
    windows = _checked(windows)
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
    windows = _checked(windows)
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


def moves(windows: ArrayLike) -> np.ndarray:
    """Lengths of the moves of scan paths, in [-1, 1] units.

    Args:
        windows: [..., N, 2, 3] in time order.

    Returns:
        [..., N - 1].

    >>> moves([[[0.5, 0, -0.3], [0, 0.5, 0]], [[0.5, 0, 0.3], [0, 0.5, 0.8]]]).tolist()
    [1.0]
    """
    return np.linalg.norm(np.diff(centres(windows), axis=-2), axis=-1)


def saccades(windows: ArrayLike) -> np.ndarray:
    """Which moves of scan paths are saccades: longer than the half width |a0| + |a1| of the window that they leave.

    Args:
        windows: [..., N, 2, 3] in time order.

    Returns:
        bool [..., N - 1].

    >>> small, large = [[0.2, 0, 0], [0, 0.2, 0]], [[0.8, 0, 0.5], [0, 0.8, 0]]
    >>> saccades([small, large, small]).tolist()
    [True, False]
    """
    return moves(windows) > extents(windows)[..., :-1, 0]


def spread(windows: ArrayLike, classes: ArrayLike | None = None) -> dict[str, np.ndarray]:
    """Variance of the centres of each step over the images, and how much of it the class explains.

    Args:
        windows: [B, N, 2, 3].
        classes: optional [B] names or indices; images whose class is None count in `variance` alone.

    Returns:
        dict with
            variance: [N, 2] population variance of x and of y over all images;
            variance_within, variance_between: [N, 2], only with `classes`: mean variance within a class and variance of
                the class means, both weighted by the size of the class; they add up to `variance` if every image has
                a class;
            spread: [N] square root of the mean of the variances of x and y, a standard deviation in [-1, 1] units;
            collapsed: bool [N], `spread` below 0.02.

    Two images: the first glimpse is the same, the second is 0.4 to the left or to the right.

    >>> left, right = ([np.eye(2, 3), [[0.5, 0, x], [0, 0.5, 0]]] for x in (-0.4, 0.4))
    >>> spread([left, right])["collapsed"].tolist(), spread([left, right])["variance"][1].round(2).tolist()
    ([True, False], [0.16, 0.0])
    """
    points = centres(windows)
    variance = points.var(axis=0)
    result = {"variance": variance}
    if classes is not None:
        classes = np.asarray(classes)
        has_class = classes != None  # noqa: E711, elementwise
        members = points[has_class]
        _, index, sizes = np.unique(classes[has_class], return_inverse=True, return_counts=True)
        shares = (sizes / len(index))[:, None, None]
        groups = [members[index == k] for k in range(len(sizes))]
        means = np.array([group.mean(axis=0) for group in groups])
        result["variance_within"] = (shares * [group.var(axis=0) for group in groups]).sum(axis=0)
        result["variance_between"] = (shares * (means - members.mean(axis=0)) ** 2).sum(axis=0)
    result["spread"] = np.sqrt(variance.mean(axis=-1))
    result["collapsed"] = result["spread"] < COLLAPSED
    return result


def glimpse_statistics(windows: ArrayLike) -> dict[str, np.ndarray]:
    """Mean and standard deviation over the images of each window's centre and zoom.

    Args:
        windows: [B, N, 2, 3].

    Returns:
        "x", "x_sd", "y", "y_sd", "zoom" and "zoom_sd", each [N]: x and y in [-1, 1], zoom = sqrt(area), population
        standard deviations.

    >>> windows = [[[[0.5, 0, x], [0, 0.5, 0]]] for x in (-0.4, 0.4)]
    >>> {name: values.round(2).tolist() for name, values in glimpse_statistics(windows).items() if "_" in name}
    {'x_sd': [0.4], 'y_sd': [0.0], 'zoom_sd': [0.0]}
    """
    columns = {"x": centres(windows)[..., 0], "y": centres(windows)[..., 1], "zoom": zoom(windows)}
    result: dict[str, np.ndarray] = {}
    for name, values in columns.items():
        result |= {name: values.mean(axis=0), f"{name}_sd": values.std(axis=0)}
    return result


def _checked(windows: ArrayLike) -> np.ndarray:
    windows = np.asarray(windows, float)
    if windows.shape[-2:] != (2, 3):
        raise UserError(f"windows must be [..., 2, 3], not {list(windows.shape)}")
    if not np.isfinite(windows).all():
        raise UserError(f"{np.sum(~np.isfinite(windows).all(axis=(-2, -1)))} windows have entries that are not finite")
    return windows


def _determinant(windows: np.ndarray) -> np.ndarray:
    return windows[..., 0, 0] * windows[..., 1, 1] - windows[..., 0, 1] * windows[..., 1, 0]


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
    rise = np.diff(y) * -np.sign(_determinant(windows))[:, None, None]
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
