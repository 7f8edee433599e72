"""ckextended.csv: 920 faces of CK+ as lines `emotion,pixels,Usage`, 48x48 grey pixels each.

Its codes are FER2013's with 7 for contempt, not CK+'s own: 45 anger, 59 disgust, 25 fear, 69 happy, 28 sad,
83 surprise, 593 neutral, 18 contempt. Other numbers are noted.
"""

import functools

import numpy as np

from edram_fer.errors import UserError
from edram_fer.preprocessing import emotions, sources
from edram_fer.preprocessing.datasets.fer2013 import layouts
from edram_fer.preprocessing.records import Annotations

FILE = "ckextended.csv"
SIZE = 48
SPLITS = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
PUBLISHED = {
    "anger": 45,
    "disgust": 59,
    "fear": 25,
    "happy": 69,
    "sad": 28,
    "surprise": 83,
    "neutral": 593,
    "contempt": 18,
}


def annotations(place: sources.Place) -> Annotations:
    """The rows of the file, with their pixels; `image` is "ckextended.csv#<row>"."""
    path = place.files[0]
    layouts.csv_layout(path)  # raises for another header
    read = functools.partial(_read, path.name, layouts.columns(path))
    rows = functools.partial(sources.from_lines, path, read, header=True)
    notes = ("subjects are unknown here: the same person can be in more than one split",)
    return Annotations(
        "CK+",
        place.form,
        place.root,
        place.files,
        emotions.EIGHT,
        rows,
        {"": PUBLISHED},
        {"": sum(PUBLISHED.values())},
        notes=notes,
    )


def _fields(columns: list[str], line: str) -> dict[str, str]:
    fields = layouts.fields(line)
    if len(fields) != len(columns):
        raise UserError(f"{len(fields)} columns instead of {len(columns)}")
    return dict(zip(columns, fields))


def _read(name: str, columns: list[str], number: int, line: str) -> dict:
    fields = _fields(columns, line)
    if fields["usage"] not in SPLITS:
        raise UserError(f"unknown Usage {fields['usage'][:40]!r}, known: {', '.join(SPLITS)}")
    code = fields["emotion"]
    emotion = "contempt" if code == "7" else emotions.from_code("FER2013", code)
    return {
        "id": f"{number}",
        "image": f"{name}#{number}",
        "split": SPLITS[fields["usage"]],
        "emotion": emotion,
        "pixels": _pixels(fields["pixels"]),
    }


def _pixels(text: str) -> np.ndarray:
    words = text.split()
    if len(words) != SIZE * SIZE:
        raise UserError(f"{len(words)} pixels instead of {SIZE * SIZE}")
    bad = [word for word in words if not (word.isascii() and word.isdigit() and int(word) <= 255)]
    if bad:
        raise UserError(f"pixel {bad[0][:20]!r} is not a number from 0 to 255")
    return np.array(words, np.uint8).reshape(SIZE, SIZE)
