"""Perturb images: cover them with squares, or rotate them."""

import cv2
import numpy as np
from numpy.typing import ArrayLike

from edram_fer.errors import UserError


def grey_level(fill: float | str, images: np.ndarray) -> float:
    """Grey level of a covered pixel.

    Args:
        fill: a number or its text, 0 to 255, or "mean".
        images: [n, H, W, C]; their mean over all channels is the level "mean".

    Returns:
        0 to 255.

    Raises:
        UserError: `fill` has another value.

    >>> grey_level("128", np.zeros((1, 2, 2, 1)))
    128.0
    """
    if fill == "mean":
        return round(float(np.mean(images)), 2)
    try:
        level = float(fill)
    except ValueError:
        level = np.nan
    if not 0 <= level <= 255:
        raise UserError(f"fill: expected a grey level from 0 to 255 or mean, got {fill!r}")
    return level


def cover_with_squares(images: np.ndarray, share: float, places: np.ndarray, fill: ArrayLike = 0) -> np.ndarray:
    """Cover a square in each image.

    Args:
        images: uint8 [n, H, W, C].
        share: side of the square as a share of the shorter side, in [0, 1]; rounded to whole pixels.
        places: [n, 2] in [0, 1]: distance from the top and from the left, as a share of the largest distance at which
            the square fits.
        fill: grey level 0 to 255, or one for each channel.

    Returns:
        uint8 [n, H, W, C].
    """
    side = round(share * min(images.shape[1:3]))
    room = np.array(images.shape[1:3]) - side
    changed = np.array(images)
    for image, (top, left) in zip(changed, np.rint(places * room).astype(int), strict=True):
        image[top : top + side, left : left + side] = fill
    return changed


def rotate(images: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Rotate each image about its centre: bilinear, with border pixels repeated outside the image.

    Args:
        images: uint8 [n, H, W, C].
        angles: [n] in degrees, counter-clockwise.

    Returns:
        uint8 [n, H, W, C].
    """
    height, width = images.shape[1:3]
    changed = np.empty_like(images)
    for index, (image, angle) in enumerate(zip(images, angles, strict=True)):
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), float(angle), 1)
        rotated = cv2.warpAffine(
            image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        changed[index] = rotated.reshape(image.shape)
    return changed


def rotate_points(points: np.ndarray, angles: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Rotate points with their images, as `rotate` does.

    Args:
        points: [n, m, 2] as (x, y) in pixels.
        angles: [n] in degrees, counter-clockwise.
        shape: (H, W) of the images.

    Returns:
        [n, m, 2].
    """
    middle = (np.array(shape[::-1]) - 1) / 2
    cosine, sine = np.cos(np.radians(angles)), np.sin(np.radians(angles))
    matrices = np.stack([np.stack([cosine, sine], axis=-1), np.stack([-sine, cosine], axis=-1)], axis=-2)
    return np.einsum("nij,nmj->nmi", matrices, points - middle) + middle
