"""The vocabulary of emotions: names, their canonical order, and the codes of every data set.

Every data set numbers the same emotions differently. A label is therefore converted by name wherever it is read:
`from_code("FER2013", 6)` is "neutral", `index("neutral")` is 0. Numbers are never copied from one data set's order to
another's: confusing FERPlus with AffectNet would leave neutral and happy correct and all other labels wrong, which no
training curve shows.

A data set may also have classes of its own, such as bored, engaged and confused: any list of names (`parse_classes`).
"""

import difflib
import reprlib
from collections.abc import Iterable, Sequence
from typing import Any

from edram_fer.errors import UserError

EMOTIONS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
EIGHT = EMOTIONS
SEVEN = EMOTIONS[:7]
SETS = {"seven": SEVEN, "eight": EIGHT}
LONGEST_NAME = 60  # characters of the name of a class
# Names of columns and rows in tables of predictions and comparisons, where each class has a column or row of its own.
RESERVED = (
    *(
        "all",
        "all images",
        "source",
        "image",
        "frame",
        "time",
        "face",
        "track",
        "status",
        "detector",
        "score",
        "rotation",
    ),
    *("box", "left", "top", "width", "height", "emotion", "confidence", "valence", "arousal", "windows"),
    *("step_probabilities", "step_predictions", "data"),
)

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
    "RAF-DB compound": {
        1: "Happily Surprised",
        2: "Happily Disgusted",
        3: "Sadly Fearful",
        4: "Sadly Angry",
        5: "Sadly Surprised",
        6: "Sadly Disgusted",
        7: "Fearfully Angry",
        8: "Fearfully Surprised",
        9: "Angrily Surprised",
        10: "Angrily Disgusted",
        11: "Disgustedly Surprised",
    },
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

# Other forms of the names, and other words for them.
_FORMS = {
    "neutral": ("neutrality",),
    "happy": ("happiness",),
    "sad": ("sadness",),
    "surprise": ("surprised",),
    "fear": ("fearful",),
    "disgust": ("disgusted",),
    "anger": ("angry",),
    "contempt": ("contemptuous",),
}
_SYNONYMS = {
    "neutral": ("calm",),
    "happy": ("joy", "joyful", "smile"),
    "fear": ("afraid", "scared"),
    "no face": ("nf", "no-face", "noface", "no_face"),
}


def _names_by_alias(*tables: dict[str, tuple[str, ...]]) -> dict[str, str]:
    return {alias: name for table in tables for name, aliases in table.items() for alias in aliases}


_EMOTION_FORMS = {**{name: name for name in EMOTIONS}, **_names_by_alias(_FORMS)}
_CANONICAL = {**{name: name for name in NON_EMOTIONS}, **_EMOTION_FORMS, **_names_by_alias(_SYNONYMS)}


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


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """Class names with the eight emotions among them in canonical order; all other names keep their places.

    Example:
        >>> ordered(["anger", "happy", "bored"]), ordered(["positive", "neutral", "negative"])
        (('happy', 'anger', 'bored'), ('positive', 'neutral', 'negative'))
    """
    names = list(names)
    emotions = iter(sorted((name for name in names if name in EMOTIONS), key=EMOTIONS.index))
    return tuple(next(emotions) if name in EMOTIONS else name for name in names)


def parse_classes(text: str | int | Sequence[str]) -> tuple[str, ...]:
    """The classes of a data set or a model in label order.

    Args:
        text: "seven" or "eight" (also 7 or 8), or any names: a sequence, or one text with commas. Another form of one
            of the eight names ("Angry", "happiness") stands for that name; other names stay unchanged.

    Raises:
        UserError: fewer than two names, or a name that is empty, too long, repeated, not printable or one of RESERVED.

    Example:
        >>> parse_classes("seven") == SEVEN
        True
        >>> parse_classes("bored, Happiness, engaged, neutral")
        ('bored', 'neutral', 'engaged', 'happy')
    """
    if str(text) in ("7", "8"):
        text = {"7": "seven", "8": "eight"}[str(text)]
    if isinstance(text, str) and text.strip().casefold() in SETS:
        return SETS[text.strip().casefold()]
    parts = str(text).split(",") if isinstance(text, (str, int)) else list(text)
    names = [_EMOTION_FORMS.get(name.casefold(), name) for name in (" ".join(str(part).split()) for part in parts)]
    _check_names(names, "classes", f"{', '.join(SETS)}, or at least two different names such as bored,engaged", 2)
    return ordered(names)


def checked_classes(names: Any, where: str, least: int = 1) -> tuple[str, ...]:
    """The names of classes that a file holds, in label order.

    Args:
        names: what the file holds.
        where: the file and the part of it, for the message.
        least: their least number.

    Raises:
        UserError: it is no list of different names, or a name is none for `parse_classes`.

    Example:
        >>> checked_classes(["happy", "bored"], "model.keras")
        ('happy', 'bored')
        >>> checked_classes(["happy", "face"], "model.keras")
        Traceback (most recent call last):
        edram_fer.errors.UserError: model.keras: face is the name of a column of predictions; choose another name
    """
    expected = "a list of different class names"
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{where}: expected {expected}, got {reprlib.repr(names)}")
    _check_names(names, where, expected, least)
    return tuple(names)


def _check_names(names: Sequence[str], where: str, expected: str, least: int) -> None:
    for name in names:
        if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable() or "," in name:
            raise UserError(
                f"{where}: expected {expected}; a name has 1 to {LONGEST_NAME} printable characters and no comma, "
                f"got {name[:80]!r}"
            )
    if reserved := [name for name in names if name.casefold() in RESERVED]:
        raise UserError(f"{where}: {reserved[0]} is the name of a column of predictions; choose another name")
    if len({name.casefold() for name in names}) < max(len(names), least):
        raise UserError(f"{where}: expected {expected}, got {reprlib.repr(', '.join(names))}")


class Labels:
    """Assigns the labels in a data set's files to its classes, in any common spelling.

    Example:
        >>> labels = Labels(("neutral", "happy", "bored"))
        >>> labels.name("Happiness"), labels.name("BORED")
        ('happy', 'bored')
        >>> labels.name("boored")
        Traceback (most recent call last):
        edram_fer.errors.UserError: unknown label boored (bored?)
    """

    def __init__(self, classes: Sequence[str]) -> None:
        """Args:
        classes: the names of the classes, in label order.
        """
        self.classes = tuple(classes)
        known = (*self.classes, *NON_EMOTIONS)
        self._names = {alias: name for alias, name in _CANONICAL.items() if name in known}
        # A class with the name of an alias, "joy", is the class of all of its synonyms, unless "happy" is a class, too.
        for name in self.classes:
            emotion = _CANONICAL.get(name.casefold())
            if emotion is not None and emotion not in self.classes:
                self._names |= {alias: name for alias, other in _CANONICAL.items() if other == emotion}
        self._names |= {name.casefold(): name for name in self.classes}

    def name(self, label: str) -> str:
        """The class of a label, or one of NON_EMOTIONS.

        Raises:
            UserError: it is the label of no class; the message suggests a similar name. It is short, because it becomes
                the status of a row.
        """
        key = " ".join(label.split()).casefold()
        if key in self._names:
            return self._names[key]
        if key in _CANONICAL:
            raise UserError(f"label {_CANONICAL[key]}, not among the {len(self.classes)} classes")
        similar = difflib.get_close_matches(key, self._names, n=1)
        text = "".join(letter if letter.isprintable() else "?" for letter in label[:LONGEST_NAME]) or "''"
        raise UserError(f"unknown label {text}" + (f" ({self._names[similar[0]]}?)" if similar else ""))
