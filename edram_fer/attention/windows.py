"""Where a model looked: the geometry of affine windows, in NumPy alone.

Whatever a model attends to is a weighted set of windows: matrices [[a0, a1, a2], [a3, a4, a5]] that map the window's
[-1, 1]^2 onto the image's, and weights, non-negative and summing to 1 over the windows of an image. Coordinates are
(x, y) with y down, 0 in the middle of the image; align corners: x_pixel = (x + 1) / 2 * (W - 1), so that -1 and 1 are
the CENTRES of the outermost pixels. A pixel's footprint is the unit square around its centre.

A window's size is that of its parallelogram (`area`, `extents`), never the entries a0 and a4: a window turned by a
right angle has a0 = a4 = 0 and covers as much as before.
"""

import numpy as np

from edram_fer.errors import UserError

OFF_MIDDLE = 0.1  # distance of a centre from the middle, in [-1, 1], from which on its place has another name
COLLAPSED = 0.02  # spread of the centres, in [-1, 1], below which a step looks at the same place of every image
_UNIT_CORNERS = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
_CHUNK = 1_000_000  # numbers held at once by each temporary array of the rasteriser
_DIGITS = 12  # of a share of a pixel; what rounding leaves beyond would make an order among equals


def has_windows(windows):
    """Whether a model looks at anything but the whole of every image: `windows` [B, N, 2, 3]."""
    return not np.allclose(windows, np.eye(2, 3))


def names(windows):
    """Names of `windows` [N, 2, 3] by their places, as the viewer sees them: list of N, no two the same.

    The whole image is "face"; the others "upper left", "upper middle", "left", "middle" and so on. Those of one
    place are told apart by their zoom ("middle, 90%"), and where that is the same, too, by a number.
    """
    found = []
    for window, (x, y) in zip(np.asarray(windows), centres(windows), strict=True):
        row = "upper" if y < -OFF_MIDDLE else "lower" if y > OFF_MIDDLE else ""
        column = "left" if x < -OFF_MIDDLE else "right" if x > OFF_MIDDLE else "middle"
        found.append(f"{row} {column}".strip() if has_windows(window) else "face")
    sizes = [f"{name}, {size:.0%}" for name, size in zip(found, zoom(windows), strict=True)]
    found = [size if found.count(name) > 1 else name for name, size in zip(found, sizes, strict=True)]
    return [
        f"{name} ({found[:index].count(name) + 1})" if found.count(name) > 1 else name
        for index, name in enumerate(found)
    ]


def require_weighted_windows(name, windows, recurrent):
    """Raise ValueError, with the `name` of the model, unless it weighs several windows [B, N, 2, 3] of an image
    against each other: N > 1, and not `recurrent`, whose windows follow each other with equal weights."""
    count = np.shape(windows)[1]
    if recurrent:
        raise UserError(
            f"{name}: expected a model that weighs several windows of an image, got {count} glimpses of a recurrent "
            f"one, which follow each other with equal weights"
        )
    if count < 2:
        raise UserError(f"{name}: expected a model that weighs several windows of an image, got one window")


def centres(windows):
    """Centres (x, y) of `windows` [..., 2, 3] as [..., 2], in the image's [-1, 1]."""
    return _checked(windows)[..., 2]


def area(windows):
    """|det A| of `windows` [..., 2, 3] as [...]: the parallelogram's share of the image's area, above 1 if larger."""
    return np.abs(_determinant(_checked(windows)))


def zoom(windows):
    """sqrt(area) of `windows` [..., 2, 3] as [...]: side of the square of the same area, as a share of the image's."""
    return np.sqrt(area(windows))


def extents(windows):
    """Half width and height (|a0| + |a1|, |a3| + |a4|) of the bounding boxes of `windows` [..., 2, 3] as [..., 2]."""
    return np.abs(_checked(windows)[..., :2]).sum(axis=-1)


def corners(windows):
    """Corners (x, y) of `windows` [..., 2, 3] as [..., 4, 2] in the image's [-1, 1].

    In the window's own view they are upper left, upper right, lower right, lower left.
    """
    windows = _checked(windows)
    return np.einsum("...ij,kj->...ki", windows[..., :2], _UNIT_CORNERS) + windows[..., None, :, 2]


def pixels(points, shape):
    """Points (x, y) [..., 2] from [-1, 1] to pixels (column, row) of an image of `shape` (H, W); pixel centres are
    whole numbers."""
    height, width = shape
    return (np.asarray(points, float) + 1) / 2 * (width - 1, height - 1)


def corner_pixels(windows, shape):
    """`corners` of `windows` [..., 2, 3] as [..., 4, 2] in pixels (column, row) of an image of `shape` (H, W)."""
    return pixels(corners(windows), shape)


def coverage(windows, shape):
    """Share of each pixel that lies inside each window.

    Args:
        windows: [..., 2, 3].
        shape: (H, W) of the image; what lies outside the image is cut off.

    Returns: float64 [..., H, W] in [0, 1]: the exact area of parallelogram and pixel footprint in common.
    """
    windows = _checked(windows)
    flat = windows.reshape(-1, 2, 3)
    maps = np.empty((len(flat), *shape))
    for part in _chunks(len(flat), shape):
        count = len(flat[part])
        maps[part] = _rasterise(flat[part], shape, np.arange(count), count)
    return np.clip(np.round(maps, _DIGITS), 0, 1).reshape(*windows.shape[:-2], *shape)


def weighted_coverage(windows, weights, shape):
    """Sum over all windows of weight times `coverage`, [H, W], without holding a map for each window.

    With weights 1 / B over the B images of a class it is the share of the images in which the window covers the
    pixel.

    Args:
        windows: [..., 2, 3].
        weights: non-negative, broadcast against [...].
        shape: (H, W).

    Raises ValueError for windows that are not [..., 2, 3] or not finite, and for negative or not finite weights.
    """
    return grouped_coverage(windows, weights, 0, 1, shape)[0]


def grouped_coverage(windows, weights, group, groups, shape):
    """`weighted_coverage` of each of several groups of windows in one pass, [groups, H, W].

    Args:
        windows: [..., 2, 3].
        weights: non-negative, broadcast against [...].
        group: int, broadcast against [...]: the number of each window's group, 0 to `groups` - 1; negative: in none.
        groups: how many there are; one without windows is 0 everywhere.
        shape: (H, W).

    Raises ValueError as `weighted_coverage` and for a group number that is too large.
    """
    windows = _checked(windows)
    weights, group = (np.broadcast_to(values, windows.shape[:-2]).ravel() for values in (weights, group))
    if not np.all(np.isfinite(weights) & (weights >= 0)):
        raise UserError("weights of windows must be finite and non-negative")
    if group.max(initial=-1) >= groups:
        raise UserError(f"expected group numbers below {groups}, got {group.max()}")
    order = np.argsort(group, kind="stable")  # then a chunk holds few groups, and few maps are held at once
    order = order[group[order] >= 0]
    flat, weights, group = windows.reshape(-1, 2, 3)[order], weights[order], group[order]
    total = np.zeros((groups, *shape))
    for part in _chunks(len(flat), shape):
        first, last = group[part][0], group[part][-1] + 1
        total[first:last] += _rasterise(flat[part], shape, group[part] - first, last - first, weights[part])
    most = np.bincount(group, weights, minlength=groups)[:, None, None]  # where all windows of a group overlap
    most[most == 0] = 1
    return np.maximum(np.round(total / most, _DIGITS), 0) * most


def density(windows, weights, shape):
    """Where the attention lay: `weighted_coverage` divided by its sum, [H, W], summing to 1.

    Raises ValueError when no window with a weight covers any of the image.
    """
    total = weighted_coverage(windows, weights, shape)
    if not total.sum() > 0:
        count = np.size(windows) // 6
        raise UserError(f"a density needs a window that covers some of the image; none of {count} does")
    return total / total.sum()


def moves(windows):
    """Lengths [..., N - 1], in [-1, 1] units, of the moves of scan paths: `windows` [..., N, 2, 3] in time order."""
    return np.linalg.norm(np.diff(centres(windows), axis=-2), axis=-1)


def saccades(windows):
    """Which moves of `windows` [..., N, 2, 3] are jumps, bool [..., N - 1].

    A jump is longer than the half width |a0| + |a1| of the window that it leaves.
    """
    return moves(windows) > extents(windows)[..., :-1, 0]


def spread(windows, classes=None):
    """How far the centres of each step scatter over the images, and how much of it is a matter of the class.

    Args:
        windows: [B, N, 2, 3].
        classes: optional [B] names or indices; images whose class is None count in `overall` alone.

    Returns: dict of
        overall: [N, 2] population variance of x and of y over all images;
        within, between: [N, 2], only with `classes`: mean variance inside a class and variance of the class means,
            both weighted by the size of the class; where all classes are known they add up to `overall`;
        spread: [N] root of the mean of the two overall variances, in [-1, 1] units as a standard deviation;
        collapsed: bool [N], `spread` below 0.02.
    """
    points = centres(windows)
    overall = points.var(axis=0)
    result = {"variance": overall}
    if classes is not None:
        classes = np.asarray(classes)
        known = points[classes != None]  # noqa: E711, of each element
        _, index, sizes = np.unique(classes[classes != None], return_inverse=True, return_counts=True)  # noqa: E711
        shares = (sizes / len(index))[:, None, None]
        groups = [known[index == k] for k in range(len(sizes))]
        result["variance_within"] = (shares * [group.var(axis=0) for group in groups]).sum(axis=0)
        result["variance_between"] = (
            shares * ([group.mean(axis=0) for group in groups] - known.mean(axis=0)) ** 2
        ).sum(axis=0)
    result["spread"] = np.sqrt(overall.mean(axis=-1))
    result["collapsed"] = result["spread"] < COLLAPSED
    return result


def glimpse_statistics(windows):
    """Mean and standard deviation over the images of each step's centre and zoom, for logs.

    `windows` [B, N, 2, 3] gives {"x_1": mean, "x_1_sd": sd, "y_1": ..., "y_1_sd": ..., "zoom_1": ..., "zoom_1_sd":
    ..., "x_2": ...} of floats: x and y in [-1, 1], zoom = sqrt(area), steps counted from 1, population standard
    deviations.
    """
    columns = {"x": centres(windows)[..., 0], "y": centres(windows)[..., 1], "zoom": zoom(windows)}
    result = {}
    for step in range(columns["x"].shape[1]):
        for name, values in columns.items():
            result[f"{name}_{step + 1}"] = float(values[:, step].mean())
            result[f"{name}_{step + 1}_sd"] = float(values[:, step].std())
    return result


def _checked(windows):
    windows = np.asarray(windows, float)
    if windows.shape[-2:] != (2, 3):
        raise UserError(f"windows must be [..., 2, 3], not {list(windows.shape)}")
    if not np.isfinite(windows).all():
        raise UserError(f"{np.sum(~np.isfinite(windows).all(axis=(-2, -1)))} windows have entries that are not finite")
    return windows


def _determinant(windows):
    return windows[..., 0, 0] * windows[..., 1, 1] - windows[..., 0, 1] * windows[..., 1, 0]


def _chunks(count, shape):
    """Slices over `count` windows that keep the rasteriser's temporary arrays (4 edges, H + W + 4 points each)
    small."""
    size = max(1, _CHUNK // (4 * (sum(shape) + 4)))
    return [slice(start, start + size) for start in range(0, count, size)]


def _rasterise(windows, shape, index, maps, weights=None):
    """Exact coverage of `windows` [n, 2, 3], times `weights` [n], summed by `index` [n] into [maps, H, W].

    Each edge is cut where it crosses a grid line, so that every piece lies in one pixel. A piece of height dy at mean
    column x covers, to its right, dy * (1 - fraction of x) of its own pixel and dy of every later pixel in the row:
    two entries in a buffer whose running sum along the row is the coverage, falling edges adding what rising edges
    take away. (The accumulation of scan-line font rasterisers; exact because the area is linear in the edges.) Pieces
    outside the image are pushed onto its border, where they have no height or nothing to their right, or count in
    full from column 0.
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


def _pieces(start, step, height, width):
    """Cut edges `start` + t * `step` ([n, 4, 2], 0 <= t <= 1) at all grid lines: x and y [n, 4, pieces + 1], moved
    into the image."""
    lines = [np.arange(width + 1.0), np.arange(height + 1.0)]
    cuts = [np.broadcast_to([0.0, 1.0], (*start.shape[:2], 2))]
    with np.errstate(divide="ignore", invalid="ignore"):
        for axis in (0, 1):
            cut = (lines[axis] - start[..., axis, None]) / step[..., axis, None]
            cuts.append(np.nan_to_num(np.clip(cut, 0, 1), copy=False))  # an edge along the line: 0 / 0, nothing to cut
    t = np.sort(np.concatenate(cuts, axis=-1), axis=-1)
    x, y = (start[..., axis, None] + t * step[..., axis, None] for axis in (0, 1))
    return np.clip(x, 0, width), np.clip(y, 0, height)


def is_recurrent(predictions):
    """Whether a model predicts after each of several windows.

    Args:
        predictions: dict with "probabilities" [n, T, K] and "windows" [n, N, 2, 3], as `run.predictions.unpack` and
            `evaluation.inference.predict` give it.
    """
    return predictions["probabilities"].shape[1] == predictions["windows"].shape[1] > 1
