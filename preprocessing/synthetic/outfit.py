"""Hair, hats, glasses and clothes as strokes in face coordinates.

They do not move with the expression, so they are computed once per image and painted as often as needed.
"""

from typing import NamedTuple

import numpy as np

from edram_fer.preprocessing.synthetic.curves import spline
from edram_fer.preprocessing.synthetic.geometry import depth
from edram_fer.preprocessing.synthetic.person import Colour, Person, darker
from edram_fer.preprocessing.synthetic.random_stream import RandomStream


class Stroke(NamedTuple):
    """Polygons in one colour: filled (even-odd rule) if the width is 0, otherwise drawn as open lines.

    Attributes:
        polygons: [n, 3] each, in face coordinates.
        colour: RGB in [0, 255].
        width: line width in face units.
    """

    polygons: list[np.ndarray]
    colour: Colour
    width: float = 0.0


_ANGLES = np.radians(np.arange(-40, 221, 5))
_ARC = np.stack([np.cos(_ANGLES), -np.sin(_ANGLES)], axis=1)
_TURN, _HALF_TURN = np.linspace(0, 2 * np.pi, 21), np.linspace(np.pi, 0, 15)
_CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)
_SQUARE = np.sign(_CIRCLE) * np.abs(_CIRCLE) ** 0.55
_EDGE = np.stack([0.97 * np.cos(_HALF_TURN), -(np.sin(_HALF_TURN) ** 0.45)], axis=1)
_WAVES = (1 + 0.04 * np.sin(1.9 * np.arange(len(_ANGLES))))[:, None]
_FALL = spline(5)


def add_depth(points: np.ndarray, z: float | np.ndarray = 0.0) -> np.ndarray:
    """Points [n, 2] as [n, 3], all at one depth or each at its own, [n]."""
    result = np.empty((len(points), 3))
    result[:, :2], result[:, 2] = points, z
    return result


def place_on_head(points: np.ndarray, lift: float = 0.0) -> np.ndarray:
    """Points [n, 2] as [n, 3] on the surface of the head, or `lift` above it."""
    return add_depth(points, depth(points) + lift)


def arc(start: int, stop: int) -> np.ndarray:
    """Points [n, 2] on the unit circle every 5 degrees, from the image's right (0) over the top to its left (180)."""
    return _ARC[(start + 40) // 5 : (stop + 40) // 5 + 1]


def ellipse(x: float, y: float, width: float, height: float, square: bool = False) -> np.ndarray:
    """A closed outline [21, 2] whose last point is its first point."""
    return (_SQUARE if square else _CIRCLE) * (width, height) + (x, y)


def shoulders(person: Person) -> list[Stroke]:
    """Neck, clothes and ears, behind the face."""
    t = person.traits
    wide, top = t["neck"], t["chin"] + 0.3
    neck = np.array([(-wide, 0.8), (-wide, top + 0.1), (wide, top + 0.1), (wide, 0.8)])
    cloth = np.array(
        [
            (-2.6, top + 0.5),
            (-wide - 0.1, top - 0.1),
            (0, top + 0.25),
            (wide + 0.1, top - 0.1),
            (2.6, top + 0.5),
            (2.6, 4),
            (-2.6, 4),
        ]
    )
    ears = [add_depth(ellipse(x, 0.2, 0.11, t["ear"]), -0.1) for x in (-1.02, 1.02)]
    return [
        Stroke([add_depth(neck, -0.1)], darker(person.skin, 0.66)),
        Stroke([add_depth(cloth, -0.1)], person.cloth),
        Stroke(ears, darker(person.skin, 0.82)),
    ]


def hair_behind(person: Person, stream: RandomStream) -> list[Stroke]:
    """Hair behind face and neck."""
    crown = person.traits["crown"]
    if person.hair_style == "long":
        length, wide = stream.uniform(0.9, 2.2), stream.uniform(1.12, 1.3)
        lower = [(-wide * 1.04, 0.5), (-wide, length), (wide, length), (wide * 1.04, 0.5)]
        outline = np.concatenate([arc(0, 180) * (wide, wide * crown), lower])
    elif person.hair_style == "curly":
        outline = arc(-35, 215) * _WAVES[:51] * stream.uniform(1.2, 1.45) * (1, 0.95 * crown)
    elif person.hair_style == "bun":
        outline = ellipse(stream.uniform(-0.2, 0.2), -1.15 * crown, 0.38, 0.3)
    else:
        return []
    return [Stroke([add_depth(outline, -0.2)], darker(person.hair, 0.8))]


def _hairline(person: Person, stream: RandomStream) -> np.ndarray:
    """The edge [15, 2] of the hair over the forehead, from left to right in the image."""
    edge = _EDGE * (1, person.traits["hairline"])
    jags = np.array(stream.uniforms(15, -1, 1))
    edge[:, 1] += 0.025 * jags
    if person.hair_style == "parted":
        parting = stream.choose((-1, 1)) * stream.uniform(0.1, 0.5)
        edge[:, 1] += 0.16 - 0.21 * np.maximum(1 - np.abs(edge[:, 0] - parting) / 0.35, 0)
    elif person.hair_style == "fringe":
        edge[1:-1, 1] = stream.uniform(-0.62, -0.5) + 0.07 * jags[1:-1]
    return edge


def _headscarf(person: Person, stream: RandomStream) -> list[Stroke]:
    opening = ellipse(0, 0.42, 0.93, person.traits["chin"] - stream.uniform(0.2, 0.3))
    outside = np.concatenate([arc(-10, 190) * (1.22, 1.22 * person.traits["crown"]), [(-1.35, 2.6), (1.35, 2.6)]])
    return [
        Stroke([add_depth(outside), add_depth(opening)], person.cloth),
        Stroke([add_depth(opening)], darker(person.cloth, 0.7), 0.03),
    ]


def _hat(person: Person, stream: RandomStream) -> list[Stroke]:
    brim = stream.uniform(-0.68, -0.52)
    edge = [(-1.06, brim), (0.0, brim - 0.1), (1.06, brim)]
    cap = np.concatenate([arc(20, 160) * (1.15, 1.4 * person.traits["crown"]), edge])
    peak = np.array(
        [(-1.1, brim), (-0.6, brim + 0.06), (0, brim + 0.08), (0.6, brim + 0.06), (1.1, brim), (0, brim - 0.12)]
    )
    return [Stroke([add_depth(cap, 0.2)], person.cloth), Stroke([add_depth(peak, 0.9)], darker(person.cloth, 0.6))]


def hair_before(person: Person, stream: RandomStream) -> list[Stroke]:
    """Hair, headscarf or hat over forehead and temples."""
    style, crown = person.hair_style, person.traits["crown"]
    if style == "bald":
        return []
    if style == "headscarf":
        return _headscarf(person, stream)
    if style == "hat":
        return _hat(person, stream)
    volume = {"short": 1.07, "parted": 1.1, "fringe": 1.1, "long": 1.12, "curly": 1.18, "bun": 1.04}[style]
    outer = arc(-5, 185) * (volume, volume * crown)
    if style == "curly":
        outer = outer * _WAVES[: len(outer)]
    edge = _hairline(person, stream)
    strokes = [Stroke([np.concatenate([add_depth(outer), place_on_head(edge, 0.03)])], person.hair)]
    for _ in range(3):
        start, radius = 5 * int(stream.uniform(0, 26)), stream.uniform(0.97, 1.04)
        lock = arc(start, start + 50)[::2] * (radius, radius * crown)
        strokes.append(Stroke([add_depth(lock, 0.2)], darker(person.hair, stream.choose((0.82, 1.2))), 0.025))
    if style == "long" and stream.uniform() < 0.7:
        for side in (-1, 1):
            fall = np.array([(1.12, -0.6), (0.9, -0.5), (stream.uniform(0.82, 0.95), 0.3), (0.95, 1.4), (1.25, 1.5)])
            fall = _FALL @ fall * (side, 1)
            strokes.append(Stroke([add_depth(fall, 0.1)], person.hair))
    return strokes


def glasses(person: Person, stream: RandomStream, dark: bool = False) -> list[Stroke]:
    """Glasses; with `dark`, sunglasses, which hide the eyes."""
    x, height, z = person.traits["eye_x"] + 0.02, stream.uniform(0.2, 0.27), 0.95
    frame = (20.0, 20.0, 24.0) if dark or stream.uniform() < 0.6 else tuple(stream.uniforms(3, 30, 200))
    lenses = [add_depth(ellipse(side * x, 0.04, 0.32, height, person.glasses == "square"), z) for side in (-1, 1)]
    bridge = np.array([(-x + 0.3, 0.0, z), (0, -0.05, z + 0.05), (x - 0.3, 0.0, z)])
    sides = [np.array([(side * (x + 0.31), -0.02, z - 0.1), (side, -0.04, 0.0)]) for side in (-1, 1)]
    strokes = [Stroke([*lenses, bridge, *sides], frame, 0.05)]
    if dark:
        glint = np.array([(-x - 0.12, 0.08, z), (-x + 0.02, -0.1, z)])
        strokes = [Stroke(lenses, darker(frame, 1.5)), *strokes, Stroke([glint], (110.0, 110.0, 120.0), 0.03)]
    return strokes
