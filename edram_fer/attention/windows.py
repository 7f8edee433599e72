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
SLOPES = ("right", "down", "larger", "clockwise")  # see `slopes`
_UNIT_CORNERS = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)


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
    return checked(windows)[..., 2]


def area(windows: ArrayLike) -> np.ndarray:
    """Area |det A| of windows, as a share of the image's area; above 1 if larger than the image.

    Args:
        windows: [..., 2, 3].

    Returns:
        [...].

    >>> float(area([[0, -0.5, 0], [0.5, 0, 0]]))
    0.25
    """
    return np.abs(determinant(checked(windows)))


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
    return np.abs(checked(windows)[..., :2]).sum(axis=-1)


def corners(windows: ArrayLike) -> np.ndarray:
    """Corners (x, y) of windows in the image's [-1, 1].

    Args:
        windows: [..., 2, 3].

    Returns:
        [..., 4, 2]: upper left, upper right, lower right, lower left, as seen in the window.

    >>> corners([[0.5, 0, 0], [0, 0.25, 0]]).tolist()
    [[-0.5, -0.25], [0.5, -0.25], [0.5, 0.25], [-0.5, 0.25]]
    """
    windows = checked(windows)
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
    """Which moves of scan paths are saccades: to a centre outside the window that they leave.

    Args:
        windows: [..., N, 2, 3] in time order.

    Returns:
        bool [..., N - 1].

    >>> small, large = [[0.2, 0, 0], [0, 0.2, 0]], [[0.8, 0, 0.5], [0, 0.8, 0]]
    >>> saccades([small, large, small]).tolist()
    [True, False]
    """
    windows = checked(windows)
    x, y = np.moveaxis(np.diff(windows[..., 2], axis=-2), -1, 0)
    a0, a1, a3, a4 = (windows[..., :-1, row, column] for row in (0, 1) for column in (0, 1))
    # the new centre in the coordinates of the old window, times the determinant, which may be 0
    inside = np.maximum(np.abs(a4 * x - a1 * y), np.abs(a0 * y - a3 * x))
    return inside > np.abs(determinant(windows[..., :-1, :, :]))


def slopes(windows: ArrayLike, gradients: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    """How a score changes as each window moves, grows and turns, from its gradient: to first order, the others fixed.

    Args:
        windows: [..., 2, 3].
        gradients: [..., 2, 3], of the score with respect to the entries of the windows.
        shape: (H, W) of the image.

    Returns:
        [..., 4], in the order of `SLOPES`: per pixel to the right, per pixel down, per tenth of the window's size, and
        per 10 degrees clockwise about the window's centre.

    The score is the x coordinate of the upper right corner:

    >>> slopes([[0.5, 0, 0], [0, 0.5, 0]], [[1, -1, 1], [0, 0, 0]], (11, 21)).round(3).tolist()
    [0.1, 0.0, 0.05, 0.044]
    """
    windows, gradients, (height, width) = checked(windows), checked(gradients), shape
    moved = gradients[..., 2] * 2 / (width - 1, height - 1)
    aspect = (width - 1) / (height - 1)
    turned = np.array([[0, -1 / aspect], [aspect, 0]]) @ windows[..., :2]
    grown, turned = ((gradients[..., :2] * change).sum(axis=(-2, -1)) for change in (windows[..., :2], turned))
    return np.concatenate([moved, np.stack([0.1 * grown, np.radians(10) * turned], axis=-1)], axis=-1)


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
            chance_between: only with `classes`, (K - 1) / (n - 1) for K classes of n images: the share of the variance
                that lies between the classes by chance, if they do not differ; nan for a single image;
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
        result["chance_between"] = np.array((len(sizes) - 1) / (len(index) - 1) if len(index) > 1 else np.nan)
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


def checked(windows: ArrayLike) -> np.ndarray:
    """The windows as a float64 array [..., 2, 3].

    Raises:
        UserError: the shape is another one, or an entry is not finite.
    """
    windows = np.asarray(windows, float)
    if windows.shape[-2:] != (2, 3):
        raise UserError(f"windows must be [..., 2, 3], not {list(windows.shape)}")
    if not np.isfinite(windows).all():
        raise UserError(f"{np.sum(~np.isfinite(windows).all(axis=(-2, -1)))} windows have entries that are not finite")
    return windows


def determinant(windows: np.ndarray) -> np.ndarray:
    """The determinants [...] of the linear parts of windows [..., 2, 3]; negative for a mirrored window."""
    return windows[..., 0, 0] * windows[..., 1, 1] - windows[..., 0, 1] * windows[..., 1, 0]
