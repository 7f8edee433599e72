"""Augmentation: random numbers drawn once per picture, applied as one affine window and two tone changes.

The numbers of a picture are a function of (seed, epoch, index), so a resumed run draws the same, and so does another
backend. The geometry is the models' own sensor: border pixels are repeated ("nearest fill").
"""

import dataclasses

import numpy as np
from keras import ops

from models.spatial_transformer import sample


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Largest change of each kind, drawn uniformly; 0 switches one off. The defaults are Forch et al. 2019's recipe.

    Attributes:
        rotation: degrees, either way.
        shift: share of the side, each axis, either way.
        zoom: share by which the picture grows or shrinks.
        shear: degrees, either way.
        flip: probability of the mirror image.
        contrast: factor in [1 - contrast, 1 + contrast] about the picture's mean.
        brightness: added, in [-brightness, brightness] of the full range.
        erase: side of a square set to the picture's mean, uniform in [0, erase] of the picture's side.
    """

    rotation: float = 20.0
    shift: float = 0.15
    zoom: float = 0.20
    shear: float = 5.0
    flip: float = 0.5
    contrast: float = 0.0
    brightness: float = 0.0
    erase: float = 0.0

    def __post_init__(self):
        largest = {"rotation": 180.0, "shear": 60.0}
        for field in dataclasses.fields(self):
            value, limit = getattr(self, field.name), largest.get(field.name, 1.0)
            if not isinstance(value, (int, float)) or not 0 <= value <= limit:
                raise ValueError(f"augmentation.{field.name}: expected a number in [0, {limit:g}], got {value!r}")


NONE = Augmentation(rotation=0, shift=0, zoom=0, shear=0, flip=0)
NUMBERS = 11


def draw(seed, epoch, count):
    """Random numbers of `count` pictures in one epoch: NumPy float32 [count, NUMBERS], uniform in [-1, 1)."""
    return np.random.default_rng([seed, epoch, 1]).uniform(-1, 1, (count, NUMBERS)).astype("float32")


def apply(augmentation, images, numbers):
    """Augment a batch with `keras.ops`, eagerly or inside tf.data.

    Args:
        augmentation: Augmentation.
        images: float32 [B, H, W, C] in [0, 1].
        numbers: float32 [B, NUMBERS] in [-1, 1), from `draw`.

    Returns: float32 [B, H, W, C] in [0, 1].
    """
    _, height, width, _ = images.shape
    images = sample(images, matrices(augmentation, numbers)[:, None], (height, width))[:, 0]
    mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
    if augmentation.erase:
        images = ops.where(_erased(augmentation.erase, numbers, height, width), mean, images)
    if augmentation.contrast or augmentation.brightness:
        factor = 1 + augmentation.contrast * numbers[:, 5, None, None, None]
        images = (images - mean) * factor + mean + augmentation.brightness * numbers[:, 6, None, None, None]
    return ops.clip(images, 0.0, 1.0)


def matrices(augmentation, numbers):
    """The window of each augmented picture, float32 [B, 2, 3]: rotation, zoom, shear and mirror, then the shift."""
    radians = np.pi / 180
    angle = augmentation.rotation * radians * numbers[:, 0]
    slant = ops.tan(augmentation.shear * radians * numbers[:, 1])
    zoom = 1 + augmentation.zoom * numbers[:, 2]
    mirror = ops.where(numbers[:, 7] < 2 * augmentation.flip - 1, -1.0, 1.0)
    cos, sin = ops.cos(angle), ops.sin(angle)
    # [[cos, -sin], [sin, cos]] @ [[1, slant], [0, 1]] * zoom @ [[mirror, 0], [0, 1]]; a shift of 2 is a whole side
    shift = 2 * augmentation.shift * numbers[:, 3:5]
    x_row = ops.stack([cos * zoom * mirror, (cos * slant - sin) * zoom, shift[:, 0]], axis=-1)
    y_row = ops.stack([sin * zoom * mirror, (sin * slant + cos) * zoom, shift[:, 1]], axis=-1)
    return ops.stack([x_row, y_row], axis=1)


def _erased(erase, numbers, height, width):
    """Boolean [B, H, W, 1]: a square of a side uniform in [0, erase] anywhere in the picture."""
    half = erase * (numbers[:, 10:11] + 1) / 2
    y = ops.convert_to_tensor(np.linspace(-1, 1, height, dtype="float32"))[None]
    x = ops.convert_to_tensor(np.linspace(-1, 1, width, dtype="float32"))[None]
    rows, columns = ops.abs(y - numbers[:, 8:9]) < half, ops.abs(x - numbers[:, 9:10]) < half
    return ops.logical_and(rows[:, :, None], columns[:, None, :])[..., None]
