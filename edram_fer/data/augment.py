"""Augmentation: random numbers for each image, applied as one affine window, an erased box, contrast and brightness.

The numbers of an image are a function of (seed, epoch, index), so a resumed run and other backends draw the same
numbers. As in the models' sensor, border pixels are repeated outside the image ("nearest" fill).
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from edram_fer.data import erasing
from edram_fer.errors import UserError
from edram_fer.models.spatial_transformer import sample


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """The largest change of each kind, drawn uniformly; 0 disables it.

    Rotation and shear are those of pixels, also in images that are not square.

    The defaults are close to Forch et al. 2019, whose code draws the zoom for each axis and the shear in [-0.1, 0.1]
    degrees, as does the recipe `forch2019`.

    Attributes:
        rotation: Degrees, in either direction.
        shift: Share of the side, along each axis, in either direction.
        zoom: Share by which the image grows or shrinks.
        zoom_per_axis: Whether width and height are zoomed independently of each other.
        shear: Degrees, in either direction.
        flip: Probability of the mirror image.
        contrast: The factor about the image's mean is in [1 - contrast, 1 + contrast].
        brightness: The added value is in [-brightness, brightness], as a share of the full range.
        erase: Probability that a random rectangle is set to the image's mean, see `edram_fer.data.erasing`.

    Raises:
        UserError: A value is out of range.
    """

    rotation: float = 20.0
    shift: float = 0.15
    zoom: float = 0.20
    shear: float = 5.0
    flip: float = 0.5
    contrast: float = 0.0
    brightness: float = 0.0
    erase: float = 0.0
    zoom_per_axis: bool = False

    def __post_init__(self) -> None:
        largest = {"rotation": 180.0, "shear": 60.0}
        if not isinstance(self.zoom_per_axis, bool):
            raise UserError(f"augmentation.zoom_per_axis: expected true or false, got {self.zoom_per_axis!r}")
        for field in dataclasses.fields(self):
            if field.type is bool:
                continue
            value, limit = getattr(self, field.name), largest.get(field.name, 1.0)
            if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= limit:
                raise UserError(f"augmentation.{field.name}: expected a number in [0, {limit:g}], got {value!r}")


NONE = Augmentation(rotation=0, shift=0, zoom=0, shear=0, flip=0)
NUMBERS = 9
_DRAWN = 11  # two are unused, but drawing fewer would change the images of every seed


def draw(seed: int, epoch: int, count: int) -> np.ndarray:
    """Random numbers of `count` images in one epoch: float32 [count, NUMBERS], uniform in [-1, 1).

    >>> draw(seed=0, epoch=3, count=100).shape
    (100, 9)
    """
    return np.random.default_rng([seed, epoch, 1]).uniform(-1, 1, (count, _DRAWN))[:, :NUMBERS].astype("float32")


def apply(augmentation: Augmentation, images: Any, numbers: Any, boxes: Any | None = None) -> Any:
    """Augment a batch with `keras.ops`, eagerly or inside tf.data.

    Args:
        augmentation: The ranges of the changes.
        images: float32 [B, H, W, C] in [0, 1].
        numbers: float32 [B, NUMBERS] in [-1, 1), from `draw`.
        boxes: float32 [B, 4] from `erasing.draw`, if the augmentation erases.

    Returns:
        float32 [B, H, W, C] in [0, 1].
    """
    images = warp(images, matrices(augmentation, numbers, images.shape[1:3]))
    mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
    if augmentation.erase:
        images = erasing.erase(images, boxes)
    if augmentation.contrast or augmentation.brightness:
        factor = 1 + augmentation.contrast * numbers[:, 5, None, None, None]
        images = (images - mean) * factor + mean + augmentation.brightness * numbers[:, 6, None, None, None]
    return ops.clip(images, 0.0, 1.0)


def warp(images: Any, windows: Any) -> Any:
    """The images as their windows show them; outside the image its border pixels are repeated.

    On TensorFlow by its fused operation, three times as fast as the models' sensor, from which the result differs by
    rounding; elsewhere by that sensor.

    Args:
        images: float32 [B, H, W, C].
        windows: float32 [B, 2, 3], see `models.spatial_transformer`.

    Returns:
        float32 [B, H, W, C].

    >>> image = np.arange(9, dtype="float32").reshape(1, 3, 3, 1)
    >>> mirrored = np.array([[[-1, 0, 0], [0, 1, 0]]], "float32")
    >>> np.asarray(warp(image, mirrored))[0, ..., 0].tolist()
    [[2.0, 1.0, 0.0], [5.0, 4.0, 3.0], [8.0, 7.0, 6.0]]
    """
    _, height, width, _ = images.shape
    if keras.backend.backend() != "tensorflow":
        return sample(images, windows[:, None], (height, width))[:, 0]
    import tensorflow as tf

    half = np.array([width - 1, height - 1], "float32") / 2  # pixel = (coordinate + 1) * half
    linear, middle = windows[:, :, :2], np.sign(half)  # the only pixel of a side is at 0
    shift = windows[:, :, 2:] + 1 - ops.sum(linear * middle, axis=-1, keepdims=True)
    # Not by a product of matrices, whose factors GPUs round, see `sample`.
    pixels = ops.concatenate([linear / np.maximum(half, 0.5), shift], axis=-1) * half[:, None]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.pad(tf.reshape(pixels, (-1, 6)), [[0, 0], [0, 2]]),
        output_shape=(height, width),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )


def matrices(augmentation: Augmentation, numbers: Any, size: Sequence[int] = (1, 1)) -> Any:
    """The window of each augmented image: rotation, zoom, shear and reflection, then the shift.

    Args:
        augmentation: The ranges of the changes.
        numbers: float32 [B, NUMBERS] in [-1, 1), from `draw`.
        size: (H, W) of the images; the default stands for any square.

    Returns:
        float32 [B, 2, 3].
    """
    height, width = (max(side - 1, 1) for side in size)  # of the image, from centre to centre of its outer pixels
    radians = np.pi / 180
    angle = augmentation.rotation * radians * numbers[:, 0]
    slant = ops.tan(augmentation.shear * radians * numbers[:, 1])
    across = 1 + augmentation.zoom * numbers[:, 2]
    down = 1 + augmentation.zoom * numbers[:, 8] if augmentation.zoom_per_axis else across
    mirror = ops.where(numbers[:, 7] < 2 * augmentation.flip - 1, -1.0, 1.0)
    cos, sin = ops.cos(angle), ops.sin(angle)
    # [[cos, -sin], [sin, cos]] @ [[1, slant], [0, 1]] @ [[across * mirror, 0], [0, down]]; a shift of 2 is a whole side
    shift = 2 * augmentation.shift * numbers[:, 3:5]
    x_of_v, y_of_u = (cos * slant - sin) * down * (height / width), sin * across * mirror * (width / height)
    x_row = ops.stack([cos * across * mirror, x_of_v, shift[:, 0]], axis=-1)
    y_row = ops.stack([y_of_u, (sin * slant + cos) * down, shift[:, 1]], axis=-1)
    return ops.stack([x_row, y_row], axis=1)
