"""Check and convert the images for a model: uint8 in 0 to 255 or floats in [0, 1], of the model's size."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from edram_fer.errors import UserError
from edram_fer.models.tensor import Tensor

TOLERANCE = 1e-3  # resampling with rounded weights may exceed [0, 1] by this much


def standardise(images: Tensor, shape: Sequence[int]) -> Tensor:
    """Convert images to float32 [B, H, W, C] in [0, 1].

    Args:
        images: array or tensor [B, H, W, C], or [B, H, W] where C is 1; uint8 in 0 to 255 or floats in [0, 1].
        shape: (H, W, C) of the model's images.

    Returns:
        float32 [B, H, W, C] in [0, 1].

    Raises:
        UserError: see `check`.

    >>> standardise(np.full((1, 2, 2), 255, "uint8"), (2, 2, 1)).shape == (1, 2, 2, 1)
    True
    """
    check(images, shape)
    dtype = keras.backend.standardize_dtype(images.dtype)
    if dtype == "uint8":
        images = ops.cast(images, "float32") / 255
    elif dtype != "float32":
        images = ops.cast(images, "float32")
    return images if _rank(images) == 4 else ops.reshape(images, (-1, *shape))


def check(images: Any, shape: Sequence[int]) -> None:
    """Check shape, dtype and, if known, the values of images for a model.

    Inside `tf.function` or `jax.jit` only dtype and shape are known.

    Args:
        images, shape: see `standardise`.

    Raises:
        UserError: the shape or dtype is not supported, or values are out of range.

    >>> check(np.zeros((1, 64, 64, 1), "float32"), (48, 48, 1))
    Traceback (most recent call last):
    edram_fer.errors.UserError: images: expected [B, 48, 48, 1] (batch, height, width, channels), got [1, 64, 64, 1]
    """
    if not (hasattr(images, "shape") and hasattr(images, "dtype")):
        raise UserError(f"images: expected an array [B, {_format_shape(shape)}], got {type(images).__name__}")
    if _rank(images) is not None:  # inside a graph it may be unknown
        _check_shape(tuple(images.shape), tuple(shape))
    dtype = keras.backend.standardize_dtype(images.dtype)
    if dtype == "uint8":
        return
    if "float" not in dtype:
        raise UserError(f"images: expected uint8 in 0 to 255 or floats in [0, 1], got {dtype}")
    values = _known_values(images)
    if values is None or not values.size:
        return
    lowest, highest = float(values.min()), float(values.max())  # nan where any value is
    if not (lowest >= -TOLERANCE and highest <= 1 + TOLERANCE):
        found_values = "nan" if np.isnan(lowest) else f"values from {lowest:.4g} to {highest:.4g}"
        raise UserError(f"images: expected floats in [0, 1], or uint8 in 0 to 255; got {dtype} with {found_values}")


def _rank(images: Tensor) -> int | None:
    """Number of axes, or None for a symbolic tensor of unknown rank."""
    return images.shape.rank if hasattr(images.shape, "rank") else len(images.shape)


def _check_shape(actual: tuple[int | None, ...], shape: tuple[int, ...]) -> None:
    without_channels = len(actual) == 3 and shape[-1] == 1
    expected = shape[:-1] if without_channels else shape
    sides = actual[1:]
    if len(sides) != len(expected) or any(side not in (None, size) for side, size in zip(sides, expected, strict=True)):
        hint = "; for a single image: image[None]" if actual == shape else ""
        raise UserError(
            f"images: expected [B, {_format_shape(shape)}] (batch, height, width, channels), "
            f"got [{_format_shape(actual)}]{hint}"
        )


def _known_values(images: Tensor) -> np.ndarray | None:
    """The values of an array, or None for a symbolic tensor."""
    if isinstance(images, keras.KerasTensor):
        return None
    try:
        return np.asarray(images)
    except (NotImplementedError, TypeError):  # raised by TensorFlow's and JAX's tensors inside a graph
        return None


def _format_shape(shape: Sequence[int | None]) -> str:
    return ", ".join(str(side) for side in shape)
