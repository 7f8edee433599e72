"""Drawn faces by number: image (seed, index) is a function of these two and the options, whatever else is drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from edram_fer.errors import UserError
from edram_fer.preprocessing.emotions import EMOTIONS
from edram_fer.preprocessing.synthetic import action_units as facs
from edram_fer.preprocessing.synthetic.chance import Dice
from edram_fer.preprocessing.synthetic.person import draw_person
from edram_fer.preprocessing.synthetic.scene import Scene, arrange

WEAKEST = 0.35  # the least intensity that is drawn unasked: below it not even people agree
CHANGE = 8  # grey levels that a pixel must differ by to count as changed
_PERSON, _IMAGE, _EXPRESSION, _ORDER = range(4)  # independent random streams


@dataclass(frozen=True)
class DrawnFace:
    """A drawn face and all that is known about it.

    image: uint8 [size, size, C], C = 1 (grey) or 3 (RGB); emotion: name; intensity: [0, 1], 0 for neutral;
    action_units: intensities in (0, 1] by name ("AU12", or "AU12L" and "AU12R" for one side, the person's own);
    valence, arousal: [-1, 1]; landmarks: float32 [68, 2] in pixels, (x, y), iBUG order; mask: uint8 [size, size, 1],
    1 where the expression changed the image, which is nowhere for a neutral face and nowhere behind an occluder;
    pose: yaw, pitch, roll in degrees; occluder: its name or "".
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
        """Stable text, unique among the faces of a seed."""
        return f"drawn-{self.index:06d}"


def _check(name: str, value, expected: str, valid: bool) -> None:
    if not valid:
        raise UserError(f"{name}: expected {expected}, got {value!r}")


def _whole(name: str, value, least: int) -> None:
    _check(
        name,
        value,
        f"a whole number of at least {least}",
        isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= least,
    )


def _number(name: str, value, low: float, high: float) -> None:
    _check(
        name,
        value,
        f"a number in [{low:g}, {high:g}]",
        isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and low <= value <= high,
    )


def emotion_of(seed: int, index: int, classes: int = 7) -> str:
    """The emotion that falls to an image.

    Images 0 to `classes` - 1 hold each class once, in an order drawn for them, and so do the next ones. classes: 7,
    or 8 with contempt.
    """
    _whole("seed", seed, 0)
    _whole("index", index, 0)
    _check("classes", classes, "7 or 8", classes in (7, 8))
    places = Dice(seed, _ORDER, index // classes).rolls(classes)
    return EMOTIONS[sorted(range(classes), key=places.__getitem__)[index % classes]]


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
    """All of image (seed, index) but its expression; `Scene.show` paints it with any. Options as in `draw`."""
    _whole("seed", seed, 0)
    _whole("index", index, 0)
    _whole("size", size, 16)
    if identity is not None:
        _whole("identity", identity, 0)
    _number("occlusion", occlusion, 0, 1)
    _number("pose", pose, 0, 1)
    _number("noise", noise, 0, 2)
    who = Dice(seed, _PERSON, index if identity is None else identity)
    return arrange(
        draw_person(who),
        who,
        Dice(seed, _IMAGE, index),
        size=size,
        colour=colour,
        occlusion=occlusion,
        pose=pose,
        noise=noise,
    )


def draw(
    seed: int, index: int, *, emotion: str | None = None, intensity: float | None = None, classes: int = 7, **options
) -> DrawnFace:
    """Draw image `index` of the endless series `seed`.

    emotion: a name of EMOTIONS, by default the one that falls to the image among `classes` = 7 or 8; intensity: [0,
    1], by default drawn from [0.35, 1]; a neutral face has none. Options: size=100 pixels of a side, at least 16;
    colour=False; identity: the number of the person, by default the index, so that every image shows another one;
    occlusion=0.12, the chance that something hides a part; pose=1, noise=1: factors on the angles of the head, and on
    blur and noise.

    The mask compares the image with the same scene at rest. Raises ValueError naming an argument out of range.
    """
    setting = scene(seed, index, **options)
    if emotion is None:
        emotion = emotion_of(seed, index, classes)
    _check("emotion", emotion, f"one of {', '.join(EMOTIONS)}", emotion in EMOTIONS)
    chances = Dice(seed, _EXPRESSION, index).rolls(facs.CHANCES + 1)
    if intensity is None:
        intensity = WEAKEST + (1 - WEAKEST) * chances[-1]
    _number("intensity", intensity, 0, 1)
    if emotion == "neutral":
        intensity = 0.0
    units = facs.express(chances[:-1], emotion, intensity)
    image, landmarks = setting.show(units)
    mask = np.zeros((*image.shape[:2], 1), np.uint8)
    if units:
        change = cv2.absdiff(image, setting.show({})[0])
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
        pose=setting.pose,
        occluder=setting.occluder,
    )


def generate(count: int, seed: int, *, start: int = 0, **options) -> Iterator[DrawnFace]:
    """Draw images `start` to `start + count - 1` of a seed, classes balanced and shuffled; options as in `draw`."""
    _whole("count", count, 0)
    _whole("start", start, 0)
    if count:
        draw(seed, start, **options)  # a wrong option is told at once, not at the first `next`
    return (draw(seed, index, **options) for index in range(start, start + count))


def arrays(count: int, seed: int, *, start: int = 0, **options) -> dict[str, np.ndarray]:
    """The same images as arrays with a leading axis of `count`, under the names of a prepared data set: image,
    emotion (int64 index into EMOTIONS), affect float32 [2], intensity, landmarks, mask, id.
    """
    _whole("count", count, 1)
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
