"""Faces brought to one template: similarity transforms between sets of landmarks."""

import numpy as np

from edram_fer.errors import UserError


def similarity(source, target):
    """The similarity transforms that bring landmarks onto others with the least squared distance.

    Args:
        source: [..., L, 2] as (x, y).
        target: [..., L, 2], leading axes broadcast.

    Returns: [..., 2, 3], matrices [[a, -b, x], [b, a, y]] of a rotation, one scale and a shift, without reflection;
    nan where a landmark is nan or all of the source are at one point.

    Umeyama 1991, IEEE Transactions on Pattern Analysis and Machine Intelligence 13:376, eqs. 40 to 42, for the plane:
    with points as complex numbers z and w about their means, scale and rotation together are sum(w conj z) / sum |z|^2.
    """
    z, w = (np.asarray(points, float) @ (1, 1j) for points in (source, target))
    middle, place = z.mean(axis=-1, keepdims=True), w.mean(axis=-1, keepdims=True)
    size = (np.abs(z - middle) ** 2).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        turn = ((w - place) * np.conj(z - middle)).sum(axis=-1) / np.where(size > 0, size, np.nan)
        shift = place[..., 0] - turn * middle[..., 0]
    return np.stack(
        [np.stack([turn.real, -turn.imag, shift.real], axis=-1), np.stack([turn.imag, turn.real, shift.imag], axis=-1)],
        axis=-2,
    )


def apply(transform, points):
    """Points [..., P, 2] after transforms [..., 2, 3], leading axes broadcast."""
    return np.asarray(points, float) @ np.swapaxes(transform[..., :2], -1, -2) + transform[..., None, :, 2]


def mean_shape(landmarks, rounds=10):
    """The mean of faces [n, 68, 2] brought onto each other (generalised Procrustes analysis, Gower 1975), [68, 2].

    In the frame of a template: the origin in the middle between the eyes, the distance of the eyes' centres 1, the
    eyes level. Faces with a landmark that is nan are left out.

    Raises ValueError when none is left.
    """
    landmarks = np.asarray(landmarks, float)
    landmarks = landmarks[np.isfinite(landmarks).all(axis=(1, 2))]
    if not len(landmarks):
        raise UserError("a mean shape needs a face with all its landmarks")
    mean = in_eye_frame(landmarks[0])
    for _ in range(rounds):
        mean = in_eye_frame(apply(similarity(landmarks, mean), landmarks).mean(axis=0))
    return mean


def in_eye_frame(landmarks):
    """Landmarks [68, 2] turned, scaled and shifted so that the eyes' centres are at (-0.5, 0) and (0.5, 0)."""
    eyes = np.stack([landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)])
    return apply(similarity(eyes, np.array([[-0.5, 0], [0.5, 0]])), landmarks)
