""".keras files: check that a file is complete, and copy it without the parts that only training needs.

A .keras file is a zip archive of config.json (classes and arguments), metadata.json (version of Keras) and
model.weights.h5.
"""

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from edram_fer import archives, files
from edram_fer.errors import UserError, reason

KIND = "a .keras file"  # in messages
CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
OLD_EMOTIONS = "emotions.json"  # where files of version 0.1 hold the class names


def read(path: Path) -> dict[str, Any]:
    """Check that a .keras file is complete, and read its JSON parts.

    Returns:
        {name: content} of config.json, metadata.json and, in files of version 0.1, emotions.json.

    Raises:
        UserError: the file is damaged, or it is not a .keras file.
    """
    with archives.open_archive(path, KIND) as archive, archives.damage(path, KIND):  # a ValueError of json is damage
        members = {name: archives.read_member(archive, name) for name in archive.namelist()}  # checks their CRC-32
        content = {name: json.loads(members[name]) for name in (CONFIG, METADATA, OLD_EMOTIONS) if name in members}
    if missing := [name for name in (CONFIG, METADATA, WEIGHTS) if name not in members]:
        raise UserError(f"{path} is not a .keras file: it lacks {', '.join(missing)}")
    try:
        h5py.File(io.BytesIO(members[WEIGHTS]), "r").close()
    except OSError as error:
        raise UserError(f"{path} is damaged: {WEIGHTS}: {error}") from error
    return content


def read_config(path: Path) -> dict[str, Any]:
    """config.json of a .keras file, without reading its weights.

    Raises:
        UserError: the file is damaged, or it is not a .keras file.
    """
    with archives.open_archive(path, KIND) as archive, archives.damage(path, KIND):
        if CONFIG not in archive.namelist():
            raise UserError(f"{path} is not a .keras file: it lacks {CONFIG}")
        content = files.parse_json(archives.read_member(archive, CONFIG))
    if not isinstance(content, dict):
        raise UserError(f"{path} is damaged: expected an object in {CONFIG}, got {type(content).__name__}")
    return content


def weights_digest(path: Path) -> str:
    """SHA-256 of the weights of a .keras file, in hexadecimal digits; `set_option` does not change it.

    Raises:
        UserError: the file is damaged.
    """
    with archives.open_archive(path, KIND) as archive, archives.damage(path, KIND):
        return hashlib.sha256(archives.read_member(archive, WEIGHTS)).hexdigest()


def holds_weights(path: Path, names: Sequence[str]) -> bool:
    """Whether a .keras file holds all weights of these names, as `read_weights` takes them.

    Raises:
        UserError: the file is damaged.
    """
    with archives.open_archive(path, KIND) as archive, archives.damage(path, KIND):
        stored = io.BytesIO(archives.read_member(archive, WEIGHTS) if WEIGHTS in archive.namelist() else b"")
    try:
        with h5py.File(stored, "r") as content:
            return all(isinstance(content.get(name), h5py.Dataset) for name in names)
    except OSError as error:
        raise UserError(f"{path} is damaged: {WEIGHTS}: {error}") from error


def read_weights(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Weights of a .keras file, float32, without Keras.

    Args:
        path: the file.
        names: paths of arrays in its HDF5 file, such as `numbered_weights` finds them.

    Raises:
        UserError: the file is damaged, lacks one of them, or declares more values than it holds.
    """
    with archives.open_archive(path, KIND) as archive, archives.damage(path, KIND):
        stored = archives.read_member(archive, WEIGHTS)
    try:
        with h5py.File(io.BytesIO(stored), "r") as content:
            arrays = {name: content[name] for name in names}
            _check_arrays(arrays, content, len(stored))
            return {name: array[()].astype(np.float32) for name, array in arrays.items()}
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, MemoryError) as error:
        raise UserError(f"{path} is damaged: {WEIGHTS}: {reason(error)}") from error


def _check_arrays(arrays: Mapping[str, Any], content: h5py.File, size: int) -> None:
    """Raise ValueError unless these are arrays of real numbers that lie in an HDF5 file of `size` bytes."""
    for name, array in arrays.items():
        if not isinstance(array, h5py.Dataset) or array.shape is None or array.dtype.kind != "f":
            raise ValueError(f"{name}: expected an array of floating-point numbers")
        if array.file != content or array.is_virtual or array.external:
            raise ValueError(f"{name}: expected an array in the file itself")
    declared = sum(math.prod(array.shape) * array.dtype.itemsize for array in arrays.values())
    if declared > size:  # HDF5 fills up arrays of which only parts are stored
        raise ValueError(f"expected weights of at most its {size:,} bytes, got {declared:,}")


def numbered_weights(path: Path) -> dict[int, str]:
    """{number: path of the array that is filled with it} of a .keras file of which each weight is filled with a number.

    Raises:
        UserError: the file is damaged.
    """
    with archives.open_archive(path, KIND) as archive, archives.damage(path, KIND):
        stored = io.BytesIO(archives.read_member(archive, WEIGHTS))
    numbers: dict[int, str] = {}
    with h5py.File(stored, "r") as content:

        def add(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                numbers[int(item[()].flat[0])] = name

        content.visititems(add)
    return numbers


def set_option(path: Path, name: str, value: object) -> None:
    """Set one argument of the model in a .keras file, atomically; its weights stay the same bytes.

    Args:
        path: the file.
        name: name of the argument in the model's configuration.
        value: its JSON value.
    """
    with files.replace(path) as temporary:
        with archives.open_archive(path, KIND) as old, zipfile.ZipFile(temporary, "w") as new:
            for member in old.infolist():
                content = archives.read_member(old, member.filename)
                if member.filename == CONFIG:
                    config = json.loads(content)
                    config["config"][name] = value
                    content = json.dumps(config)
                new.writestr(member, content)


def strip(source: Path, target: Path, *, half: bool = False) -> None:
    """Copy a .keras file without optimizer, losses and metrics, which only training needs.

    Args:
        source: file to read.
        target: file to write, atomically; it may be `source`.
        half: store float32 weights as float16, half the size. Keras casts the weights to the dtype of each variable, so
            the copy loads like the original.

    Raises:
        UserError: float16 cannot hold a value.
    """
    with files.replace(target) as temporary, archives.open_archive(source, KIND) as old:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED if half else zipfile.ZIP_STORED) as new:
            for member in old.infolist():  # with their dates, so that the same file gives the same bytes
                content = archives.read_member(old, member.filename)
                if member.filename == CONFIG:
                    config = json.loads(content)
                    config.pop("compile_config", None)
                    content = json.dumps(config)
                elif member.filename == WEIGHTS:
                    content = _strip_weights(content, half)
                new.writestr(member, content, new.compression)


def _strip_weights(content: bytes, half: bool) -> bytes:
    """Copy an HDF5 file without the optimizer's group; with `half`, store float32 arrays as float16."""
    result = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as old, h5py.File(result, "w") as new:

        def copy(path, item):
            if path.partition("/")[0] == "optimizer":
                return
            if isinstance(item, h5py.Group):
                copied = new.require_group(path)
            else:
                copied = new.create_dataset(path, data=_halve(path, item[()]) if half else item[()])
            copied.attrs.update(item.attrs)

        new.attrs.update(old.attrs)
        old.visititems(copy)
    return result.getvalue()


def _halve(path: str, values: np.ndarray) -> np.ndarray:
    if values.dtype != np.float32:
        return values
    with np.errstate(over="ignore"):  # reported below
        halved = values.astype(np.float16)
    if not np.isfinite(halved).all():
        raise UserError(f"{path}: float16 cannot hold its values, up to {np.abs(values).max():.3g}")
    return halved
