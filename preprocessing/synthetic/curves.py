"""Smooth outlines through the points of a face: Catmull-Rom splines.

Splines, further points and projection are linear in the landmarks, so all outlines of an image are the product of one
sparse matrix with the landmarks, plus a constant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from edram_fer.preprocessing.synthetic.camera import Camera
from edram_fer.preprocessing.synthetic.points import EXTRA_WEIGHTS, LANDMARK_COUNT, POINTS, SIDED

SHIFT = 4  # fractional bits of the fixed-point coordinates that OpenCV draws with

_UPPER_LIDS = {"L": [36, 37, 38, 39], "R": [42, 43, 44, 45]}
_LOWER_LIDS = {"L": [39, 40, 41, 36], "R": [45, 46, 47, 42]}
_SOFT = (
    "socketL",
    "socketR",
    "nose_sideL",
    "nose_sideR",
    "nose_light",
    "under_nose",
    "under_lip",
    "chin_light",
    "hollowL",
    "hollowR",
    "cheekL",
    "cheekR",
    "beard",
)

# Each outline is a chain of open splines. Two of them form a corner where they meet, as at the eyes and the mouth.
SHARP_CHAINS = {
    "face": [[*range(17), POINTS["skull"][0]], POINTS["skull"]],
    "lips": [[*range(48, 55)], [*range(54, 60), 48]],
    "mouth": [[60, 61, 62, 63, 64], [64, 65, 66, 67, 60]],
    "lip_line": [[60, 67, 66, 65, 64]],
    "upper_lip": [[*range(48, 55)], [64, 63, 62, 61, 60]],
    "teeth_upper": [[60, 61, 62, 63, 64], POINTS["teeth_upper"][::-1]],
    "teeth_lower": [[60, 67, 66, 65, 64], POINTS["teeth_lower"]],
    "nose_base": [[31, 32, 33, 34, 35]],
    "browL": [[*range(17, 22)], POINTS["brow_edgeL"][::-1]],
    "browR": [[*range(22, 27)], POINTS["brow_edgeR"][::-1]],
    "irises": [[point] for point in POINTS["irises"]],
    **{f"eye{side}": [_UPPER_LIDS[side], _LOWER_LIDS[side]] for side in "LR"},
    **{f"upper_lid{side}": [_UPPER_LIDS[side]] for side in "LR"},
    **{f"lower_lid{side}": [_LOWER_LIDS[side]] for side in "LR"},
    **{name: [POINTS[name]] for name in ("tongue", "moustache", "goatee", "beard")},
    **{name + side: [POINTS[name + side]] for name in SIDED if name + "L" not in _SOFT for side in "LR"},
}
SOFT_CHAINS = {name: [POINTS[name]] for name in _SOFT}


def spline(count: int, steps: int = 3) -> np.ndarray:
    """Matrix [(count - 1) * steps + 1, count] from `count` points to an open Catmull-Rom spline through them.

    >>> (spline(3) @ [0.0, 1.0, 2.0]).round(2)[::3].tolist()
    [0.0, 1.0, 2.0]
    """
    rows = np.zeros(((count - 1) * steps + 1, count))
    for row in range(len(rows) - 1):
        segment, t = row // steps, row % steps / steps
        ends = [max(segment - 1, 0), segment, segment + 1, min(segment + 2, count - 1)]
        blend = -t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2
        np.add.at(rows[row], ends, 0.5 * np.array(blend))
    rows[-1, -1] = 1
    return rows


def fixed_point(points: np.ndarray) -> np.ndarray:
    """Points [n, 2] in pixels as int32 with SHIFT fractional bits, the fixed-point form that OpenCV draws."""
    return np.rint(points * (1 << SHIFT)).astype(np.int32)


class Outlines:
    """A set of outlines.

    Args:
        chains: {name: open splines, each a list of the numbers of its points}, numbered as in `points`, [68 + X].
    """

    def __init__(self, chains: dict[str, list[list[int]]]) -> None:
        blocks, start = [], 0
        self.rows: dict[str, slice] = {}
        for name, parts in chains.items():
            for part in parts:
                block = np.zeros((3 * len(part) - 2, LANDMARK_COUNT + len(EXTRA_WEIGHTS)))
                block[:, part] = spline(len(part))
                blocks.append(block)
            stop = start + sum(3 * len(part) - 2 for part in parts)
            self.rows[name], start = slice(start, stop), stop
        weights = np.concatenate(blocks)
        self.from_points = sparse.csr_array(weights)
        self.from_landmarks = sparse.csr_array(
            weights[:, :LANDMARK_COUNT] + weights[:, LANDMARK_COUNT:] @ EXTRA_WEIGHTS
        )

    def place(self, camera: Camera, offsets: np.ndarray, depths: np.ndarray) -> Tracing:
        """Compute the part of the outlines that the expression does not move.

        Args:
            camera: camera of the image.
            offsets: [X, 2], offsets of the further points.
            depths: [68 + X], depths of all points.
        """
        still = np.zeros((len(depths), 3))
        still[LANDMARK_COUNT:, :2], still[:, 2] = offsets, depths
        scale = 1 << SHIFT
        return Tracing(self, camera.matrix[:2] * scale, self.from_points @ camera.project(still) * scale + 0.5)


@dataclass(frozen=True)
class Tracing:
    """Outlines in one image, complete except for the landmarks."""

    outlines: Outlines
    matrix: np.ndarray
    still: np.ndarray

    def trace(self, landmarks: np.ndarray) -> dict[str, np.ndarray]:
        """From landmarks [68, 2] in face coordinates to {outline: `fixed_point` points [n, 2]}."""
        curves = np.floor(self.outlines.from_landmarks @ (landmarks @ self.matrix) + self.still).astype(np.int32)
        return {name: curves[rows] for name, rows in self.outlines.rows.items()}


SHARP, SOFT = Outlines(SHARP_CHAINS), Outlines(SOFT_CHAINS)
