"""Drawn faces by number: image (seed, index) depends only on these two numbers and the options."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from edram_fer.errors import UserError
from edram_fer.preprocessing.emotions import EMOTIONS
from edram_fer.preprocessing.synthetic import action_units as facs
from edram_fer.preprocessing.synthetic.person import draw_person
from edram_fer.preprocessing.synthetic.random_stream import RandomStream
from edram_fer.preprocessing.synthetic.scene import Scene, arrange

SMALLEST, LARGEST = 16, 1024  # pixels: side of an image
WEAKEST = 0.35  # lowest random intensity: weaker expressions are ambiguous even to people
CHANGE = 8  # difference in grey levels from which a pixel counts as changed
_PERSON, _IMAGE, _EXPRESSION, _ORDER = range(4)  # independent random streams


@dataclass(frozen=True)
class DrawnFace:
    """A drawn face and its ground truth.

    Attributes:
        seed, index: seed and index of the image.
        image: uint8 [size, size, C], C = 1 (grey) or 3 (RGB).
        emotion: its name.
        intensity: intensity of the expression, in [0, 1]; 0 for neutral.
        action_units: {name: intensity in (0, 1]}, with names such as "AU12", or "AU12L" and "AU12R" for only the
            person's left or right side.
        valence, arousal: in [-1, 1].
        landmarks: float32 [68, 2] in pixels, (x, y), in iBUG order.
        mask: uint8 [size, size, 1], 1 where the expression changed the image: nowhere for a neutral face, nowhere
            behind an occluder.
        pose: yaw, pitch, roll in degrees.
        occluder: its name or "".
    """

    seed: int
    index: int
    image: np.ndarray
    emotion: str
    intensity: float
    action_units: dict[str, float]
    valence: float
    arousal: float
    landmarks: np.ndarray
    mask: np.ndarray
    pose: tuple[float, float, float]
    occluder: str

    @property
    def id(self) -> str:
        """Stable and unique among the faces of a seed."""
        return f"drawn-{self.index:06d}"


def _require(name: str, value: object, expected: str, valid: bool | np.bool) -> None:
    if not valid:
        raise UserError(f"{name}: expected {expected}, got {value!r}")


def _require_integer(name: str, value: object, least: int, most: int | None = None) -> None:
    _require(
        name,
        value,
        f"a whole number of at least {least}" if most is None else f"a whole number from {least} to {most}",
        isinstance(value, (int, np.integer))
        and not isinstance(value, bool)
        and value >= least
        and (most is None or value <= most),
    )


def _require_number(name: str, value: object, low: float, high: float) -> None:
    _require(
        name,
        value,
        f"a number in [{low:g}, {high:g}]",
        isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and low <= value <= high,
    )


def emotion_at(seed: int, index: int, classes: int = 7) -> str:
    """The default emotion of image `index`.

    Images 0 to `classes` - 1 contain each class once, in random order, and so does each following group.

    Args:
        seed, index: seed and index of the image.
        classes: 7, or 8 with contempt.

    Raises:
        UserError: an argument is out of range.

    >>> sorted(emotion_at(0, index) for index in range(7))
    ['anger', 'disgust', 'fear', 'happy', 'neutral', 'sad', 'surprise']
    """
    _require_integer("seed", seed, 0)
    _require_integer("index", index, 0)
    _require("classes", classes, "7 or 8", classes in (7, 8))
    ranks = RandomStream(seed, _ORDER, index // classes).uniforms(classes)
    return EMOTIONS[sorted(range(classes), key=ranks.__getitem__)[index % classes]]


def scene(
    seed: int,
    index: int,
    *,
    identity: int | None = None,
    size: int = 100,
    colour: bool = False,
    occlusion: float = 0.12,
    pose: float = 1.0,
    noise: float = 1.0,
) -> Scene:
    """Image (seed, index) without its expression, which `Scene.show` paints. For the options see `draw`."""
    _require_integer("seed", seed, 0)
    _require_integer("index", index, 0)
    _require_integer("size", size, SMALLEST, LARGEST)
    if identity is not None:
        _require_integer("identity", identity, 0)
    _require_number("occlusion", occlusion, 0, 1)
    _require_number("pose", pose, 0, 1)
    _require_number("noise", noise, 0, 2)
    person_stream = RandomStream(seed, _PERSON, index if identity is None else identity)
    return arrange(
        draw_person(person_stream),
        person_stream,
        RandomStream(seed, _IMAGE, index),
        size=size,
        colour=colour,
        occlusion=occlusion,
        pose=pose,
        noise=noise,
    )


def draw(
    seed: int,
    index: int,
    *,
    emotion: str | None = None,
    intensity: float | None = None,
    classes: int = 7,
    **options: Any,
) -> DrawnFace:
    """Draw image `index` of the endless series `seed`.

    The mask compares the image with the same scene at rest.

    Args:
        seed, index: seed and index of the image, at least 0.
        emotion: a name of EMOTIONS; None: `emotion_at(seed, index, classes)`.
        intensity: in [0, 1]; None: random in [0.35, 1]; 0 for a neutral face.
        classes: 7, or 8 with contempt.
        options: with their defaults: `size`, the side in pixels, 16 to 1024 (100); `colour` (False); `identity`, the
            number of the person (the index, so that every image shows a different person); `occlusion`, the probability
            of an occluder (0.12); `pose`, a factor for the angles of the head, and `noise`, a factor for blur and noise
            (1).

    Raises:
        UserError: an argument is out of range.

    >>> draw(0, 7, emotion="fear", size=48).image.shape
    (48, 48, 1)
    """
    arranged = scene(seed, index, **options)
    if emotion is None:
        emotion = emotion_at(seed, index, classes)
    _require("emotion", emotion, f"one of {', '.join(EMOTIONS)}", emotion in EMOTIONS)
    chances = RandomStream(seed, _EXPRESSION, index).uniforms(facs.CHANCES + 1)
    if intensity is None:
        intensity = WEAKEST + (1 - WEAKEST) * chances[-1]
    _require_number("intensity", intensity, 0, 1)
    if emotion == "neutral":
        intensity = 0.0
    units = facs.express(chances[:-1], emotion, intensity)
    image, landmarks = arranged.show(units)
    mask = np.zeros((*image.shape[:2], 1), np.uint8)
    if units:
        change = cv2.absdiff(image, arranged.show({})[0])
        mask[..., 0] = change.reshape(image.shape).max(axis=2) >= CHANGE
    valence, arousal = facs.affect(emotion, intensity)
    return DrawnFace(
        seed=seed,
        index=index,
        image=image,
        emotion=emotion,
        intensity=float(intensity),
        action_units=units,
        valence=valence,
        arousal=arousal,
        landmarks=landmarks,
        mask=mask,
        pose=arranged.pose,
        occluder=arranged.occluder,
    )


def generate(count: int, seed: int, *, start: int = 0, **options: Any) -> Iterator[DrawnFace]:
    """Draw images `start` to `start + count - 1` of a seed, with balanced, shuffled classes.

    Args:
        count: number of images.
        seed: seed of the series.
        start: index of the first image.
        options: see `draw`.

    Raises:
        UserError: an argument is out of range.

    >>> [face.id for face in generate(2, seed=0, size=16)]
    ['drawn-000000', 'drawn-000001']
    """
    _require_integer("count", count, 0)
    _require_integer("start", start, 0)
    if count:
        draw(seed, start, **options)  # an invalid option is reported here, not at the first `next`
    return (draw(seed, index, **options) for index in range(start, start + count))


def generate_arrays(count: int, seed: int, *, start: int = 0, **options: Any) -> dict[str, np.ndarray]:
    """The images of `generate` as arrays, under the names of a prepared data set.

    Args:
        count: number of images, at least 1.
        seed, start, options: see `generate`.

    Returns:
        {"image", "emotion" (int64 index into EMOTIONS), "affect" float32 [count, 2], "intensity", "landmarks", "mask",
        "id"}, each with a leading axis of `count`.

    Raises:
        UserError: an argument is out of range.

    >>> generate_arrays(2, seed=0, size=16)["landmarks"].shape
    (2, 68, 2)
    """
    _require_integer("count", count, 1)
    faces = list(generate(count, seed, start=start, **options))
    return {
        "image": np.stack([face.image for face in faces]),
        "emotion": np.array([EMOTIONS.index(face.emotion) for face in faces], np.int64),
        "affect": np.array([(face.valence, face.arousal) for face in faces], np.float32),
        "intensity": np.array([face.intensity for face in faces], np.float32),
        "landmarks": np.stack([face.landmarks for face in faces]),
        "mask": np.stack([face.mask for face in faces]),
        "id": np.array([face.id for face in faces]),
    }
