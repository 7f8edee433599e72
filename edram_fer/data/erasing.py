"""Random erasing: an image loses a rectangle (Zhong, Zheng, Kang, Li, Yang 2020, arXiv 1708.04896)."""

from typing import Any

import numpy as np
from keras import ops

AREA = (0.02, 0.4)  # of the image, s_l and s_h of the paper
ASPECT = (0.3, 1 / 0.3)  # height divided by width, r_1 and r_2


def draw(seed: int, epoch: int, count: int, probability: float, size: tuple[int, int]) -> np.ndarray:
    """The rectangle that each image loses in one epoch, by the paper's algorithm 1.

    Area S_e and aspect ratio r_e are uniform, the height is sqrt(S_e r_e), the width sqrt(S_e / r_e), and the corner is
    uniform over the image; a rectangle that exceeds the image is drawn again.

    Args:
        seed, epoch: The rectangles are a function of these.
        count: Number of images.
        probability: Probability that an image loses a rectangle.
        size: (H, W) in pixels.

    Returns:
        float32 [count, 4] = (left, top, right, bottom) in pixels; all 0 for an image that loses nothing.

    >>> draw(seed=0, epoch=0, count=1000, probability=0.5, size=(48, 48)).shape
    (1000, 4)
    """
    rng = np.random.default_rng([seed, epoch, 2])
    height, width = size
    boxes = np.zeros((count, 4))
    open_rows = np.flatnonzero(rng.random(count) < probability)  # images whose rectangle does not fit yet
    while len(open_rows):
        area = rng.uniform(*AREA, len(open_rows)) * height * width
        aspect = rng.uniform(*ASPECT, len(open_rows))
        corner = rng.uniform(0, (width, height), (len(open_rows), 2))
        sides = np.stack([np.sqrt(area / aspect), np.sqrt(area * aspect)], axis=-1)
        boxes[open_rows] = np.concatenate([corner, corner + sides], axis=-1)
        open_rows = open_rows[(corner + sides > (width, height)).any(axis=-1)]
    return boxes.astype("float32")


def erase(images: Any, boxes: Any) -> Any:
    """Set the pixels whose centres lie in the rectangle to the image's mean (the paper's variant RE-M).

    Args:
        images: float32 [B, H, W, C].
        boxes: float32 [B, 4] from `draw`.

    Returns:
        float32 [B, H, W, C].
    """
    _, height, width, _ = images.shape
    x, y = (ops.convert_to_tensor(np.arange(side, dtype="float32") + 0.5)[None] for side in (width, height))
    columns = ops.logical_and(x >= boxes[:, 0:1], x < boxes[:, 2:3])
    rows = ops.logical_and(y >= boxes[:, 1:2], y < boxes[:, 3:4])
    inside = ops.logical_and(rows[:, :, None], columns[:, None, :])[..., None]
    return ops.where(inside, ops.mean(images, axis=(1, 2, 3), keepdims=True), images)
