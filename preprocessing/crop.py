"""From a face box to the image that a model sees: square, crop, CLAHE on luma, size. Pure functions on arrays.

Boxes are (left, top, width, height) in pixels, origin top left, as everywhere in this project. Source of the steps:
Forch, Vitay, Hamker, "Recurrent Spatial Attention for Facial Emotion Recognition", 2019.
"""

import cv2
import numpy as np

from edram_fer.errors import UserError
from edram_fer.preprocessing.photos import MIN_SIDE

CHIN = slice(7, 10)  # of the 68 landmarks


def square(box, image_size, margin: float = 0.0, landmarks=None) -> tuple[int, int, int]:
    """The square around a box that lies inside the image.

    Its side is the box's longer side, larger by the share `margin`, about the box's centre; with landmarks [68, 2] it
    grows downward until the chin is in. It is then moved inside the image and is at most as large as that.

    Args:
        box: (left, top, width, height), which may cross the border.
        image_size: (H, W).

    Returns: (left, top, side), whole pixels.

    Raises ValueError for a box below 8 pixels or quite outside the image, and a chin more than a side below its box.
    """
    left, top, width, height = (float(value) for value in box)
    rows, columns = image_size
    if not (width > 0 and height > 0):
        raise UserError(f"box {width:g}x{height:g} without area")
    if max(width, height) < MIN_SIDE:
        raise UserError(f"box {width:g}x{height:g}, expected at least {MIN_SIDE} pixels on a side")
    if left >= columns or top >= rows or left + width <= 0 or top + height <= 0:
        raise UserError(f"box at ({left:g}, {top:g}), {width:g}x{height:g}, lies outside the {columns}x{rows} image")
    side = max(width, height) * (1 + margin)
    x, y = left + width / 2, top + height / 2 - side / 2  # middle of the upper edge
    if landmarks is not None:
        chin = float(np.max(np.asarray(landmarks)[CHIN, 1]))
        if chin > y + 2 * side:
            raise UserError(f"chin landmark at row {chin:g}, more than a side below its box of {width:g}x{height:g}")
        side = max(side, chin - y + 1)
    side = min(max(round(side), 1), rows, columns)
    return _moved(x - side / 2, columns - side), _moved(y, rows - side), side


def _moved(start: float, largest: int) -> int:
    return min(max(round(start), 0), largest)


def cut(image: np.ndarray, place: tuple[int, int, int], size: int) -> np.ndarray:
    """The square (left, top, side) of an image [H, W] or [H, W, C], resized to [size, size(, C)].

    Shrinking averages areas, enlarging is cubic.
    """
    left, top, side = place
    face = image[top : top + side, left : left + side]
    return cv2.resize(face, (size, size), interpolation=cv2.INTER_AREA if side > size else cv2.INTER_CUBIC)


def to_square(points, place: tuple[int, int, int], size: int) -> np.ndarray:
    """Points (x, y) of the whole image in the pixels of the cut face, float32 [n, 2]; centres of pixels are whole."""
    left, top, side = place
    return ((np.asarray(points, np.float32) - (left, top) + 0.5) * (size / side) - 0.5).astype(np.float32)


def equalised(image: np.ndarray, clip: float = 1.0, tiles: int = 3) -> np.ndarray:
    """CLAHE on the luma of uint8 [H, W] grey or [H, W, 3] RGB; `clip` 0 leaves it as it is."""
    if clip == 0:
        return image
    clahe = cv2.createCLAHE(clipLimit=clip, tileGridSize=(tiles, tiles))
    if image.ndim == 2:
        return clahe.apply(image)
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
    luma[:, :, 0] = clahe.apply(np.ascontiguousarray(luma[:, :, 0]))
    return cv2.cvtColor(luma, cv2.COLOR_YCrCb2RGB)


def grey(image: np.ndarray) -> np.ndarray:
    """Luma (ITU-R BT.601) of uint8 [H, W, 3] RGB, uint8 [H, W]; [H, W] stays."""
    return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
