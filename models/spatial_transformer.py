"""The affine glimpse sensor: a spatial transformer without its localisation network.

Source: Jaderberg et al., "Spatial Transformer Networks", NeurIPS 2015 (arXiv 1506.02025), equations 1 and 5, with the
align-corners convention: -1 and 1 are the CENTRES of the first and the last pixel, so x_pixel = (x + 1) / 2 * (W - 1).

A window is a matrix A = [[a0, a1, a2], [a3, a4, a5]] that maps the window's coordinates (u, v, 1), with u and v in
[-1, 1], onto the image's coordinates: x = a0 u + a1 v + a2 and y = a3 u + a4 v + a5.
"""

import numbers
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import ops

from edram_fer.errors import UserError
from edram_fer.models.tensor import Tensor

SENSORS = ("gather", "separable", "forch2019", "pytorch")
Taps: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor]  # two pixels, and the weights of both
IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))


def grid(size: Sequence[int]) -> np.ndarray:
    """Homogeneous window coordinates (u, v, 1) of every sample point.

    Args:
        size: (h, w) sample points; a side of 1 is sampled at the window's centre.

    Returns:
        float64 [h * w, 3], row by row from the top left.

    >>> grid((1, 3))
    array([[-1.,  0.,  1.],
           [ 0.,  0.,  1.],
           [ 1.,  0.,  1.]])
    """
    h, w = size
    v, u = np.meshgrid(_axis(h), _axis(w), indexing="ij")
    return np.stack([u.ravel(), v.ravel(), np.ones(h * w)], axis=-1)


def sample(images: Tensor, windows: Tensor, size: int | Sequence[int], method: str = "gather") -> Tensor:
    """Sample glimpses of affine windows bilinearly; outside the image its border pixels are repeated.

    The methods "forch2019" and "pytorch" differ in that, and in the coordinates.

    The coordinates are computed in float32 (float64 if `windows` is float64), regardless of the dtype of the images:
    bfloat16 has 8 significant bits, too few for fractions of a pixel in images of a hundred pixels.

    Args:
        images: [B, H, W, C].
        windows: [B, N, 2, 3] matrices, window -> image.
        size: (h, w) of a glimpse, or one number for both.
        method: "gather" (four taps, any affine window), "separable" (two matrix products A_y I A_x^T, only for windows
            without rotation and shear: a1 and a3 are ignored), or "forch2019": the sensor of the code of Forch et al.
            2019, whose fault is kept for comparison. There x_pixel = (x + 1) / 2 * W, the first tap is truncated
            towards 0, and outside the image, as well as in its last row and column, glimpses are black. "pytorch":
            affine_grid and grid_sample of PyTorch with their defaults, align_corners=False and zero padding. There -1
            and 1 are the outer EDGES of the first and the last pixel, of the image and of the glimpse alike, and pixels
            outside the image are 0.

    Returns:
        [B, N, h, w, C] in the dtype of the coordinates.

    Raises:
        UserError: an unknown method, a size below 1, or arrays of another shape.

    >>> image = np.arange(9.0).reshape(1, 3, 3, 1)
    >>> half = [[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]
    >>> np.asarray(sample(image, np.array([[half]]), 2))[0, 0, ..., 0]
    array([[2., 3.],
           [5., 6.]])
    """
    sides = [*size] if isinstance(size, Sequence) else [size, size]
    if len(sides) != 2 or not all(_is_count(side) for side in sides):
        raise UserError(f"size: expected (h, w) of at least 1 x 1 sample points, got {size!r}")
    h, w = sides
    for name, array, shape in (("images", images, "[B, H, W, C]"), ("windows", windows, "[B, N, 2, 3]")):
        actual = np.shape(array)
        if len(actual) != 4 or (name == "windows" and tuple(actual[2:]) != (2, 3)):
            raise UserError(f"{name}: expected {shape}, got the shape {actual}")
    dtype = keras.backend.standardize_dtype(getattr(windows, "dtype", "float32"))
    dtype = dtype if dtype == "float64" else "float32"
    images, windows = ops.cast(images, dtype), ops.cast(windows, dtype)
    points = grid((h, w))
    if method == "gather":
        return _sample_gather(images, windows, points, (h, w), _taps)
    if method == "forch2019":
        return _sample_gather(images, windows, points, (h, w), _forch_taps)
    if method == "pytorch":
        centres = points * ((w - 1) / w, (h - 1) / h, 1.0)  # of the glimpse's pixels, whose outer edges are -1 and 1
        return _sample_gather(images, windows, centres, (h, w), _pytorch_taps)
    if method == "separable":
        return _sample_separable(images, windows, h, w)
    raise UserError(f"method: expected one of {', '.join(SENSORS)}, got {method!r}")


def _is_count(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and int(value) >= 1


def _axis(points: int) -> np.ndarray:
    return np.linspace(-1.0, 1.0, points) if points > 1 else np.zeros(1)


def _sample_gather(
    images: Tensor,
    windows: Tensor,
    points: np.ndarray,
    size: tuple[int, int],
    taps: Callable[[Tensor, int], Taps],
) -> Tensor:
    """Sample at the window coordinates `points` [h * w, 3], each from the four pixels that `taps` selects."""
    h, w = size
    _, height, width, channels = ops.shape(images)
    count = ops.shape(windows)[1]
    # Not a product of matrices: GPUs round its factors to 11 significant bits (TF32), up to a tenth of a pixel in 224.
    u, v = (ops.convert_to_tensor(axis, dtype=windows.dtype) for axis in points.T[:2])
    coordinates = windows[..., :1] * u + windows[..., 1:2] * v + windows[..., 2:]  # [B, N, 2, h * w]
    left, right, near_left, near_right = taps(coordinates[:, :, 0], width)
    above, below, near_above, near_below = taps(coordinates[:, :, 1], height)

    flat = ops.reshape(images, (-1, height * width, channels))

    def tap(rows, columns):
        index = ops.reshape(rows * width + columns, (-1, count * h * w, 1))
        return ops.reshape(ops.take_along_axis(flat, index, axis=1), (-1, count, h * w, channels))

    near_left, near_right = near_left[..., None], near_right[..., None]
    top = tap(above, left) * near_left + tap(above, right) * near_right
    bottom = tap(below, left) * near_left + tap(below, right) * near_right
    glimpses = top * near_above[..., None] + bottom * near_below[..., None]
    return ops.reshape(glimpses, (-1, count, h, w, channels))


def _taps(coordinate: Tensor, side: int) -> Taps:
    """Two neighbouring pixels and their weights, for coordinates of which the image covers [-1, 1]."""
    pixel = ops.clip((coordinate + 1.0) * (0.5 * (side - 1)), 0.0, float(side - 1))
    # nan may cast to any integer. The second limit keeps it inside the image, so that the result is nan, not a crash.
    first = _limited(ops.cast(ops.floor(pixel), "int32"), max(side - 2, 0))
    share = pixel - ops.cast(first, pixel.dtype)
    return first, ops.minimum(first + 1, side - 1), 1 - share, share


def _forch_taps(coordinate: Tensor, side: int) -> Taps:
    """As `_taps`; where both are the same border pixel, their weights cancel each other."""
    pixel = (coordinate + 1.0) * (0.5 * side)
    whole = ops.cast(pixel, "int32")
    first, second = _limited(whole, side - 1), _limited(whole + 1, side - 1)
    return first, second, ops.cast(second, pixel.dtype) - pixel, pixel - ops.cast(first, pixel.dtype)


def _pytorch_taps(coordinate: Tensor, side: int) -> Taps:
    """As `_taps`, where the image covers [-1, 1] from edge to edge; a pixel outside has the weight 0."""
    pixel = ops.clip(((coordinate + 1.0) * side - 1.0) * 0.5, -2.0, side + 1.0)
    whole = ops.floor(pixel)
    share = pixel - whole
    first = ops.cast(whole, "int32")
    second = first + 1
    inside = [ops.cast(ops.logical_and(tap >= 0, tap < side), pixel.dtype) for tap in (first, second)]
    return *(_limited(tap, side - 1) for tap in (first, second)), (1 - share) * inside[0], share * inside[1]


def _limited(index: Tensor, last: int) -> Tensor:
    """Integers limited to [0, last]. LiteRT's converter takes `ops.clip` to [0, 6] for ReLU6, which has no integers."""
    return ops.minimum(ops.maximum(index, 0), last)


def _sample_separable(images: Tensor, windows: Tensor, h: int, w: int) -> Tensor:
    _, height, width, _ = ops.shape(images)
    across = _interpolation(windows[:, :, 0, 0], windows[:, :, 0, 2], w, width)  # [B, N, w, W]
    down = _interpolation(windows[:, :, 1, 1], windows[:, :, 1, 2], h, height)  # [B, N, h, H]
    rows = ops.einsum("bnhi,bijc->bnhjc", down, images)
    return ops.einsum("bnwj,bnhjc->bnhwc", across, rows)


def _interpolation(scale: Tensor, shift: Tensor, points: int, side: int) -> Tensor:
    """Rows of linear interpolation weights, [B, N, points, side]: hat functions around each sample point."""
    axis = ops.convert_to_tensor(_axis(points), dtype=scale.dtype)
    coordinates = scale[..., None] * axis + shift[..., None]
    pixel = ops.clip((coordinates + 1.0) * (0.5 * (side - 1)), 0.0, float(side - 1))
    pixels = ops.arange(side, dtype=scale.dtype)
    return ops.maximum(1.0 - ops.abs(pixel[..., None] - pixels), 0.0)
