"""Objects that hide a part of a face: strokes in face coordinates, painted last."""

import numpy as np

from edram_fer.preprocessing.synthetic.outfit import Stroke, add_depth, ellipse, glasses, place_on_head
from edram_fer.preprocessing.synthetic.person import Colour, Person, darker, mix
from edram_fer.preprocessing.synthetic.random_stream import RandomStream


def _colour(stream: RandomStream) -> Colour:
    return mix(tuple(stream.uniforms(3, 0, 255)), (110, 110, 110), 0.4)


def bar(person: Person, stream: RandomStream) -> list[Stroke]:
    """A straight bar across the image at any angle."""
    angle, x, y = stream.uniform(0, np.pi), stream.uniform(-0.7, 0.7), stream.uniform(-0.4, 1.4)
    half = 4 * np.array([np.cos(angle), np.sin(angle), 0])
    return [Stroke([np.array([(x, y, 1) - half, (x, y, 1) + half])], _colour(stream), stream.uniform(0.2, 0.4))]


def patches(person: Person, stream: RandomStream) -> list[Stroke]:
    """One to three plain rectangles."""
    strokes = []
    for _ in range(1 + int(stream.uniform(0, 3))):
        x, y, width, height = (
            stream.uniform(-1.0, 0.6),
            stream.uniform(-0.5, 1.2),
            stream.uniform(0.25, 0.55),
            stream.uniform(0.25, 0.55),
        )
        box = np.array([(x, y, 1), (x + width, y, 1), (x + width, y + height, 1), (x, y + height, 1)])
        strokes.append(Stroke([box], _colour(stream)))
    return strokes


def hand(person: Person, stream: RandomStream) -> list[Stroke]:
    """A hand with four fingers that covers a cheek, the mouth or an eye from below."""
    middle, lean = np.array([stream.uniform(-0.6, 0.6), stream.uniform(0.9, 1.5)]), stream.uniform(-0.5, 0.5)
    up = np.array([np.sin(lean), -np.cos(lean)])
    across, reach = np.array([-up[1], up[0]]), stream.uniform(0.55, 0.8)
    bases = [middle + 0.2 * finger * across for finger in (-1.5, -0.5, 0.5, 1.5)]
    tips = [base + reach * length * up for base, length in zip(bases, (0.85, 1.0, 0.95, 0.75))]
    fingers = [add_depth(np.array(ends), 1.0) for ends in zip(bases, tips)]
    ring = ellipse(0, 0, 0.42, 0.34)
    palm = add_depth(middle + ring[:, :1] * across + ring[:, 1:] * up, 1.0)
    wrist, elbow = 0.3 * across, -2.5 * up
    arm = add_depth(middle + np.array([wrist, -wrist, elbow - wrist, elbow + wrist]), 1.0)
    skin = darker(person.skin, 0.95)
    return [
        Stroke(fingers, darker(person.skin, 0.6), 0.25),
        *(Stroke([finger], skin, 0.2) for finger in fingers),
        Stroke([arm], skin),
        Stroke([palm], skin),
    ]


def scarf(person: Person, stream: RandomStream) -> list[Stroke]:
    """A scarf that covers mouth and chin."""
    top, colour = person.traits["nose_length"] + stream.uniform(-0.1, 0.35), _colour(stream)
    upper = np.array([(-1.1, top - 0.1), (-0.5, top + 0.05), (0, top), (0.5, top + 0.05), (1.1, top - 0.1)])
    cloth = np.concatenate([place_on_head(upper, 0.15), [(1.3, 3.0, 0.0), (-1.3, 3.0, 0.0)]])
    return [Stroke([cloth], colour), Stroke([place_on_head(upper + (0, 0.3), 0.15)], darker(colour, 0.75), 0.06)]


def sunglasses(person: Person, stream: RandomStream) -> list[Stroke]:
    """Dark lenses over both eyes."""
    return glasses(person, stream, dark=True)


def strand(person: Person, stream: RandomStream) -> list[Stroke]:
    """A strand of hair down over one eye."""
    side, points = stream.choose((-1, 1)), np.array([(0.1, -1.2), (0.5, -0.6), (0.65, 0.1), (0.55, 0.8)])
    return [
        Stroke(
            [place_on_head((points + (stream.uniform(-0.3, 0.25), 0)) * (side, 1), 0.15)],
            darker(person.hair, tone),
            0.13,
        )
        for tone in (0.8, 1.0, 1.15)
    ]


OCCLUDERS = {draw.__name__: draw for draw in (bar, patches, hand, scarf, sunglasses, strand)}
