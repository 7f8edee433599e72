"""Parallel projection of a head that is turned."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Camera:
    """Parallel projection: pixel = point @ matrix + shift.

    Attributes:
        matrix: [3, 2].
        shift: [2], in pixels.
        unit: pixels per face unit, half the width of a face.
    """

    matrix: np.ndarray
    shift: np.ndarray
    unit: float

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels [..., 2] of points [..., 3] in face coordinates."""
        return points @ self.matrix + self.shift

    def enlarge(self, factor: int) -> Camera:
        """The same view on a canvas `factor` times as large. Pixels are counted from the centre of the first."""
        return Camera(self.matrix * factor, self.shift * factor + 0.5 * (factor - 1), self.unit * factor)


def turn(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Matrix [3, 2] of a head turned by angles in degrees: yaw to the image's right, pitch up, roll clockwise."""
    (cy, sy), (cp, sp), (cr, sr) = ((math.cos(a), math.sin(a)) for a in map(math.radians, (yaw, pitch, roll)))
    x, y = np.array([cy, 0, sy]), np.array([sp * sy, cp, -sp * cy])
    return np.stack([cr * x - sr * y, sr * x + cr * y], axis=1)
