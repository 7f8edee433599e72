"""AffectNet of March 2021: crops of 224x224 pixels with four npy files each."""

import tokenize
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edram_fer.errors import UserError, as_status
from edram_fer.preprocessing.datasets.affectnet import values
from edram_fer.preprocessing.records import FaceRecord, checked_affect
from edram_fer.preprocessing.values import parse_landmarks

# Errors that NumPy raises for a damaged npy file: mostly ValueError; SystemError for a text that is not Unicode; the
# others come from parsing the header.
_DAMAGED = (OSError, ValueError, SyntaxError, tokenize.TokenError, TypeError, OverflowError, MemoryError, SystemError)


def count(sets: Mapping[str, Path]) -> int:
    """Number of rows of the folders {split: folder}."""
    return sum(len(values.index(folder, "_exp.npy")) for folder in sets.values())


def records(root: Path, sets: Mapping[str, Path]) -> Iterator[FaceRecord]:
    """All rows, lazily, in the order of the image numbers.

    Args:
        root: the folder that the paths of the rows are relative to.
        sets: split -> train_set, val_set, ...
    """
    for split, folder in sets.items():
        subfolder = folder.relative_to(root).as_posix()
        for name, ending in values.index(folder, "_exp.npy").items():
            yield _record(folder / "annotations", name, split, f"{subfolder}/images/{name}{ending}")


def _record(folder: Path, name: str, split: str, image: str) -> FaceRecord:
    # The id contains the split, because both splits have images with the same numbers.
    features: dict[str, Any] = {"id": f"{split}/{name}", "row": image, "image": image, "split": split}
    try:
        features["emotion"] = values.emotion(_read_scalar(folder, name, "exp"))
        features["landmarks"] = parse_landmarks(_read(folder, name, "lnd"))
        valence, arousal = _read_scalar(folder, name, "val"), _read_scalar(folder, name, "aro")
        features["valence"], features["arousal"] = checked_affect(valence, arousal)
    except Exception as error:  # one row must not stop all others
        features["status"] = as_status(error)
    return FaceRecord(**features)


def _read_scalar(folder: Path, name: str, kind: str) -> Any:
    """A number, or a text that the files hold instead."""
    values = _read(folder, name, kind)
    if len(values) != 1:
        raise UserError(f"_{kind}.npy holds {len(values)} values instead of 1")
    return values[0]


def _read(folder: Path, name: str, kind: str) -> list[Any]:
    """All values of an array."""
    try:
        with open(folder / f"{name}_{kind}.npy", "rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)  # like np.load, but only for npy files
            return array.ravel().tolist()
    except FileNotFoundError:
        raise UserError(f"no _{kind}.npy") from None
    except _DAMAGED as error:
        raise UserError(f"_{kind}.npy cannot be read: {str(error)[:60]}") from None
