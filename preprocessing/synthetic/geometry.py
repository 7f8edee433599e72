"""A face as 68 landmarks at rest, moved by action units, and the curves drawn through them.

Face coordinates: x to the right of the picture, y down, z to the viewer; the eyes at y = 0, the half width of the face 1.
Landmark order is that of the iBUG 68-point mark-up: 0-16 jaw from left to right in the picture, 17-21 and 22-26 brows, 27-30
nose bridge, 31-35 nostrils, 36-41 and 42-47 eyes, 48-59 outer and 60-67 inner lips. The left half in the picture is written down,
the right half is its mirror image.

Movements follow the descriptions of the single units in the FACS manual (Ekman, Friesen and Hager, 2002); their sizes are set by
eye. Movements add up; only lids and lips that would pass through each other are stopped.
"""

from __future__ import annotations

import math

import numpy as np

from preprocessing.synthetic.action_units import UNITS
from preprocessing.synthetic.movements import FURROW_UNITS, MOVEMENTS

LANDMARKS = 68
MIRROR = np.array([*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, *range(35, 30, -1),
                   45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
                   *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), *range(67, 64, -1)])

# Further points, each {landmark: weight} plus (dx, dy), for the left half in the picture; "R" twins are made below.
SIDED = {
    "nasolabial": [({31: 1}, -0.05, -0.04), ({31: 0.5, 48: 0.5}, -0.11, -0.02), ({48: 1}, -0.1, 0.05)],
    "dimple": [({48: 1}, -0.05, -0.06), ({48: 1}, -0.085, 0.0), ({48: 1}, -0.05, 0.07)],
    "droop": [({48: 1}, -0.02, 0.03), ({48: 1}, -0.05, 0.1), ({48: 1}, -0.06, 0.2)],
    "stretch": [({48: 1}, -0.14, -0.1), ({48: 1}, -0.18, 0.02), ({48: 1}, -0.13, 0.15)],
    "glabella": [({21: 1}, 0.07, -0.1), ({21: 1}, 0.06, 0.0), ({21: 1}, 0.05, 0.09)],
    "bunny_high": [({27: 0.7, 39: 0.3}, 0.0, 0.06), ({27: 0.85, 39: 0.15}, 0.02, 0.1), ({27: 1}, 0.0, 0.09)],
    "bunny_low": [({28: 0.6, 39: 0.4}, 0.0, 0.05), ({28: 0.8, 39: 0.2}, 0.02, 0.08), ({28: 1}, 0.0, 0.06)],
    "crow_high": [({36: 1}, -0.06, -0.02), ({36: 1}, -0.12, -0.05), ({36: 1}, -0.19, -0.09)],
    "crow_low": [({36: 1}, -0.06, 0.03), ({36: 1}, -0.13, 0.04), ({36: 1}, -0.2, 0.07)],
    "pouch": [({39: 1}, -0.02, 0.07), ({40: 0.5, 41: 0.5}, 0.0, 0.11), ({36: 1}, 0.0, 0.09)],
    "chin_boss": [({57: 0.5, 8: 0.5}, -0.2, 0.05), ({57: 0.6, 8: 0.4}, -0.12, -0.03), ({57: 0.65, 8: 0.35}, 0.0, -0.04)],
    "forehead_low": [({18: 0.6}, 0.0, -0.3), ({20: 0.6}, 0.0, -0.3), ({21: 0.6}, 0.15, -0.27)],
    "forehead_high": [({18: 0.45}, 0.05, -0.47), ({20: 0.45}, 0.0, -0.48), ({21: 0.45}, 0.15, -0.45)],
    "crease": [({36: 1}, 0.0, -0.04), ({37: 1}, 0.0, -0.055), ({38: 1}, 0.0, -0.055), ({39: 1}, -0.02, -0.03)],
    "wing": [({31: 1}, 0.0, -0.14), ({31: 1}, -0.04, -0.06), ({31: 1}, -0.02, 0.01), ({32: 1}, -0.02, 0.005)],
    "nostril": [({32: 1}, -0.065, -0.005), ({32: 1}, 0.0, -0.045), ({32: 1}, 0.045, -0.005), ({32: 1}, -0.01, 0.012)],
    "nose_side": [({27: 0.7, 39: 0.3}, 0.0, 0.0), ({28: 0.9, 31: 0.1}, -0.03, 0), ({30: 0.5, 31: 0.5}, -0.01, -0.05),
                  ({31: 1}, -0.05, -0.02), ({29: 0.5, 31: 0.5}, -0.1, -0.12)],
    "socket": [({18: 0.5, 36: 0.5}, -0.05, 0.0), ({19: 0.6, 37: 0.4}, 0.0, 0.02), ({21: 0.6, 39: 0.4}, 0.02, 0.0),
               ({39: 1}, 0.06, 0.02), ({40: 1}, 0.0, 0.06), ({41: 1}, -0.02, 0.06)],
    "cheek": [({41: 0.8, 48: 0.2}, -0.08, 0.06), ({40: 0.6, 31: 0.2, 48: 0.2}, 0.0, 0.02), ({31: 0.7, 48: 0.3}, -0.14, -0.02),
              ({48: 0.8, 41: 0.2}, -0.16, -0.08), ({48: 0.5, 36: 0.5}, -0.24, 0.0)],
    "hollow": [({48: 1}, -0.2, 0.0), ({48: 0.7, 36: 0.3}, -0.32, 0.02), ({4: 0.7, 48: 0.3}, 0.02, 0.0), ({5: 0.7, 48: 0.3}, 0.0, 0)],
}
CENTRAL = {
    "irises": [({36: 0.5, 39: 0.5}, 0, 0), ({42: 0.5, 45: 0.5}, 0, 0)],
    "teeth_upper": [({60: 1}, 0, 0), ({61: 1}, 0, 0.085), ({62: 1}, 0, 0.1), ({63: 1}, 0, 0.085), ({64: 1}, 0, 0)],
    "teeth_lower": [({64: 1}, 0, 0), ({65: 1}, 0, -0.03), ({66: 1}, 0, -0.035), ({67: 1}, 0, -0.03), ({60: 1}, 0, 0)],
    "tongue": [({66: 1}, -0.13, 0.0), ({66: 1}, -0.06, -0.1), ({66: 1}, 0.06, -0.1), ({66: 1}, 0.13, 0.0), ({66: 1}, 0, 0.06)],
    "under_nose": [({31: 1}, 0.03, 0.03), ({33: 1}, 0.0, 0.0), ({35: 1}, -0.03, 0.03), ({51: 0.7, 33: 0.3}, 0.05, 0.0),
                   ({51: 0.7, 33: 0.3}, -0.05, 0.0)],
    "under_lip": [({59: 1}, 0.04, 0.03), ({57: 1}, 0.0, 0.02), ({55: 1}, -0.04, 0.03), ({57: 0.8, 8: 0.2}, 0.1, 0.05),
                  ({57: 0.8, 8: 0.2}, -0.1, 0.05)],
    "chin_light": [({57: 0.45, 8: 0.55}, -0.16, 0.0), ({57: 0.6, 8: 0.4}, 0.0, 0.0), ({57: 0.45, 8: 0.55}, 0.16, 0.0),
                   ({57: 0.2, 8: 0.8}, 0.0, 0.0)],
    "nose_light": [({28: 1}, -0.03, 0.0), ({28: 1}, 0.03, 0.0), ({30: 1}, 0.05, 0.0), ({30: 1}, 0.0, 0.04), ({30: 1}, -0.05, 0.0)],
    "moustache": [({31: 1}, -0.08, 0.08), ({33: 1}, 0, 0.05), ({35: 1}, 0.08, 0.08), ({54: 1}, 0.07, 0.05), ({52: 1}, 0.05, -0.005),
                  ({51: 1}, 0, 0.0), ({50: 1}, -0.05, -0.005), ({48: 1}, -0.07, 0.05)],
    "goatee": [({59: 1}, -0.06, 0.04), ({57: 1}, 0, 0.07), ({55: 1}, 0.06, 0.04), ({9: 0.8, 55: 0.2}, 0.02, 0), ({8: 1}, 0, 0.02),
               ({7: 0.8, 59: 0.2}, -0.02, 0)],
    "beard": [({2: 1}, 0, 0), ({3: 1}, 0, 0), ({4: 1}, 0, 0), ({5: 1}, 0, 0.02), ({6: 1}, 0, 0.04), ({7: 1}, 0, 0.06),
              ({8: 1}, 0, 0.06), ({9: 1}, 0, 0.06), ({10: 1}, 0, 0.04), ({11: 1}, 0, 0.02), ({12: 1}, 0, 0), ({13: 1}, 0, 0),
              ({14: 1}, 0, 0), ({13: 0.8, 54: 0.2}, 0, -0.1), ({54: 0.7, 12: 0.3}, 0, -0.05), ({54: 1}, 0.1, -0.06),
              ({35: 1}, 0.02, 0.1), ({33: 1}, 0, 0.07), ({31: 1}, -0.02, 0.1), ({48: 1}, -0.1, -0.06),
              ({48: 0.7, 4: 0.3}, 0, -0.05), ({3: 0.8, 48: 0.2}, 0, -0.1)],
}
BROW_PROFILE = np.array([0.35, 0.8, 1.0, 1.05, 0.8])  # thickness from the outer end to the inner
SKULL = np.stack([np.cos(a := np.pi * np.linspace(0.04, 0.96, 9)), np.sin(a)], axis=1)  # from right to left in the picture


def _extra_points() -> tuple[dict[str, list[int]], np.ndarray, np.ndarray]:
    """Names -> point numbers from 68 on, weights [X, 68], offsets [X, 2] of every further point."""
    mirrored = {name + "R": [({int(MIRROR[k]): w for k, w in weights.items()}, -dx, dy) for weights, dx, dy in points]
                for name, points in SIDED.items()}
    brows = {"brow_edgeL": [({k: 1}, 0, 0) for k in range(17, 22)], "brow_edgeR": [({k: 1}, 0, 0) for k in range(22, 27)]}
    skull = {"skull": [({}, 0, 0)] * len(SKULL)}
    tables = {**{name + "L": points for name, points in SIDED.items()}, **mirrored, **CENTRAL, **brows, **skull}
    names, flat = {}, []
    for name, points in tables.items():
        names[name] = list(range(LANDMARKS + len(flat), LANDMARKS + len(flat) + len(points)))
        flat += points
    weights = np.zeros((len(flat), LANDMARKS))
    for row, (shares, _, _) in enumerate(flat):
        weights[row, list(shares)] = list(shares.values())
    return names, weights, np.array([[dx, dy] for _, dx, dy in flat])


POINTS, EXTRA_WEIGHTS, EXTRA_OFFSETS = _extra_points()


def _extra(name: str) -> slice:
    """Where a named group lies among the further points."""
    return slice(POINTS[name][0] - LANDMARKS, POINTS[name][-1] + 1 - LANDMARKS)


_JAW = np.pi * (1 - np.arange(17) / 16)
_JAW_X, _JAW_Y = np.cos(_JAW), np.abs(np.sin(_JAW))
_LEFT = [*range(17, 22), *range(27, 34), *range(36, 42), *range(48, 52), *range(57, 63), 66, 67]
_RIGHT = [*range(22, 27), 34, 35, *range(42, 48), *range(52, 57), *range(63, 66)]
_ARCH = [(share, math.sin(math.pi * (0.15 + 0.7 * share))) for share in (0, 0.25, 0.5, 0.75, 1)]


def rest(traits: dict[str, float]) -> np.ndarray:
    """The landmarks [68, 2] of a face at rest."""
    t = traits
    face = np.zeros((LANDMARKS, 2))
    down = _JAW_Y ** (2 / t["jaw_power"])  # a superellipse: 2 is oval, more is square
    face[:17, 0] = np.copysign(np.abs(_JAW_X) ** (2 / t["jaw_power"]), _JAW_X) * (1 - t["jaw_taper"] * down**2)
    face[:17, 1] = t["chin"] * down
    x, span, lift = -t["eye_x"] - 0.02, t["brow_length"], t["brow_height"]
    brow = [(x + span * (2 * share - 1), t["brow_tilt"] * (share - 0.5) - lift - t["brow_arch"] * arch) for share, arch in _ARCH]
    base, width = t["nose_length"], t["nose_width"]
    nose = [(0, -0.02), (0, 0.2 * base), (0, 0.45 * base), (0, 0.8 * base), (-width, base - 0.03), (-0.5 * width, base + 0.02),
            (0, base + 0.045)]
    x, w, h, tilt = -t["eye_x"], t["eye_width"], t["eye_open"], t["eye_tilt"]
    eye = [(x - w, tilt), (x - 0.4 * w, -h), (x + 0.35 * w, -h), (x + w, 0.015 - tilt), (x + 0.4 * w, 0.75 * h), (x - 0.4 * w, 0.8 * h)]
    w, up, low, curve = t["mouth_width"], t["lip_upper"], t["lip_lower"], t["mouth_curve"]
    y = base + t["mouth_place"] * (t["chin"] - base)
    mouth = [(-w, y - curve), (-0.58 * w, y - 0.6 * up), (-0.2 * w, y - up), (0, y - 0.85 * up), (0, y + low), (-0.28 * w, y + 0.95 * low),
             (-0.62 * w, y + 0.62 * low), (-0.86 * w, y - 0.85 * curve), (-0.35 * w, y), (0, y + 0.005), (0, y + 0.01),
             (-0.35 * w, y + 0.005)]
    face[_LEFT] = brow + nose + eye + mouth
    face[_RIGHT] = face[MIRROR[_RIGHT]] * (-1, 1)
    return face


def offsets(traits: dict[str, float], gaze: tuple[float, float]) -> np.ndarray:
    """Offsets [X, 2] of the further points: brow thickness and skull differ between people; `gaze` (dx, dy) moves the irises."""
    result = EXTRA_OFFSETS.copy()
    result[_extra("irises")] = gaze[0], gaze[1] - 0.15 * traits["eye_open"]
    result[_extra("brow_edgeL"), 1] = traits["brow_thickness"] * BROW_PROFILE
    result[_extra("brow_edgeR"), 1] = traits["brow_thickness"] * BROW_PROFILE[::-1]
    result[_extra("skull")] = SKULL * (1, -traits["crown"])
    return result


def depth(points: np.ndarray) -> np.ndarray:
    """z of points [..., 2] on the head, an ellipsoid; 0 at its outline."""
    x, y = points[..., 0] / 1.08, (points[..., 1] - 0.25) / 1.75
    return 0.85 * np.sqrt(np.maximum(1 - x * x - y * y, 0))


_NOSE = np.zeros(LANDMARKS)
_NOSE[27:36] = 0.1, 0.35, 0.65, 1.0, 0.2, 0.5, 0.7, 0.5, 0.2
_NOSE = np.concatenate([_NOSE, EXTRA_WEIGHTS @ _NOSE])


def depths(landmarks: np.ndarray, extras: np.ndarray, nose_tip: float) -> np.ndarray:
    """z [68 + X] of a face at rest, with a nose that stands out."""
    z = depth(np.concatenate([landmarks, extras])) + nose_tip * _NOSE
    z[LANDMARKS:][_extra("skull")] = 0.0
    return z


def _movements() -> np.ndarray:
    """Shift [2 * U * 68 * 2 flattened to (2U, 136)] of the landmarks by each unit on the picture's left, then right, side."""
    table = np.zeros((2, len(UNITS), LANDMARKS, 2))
    for column, unit in enumerate(UNITS):
        for landmark, (dx, dy) in MOVEMENTS[unit].items():
            twin = MIRROR[landmark]
            share = 0.5 if twin == landmark else 1.0  # a point on the middle line belongs to both halves
            table[0, column, landmark] += (share * dx, share * dy)
            table[1, column, twin] += (-share * dx, share * dy)
    return table.reshape(2 * len(UNITS), -1)


_TABLE = _movements()
_COLUMN = {f"AU{unit}": column for column, unit in enumerate(UNITS)}
FURROWS = tuple(name + side for side in "LR" for name in FURROW_UNITS)
_FURROW_TABLE = np.zeros((2, len(UNITS), 2, len(FURROW_UNITS)))
for _row, _shares in enumerate(FURROW_UNITS.values()):
    for _unit, _share in _shares.items():
        _FURROW_TABLE[[0, 1], _COLUMN[f"AU{_unit}"], [0, 1], _row] = _share
_FURROW_TABLE = _FURROW_TABLE.reshape(2 * len(UNITS), -1)


def activation(action_units: dict[str, float], asymmetry: float = 0.0) -> np.ndarray:
    """Intensities [2U]: the picture's left half, which is the person's right (R), then the other.

    asymmetry: how much stronger, as a share, every unit is on the picture's left. Raises ValueError for a name that is no unit and
    for an intensity outside [0, 1].
    """
    result = [0.0] * (2 * len(UNITS))
    for name, value in action_units.items():
        column = _COLUMN.get(name.rstrip("LR"))
        if column is None:
            raise ValueError(f"action_units: expected names such as 'AU12' or 'AU12L', units {list(UNITS)}, got {name!r}")
        if not 0 <= value <= 1:
            raise ValueError(f"action_units: expected an intensity in [0, 1] for {name}, got {value!r}")
        if not name.endswith("L"):
            result[column] = min(1.0, value * (1 + asymmetry))
        if not name.endswith("R"):
            result[len(UNITS) + column] = min(1.0, value * (1 - asymmetry))
    return np.array(result)


def furrows(active: np.ndarray) -> list[float]:
    """Strength in [0, 1] of each of FURROWS."""
    return np.minimum(active @ _FURROW_TABLE, 1).tolist()


_LIDS = ((37, 41), (38, 40), (43, 47), (44, 46))
_LIPS = ((50, 61, 67, 58), (51, 62, 66, 57), (52, 63, 65, 56))  # outer and inner upper lip, inner and outer lower lip


def move(resting: np.ndarray, active: np.ndarray) -> np.ndarray:
    """The landmarks [68, 2] after the movements of all units; lids and lips never cross."""
    face = resting + (active @ _TABLE).reshape(LANDMARKS, 2)
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
