"""AffectNet of March 2021: crops of 224x224 pixels, and four npy files per crop."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from edram_fer.errors import UserError
from edram_fer.preprocessing.datasets.affectnet import values
from edram_fer.preprocessing.records import FaceRecord, checked_affect


def count(sets: Mapping[str, Path]) -> int:
    """How many rows the folders have."""
    return sum(len(values.index(folder, "_exp.npy")) for folder in sets.values())


def records(root: Path, sets: Mapping[str, Path]) -> Iterator[FaceRecord]:
    """All rows of the folders {split: train_set, ...}, one at a time, by the number of the image."""
    for split, folder in sets.items():
        place = folder.relative_to(root).as_posix()
        for name, ending in values.index(folder, "_exp.npy").items():
            yield _record(folder / "annotations", name, split, f"{place}/images/{name}{ending}")


def _record(folder: Path, name: str, split: str, image: str) -> FaceRecord:
    # Both splits have images of the same number.
    known = {"id": f"{split}/{name}", "row": image, "image": image, "split": split}
    try:
        known["emotion"] = values.emotion(_scalar(folder, name, "exp"))
        known["landmarks"] = values.landmarks(_array(folder, name, "lnd").ravel().tolist())
        known["valence"], known["arousal"] = checked_affect(_scalar(folder, name, "val"), _scalar(folder, name, "aro"))
    except ValueError as fault:
        known["status"] = str(fault)
    return FaceRecord(**known)


def _scalar(folder: Path, name: str, kind: str):
    """One number or text, whichever it is stored as."""
    array = _array(folder, name, kind)
    if array.size != 1:
        raise UserError(f"_{kind}.npy holds {array.size} values instead of 1")
    return array.item()


def _array(folder: Path, name: str, kind: str) -> np.ndarray:
    try:
        with open(folder / f"{name}_{kind}.npy", "rb") as file:
            return np.lib.format.read_array(file, allow_pickle=False)  # np.load, but for npy alone
    except FileNotFoundError:
        raise UserError(f"no _{kind}.npy") from None
    except Exception as error:  # a damaged header raises ValueError, TokenError, SyntaxError, MemoryError, ...
        raise UserError(f"_{kind}.npy cannot be read: {str(error)[:60]}") from None
