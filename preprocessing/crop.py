"""From the bounding box of a face to the model's input image: square, crop, resize, CLAHE on luma. Pure functions.

Boxes are (left, top, width, height) in pixels, with the origin at the top left, as everywhere in this project. The
steps follow Forch, Vitay, Hamker, "Recurrent Spatial Attention for Facial Emotion Recognition", 2019.
"""

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from edram_fer.errors import UserError
from edram_fer.preprocessing.photos import MIN_SIDE

CHIN = slice(7, 10)  # of the 68 landmarks
EYES = slice(36, 42), slice(42, 48)  # left and right as seen in the image
ROUNDINGS = ("nearest", "down")
INTERPOLATIONS = ("area", "linear")
LARGEST = 1e9  # pixels: larger than any image (`photos.MAX_PIXELS`) and within 32 bits, which detectors use

Box = Sequence[float]


class BoxError(UserError):
    """No face can be cropped with this bounding box; the message says why and becomes the status of its row."""


def check(box: Box, image_size: Sequence[int]) -> None:
    """Raise BoxError for a box without area, below MIN_SIDE pixels, not finite, or outside an image of size (H, W)."""
    left, top, width, height = box
    rows, columns = image_size[:2]
    if not (width > 0 and height > 0):
        raise BoxError(f"box {width:g}x{height:g} without area")
    if max(width, height) < MIN_SIDE:
        raise BoxError(f"box {width:g}x{height:g}, expected at least {MIN_SIDE} pixels on a side")
    if not all(abs(value) < LARGEST for value in box):  # also rejects infinity and nan
        raise BoxError(f"box at ({left:g}, {top:g}), {width:g}x{height:g}: expected numbers below {LARGEST:g}")
    if left >= columns or top >= rows or left + width <= 0 or top + height <= 0:
        raise BoxError(f"box at ({left:g}, {top:g}), {width:g}x{height:g}, lies outside the {columns}x{rows} image")


def square(
    box: Box,
    image_size: Sequence[int],
    margin: float = 0.0,
    landmarks: np.ndarray | Sequence[Any] | None = None,
    *,
    smallest: int = 0,
    rounding: str = "nearest",
) -> tuple[int, int, int]:
    """The square around a box, inside the image.

    The square is centred on the box, and its side is the box's longer side, enlarged by the share `margin`; with
    landmarks it is extended downwards to include the chin. It is then moved, and if necessary shrunk, into the image.

    Args:
        box: (left, top, width, height), which may cross the image's border.
        image_size: (H, W).
        margin: 0.1 makes the side a tenth longer than the box's.
        landmarks: 68 points (x, y) in pixels of the image.
        smallest: least side in pixels, if the image is large enough.
        rounding: "nearest": the square is rounded to whole pixels at the end. "down": the box is first truncated to
            whole pixels (`whole_pixels`), and every later number is rounded down. A square limited by the image then
            keeps the centre of its box instead of its upper edge. The code of Forch et al. 2019 rounds down.

    Returns:
        (left, top, side) in whole pixels.

    Raises:
        BoxError: see `check`; also if the chin is more than a side below the box.

    >>> square((20, 30, 40, 20), (120, 200))
    (20, 20, 40)
    >>> square((20, 30, 40, 20), (120, 200), smallest=100)
    (0, 0, 100)
    """
    check(box, image_size)
    if rounding == "down":
        return _square_down(box, image_size, margin, landmarks, smallest)
    left, top, width, height = (float(value) for value in box)
    rows, columns = image_size[:2]
    side = max(max(width, height) * (1 + margin), smallest)
    x, y = left + width / 2, top + height / 2 - side / 2  # middle of the upper edge
    if landmarks is not None:
        side = max(side, _chin(landmarks, y, side, box) - y + 1)
    side = min(max(round(side), 1), rows, columns)
    return _clamp(x - side / 2, columns - side), _clamp(y, rows - side), side


def _square_down(
    box: Box, image_size: Sequence[int], margin: float, landmarks: np.ndarray | Sequence[Any] | None, smallest: int
) -> tuple[int, int, int]:
    left, top, width, height = whole_pixels(box)
    rows, columns = image_size[:2]
    longer = max(width, height)
    side = min(max(math.floor(longer + margin * longer), smallest, 1), rows, columns)
    x = _clamp(math.floor(left - (side - width) / 2), columns - side)
    y = _clamp(math.floor(top - (side - height) / 2), rows - side)
    if landmarks is not None and (chin := math.floor(_chin(landmarks, y, side, box))) >= y + side:
        return _square_down((x, y, side, chin - y + 1), image_size, 0.0, None, smallest)
    return x, y, side


def _chin(landmarks: np.ndarray | Sequence[Any], y: float, side: float, box: Box) -> float:
    """The row of the chin. Raises BoxError if it is more than a side below a square whose upper edge is at row y."""
    chin = float(np.max(np.asarray(landmarks)[CHIN, 1]))
    if chin > y + 2 * side:
        raise BoxError(f"chin landmark at row {chin:g}, more than a side below its box of {box[2]:g}x{box[3]:g}")
    return chin


def whole_pixels(box: Box) -> tuple[int, int, int, int]:
    """A box (left, top, width, height) whose corners are truncated to whole pixels, towards 0.

    >>> whole_pixels((10.7, 20.2, 30.5, 40.9))
    (10, 20, 31, 41)
    """
    left, top, width, height = box
    x, y = int(left), int(top)
    return x, y, int(left + width) - x, int(top + height) - y


def share_inside(box: Box, image_size: Sequence[int]) -> float:
    """The share of a box's width to the left of the right border of an image of size (H, W), or of its height above the
    lower border, whichever is smaller; 1 if it crosses neither. As in the code of Forch et al. 2019, the left and the
    upper border do not count.

    >>> share_inside((90, 10, 20, 20), (100, 100)), share_inside((-10, -10, 20, 20), (100, 100))
    (0.5, 1.0)
    """
    left, top, width, height = box
    return min((image_size[1] - left) / max(width, 1), (image_size[0] - top) / max(height, 1), 1.0)


def _clamp(start: float, largest: int) -> int:
    return min(max(round(start), 0), largest)


def cut(image: np.ndarray, square: tuple[int, int, int], size: int, interpolation: str = "area") -> np.ndarray:
    """Crop the square (left, top, side) from an image [H, W] or [H, W, C] and resize it to [size, size(, C)].

    Args:
        image: the image.
        square: (left, top, side) in pixels, inside the image.
        size: side of the result in pixels.
        interpolation: "area": shrinking averages areas, enlarging is bicubic; "linear": both are bilinear, and
            shrinking by a factor above 2 skips pixels.
    """
    left, top, side = square
    face = image[top : top + side, left : left + side]
    if interpolation == "linear":
        return cv2.resize(face, (size, size), interpolation=cv2.INTER_LINEAR)
    return cv2.resize(face, (size, size), interpolation=cv2.INTER_AREA if side > size else cv2.INTER_CUBIC)


def turn_back(square: Sequence[int], size: tuple[int, int], degrees: int) -> tuple[int, int, int]:
    """The square (left, top, side) of a turned image in pixels of the image itself.

    Args:
        square: in the turned image.
        size: (H, W) of the image before it was turned.
        degrees: by which it was turned clockwise: 0, 90, 180 or 270.

    >>> turn_back((0, 0, 2), (10, 20), 90)  # the upper left corner was at the bottom
    (0, 8, 2)
    """
    (left, top, side), (height, width) = square, size
    return {
        0: (left, top, side),
        90: (top, height - left - side, side),
        180: (width - left - side, height - top - side, side),
        270: (width - top - side, left, side),
    }[degrees]


def to_square(points: np.ndarray | Sequence[Any], square: Sequence[int], size: int) -> np.ndarray:
    """Convert points (x, y) from the whole image to pixels of the cropped face, float32 [n, 2]; pixel centres are whole
    numbers.

    >>> to_square([(25, 30)], (20, 20, 20), 10).tolist()
    [[2.25, 4.75]]
    """
    left, top, side = square
    return ((np.asarray(points, np.float32) - (left, top) + 0.5) * (size / side) - 0.5).astype(np.float32)


def from_square(points: np.ndarray | Sequence[Any], square: Sequence[int], size: int) -> np.ndarray:
    """The inverse of `to_square`: points (x, y) from pixels of the cropped face to the whole image, float32 [n, 2].

    >>> from_square([(2.25, 4.75)], (20, 20, 20), 10).tolist()
    [[25.0, 30.0]]
    """
    left, top, side = square
    return ((np.asarray(points, np.float32) + 0.5) * (side / size) - 0.5 + (left, top)).astype(np.float32)


def eye_centres(landmarks: np.ndarray | Sequence[Any]) -> np.ndarray:
    """Centres (x, y) of the left and the right eye, as seen in the image: [..., 68, 2] -> [..., 2, 2]."""
    points = np.asarray(landmarks, float)
    return np.stack([points[..., eye, :].mean(axis=-2) for eye in EYES], axis=-2)


def align_face(
    face: np.ndarray, landmarks: np.ndarray | Sequence[Any], eyes: np.ndarray | Sequence[Any], *, labels: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Turn, scale and shift a face so that its eyes come to given places, as backbones of face recognition expect.

    Args:
        face: [H, W] or [H, W, C].
        landmarks: 68 points (x, y) in pixels of the face, pixel centres at whole numbers.
        eyes: centres (x, y) of the left and the right eye as shares of width and height: 0 is the left or upper edge of
            the face, 1 the other.
        labels: the values of `face` are labels, which are not mixed.

    Returns:
        the aligned face, in which pixels from outside repeat the border, and its landmarks, float32 [68, 2].

    Raises:
        BoxError: a landmark is not finite, or both eyes have the same place.

    >>> points = np.zeros((68, 2))
    >>> points[36:42], points[42:48] = (2, 5), (2, 1)  # a face that lies on its side
    >>> _, aligned = align_face(np.zeros((8, 8), "uint8"), points, ((0.25, 0.5), (0.75, 0.5)))
    >>> eye_centres(aligned).tolist()
    [[1.5, 3.5], [5.5, 3.5]]
    """
    points = np.asarray(landmarks, float)
    left, right = eye_centres(points) @ (1, 1j)
    if not np.isfinite(points).all() or left == right:
        raise BoxError("no landmarks of both eyes, which the alignment needs")
    size = np.array(face.shape[1::-1])
    to_left, to_right = (np.asarray(eyes, float) * size - 0.5) @ (1, 1j)
    factor = (to_right - to_left) / (right - left)
    shift = to_left - factor * left
    matrix = np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])
    flags = cv2.INTER_NEAREST if labels else cv2.INTER_LINEAR
    aligned = cv2.warpAffine(face, matrix, size.tolist(), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return aligned, (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def equalise(image: np.ndarray, clip: float = 1.0, tiles: int = 3) -> np.ndarray:
    """Contrast-limited adaptive histogram equalisation (CLAHE) of the luma.

    Args:
        image: uint8 [H, W] grey or [H, W, 3] RGB.
        clip: the clip limit, as defined by OpenCV; 0 leaves the image unchanged.
        tiles: the image is divided into tiles x tiles.

    Returns:
        uint8, with the shape of `image`.
    """
    if clip == 0:
        return image
    clahe = cv2.createCLAHE(clipLimit=clip, tileGridSize=(tiles, tiles))
    if image.ndim == 2:
        return clahe.apply(image)
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
    luma[:, :, 0] = clahe.apply(np.ascontiguousarray(luma[:, :, 0]))
    return cv2.cvtColor(luma, cv2.COLOR_YCrCb2RGB)


def grey(image: np.ndarray) -> np.ndarray:
    """Luma (ITU-R BT.601) of uint8 [H, W, 3] RGB, uint8 [H, W]; [H, W] is returned unchanged."""
    return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
