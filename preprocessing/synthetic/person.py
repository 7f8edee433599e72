"""The people who are drawn: shape of the face at rest, colours, hair, beard, glasses.

Lengths are in half widths of the face; the eyes are at y = 0, and y grows downwards. The ranges are wide enough that a
face at rest can look a little happy, tired or stern, so neutral faces differ, too.
"""

from dataclasses import dataclass

from edram_fer.preprocessing.synthetic.random_stream import RandomStream

TRAITS = {
    "chin": (1.42, 1.72),
    "jaw_power": (2.0, 2.8),
    "jaw_taper": (0.08, 0.3),
    "crown": (1.15, 1.35),
    "hairline": (0.62, 0.92),
    "eye_x": (0.40, 0.47),
    "eye_width": (0.175, 0.225),
    "eye_open": (0.065, 0.105),
    "eye_tilt": (-0.035, 0.035),
    "iris": (0.085, 0.105),
    "brow_height": (0.26, 0.34),
    "brow_length": (0.26, 0.33),
    "brow_tilt": (-0.045, 0.05),
    "brow_arch": (0.02, 0.09),
    "brow_thickness": (0.04, 0.095),
    "brow_depth": (0.4, 1.0),
    "nose_length": (0.58, 0.74),
    "nose_width": (0.17, 0.27),
    "nose_tip": (0.2, 0.34),
    "mouth_place": (0.36, 0.43),
    "mouth_width": (0.31, 0.42),
    "mouth_curve": (-0.03, 0.03),
    "lip_upper": (0.05, 0.105),
    "lip_lower": (0.07, 0.135),
    "asymmetry": (-0.12, 0.12),
    "age": (0.0, 1.0),
    "ear": (0.16, 0.26),
    "neck": (0.5, 0.75),
    "lashes": (0.02, 0.05),
    "lip_red": (0.15, 0.6),
    "cheek_shade": (0.0, 1.0),
}

SKINS = (
    (255, 224, 200),
    (250, 213, 184),
    (241, 194, 160),
    (229, 184, 143),
    (224, 172, 125),
    (206, 150, 110),
    (184, 128, 88),
    (157, 105, 70),
    (128, 84, 56),
    (102, 66, 46),
)
HAIRS = (
    (24, 20, 20),
    (38, 28, 24),
    (60, 42, 30),
    (92, 62, 40),
    (124, 84, 50),
    (150, 78, 44),
    (196, 158, 96),
    (222, 190, 130),
    (150, 148, 146),
    (214, 212, 210),
)
EYES = ((70, 46, 30), (52, 34, 24), (60, 40, 26), (96, 70, 40), (92, 108, 70), (84, 112, 140), (110, 122, 130))

# Relative frequencies.
HAIR_STYLES = {
    "bald": 1,
    "short": 3,
    "parted": 2.5,
    "fringe": 2,
    "long": 3,
    "curly": 2,
    "bun": 1.2,
    "headscarf": 1,
    "hat": 0.8,
}
BEARDS = {"none": 7, "stubble": 1.5, "moustache": 0.8, "goatee": 0.7, "full": 1}
GLASSES = {"none": 7, "round": 1.2, "square": 1.2}

Colour = tuple[float, ...]  # RGB in [0, 255]; on a grey canvas one value


@dataclass(frozen=True)
class Person:
    """One identity: traits under the names of TRAITS, colours as RGB in [0, 255], styles by name."""

    traits: dict[str, float]
    skin: Colour
    hair: Colour
    iris: Colour
    lips: Colour
    cloth: Colour
    hair_style: str
    beard: str
    glasses: str


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """The mixture of two colours with a share in [0, 1] of the second.

    >>> mix((0, 0, 0), (100, 200, 250), 0.5)
    (50.0, 100.0, 125.0)
    """
    return tuple(a + (b - a) * share for a, b in zip(first, second))


def darker(colour: Colour, factor: float) -> Colour:
    """The colour times `factor`, clipped at 255; a factor above one makes it lighter."""
    return tuple(min(255.0, value * factor) for value in colour)


def draw_person(stream: RandomStream) -> Person:
    """Draw a random person from the first numbers of a stream."""
    traits = {name: stream.uniform(low, high) for name, (low, high) in TRAITS.items()}
    skin, hair, grey = darker(stream.choose(SKINS), stream.uniform(0.84, 0.98)), stream.choose(HAIRS), stream.uniform()
    if traits["age"] > 0.75:
        hair = mix(hair, (205, 203, 200), grey)
    hair_style, beard = stream.choose_weighted(HAIR_STYLES), stream.choose_weighted(BEARDS)
    return Person(
        traits=traits,
        skin=skin,
        hair=hair,
        iris=stream.choose(EYES),
        lips=darker(mix(skin, (178, 44, 58), traits["lip_red"]), stream.uniform(0.72, 0.92)),
        cloth=mix(tuple(stream.uniforms(3, 0, 255)), (90, 90, 95), 0.55),
        hair_style=hair_style,
        beard="none" if hair_style == "headscarf" else beard,
        glasses=stream.choose_weighted(GLASSES),
    )
