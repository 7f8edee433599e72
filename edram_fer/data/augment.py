"""Augmentation: random numbers drawn once per image, applied as one affine window, an erased box, two tone changes.

The numbers of an image are a function of (seed, epoch, index), so a resumed run draws the same, and so does another
backend. The geometry is the models' own sensor: border pixels are repeated ("nearest fill").
"""

import dataclasses

import numpy as np
from keras import ops

from edram_fer.data import erasing
from edram_fer.errors import UserError
from edram_fer.models.spatial_transformer import sample


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Largest change of each kind, drawn uniformly; 0 switches one off. The defaults are Forch et al. 2019's recipe.

    Attributes:
        rotation: degrees, either way.
        shift: share of the side, each axis, either way.
        zoom: share by which the image grows or shrinks.
        shear: degrees, either way.
        flip: probability of the mirror image.
        contrast: factor in [1 - contrast, 1 + contrast] about the image's mean.
        brightness: added, in [-brightness, brightness] of the full range.
        erase: probability that a random rectangle is set to the image's mean, see edram_fer.data.erasing.
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
                raise UserError(f"augmentation.{field.name}: expected a number in [0, {limit:g}], got {value!r}")


NONE = Augmentation(rotation=0, shift=0, zoom=0, shear=0, flip=0)
NUMBERS = 8
_DRAWN = 11  # three more than there is use for: another number would change the images of every seed


def draw(seed, epoch, count):
    """Random numbers of `count` images in one epoch: NumPy float32 [count, NUMBERS], uniform in [-1, 1)."""
    return np.random.default_rng([seed, epoch, 1]).uniform(-1, 1, (count, _DRAWN))[:, :NUMBERS].astype("float32")


def apply(augmentation, images, numbers, boxes=None):
    """Augment a batch with `keras.ops`, eagerly or inside tf.data.

    Args:
        augmentation: Augmentation.
        images: float32 [B, H, W, C] in [0, 1].
        numbers: float32 [B, NUMBERS] in [-1, 1), from `draw`.
        boxes: float32 [B, 4] from `erasing.draw`, where the augmentation erases.

    Returns: float32 [B, H, W, C] in [0, 1].
    """
    _, height, width, _ = images.shape
    images = sample(images, matrices(augmentation, numbers)[:, None], (height, width))[:, 0]
    mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
    if augmentation.erase:
        images = erasing.erase(images, boxes)
    if augmentation.contrast or augmentation.brightness:
        factor = 1 + augmentation.contrast * numbers[:, 5, None, None, None]
        images = (images - mean) * factor + mean + augmentation.brightness * numbers[:, 6, None, None, None]
    return ops.clip(images, 0.0, 1.0)


def matrices(augmentation, numbers):
    """The window of each augmented image, float32 [B, 2, 3]: rotation, zoom, shear and mirror, then the shift."""
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
