"""ckextended.csv: 920 faces of CK+ as lines `emotion,pixels,Usage`, 48x48 grey pixels each.

It uses FER2013's codes with 7 for contempt, not CK+'s codes. Published counts: 45 anger, 59 disgust, 25 fear, 69 happy,
28 sad, 83 surprise, 593 neutral, 18 contempt. Other counts are reported.
"""

import functools
from collections.abc import Sequence
from typing import Any

from edram_fer.errors import UserError
from edram_fer.preprocessing import emotions, readers
from edram_fer.preprocessing.datasets.fer2013 import layouts
from edram_fer.preprocessing.records import Annotations

FILE = "ckextended.csv"
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


def annotations(location: readers.Location) -> Annotations:
    """The rows of the file with their pixels; `image` is "ckextended.csv#<row>"."""
    [path] = location.files
    layouts.csv_layout(path)  # raises for an unexpected header
    read = functools.partial(_row, path.name, layouts.columns(path), layouts.separator(layouts.header(path)))
    return Annotations(
        name="CK+",
        layout=location.layout,
        root=location.root,
        files=location.files,
        classes=emotions.EIGHT,
        records=functools.partial(readers.line_records, path, read, header=True),
        published={"": PUBLISHED},
        published_rows={"": sum(PUBLISHED.values())},
        notes=("the file does not name subjects: the same person can be in more than one split",),
    )


def _row(file_name: str, columns: Sequence[str], separator: str, number: int, line: str) -> dict[str, Any]:
    fields = layouts.fields(line, separator)
    if len(fields) != len(columns):
        raise UserError(f"{len(fields)} columns instead of {len(columns)}")
    texts = dict(zip(columns, fields))
    if texts["usage"] not in SPLITS:
        raise UserError(f"unknown Usage {texts['usage'][:40]!r}, known: {', '.join(SPLITS)}")
    code = texts["emotion"]
    return {
        "id": f"{number}",
        "image": f"{file_name}#{number}",
        "split": SPLITS[texts["usage"]],
        "emotion": "contempt" if code == "7" else emotions.from_code("FER2013", code),
        "pixels": layouts.parse_pixels(texts["pixels"]),
    }
