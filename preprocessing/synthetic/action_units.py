"""Emotions as action units with intensities, and the resulting valence and arousal.

An action unit (AU) is one visible movement of the face in the Facial Action Coding System (FACS). The combinations are
prototypes and common variants from Ekman, Friesen and Hager, "FACS Investigator's Guide" (2002), table of emotion
predictions, in its notation: `1+4C+15` is AU1 with AU4 at no more than level C and AU15; a leading `U` marks a unit on
only one side of the face, either side. A trailing `?` is this project's addition: the unit is shown half of the time.
"""

from collections.abc import Sequence
from typing import NamedTuple

UNITS = {
    1: "inner brow raiser",
    2: "outer brow raiser",
    4: "brow lowerer",
    5: "upper lid raiser",
    6: "cheek raiser",
    7: "lid tightener",
    9: "nose wrinkler",
    10: "upper lip raiser",
    12: "lip corner puller",
    14: "dimpler",
    15: "lip corner depressor",
    16: "lower lip depressor",
    17: "chin raiser",
    20: "lip stretcher",
    23: "lip tightener",
    24: "lip pressor",
    25: "lips part",
    26: "jaw drop",
    27: "mouth stretch",
    43: "eyes closed",
}

LEVELS = {"A": 0.2, "B": 0.4, "C": 0.6, "D": 0.8, "E": 1.0}  # FACS grades a movement from A (trace) to E (maximum)

VARIANTS = {
    "neutral": ("",),
    "happy": ("6+12", "6+12+25", "6+12+25+26C", "6C+7B?+12+25", "12+25?"),
    "sad": ("1+4C+15", "1+4C+15+17D", "1+4D+7B?+15", "1+4B+15D+17"),
    "surprise": ("1+2+5+25+26", "1+2+5+25+27D", "1+2+5C?+25+26", "1+2+5+25D"),
    "fear": ("1+2C+4C+5+20+25", "1+2C+4D+5+20+25+26B", "1+2B+4C+5+7B?+20+25", "1+4C+5+20+25D"),
    "disgust": ("9+15C+17", "9+10C+17", "9+16C+25", "9+10+25?", "9+10D+15C?+17C"),
    "anger": ("4+5C+7+23", "4+7+24", "4+5C+7C+17C?+23", "4+5B?+7+10C+23B+25"),
    "contempt": ("U12C+U14", "U12B+U14", "U14", "U10B?+U12C+U14"),
}

# (valence, arousal) of the full expression on the circumplex of Russell ("A circumplex model of affect", 1980). The
# quadrants are Russell's, the numbers our choice. Weaker expressions lie on the line to neutral, (0, 0).
CIRCUMPLEX = {
    "neutral": (0.0, 0.0),
    "happy": (0.85, 0.45),
    "sad": (-0.75, -0.45),
    "surprise": (0.2, 0.85),
    "fear": (-0.6, 0.8),
    "disgust": (-0.7, 0.35),
    "anger": (-0.65, 0.7),
    "contempt": (-0.55, 0.25),
}


class Term(NamedTuple):
    """One unit of a variant: its number, greatest intensity in [0, 1], whether on one side only, whether optional."""

    unit: int
    level: float
    one_sided: bool
    optional: bool


def _parse(variant: str) -> tuple[Term, ...]:
    terms = []
    for text in filter(None, variant.split("+")):
        optional, one_sided = text.endswith("?"), text.startswith("U")
        code = text.strip("U?")
        level = LEVELS.get(code[-1], 1.0)
        terms.append(Term(int(code.rstrip("ABCDE")), level, one_sided, optional))
    return tuple(terms)


_PARSED = {emotion: tuple(map(_parse, variants)) for emotion, variants in VARIANTS.items()}
CHANCES = 2 + 2 * max(len(terms) for variants in _PARSED.values() for terms in variants)  # numbers used by `express`


def express(chances: Sequence[float], emotion: str, intensity: float) -> dict[str, float]:
    """Draw the action units of an expression. The intensity of each unit is jittered independently.

    Args:
        chances: CHANCES random numbers in [0, 1).
        emotion: a key of VARIANTS.
        intensity: intensity of the expression, in [0, 1].

    Returns:
        {name: intensity in (0, 1]}: "AU12" for both sides, "AU12L" or "AU12R" for one side, left and right from the
        drawn person's view, as in FACS.

    >>> express([0.0] * CHANCES, "happy", 1.0)
    {'AU6': 0.8, 'AU12': 0.8}
    """
    variant, side, *others = chances
    variants = _PARSED[emotion]
    units = {}
    for term, jitter, keep in zip(variants[int(variant * len(variants))], others[0::2], others[1::2]):
        if not term.optional or keep >= 0.5:
            name = f"AU{term.unit}" + ("" if not term.one_sided else "L" if side < 0.5 else "R")
            units[name] = min(1.0, intensity * term.level * (0.8 + 0.35 * jitter))
    return {name: value for name, value in units.items() if value > 0}


def affect(emotion: str, intensity: float) -> tuple[float, float]:
    """(valence, arousal), each in [-1, 1], of an emotion shown at `intensity` in [0, 1].

    >>> affect("sad", 0.4)
    (-0.30000000000000004, -0.18000000000000002)
    """
    valence, arousal = CIRCUMPLEX[emotion]
    return valence * intensity, arousal * intensity
