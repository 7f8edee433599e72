"""A face as 68 landmarks at rest, and their movements.

Face coordinates: x to the right of the image, y down, z towards the viewer; the eyes are at y = 0, and half the width
of the face is 1. The left half in the image is defined here, the right half is its mirror image. Points are numbered as
in `points`.
"""

import math

import numpy as np

from edram_fer.errors import UserError
from edram_fer.preprocessing.synthetic.action_units import UNITS
from edram_fer.preprocessing.synthetic.movements import FURROW_UNITS, MOVEMENTS
from edram_fer.preprocessing.synthetic.points import EXTRA_OFFSETS, EXTRA_WEIGHTS, LANDMARK_COUNT, MIRROR, POINTS

BROW_PROFILE = np.array([0.35, 0.8, 1.0, 1.05, 0.8])  # thickness from the outer end to the inner
_TOP = np.pi * np.linspace(0.04, 0.96, len(POINTS["skull"]))
SKULL = np.stack([np.cos(_TOP), np.sin(_TOP)], axis=1)  # over the top of the head, from right to left in the image


def _extra(name: str) -> slice:
    """The rows of a named group among the further points."""
    return slice(POINTS[name][0] - LANDMARK_COUNT, POINTS[name][-1] + 1 - LANDMARK_COUNT)


_JAW = np.pi * (1 - np.arange(17) / 16)
_JAW_X, _JAW_Y = np.cos(_JAW), np.abs(np.sin(_JAW))
_LEFT = [*range(17, 22), *range(27, 34), *range(36, 42), *range(48, 52), *range(57, 63), 66, 67]
_RIGHT = [*range(22, 27), 34, 35, *range(42, 48), *range(52, 57), *range(63, 66)]
_ARCH = [(share, math.sin(math.pi * (0.15 + 0.7 * share))) for share in (0, 0.25, 0.5, 0.75, 1)]


def rest(traits: dict[str, float]) -> np.ndarray:
    """The landmarks [68, 2] of a face at rest, for the traits of a `person.Person`."""
    t = traits
    face = np.zeros((LANDMARK_COUNT, 2))
    down = _JAW_Y ** (2 / t["jaw_power"])  # a superellipse: 2 is oval, more is square
    face[:17, 0] = np.copysign(np.abs(_JAW_X) ** (2 / t["jaw_power"]), _JAW_X) * (1 - t["jaw_taper"] * down**2)
    face[:17, 1] = t["chin"] * down
    x, span, lift = -t["eye_x"] - 0.02, t["brow_length"], t["brow_height"]
    brow = [
        (x + span * (2 * share - 1), t["brow_tilt"] * (share - 0.5) - lift - t["brow_arch"] * arch)
        for share, arch in _ARCH
    ]
    base, width = t["nose_length"], t["nose_width"]
    nose = [
        (0, -0.02),
        (0, 0.2 * base),
        (0, 0.45 * base),
        (0, 0.8 * base),
        (-width, base - 0.03),
        (-0.5 * width, base + 0.02),
        (0, base + 0.045),
    ]
    x, w, h, tilt = -t["eye_x"], t["eye_width"], t["eye_open"], t["eye_tilt"]
    eye = [
        (x - w, tilt),
        (x - 0.4 * w, -h),
        (x + 0.35 * w, -h),
        (x + w, 0.015 - tilt),
        (x + 0.4 * w, 0.75 * h),
        (x - 0.4 * w, 0.8 * h),
    ]
    w, up, low, curve = t["mouth_width"], t["lip_upper"], t["lip_lower"], t["mouth_curve"]
    y = base + t["mouth_place"] * (t["chin"] - base)
    mouth = [
        (-w, y - curve),
        (-0.58 * w, y - 0.6 * up),
        (-0.2 * w, y - up),
        (0, y - 0.85 * up),
        (0, y + low),
        (-0.28 * w, y + 0.95 * low),
        (-0.62 * w, y + 0.62 * low),
        (-0.86 * w, y - 0.85 * curve),
        (-0.35 * w, y),
        (0, y + 0.005),
        (0, y + 0.01),
        (-0.35 * w, y + 0.005),
    ]
    face[_LEFT] = brow + nose + eye + mouth
    face[_RIGHT] = face[MIRROR[_RIGHT]] * (-1, 1)
    return face


def offsets(traits: dict[str, float], gaze: tuple[float, float]) -> np.ndarray:
    """Offsets [X, 2] of the further points. Brows and skull depend on the traits; `gaze` (dx, dy) moves the irises."""
    result = EXTRA_OFFSETS.copy()
    result[_extra("irises")] = gaze[0], gaze[1] - 0.15 * traits["eye_open"]
    result[_extra("brow_edgeL"), 1] = traits["brow_thickness"] * BROW_PROFILE
    result[_extra("brow_edgeR"), 1] = traits["brow_thickness"] * BROW_PROFILE[::-1]
    result[_extra("skull")] = SKULL * (1, -traits["crown"])
    return result


def depth(points: np.ndarray) -> np.ndarray:
    """z of points [..., 2] on the head, which is an ellipsoid; 0 at its outline and outside.

    >>> float(depth(np.array([0.0, 0.25])))
    0.85
    """
    x, y = points[..., 0] / 1.08, (points[..., 1] - 0.25) / 1.75
    return 0.85 * np.sqrt(np.maximum(1 - x * x - y * y, 0))


_NOSE_LANDMARKS = np.zeros(LANDMARK_COUNT)
_NOSE_LANDMARKS[27:36] = 0.1, 0.35, 0.65, 1.0, 0.2, 0.5, 0.7, 0.5, 0.2
_NOSE = np.concatenate([_NOSE_LANDMARKS, EXTRA_WEIGHTS @ _NOSE_LANDMARKS])


def depths(landmarks: np.ndarray, extras: np.ndarray, nose_tip: float) -> np.ndarray:
    """z [68 + X] of the landmarks and the further points of a face at rest, with a protruding nose."""
    z = depth(np.concatenate([landmarks, extras])) + nose_tip * _NOSE
    z[LANDMARK_COUNT:][_extra("skull")] = 0.0
    return z


def _movement_table() -> np.ndarray:
    """Shifts [2U, 68 * 2] of the landmarks: U units on the left side of the image, then the same on the right."""
    table = np.zeros((2, len(UNITS), LANDMARK_COUNT, 2))
    for column, unit in enumerate(UNITS):
        for landmark, (dx, dy) in MOVEMENTS[unit].items():
            twin = MIRROR[landmark]
            share = 0.5 if twin == landmark else 1.0  # points on the midline belong to both halves
            table[0, column, landmark] += (share * dx, share * dy)
            table[1, column, twin] += (-share * dx, share * dy)
    return table.reshape(2 * len(UNITS), -1)


def _furrow_table() -> np.ndarray:
    """Depths [2U, F] of FURROWS at full intensity of each unit, in the order of `_movement_table`."""
    table = np.zeros((2, len(UNITS), 2, len(FURROW_UNITS)))
    for furrow, depths_by_unit in enumerate(FURROW_UNITS.values()):
        for unit, depth_at_full in depths_by_unit.items():
            table[[0, 1], _COLUMN[f"AU{unit}"], [0, 1], furrow] = depth_at_full
    return table.reshape(2 * len(UNITS), -1)


_COLUMN = {f"AU{unit}": column for column, unit in enumerate(UNITS)}
_MOVEMENT_TABLE = _movement_table()
FURROWS = tuple(name + side for side in "LR" for name in FURROW_UNITS)
_FURROW_TABLE = _furrow_table()


def activation(action_units: dict[str, float], asymmetry: float = 0.0) -> np.ndarray:
    """Intensities [2U] of all units: on the left of the image, which is the person's right (R), then on the other side.

    Args:
        action_units: {name: intensity in [0, 1]}, with names such as "AU12" for both sides, "AU12L" for the person's
            left.
        asymmetry: share by which every unit is stronger on the left of the image.

    Raises:
        UserError: a name is not an action unit, or an intensity is outside [0, 1].
    """
    result = [0.0] * (2 * len(UNITS))
    for name, value in action_units.items():
        column = _COLUMN.get(name[:-1] if name.endswith(("L", "R")) else name)
        if column is None:
            raise UserError(
                f"action_units: expected names such as 'AU12' or 'AU12L', units {list(UNITS)}, got {name!r}"
            )
        if not 0 <= value <= 1:
            raise UserError(f"action_units: expected an intensity in [0, 1] for {name}, got {value!r}")
        if not name.endswith("L"):
            result[column] = min(1.0, value * (1 + asymmetry))
        if not name.endswith("R"):
            result[len(UNITS) + column] = min(1.0, value * (1 - asymmetry))
    return np.array(result)


def furrows(active: np.ndarray) -> list[float]:
    """Strength in [0, 1] of each of FURROWS, for intensities of `activation`."""
    return np.minimum(active @ _FURROW_TABLE, 1).tolist()


_LIDS = ((37, 41), (38, 40), (43, 47), (44, 46))
_LIPS = ((50, 61, 67, 58), (51, 62, 66, 57), (52, 63, 65, 56))  # upper lip: outer, inner; lower lip: inner, outer


def move(resting: np.ndarray, active: np.ndarray) -> np.ndarray:
    """The landmarks [68, 2] after the movements of all units, for intensities of `activation`.

    Lids and lips never cross.
    """
    face = resting + (active @ _MOVEMENT_TABLE).reshape(LANDMARK_COUNT, 2)
    y = face[:, 1].tolist()
    for upper, lower in _LIDS:
        y[upper] = min(y[upper], y[lower] - 0.01)
    for upper_edge, upper, lower, lower_edge in _LIPS:
        if y[upper] > y[lower]:
            y[upper] = y[lower] = 0.5 * (y[upper] + y[lower])
        y[upper_edge] = min(y[upper_edge], y[upper] - 0.025)
        y[lower_edge] = max(y[lower_edge], y[lower] + 0.035)
    face[:, 1] = y
    return face
