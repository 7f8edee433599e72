"""The vocabulary of emotions: names, their canonical order, and the codes of every data set.

Every data set numbers the same emotions differently. A label is therefore converted by name wherever it is read:
`from_code("FER2013", 6)` is "neutral", `index("neutral")` is 0. Numbers are never copied from one data set's order to
another's: confusing FERPlus with AffectNet would leave neutral and happy correct and all other labels wrong, which no
training curve shows.
"""

from collections.abc import Sequence
from typing import Any

from edram_fer.errors import UserError

EMOTIONS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
EIGHT = EMOTIONS
SEVEN = EMOTIONS[:7]

# Answers of annotators that are not emotions. Such images have no emotion label.
NON_EMOTIONS = ("none", "uncertain", "no face", "unknown")

_FERG = {
    "neutral": "neutral",
    "joy": "happy",
    "sadness": "sad",
    "surprise": "surprise",
    "fear": "fear",
    "disgust": "disgust",
    "anger": "anger",
}
_TWO_LETTERS = {"NE": "neutral", "HA": "happy", "SA": "sad", "SU": "surprise", "DI": "disgust", "AN": "anger"}
_FER2013 = {0: "anger", 1: "disgust", 2: "fear", 3: "happy", 4: "sad", 5: "surprise", 6: "neutral"}

# The codes in the files of each data set -> names. Sources: papers and README files of the data sets.
CODES = {
    "AffectNet": {
        0: "neutral",
        1: "happy",
        2: "sad",
        3: "surprise",
        4: "fear",
        5: "disgust",
        6: "anger",
        7: "contempt",
        8: "none",
        9: "uncertain",
        10: "no face",
    },
    "FER2013": _FER2013,
    "ExpW": _FER2013,
    "FERPlus": {
        0: "neutral",
        1: "happy",
        2: "surprise",
        3: "sad",
        4: "anger",
        5: "disgust",
        6: "fear",
        7: "contempt",
        8: "unknown",
        9: "no face",
    },
    "RAF-DB": {1: "surprise", 2: "fear", 3: "disgust", 4: "happy", 5: "sad", 6: "anger", 7: "neutral"},
    # 0 is the first frame of a sequence; the files themselves contain only 1 to 7.
    "CK+": {0: "neutral", 1: "anger", 2: "contempt", 3: "disgust", 4: "fear", 5: "happy", 6: "sad", 7: "surprise"},
    "JAFFE": {**_TWO_LETTERS, "FE": "fear"},
    "KDEF": {**_TWO_LETTERS, "AF": "fear"},
    "FERG": _FERG,
    "SFEW": {
        "Neutral": "neutral",
        "Happy": "happy",
        "Sad": "sad",
        "Surprise": "surprise",
        "Fear": "fear",
        "Disgust": "disgust",
        "Angry": "anger",
    },
}

_ALIASES = {
    "neutral": ("neutrality", "calm"),
    "happy": ("happiness", "joy", "joyful", "smile"),
    "sad": ("sadness",),
    "surprise": ("surprised",),
    "fear": ("fearful", "afraid", "scared"),
    "disgust": ("disgusted",),
    "anger": ("angry",),
    "contempt": ("contemptuous",),
    "no face": ("nf", "no-face", "noface", "no_face"),
}
_CANONICAL = {
    **{name: name for name in EMOTIONS + NON_EMOTIONS},
    **{alias: name for name, aliases in _ALIASES.items() for alias in aliases},
}


def _normalise(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum() or letter == "+")


_DATASETS = {_normalise(name): name for name in CODES} | {"fer+": "FERPlus", "ckplus": "CK+", "affectnet+": "AffectNet"}


def canonical(name: str) -> str:
    """The canonical name of an emotion or non-emotion in any common spelling.

    Args:
        name: case and surrounding blanks do not matter.

    Raises:
        UserError: the name is unknown; the message lists the known ones.

    Example:
        >>> canonical("Angry"), canonical("NF")
        ('anger', 'no face')
    """
    emotion = _CANONICAL.get(name.strip().casefold()) if isinstance(name, str) else None
    if emotion is None:
        raise UserError(
            f"unknown emotion {name!r}; known: {', '.join(EMOTIONS)} "
            f"(and aliases such as angry, happiness), not an emotion: {', '.join(NON_EMOTIONS)}"
        )
    return emotion


def codes(dataset: str) -> dict[int | str, str]:
    """The codes of a data set: code -> name.

    Args:
        dataset: its name in any spelling ("RAF-DB", "raf_db", "rafdb").

    Raises:
        UserError: the data set has no known codes.

    Example:
        >>> codes("raf_db")[1]
        'surprise'
    """
    key = _DATASETS.get(_normalise(dataset)) if isinstance(dataset, str) else None
    if key is None:
        raise UserError(f"no emotion codes for data set {dataset!r}; known: {', '.join(CODES)}")
    return dict(CODES[key])


def from_code(dataset: str, code: float | str) -> str:
    """The name for a code of a data set: one of EMOTIONS or of NON_EMOTIONS (see `is_emotion`).

    Args:
        dataset: its name in any spelling.
        code: a number, or text as in the files ("6", "   3.0000000e+00", "HA", "joy"); case is ignored.

    Raises:
        UserError: the code is unknown; the message names the data set and its codes.

    Example:
        >>> from_code("FER2013", 6), from_code("JAFFE", "HA")
        ('neutral', 'happy')
    """
    table = codes(dataset)
    for known, name in table.items():
        if _is_same_code(known, code):
            return name
    listing = ", ".join(f"{known} {name}" for known, name in table.items())
    raise UserError(f"{_DATASETS[_normalise(dataset)]}: unknown emotion code {code!r}; known codes: {listing}")


def _is_same_code(known: int | str, code: Any) -> bool:
    if isinstance(known, str):
        return isinstance(code, str) and code.strip().casefold() == known.casefold()
    if isinstance(code, bool):
        return False
    try:
        return float(code) == known
    except (TypeError, ValueError, OverflowError):
        return False


def is_emotion(name: str) -> bool:
    """Whether a canonical name is an emotion; False for "none", "uncertain", "no face" and "unknown"."""
    return name in EMOTIONS


def index(name: str, classes: Sequence[str] = EMOTIONS) -> int:
    """The label of an emotion: its position in `classes`.

    Args:
        name: name of the emotion, in any common spelling.
        classes: names in label order; by default the canonical order of all eight.

    Raises:
        UserError: the emotion is not among the classes: contempt has no label in SEVEN.

    Example:
        >>> index("anger"), index("happy", ["happy", "sad"])
        (6, 0)
    """
    name = canonical(name)
    if name not in classes:
        raise UserError(f"emotion {name!r} is not among the classes {', '.join(classes)}")
    return list(classes).index(name)
