"""Person, camera, light, background and occluder of an image, ready to show any expression."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from edram_fer.preprocessing.synthetic import geometry, outfit
from edram_fer.preprocessing.synthetic.camera import Camera, turn
from edram_fer.preprocessing.synthetic.curves import SHARP, SOFT, Tracing, fixed_point
from edram_fer.preprocessing.synthetic.occluders import OCCLUDERS
from edram_fer.preprocessing.synthetic.outfit import Stroke
from edram_fer.preprocessing.synthetic.painting import fill, line, paint_face, shading
from edram_fer.preprocessing.synthetic.person import Colour, Person
from edram_fer.preprocessing.synthetic.points import EXTRA_WEIGHTS
from edram_fer.preprocessing.synthetic.random_stream import RandomStream

YAW, PITCH, ROLL = 28.0, 14.0, 14.0  # largest angles, in degrees, at pose = 1


def _frame(stream: RandomStream, matrix: np.ndarray, resting: np.ndarray, z: np.ndarray, size: int) -> Camera:
    """Place the face so that it fills most of the image, and all landmarks stay inside with any expression."""
    reach = np.concatenate([resting[:27], resting[3:14]])  # jaw and brows enclose all other landmarks
    reach[17:27, 1] -= 0.2  # brows fully raised
    reach[27:, 1] += 0.3  # jaw fully dropped
    flat = reach @ matrix[:2] + np.outer(np.concatenate([z[:27], z[3:14]]), matrix[2])
    low, high = flat.min(axis=0), flat.max(axis=0)
    height = resting[8, 1] + 0.78  # about from the hairline to the chin
    edge = 0.015 * size
    unit = min(stream.uniform(0.86, 1.02) * size / height, float((size - 1 - 2 * edge) / (high - low).max()))
    middle = np.array([0.5 * (low[0] + high[0]), 0.5 * (resting[8, 1] - 0.78)])
    shift = (
        0.5 * (size - 1) + size * np.array([stream.uniform(-0.04, 0.04), stream.uniform(-0.04, 0.05)]) - unit * middle
    )
    shift = np.minimum(np.maximum(shift, edge - unit * low), size - 1 - edge - unit * high)
    return Camera(matrix * unit, shift, unit)


@lru_cache(maxsize=16)
def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """x [1, size] and y [size, 1] in [-1, 1]."""
    along = np.linspace(-1, 1, size, dtype=np.float32)
    return along[None], along[:, None]


_BACKGROUNDS = (  # shape of the small array, interpolation
    ((1, 1), cv2.INTER_NEAREST),
    ((2, 2), cv2.INTER_LINEAR),
    ((1, 7), cv2.INTER_NEAREST),
    ((2, 3), cv2.INTER_NEAREST),
    ((5, 5), cv2.INTER_CUBIC),
    ((14, 14), cv2.INTER_CUBIC),
)


class _Background:
    """A background: plain, a gradient, stripes, blocks, blobs or a texture, each a small array that is enlarged."""

    def __init__(self, stream: RandomStream) -> None:
        self.shape, self.interpolation = stream.choose(_BACKGROUNDS)
        self.level, self.contrast, self.tint = (
            stream.uniform(20, 235),
            stream.uniform(5, 45),
            stream.uniforms(3, -40, 40),
        )

    def canvas(self, generator: np.random.Generator, side: int, colour: bool) -> np.ndarray:
        """The background as uint8 [side, side(, 3)]."""
        small = self.level + self.contrast * generator.standard_normal(self.shape)
        if colour:
            small = small[..., None] + self.tint + 10 * generator.standard_normal((*self.shape, 3))
        small = np.clip(small, 0, 255).astype(np.uint8)
        return cv2.resize(small, (side, side), interpolation=self.interpolation)


def _bare_head(camera: Camera, size: int, direction: np.ndarray, contrast: np.float32) -> np.ndarray:
    """The light on the head, an ellipsoid, by Lambert's law.

    Args:
        camera: camera of the image.
        size: side in pixels.
        direction: [3], the unit vector towards the light.
        contrast: how directional the light is, in [0, 1].

    Returns:
        float32 [size, size]; 1 leaves the colour of the skin unchanged.
    """
    x, y = _grid(size)
    middle = camera.project(np.array([0.0, 0.3, 0.0]))
    half = 0.5 * (size - 1)
    x = (x * half + half - np.float32(middle[0])) / np.float32(1.12 * camera.unit)
    y = (y * half + half - np.float32(middle[1])) / np.float32(1.7 * camera.unit)
    z = np.sqrt(np.maximum(0.02, 1 - x * x - y * y))
    lit = 0.5 + 0.5 * (direction[0] * x + direction[1] * y + direction[2] * z)  # half Lambert: softer, as under a sky
    return np.maximum(1 - 0.85 * contrast + contrast * lit, 0.25)


def _paint(canvas: np.ndarray, strokes: list[tuple[list[np.ndarray], Colour, float]]) -> None:
    """Paint strokes that `_project_strokes` has prepared."""
    for polygons, colour, width in strokes:
        if width:
            line(canvas, polygons, colour, width)
        else:
            fill(canvas, polygons, colour)


@dataclass(frozen=True)
class Scene:
    """An image without its expression; `show` paints it with any action units.

    Attributes:
        person: the person shown.
        pose: (yaw, pitch, roll) in degrees.
        occluder: a name of OCCLUDERS, or "" for none.
        size: side in pixels.
        colour: RGB instead of grey.
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
    _before: list[Any]
    _head: np.ndarray
    _gain: np.ndarray
    _noise: np.ndarray
    _blur: float

    def show(self, action_units: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
        """Paint the image with an expression.

        Args:
            action_units: {name: intensity in [0, 1]}, with names such as "AU12", or "AU14L" for only the person's left
                side; {} is the face at rest.

        Returns:
            the image, uint8 [size, size, C], and the landmarks, float32 [68, 2] in pixels.

        Raises:
            UserError: a name is not an action unit, or an intensity is outside [0, 1].
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
        """The image of a canvas, with shrinking, light, blur and noise applied."""
        image = cv2.resize(canvas, (self.size, self.size), interpolation=cv2.INTER_AREA)
        image = cv2.multiply(image, self._gain, dtype=cv2.CV_32F)
        if self._blur > 0.25:
            image = cv2.GaussianBlur(image, (0, 0), self._blur)
        return cv2.add(image, self._noise, dtype=cv2.CV_8U).reshape(self.size, self.size, -1)


def arrange(
    person: Person,
    person_stream: RandomStream,
    stream: RandomStream,
    *,
    size: int,
    colour: bool,
    occlusion: float,
    pose: float,
    noise: float,
) -> Scene:
    """Draw a random scene of a person.

    Args:
        person: the person shown.
        person_stream: random stream for hair and glasses, which are the same in all images of a person.
        stream: random stream for everything else.
        size: side in pixels.
        colour: RGB instead of grey.
        occlusion: probability of an occluder.
        pose: factor for the angles of the head.
        noise: factor for blur and noise.
    """
    # Single numbers are drawn first, with the occluder's numbers last, and arrays of noise at the end. So an image with
    # an occluder, or with another size or colour, is otherwise the same image.
    traits, factor = person.traits, 3 if size <= 112 else 2
    angles = stream.bell(YAW) * pose, stream.bell(PITCH) * pose, stream.bell(ROLL) * pose
    gaze = stream.bell(0.035), stream.bell(0.03)
    resting, offsets = geometry.rest(traits), geometry.offsets(traits, gaze)
    depths = geometry.depths(resting, EXTRA_WEIGHTS @ resting + offsets, traits["nose_tip"])
    camera = _frame(stream, turn(*angles), resting, depths, size)
    large = camera.enlarge(factor)
    gain, head = _light(stream, camera, size, colour)
    blur = noise * 0.9 * stream.uniform() ** 2 * size / 48
    sigma, offset = noise * stream.uniform(0, 7), stream.uniform(-8, 24)
    background = _Background(stream)
    occluder = stream.choose(tuple(OCCLUDERS)) if stream.uniform() < occlusion else ""
    back = [*outfit.hair_behind(person, person_stream), *outfit.shoulders(person)]
    front = outfit.glasses(person, person_stream) if person.glasses != "none" else []
    front += outfit.hair_before(person, person_stream)
    if occluder:
        front += OCCLUDERS[occluder](person, stream)
    behind = background.canvas(stream.generator, size * factor, colour)
    _paint(behind, _project_strokes(back, large))
    grain = stream.generator.standard_normal((size, size, 3) if colour else (size, size), np.float32)
    return Scene(
        person=person,
        pose=angles,
        occluder=occluder,
        size=size,
        colour=colour,
        _camera=camera,
        _unit=large.unit,
        _resting=resting,
        _depths=depths,
        _sharp=SHARP.place(large, offsets, depths),
        _soft=SOFT.place(camera, offsets, depths),
        _behind=behind,
        _before=_project_strokes(front, large),
        _head=head,
        _gain=gain,
        _noise=grain * np.float32(sigma) + np.float32(offset),
        _blur=blur,
    )


def _project_strokes(strokes: list[Stroke], camera: Camera) -> list[tuple[list[np.ndarray], Colour, float]]:
    """Strokes in an image: fixed-point polygons [n, 2], colour, width in pixels."""
    polygons = [polygon for stroke in strokes for polygon in stroke.polygons]
    if not polygons:
        return []
    points = fixed_point(camera.project(np.concatenate(polygons)))
    outlines = iter(np.split(points, np.cumsum([len(polygon) for polygon in polygons])[:-1]))
    return [
        (list(itertools.islice(outlines, len(stroke.polygons))), stroke.colour, stroke.width * camera.unit)
        for stroke in strokes
    ]


def _light(stream: RandomStream, camera: Camera, size: int, colour: bool) -> tuple[np.ndarray, np.ndarray]:
    """Light from one direction: its gain over the image [size, size(, 3)] and on the bare head [size, size]."""
    angle, height, slope = stream.uniform(-math.pi, math.pi), stream.uniform(0.3, 1.2), stream.uniform(0, 0.3)
    direction = np.array([math.cos(angle), 0.7 * math.sin(angle), height], np.float32)
    x, y = _grid(size)
    gain = np.float32(stream.uniform(0.75, 1.12)) * (1 + np.float32(slope) * (direction[0] * x + direction[1] * y))
    gain = cv2.merge([gain] * 3) if colour else gain
    return gain, _bare_head(
        camera, size, direction / np.sqrt(direction @ direction), np.float32(stream.uniform(0.3, 1.0))
    )
