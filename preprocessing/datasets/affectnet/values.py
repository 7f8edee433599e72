"""The emotions and the files of AffectNet's annotations, from any layout."""

import functools
import math
import os
from collections.abc import Iterable
from pathlib import Path

from edram_fer.errors import UserError
from edram_fer.preprocessing import emotions, readers
from edram_fer.preprocessing.records import no_label


@functools.lru_cache(maxsize=1000, typed=True)  # a million rows share eleven codes
def emotion(code: float | str) -> str:
    """The emotion for one of AffectNet's codes; UserError for a non-emotion."""
    name = emotions.from_code("AffectNet", code)
    if not emotions.is_emotion(name):
        raise UserError(no_label(name))
    return name


def index(folder: Path, annotation: str) -> dict[str, str]:
    """All rows of `folder`/images and `folder`/annotations.

    Args:
        folder: train_set, val_set, ...
        annotation: the suffix of the annotation file that every row has, "_exp.npy".

    Returns:
        File name without suffix -> suffix of the image, in the order of the numbers in the names. A row without an
        image has the suffix ".jpg".
    """
    rows = {
        name.removesuffix(annotation): ".jpg" for name in _names(folder / "annotations") if name.endswith(annotation)
    }
    endings = {}  # one object for a million equal suffixes
    for name in _names(folder / "images"):
        stem, ending = os.path.splitext(name)
        rows[stem] = endings.setdefault(ending, ending)
    return {stem: rows[stem] for stem in sorted(rows, key=_number_first)}


def _names(folder: Path) -> Iterable[str]:
    try:
        with os.scandir(folder) as entries:
            yield from (
                entry.name
                for entry in entries
                if not entry.name.startswith(".") and entry.name.casefold() not in readers.IGNORED_FILES
            )
    except FileNotFoundError:
        return


def _number_first(name: str) -> tuple[float, str]:
    return (int(name) if name.isascii() and name.isdigit() else math.inf, name)
