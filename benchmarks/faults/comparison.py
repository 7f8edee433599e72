"""Do two folders hold the same bytes, apart from what cannot be equal, such as times?"""

import csv
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np

Read = Callable[[Path], bytes]


def without_keys(*names: str) -> Read:
    """Reads a JSON file without some keys, at any depth."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(entry) for key, entry in value.items() if key not in names}
        return [strip(entry) for entry in value] if isinstance(value, list) else value

    return lambda path: json.dumps(strip(json.loads(path.read_bytes()))).encode()


def without_column(name: str) -> Read:
    """Reads a CSV file without a column."""

    def read(path: Path) -> bytes:
        rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))
        return json.dumps([{key: cell for key, cell in row.items() if key != name} for row in rows]).encode()

    return read


def without_text(*patterns: str) -> Read:
    """Reads a text file without whatever some regular expressions match."""

    def read(path: Path) -> bytes:
        content = path.read_bytes()
        for pattern in patterns:
            content = re.sub(pattern.encode(), b"", content)
        return content

    return read


def checkpoint(path: Path) -> bytes:
    """Reads a checkpoint: all its arrays, and its state without the seconds of each epoch."""
    with np.load(path) as content:
        arrays = {name: content[name] for name in content.files}
    state = json.loads(str(arrays.pop("meta")))
    state["history"] = [{key: value for key, value in row.items() if key != "seconds"} for row in state["history"]]
    # Keras numbers the layers of a process; the names of a resumed run may have other numbers.
    parts = [json.dumps(state).encode()]
    parts += [f"{name} {value.dtype} {value.shape}".encode() + value.tobytes() for name, value in arrays.items()]
    return b"\n".join(parts)


def members(*left_out: str) -> Read:
    """Reads a zip archive: the bytes of its members, without their dates and without some members."""

    def read(path: Path) -> bytes:
        with zipfile.ZipFile(path) as archive:
            names = sorted(set(archive.namelist()) - set(left_out))
            return b"\n".join(name.encode() + archive.read(name) for name in names)

    return read


def ignored(path: Path) -> bytes:
    """Reads nothing: the file must only exist."""
    return b""


def contents(folder: Path, rules: Mapping[str, Read | None]) -> dict[str, str]:
    """{path relative to the folder: SHA-256} of all files, and of folders as far as they are empty.

    Args:
        folder: the folder.
        rules: {pattern of relative paths: how to read such a file; None: it may exist or not}. Other files are read
            byte by byte.
    """
    digests = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        matching = [read for pattern, read in rules.items() if fnmatch(name, pattern)]
        if matching and matching[0] is None:
            continue
        if path.is_dir():
            if not any(path.iterdir()):
                digests[name + "/"] = ""
            continue
        try:
            content = matching[0](path) if matching else path.read_bytes()
        except (ValueError, KeyError, zipfile.BadZipFile, json.JSONDecodeError) as error:
            content = f"unreadable: {error}".encode()
        digests[name] = hashlib.sha256(content).hexdigest()
    return digests


def differences(expected: Mapping[str, str], actual: Mapping[str, str]) -> list[str]:
    """One text for each file that is missing, not expected or different."""
    texts = [f"missing: {name}" for name in expected if name not in actual]
    texts += [f"not expected: {name}" for name in actual if name not in expected]
    return texts + [f"differs: {name}" for name in expected if actual.get(name, expected[name]) != expected[name]]
