"""The one vocabulary of emotions: names, their order, and what every data set's codes mean.

Every data set numbers the same emotions differently. A label is therefore converted by NAME wherever it enters:
`from_code("FER2013", 6)` is "neutral", `index("neutral")` is 0. Nothing here, and nothing that uses it, copies a
number from one data set's order into another's: the mix-up of FERPlus and AffectNet leaves neutral and happy
right and turns every other image wrong, which no training curve shows.
"""

from collections.abc import Sequence

from edram_fer.errors import UserError

EMOTIONS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
EIGHT = EMOTIONS
SEVEN = EMOTIONS[:7]

# What an annotator may say that is not an emotion. Images with these have no emotion label.
NON_EMOTIONS = ("none", "uncertain", "no face", "unknown")

_NAMED = {
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

# Each data set's own codes as its files write them -> names. Source: the data sets' papers and read-me files.
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
    # 0 is the first frame of a sequence; the files themselves only hold 1 to 7.
    "CK+": {0: "neutral", 1: "anger", 2: "contempt", 3: "disgust", 4: "fear", 5: "happy", 6: "sad", 7: "surprise"},
    "JAFFE": {**_TWO_LETTERS, "FE": "fear"},
    "KDEF": {**_TWO_LETTERS, "AF": "fear"},
    "FERG": _NAMED,
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
_CANONICAL = {name: name for name in EMOTIONS + NON_EMOTIONS}
_CANONICAL |= {alias: name for name, aliases in _ALIASES.items() for alias in aliases}


def _plain(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum() or letter == "+")


_DATASETS = {_plain(name): name for name in CODES} | {"fer+": "FERPlus", "ckplus": "CK+", "affectnet+": "AffectNet"}


def canonical(name: str) -> str:
    """The canonical name of an emotion, or of a non-emotion, written in any common way.

    `canonical("Angry")` is "anger", `canonical("NF")` is "no face". Case and blanks around it do not matter.
    Raises ValueError with the known names for anything else.
    """
    found = _CANONICAL.get(name.strip().casefold()) if isinstance(name, str) else None
    if found is None:
        raise UserError(
            f"unknown emotion {name!r}; known: {', '.join(EMOTIONS)} "
            f"(and aliases such as angry, happiness), not an emotion: {', '.join(NON_EMOTIONS)}"
        )
    return found


def codes(dataset: str) -> dict:
    """The table code -> name of one data set, by its name in any spelling ("RAF-DB", "raf_db", "rafdb")."""
    key = _DATASETS.get(_plain(dataset)) if isinstance(dataset, str) else None
    if key is None:
        raise UserError(f"no emotion codes for data set {dataset!r}; known: {', '.join(CODES)}")
    return dict(CODES[key])


def from_code(dataset: str, code) -> str:
    """The name behind one data set's own code: one of EMOTIONS, or of NON_EMOTIONS (test with `is_emotion`).

    `code` may be a number, or text as the files hold it ("6", "   3.0000000e+00", "HA", "joy"; case is ignored).
    Raises ValueError naming the data set, the code and the known codes.
    """
    table = codes(dataset)
    for known, name in table.items():
        if _same_code(known, code):
            return name
    known = ", ".join(f"{key} {name}" for key, name in table.items())
    raise UserError(f"{_DATASETS[_plain(dataset)]}: unknown emotion code {code!r}; known codes: {known}")


def _same_code(known, code) -> bool:
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
    """The label of a name (any alias) in `classes`, by default the canonical order of eight.

    Raises ValueError where the name is not among them: a contempt image has no label in SEVEN.
    """
    name = canonical(name)
    if name not in classes:
        raise UserError(f"emotion {name!r} is not among the classes {', '.join(classes)}")
    return list(classes).index(name)
