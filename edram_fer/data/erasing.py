"""Random erasing: a rectangle of an image is lost (Zhong, Zheng, Kang, Li, Yang 2020, arXiv 1708.04896)."""

import numpy as np
from keras import ops

AREA = (0.02, 0.4)  # of the image, s_l and s_h of the paper
ASPECT = (0.3, 1 / 0.3)  # height by width, r_1 and r_2


def draw(seed, epoch, count, probability, size):
    """The rectangle that each image loses in one epoch, after the paper's algorithm 1.

    Area S_e and aspect ratio r_e are uniform; height sqrt(S_e r_e), width sqrt(S_e / r_e), the corner anywhere; drawn
    again where it reaches beyond the image.

    Args:
        probability: that an image loses one.
        size: (H, W) in pixels.

    Returns: NumPy float32 [count, 4] = (left, top, right, bottom) in pixels; all 0 where nothing is lost.
    """
    rng = np.random.default_rng([seed, epoch, 2])
    height, width = size
    boxes = np.zeros((count, 4))
    left = np.flatnonzero(rng.random(count) < probability)
    while len(left):
        area = rng.uniform(*AREA, len(left)) * height * width
        aspect = rng.uniform(*ASPECT, len(left))
        corner = rng.uniform(0, (width, height), (len(left), 2))
        sides = np.stack([np.sqrt(area / aspect), np.sqrt(area * aspect)], axis=-1)
        boxes[left] = np.concatenate([corner, corner + sides], axis=-1)
        left = left[(corner + sides > (width, height)).any(axis=-1)]
    return boxes.astype("float32")


def erase(images, boxes):
    """Set the pixels whose centres are in the rectangle to the image's mean (the paper's variant RE-M).

    Args:
        images: float32 [B, H, W, C]; boxes: float32 [B, 4] from `draw`.

    Returns: float32 [B, H, W, C].
    """
    _, height, width, _ = images.shape
    x, y = (ops.convert_to_tensor(np.arange(side, dtype="float32") + 0.5)[None] for side in (width, height))
    columns = ops.logical_and(x >= boxes[:, 0:1], x < boxes[:, 2:3])
    rows = ops.logical_and(y >= boxes[:, 1:2], y < boxes[:, 3:4])
    inside = ops.logical_and(rows[:, :, None], columns[:, None, :])[..., None]
    return ops.where(inside, ops.mean(images, axis=(1, 2, 3), keepdims=True), images)
