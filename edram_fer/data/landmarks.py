"""68 landmarks (iBUG 300-W order), transformed with their image."""

import logging
from typing import Any

import numpy as np
from keras import ops

from edram_fer.errors import UserError

log = logging.getLogger(__name__)

# For each landmark, the landmark at its position in the mirror image: jaw, brows, eyes and mouth change sides.
MIRRORED = (
    *reversed(range(17)),  # jaw
    *reversed(range(17, 27)),  # brows
    *range(27, 31),  # bridge of the nose
    *reversed(range(31, 36)),  # its base
    *(45, 44, 43, 42, 47, 46),  # the eye on the left of the image: corner, lid, corner, lower lid
    *(39, 38, 37, 36, 41, 40),
    *reversed(range(48, 55)),  # mouth, outer upper lip
    *reversed(range(55, 60)),
    *reversed(range(60, 65)),  # inner upper lip
    *reversed(range(65, 68)),
)


def check(landmarks: np.ndarray, location: str) -> None:
    """Log how many faces have no landmarks.

    Args:
        landmarks: [n, 68, 2], nan where unknown.
        location: The data set and split, for the messages.

    Raises:
        UserError: No face has landmarks.
    """
    missing = ~np.isfinite(landmarks).all(axis=(1, 2))
    if missing.all():
        raise UserError(
            f"{location}: none of {len(landmarks)} faces has landmarks, which the model needs to position its windows"
        )
    if missing.any():
        log.warning(
            "%s: %d of %d faces have no landmarks: their crops are the whole face and their glimpses are not guided",
            location,
            missing.sum(),
            len(landmarks),
        )


def warp(landmarks: Any, windows: Any, size: tuple[int, int]) -> Any:
    """The landmarks of images that were sampled through affine windows.

    In a mirror image (det A < 0) the landmarks are renumbered, so that each number keeps its meaning: 36 to 41 are the
    eye on the left of the image.

    Args:
        landmarks: float32 [B, 68, 2] = (x, y) in pixels, nan where unknown.
        windows, size: See `warp_points`.

    Returns:
        float32 [B, 68, 2] in pixels; they may lie outside the image.
    """
    points = warp_points(landmarks, windows, size)
    mirror = ops.take(points, np.array(MIRRORED), axis=1)
    determinant = windows[:, 0, 0] * windows[:, 1, 1] - windows[:, 0, 1] * windows[:, 1, 0]
    return ops.where(determinant[:, None, None] < 0, mirror, points)


def warp_points(points: Any, windows: Any, size: tuple[int, int]) -> Any:
    """Points on images that were sampled through affine windows.

    A window A maps the new image onto the old one, so a point p of the old image is A^-1 p in the new image.

    Args:
        points: float32 [B, P, 2] = (x, y) in pixels, nan where unknown.
        windows: float32 [B, 2, 3] in [-1, 1] coordinates, see `edram_fer.models.spatial_transformer`.
        size: (H, W) of the images, old and new.

    Returns:
        float32 [B, P, 2] in pixels; they may lie outside the image.
    """
    half = np.array([size[1] - 1, size[0] - 1], "float32") / 2
    a, b, c, d = (windows[:, i, j, None] for i in (0, 1) for j in (0, 1))
    offset = points / half - 1 - windows[:, None, :, 2]
    determinant = a * d - b * c
    x = (d * offset[..., 0] - b * offset[..., 1]) / determinant
    y = (a * offset[..., 1] - c * offset[..., 0]) / determinant
    return (ops.stack([x, y], axis=-1) + 1) * half
