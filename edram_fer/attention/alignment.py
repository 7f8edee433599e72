"""Similarity transforms between sets of landmarks, to align faces with a template."""

import numpy as np
from numpy.typing import ArrayLike

from edram_fer.errors import UserError

ROUNDING = 1e-20  # squared distances from the mean, as a share of those from the origin, that are rounding errors


def similarity(source: ArrayLike, target: ArrayLike) -> np.ndarray:
    """The similarity transforms that map landmarks onto target landmarks with the least squared distance.

    Umeyama 1991, IEEE Transactions on Pattern Analysis and Machine Intelligence 13:376, eqs. 40 to 42, for the plane:
    with points as complex numbers z and w about their means, scale and rotation together are sum(w conj z) / sum |z|^2.

    Args:
        source: [..., L, 2] as (x, y).
        target: [..., L, 2], leading axes broadcast.

    Returns:
        [..., 2, 3]: matrices [[a, -b, x], [b, a, y]] of a rotation, one scale and a translation, without reflection;
        nan if a landmark is nan or all points of the source coincide.

    >>> similarity([[0, 0], [1, 0]], [[2, 1], [2, 3]]).round(3).tolist()
    [[0.0, -2.0, 2.0], [2.0, 0.0, 1.0]]
    """
    z, w = (np.asarray(points, float) @ (1, 1j) for points in (source, target))
    z_mean, w_mean = z.mean(axis=-1, keepdims=True), w.mean(axis=-1, keepdims=True)
    size = (np.abs(z - z_mean) ** 2).sum(axis=-1)
    size = np.where(size > ROUNDING * (np.abs(z) ** 2).sum(axis=-1), size, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = ((w - w_mean) * np.conj(z - z_mean)).sum(axis=-1) / size
        shift = w_mean[..., 0] - factor * z_mean[..., 0]
    rows = (factor.real, -factor.imag, shift.real), (factor.imag, factor.real, shift.imag)
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def apply(transform: np.ndarray, points: ArrayLike) -> np.ndarray:
    """Apply transforms to points.

    Args:
        transform: [..., 2, 3].
        points: [..., P, 2], leading axes broadcast.

    Returns:
        [..., P, 2].
    """
    return np.asarray(points, float) @ np.swapaxes(transform[..., :2], -1, -2) + transform[..., None, :, 2]


def mean_shape(landmarks: ArrayLike, rounds: int = 10) -> np.ndarray:
    """The mean of faces aligned with each other (generalised Procrustes analysis, Gower 1975).

    Args:
        landmarks: [n, 68, 2]; faces with a landmark that is nan are left out.
        rounds: number of alignments with the current mean.

    Returns:
        [68, 2] in the frame of a template: the origin midway between the eyes, the eyes' centres level and 1 apart.

    Raises:
        UserError: no face has all its landmarks.
    """
    landmarks = np.asarray(landmarks, float)
    landmarks = landmarks[np.isfinite(landmarks).all(axis=(1, 2))]
    if not len(landmarks):
        raise UserError("a mean shape needs a face with all its landmarks")
    mean = align_eyes(landmarks[0])
    for _ in range(rounds):
        mean = align_eyes(apply(similarity(landmarks, mean), landmarks).mean(axis=0))
    return mean


def align_eyes(landmarks: np.ndarray) -> np.ndarray:
    """Landmarks [68, 2] rotated, scaled and shifted so that the eyes' centres are at (-0.5, 0) and (0.5, 0)."""
    eyes = np.stack([landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)])
    return apply(similarity(eyes, np.array([[-0.5, 0], [0.5, 0]])), landmarks)
