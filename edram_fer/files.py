"""Write files atomically; read files, with errors that name a missing or damaged file."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edram_fer.errors import MissingFileError, UserError, reason
from edram_fer.preprocessing.spreadsheet import csv_text

# What `json.loads` raises; numbers of more than 4300 digits end in a ValueError, deeply nested values in the other.
NOT_JSON = (ValueError, RecursionError)
DEEPEST = 100  # levels of nested values that are read: whoever walks through them needs several frames for each
TEMPORARY = ".edram-fer-"  # names of temporary files begin like this; `remove_leftovers` deletes no others


@contextlib.contextmanager
def replace(path: Path | str) -> Generator[Path, None, None]:
    """Yield a temporary path next to `path` that takes its place once the block succeeds.

    A reader sees either the old file or the complete new one. The temporary file is in the same folder, since a rename
    is atomic only within one file system, and has the suffix of `path`, by which many writers choose the format. It is
    flushed to disk before the rename; if the block raises, it is removed and `path` stays unchanged. Missing parent
    folders are created.

        with files.replace("run/metrics.json") as temporary:
            temporary.write_text(json.dumps(metrics))

    Raises:
        FileNotFoundError: The block wrote nothing at the temporary path.
        OSError: Raised by the block; if the error names no file, as with a full disk, `path` is added.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=TEMPORARY, suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    temporary.unlink()  # some writers refuse a file that exists
    try:
        yield temporary
        with open(temporary, "r+b") as written:  # Windows flushes only files that are open for writing
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(folder: Path | str) -> None:
    """Raise an OSError unless files can be written into a folder, which is created: before long work, not after it."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.NamedTemporaryFile(prefix=TEMPORARY, dir=folder) as probe:
            probe.write(bytes(4096))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(folder)) from error


def copy(source: Path | str, target: Path | str) -> None:
    """Copy a file with its times, atomically."""
    with replace(target) as temporary:
        shutil.copy2(source, temporary)


@contextlib.contextmanager
def replace_folder(path: Path | str) -> Generator[Path, None, None]:
    """As `replace` for a folder: yield the path of a new one, which takes the place of `path` once the block succeeds.

    An existing folder `path` is deleted after the new one is complete.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=path.parent) as folder:
        temporary = Path(folder) / path.name
        yield temporary
        if path.exists():
            os.replace(path, Path(folder) / "old")
        os.replace(temporary, path)


def digest(path: Path | str) -> str:
    """SHA-256 of a file in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_leftovers(folder: Path | str) -> None:
    """Delete the temporary files of `replace` that a killed process left, at any depth. No writer may be at work."""
    for leftover in Path(folder).rglob(f"{TEMPORARY}????????*"):
        if leftover.is_file() and not leftover.is_symlink():
            leftover.unlink()


# Its lines begin with a number or a text: "[" and "{" begin nested values. A text holds no line break in JSON.
_PLAIN_ARRAY = re.compile(r"\[\n((?: *[^ \[{\n][^\n]*\n)+?) *\]")


def write_json(path: Path | str, value: object) -> None:
    """Save `value` as indented JSON, with arrays of numbers or texts on one line each.

    Raises:
        ValueError: a number is nan or infinite, which JSON lacks.

    >>> write_json("faces.json", {"size": [48, 48], "points": [[0, 1], [2, 3]]})
    >>> print(Path("faces.json").read_text(), end="")
    {
     "size": [48, 48],
     "points": [
      [0, 1],
      [2, 3]
     ]
    }
    """
    text = json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False)
    text = _PLAIN_ARRAY.sub(_on_one_line, text)
    with replace(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _on_one_line(array: re.Match[str]) -> str:
    lines = array[1].strip().split("\n")  # splitlines would split texts, too
    return f"[{' '.join(map(str.strip, lines))}]"


def plain(value: Any) -> Any:
    """Convert NumPy values, in nested dicts and lists, to JSON values: lists, numbers, and None for nan.

    >>> plain({"mean": np.float32(0.5), "counts": np.arange(3), "correlation": np.nan})
    {'mean': 0.5, 'counts': [0, 1, 2], 'correlation': None}
    """
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    return None if isinstance(value, float) and not np.isfinite(value) else value


def parse_json(text: str | bytes) -> Any:
    """As `json.loads`, for texts that somebody else may have written.

    Raises:
        ValueError, RecursionError: it is not JSON, or nested more than DEEPEST levels deep; see NOT_JSON.

    >>> parse_json('{"a": [1, 2]}')
    {'a': [1, 2]}
    """
    content = json.loads(text)
    level = [content]
    for _ in range(DEEPEST + 1):
        containers = [entry for entry in level if isinstance(entry, (dict, list))]
        if not containers:
            return content
        level = [inner for entry in containers for inner in (entry.values() if isinstance(entry, dict) else entry)]
    raise ValueError(f"nested more than {DEEPEST} levels deep")


def read_json(path: Path | str) -> dict[str, Any]:
    """Read a JSON file that holds a dict.

    Raises:
        MissingFileError: There is no such file.
        UserError: The file is damaged or holds no dict; the message names the file.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise MissingFileError(f"{path} is missing") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not readable as JSON: {reason(error)}") from error
    try:
        content = parse_json(text)
    except NOT_JSON as error:
        raise UserError(f"{path} is not readable as JSON: {reason(error)}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a JSON object with names, found {content!r:.60}")
    return content


def write_csv(path: Path | str, rows: Sequence[Mapping[str, object]]) -> None:
    """Save rows as CSV with a column for every key of any row, and cells as in `spreadsheet.csv_text`."""
    names = dict.fromkeys(name for row in rows for name in row)
    with replace(path) as temporary:
        temporary.write_bytes(csv_text([names, *([row.get(name) for name in names] for row in rows)]))
