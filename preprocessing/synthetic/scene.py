"""One image's person, camera, light, background and occluder, ready to show any expression."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from edram_fer.preprocessing.synthetic import geometry, outfit
from edram_fer.preprocessing.synthetic.chance import Dice
from edram_fer.preprocessing.synthetic.curves import SHARP, SOFT, Tracing, fixed
from edram_fer.preprocessing.synthetic.occluders import OCCLUDERS
from edram_fer.preprocessing.synthetic.outfit import Stroke
from edram_fer.preprocessing.synthetic.painting import fill, line, paint_face, shading
from edram_fer.preprocessing.synthetic.person import Person
from edram_fer.preprocessing.synthetic.points import EXTRA_WEIGHTS

YAW, PITCH, ROLL = 28.0, 14.0, 14.0  # greatest angles in degrees at pose = 1


@dataclass(frozen=True)
class Camera:
    """Parallel projection: pixel = point @ matrix + shift, with matrix [3, 2] and shift [2]; `unit` pixels per face
    unit.
    """

    matrix: np.ndarray
    shift: np.ndarray
    unit: float

    def project(self, points: np.ndarray) -> np.ndarray:
        """Face coordinates [..., 3] -> pixels [..., 2]."""
        return points @ self.matrix + self.shift

    def enlarged(self, factor: int) -> Camera:
        """The same view on a canvas `factor` times as large; pixels are counted from the middle of the first."""
        return Camera(self.matrix * factor, self.shift * factor + 0.5 * (factor - 1), self.unit * factor)


def turn(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Matrix [3, 2] of a head turned by degrees: yaw to the image's right, pitch upwards, roll clockwise."""
    (cy, sy), (cp, sp), (cr, sr) = ((math.cos(a), math.sin(a)) for a in map(math.radians, (yaw, pitch, roll)))
    x, y = np.array([cy, 0, sy]), np.array([sp * sy, cp, -sp * cy])
    return np.stack([cr * x - sr * y, sr * x + cr * y], axis=1)


def _frame(dice: Dice, matrix: np.ndarray, resting: np.ndarray, z: np.ndarray, size: int) -> Camera:
    """Place the face in the image: it fills most of it, and every landmark stays inside whatever the expression."""
    reach = np.concatenate([resting[:27], resting[3:14]])  # jaw and brows lie around all others
    reach[17:27, 1] -= 0.2  # brows all the way up
    reach[27:, 1] += 0.3  # jaw all the way down
    flat = reach @ matrix[:2] + np.outer(np.concatenate([z[:27], z[3:14]]), matrix[2])
    low, high = flat.min(axis=0), flat.max(axis=0)
    height = resting[8, 1] + 0.78  # from about the hairline to the chin
    edge = 0.015 * size
    unit = min(dice.roll(0.86, 1.02) * size / height, float((size - 1 - 2 * edge) / (high - low).max()))
    middle = np.array([0.5 * (low[0] + high[0]), 0.5 * (resting[8, 1] - 0.78)])
    shift = 0.5 * (size - 1) + size * np.array([dice.roll(-0.04, 0.04), dice.roll(-0.04, 0.05)]) - unit * middle
    shift = np.minimum(np.maximum(shift, edge - unit * low), size - 1 - edge - unit * high)
    return Camera(matrix * unit, shift, unit)


@lru_cache(maxsize=16)
def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """x [1, size] and y [size, 1] in [-1, 1]."""
    along = np.linspace(-1, 1, size, dtype=np.float32)
    return along[None], along[:, None]


_GROUNDS = (
    ((1, 1), cv2.INTER_NEAREST),
    ((2, 2), cv2.INTER_LINEAR),
    ((1, 7), cv2.INTER_NEAREST),
    ((2, 3), cv2.INTER_NEAREST),
    ((5, 5), cv2.INTER_CUBIC),
    ((14, 14), cv2.INTER_CUBIC),
)


class _Ground:
    """A background: plain, a gradient, stripes, blocks, blobs or a texture, each a small array made larger."""

    def __init__(self, dice: Dice):
        self.shape, self.way = dice.choose(_GROUNDS)
        self.level, self.contrast, self.tint = dice.roll(20, 235), dice.roll(5, 45), dice.rolls(3, -40, 40)

    def canvas(self, generator: np.random.Generator, side: int, colour: bool) -> np.ndarray:
        """uint8 [side, side(, 3)]."""
        small = self.level + self.contrast * generator.standard_normal(self.shape)
        if colour:
            small = small[..., None] + self.tint + 10 * generator.standard_normal((*self.shape, 3))
        small = np.clip(small, 0, 255).astype(np.uint8)
        return cv2.resize(small, (side, side), interpolation=self.way)


def _bare_head(camera: Camera, size: int, way: np.ndarray, contrast: float) -> np.ndarray:
    """Lambert's light on an ellipsoid where the head is, float32 [size, size], 1 = the plain colour of the skin.

    `way` [3] is the unit vector to the light, `contrast` in [0, 1] how much the light is directed."""
    x, y = _grid(size)
    middle = camera.project(np.array([0.0, 0.3, 0.0]))
    half = 0.5 * (size - 1)
    x = (x * half + half - np.float32(middle[0])) / np.float32(1.12 * camera.unit)
    y = (y * half + half - np.float32(middle[1])) / np.float32(1.7 * camera.unit)
    z = np.sqrt(np.maximum(0.02, 1 - x * x - y * y))
    lit = 0.5 + 0.5 * (way[0] * x + way[1] * y + way[2] * z)  # half Lambert: softer than the true law, as under a sky
    return np.maximum(1 - 0.85 * contrast + contrast * lit, 0.25)


def _paint(canvas: np.ndarray, strokes: list[tuple[list[np.ndarray], tuple, float]]) -> None:
    """Paint strokes that `_stage` has laid out."""
    for polygons, colour, width in strokes:
        if width:
            line(canvas, polygons, colour, width)
        else:
            fill(canvas, polygons, colour)


@dataclass(frozen=True)
class Scene:
    """Everything of an image but its expression. `show` paints it with any action units.

    pose: (yaw, pitch, roll) in degrees; occluder: a name of OCCLUDERS or "" for none; size: pixels of a side.
    """

    person: Person
    pose: tuple[float, float, float]
    occluder: str
    size: int
    colour: bool
    _camera: Camera
    _unit: float
    _resting: np.ndarray
    _depths: np.ndarray
    _sharp: Tracing
    _soft: Tracing
    _behind: np.ndarray
    _before: list
    _head: np.ndarray
    _gain: np.ndarray
    _noise: np.ndarray
    _blur: float

    def show(self, action_units: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
        """Paint the face with action units, names such as "AU12" or "AU14L" with intensities in [0, 1]; {} is the
        face at rest.

        Returns the image uint8 [size, size, C] and the landmarks float32 [68, 2] in pixels. Raises ValueError for
        unknown units.
        """
        active = geometry.activation(action_units, self.person.traits["asymmetry"])
        strengths = geometry.furrows(active)
        face = geometry.move(self._resting, active)
        cheek = max(action_units.get("AU6", 0.0), 0.7 * action_units.get("AU12", 0.0))
        shade = shading(self._soft.trace(face), self._head, self.person, cheek)
        canvas = self._behind.copy()
        paint_face(canvas, self._sharp.trace(face), shade, strengths, self.person, self._unit)
        _paint(canvas, self._before)
        landmarks = self._camera.project(np.concatenate([face, self._depths[:68, None]], axis=1))
        return self._expose(canvas), landmarks.astype(np.float32)

    def _expose(self, canvas: np.ndarray) -> np.ndarray:
        """From the canvas to the image: smaller, under the scene's light, blurred, noisy."""
        image = cv2.resize(canvas, (self.size, self.size), interpolation=cv2.INTER_AREA)
        image = cv2.multiply(image, self._gain, dtype=cv2.CV_32F)
        if self._blur > 0.25:
            image = cv2.GaussianBlur(image, (0, 0), self._blur)
        return cv2.add(image, self._noise, dtype=cv2.CV_8U).reshape(self.size, self.size, -1)


def arrange(
    person: Person,
    person_dice: Dice,
    dice: Dice,
    *,
    size: int,
    colour: bool,
    occlusion: float,
    pose: float,
    noise: float,
) -> Scene:
    """Draw how a person is seen; their hair and glasses come from `person_dice`, all else from `dice`.

    size: pixels of a side; occlusion: the chance of an occluder; pose, noise: factors on the angles and on blur and
    noise, 0 for none.
    """
    # Single draws first, the occluder last among them, fields of noise after all: so an image with an occluder, or of
    # another size or colour, is the same image otherwise.
    traits, factor = person.traits, 3 if size <= 112 else 2
    angles = dice.bell(YAW) * pose, dice.bell(PITCH) * pose, dice.bell(ROLL) * pose
    gaze = dice.bell(0.035), dice.bell(0.03)
    resting, offsets = geometry.rest(traits), geometry.offsets(traits, gaze)
    depths = geometry.depths(resting, EXTRA_WEIGHTS @ resting + offsets, traits["nose_tip"])
    camera = _frame(dice, turn(*angles), resting, depths, size)
    large = camera.enlarged(factor)
    gain, head = _light(dice, camera, size, colour)
    blur = noise * 0.9 * dice.roll() ** 2 * size / 48
    sigma, offset = noise * dice.roll(0, 7), dice.roll(-8, 24)
    ground = _Ground(dice)
    kind = dice.choose(tuple(OCCLUDERS)) if dice.roll() < occlusion else ""
    back = [*outfit.hair_behind(person, person_dice), *outfit.shoulders(person)]
    front = outfit.glasses(person, person_dice) if person.glasses != "none" else []
    front += outfit.hair_before(person, person_dice)
    if kind:
        front += OCCLUDERS[kind](person, dice)
    behind = ground.canvas(dice.generator, size * factor, colour)
    _paint(behind, _stage(back, large))
    grain = dice.generator.standard_normal((size, size, 3) if colour else (size, size), np.float32)
    return Scene(
        person=person,
        pose=angles,
        occluder=kind,
        size=size,
        colour=colour,
        _camera=camera,
        _unit=large.unit,
        _resting=resting,
        _depths=depths,
        _sharp=SHARP.place(large, offsets, depths),
        _soft=SOFT.place(camera, offsets, depths),
        _behind=behind,
        _before=_stage(front, large),
        _head=head,
        _gain=gain,
        _noise=grain * np.float32(sigma) + np.float32(offset),
        _blur=blur,
    )


def _stage(strokes: list[Stroke], camera: Camera) -> list[tuple[list[np.ndarray], tuple, float]]:
    """Strokes as a camera sees them: fixed-point polygons [n, 2], colour, width in pixels."""
    polygons = [polygon for stroke in strokes for polygon in stroke.polygons]
    if not polygons:
        return []
    flat, stop, staged = fixed(camera.project(np.concatenate(polygons))), 0, []
    for stroke in strokes:
        placed = [flat[stop : (stop := stop + len(polygon))] for polygon in stroke.polygons]
        staged.append((placed, stroke.colour, stroke.width * camera.unit))
    return staged


def _light(dice: Dice, camera: Camera, size: int, colour: bool) -> tuple[np.ndarray, np.ndarray]:
    """Gain [size, size(, 3)] over the image and the light [size, size] on the bare head, from the same side."""
    angle, height, slope = dice.roll(-math.pi, math.pi), dice.roll(0.3, 1.2), dice.roll(0, 0.3)
    way = np.array([math.cos(angle), 0.7 * math.sin(angle), height], np.float32)
    x, y = _grid(size)
    gain = np.float32(dice.roll(0.75, 1.12)) * (1 + np.float32(slope) * (way[0] * x + way[1] * y))
    gain = cv2.merge([gain] * 3) if colour else gain
    return gain, _bare_head(camera, size, way / np.sqrt(way @ way), np.float32(dice.roll(0.3, 1.0)))
