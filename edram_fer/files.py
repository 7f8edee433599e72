"""Write a file whole or not at all; read one or say which is damaged."""

import contextlib
import csv
import hashlib
import json
import os
import tempfile
import zipfile
import zlib
from pathlib import Path

import numpy as np

from edram_fer.errors import MissingFileError, UserError

# What zipfile raises for a damaged archive (.npz, .keras): RuntimeError where a flag or method of a member is damaged,
# ValueError where a position is.
ARCHIVE_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError)


@contextlib.contextmanager
def replace(path):
    """Yield a temporary path beside `path` that takes its place once the block succeeds.

    A reader sees either the old file or the complete new one, never a half. The temporary file lies in the same
    folder (a rename is atomic only within one file system) and ends in the name of `path`, by which many writers
    choose their format. It is flushed to disk before the rename and removed when the block raises; `path` is then as
    it was. Missing parent folders are made.

        with files.replace("run/metrics.json") as temporary:
            temporary.write_text(json.dumps(metrics))

    Raises FileNotFoundError when the block wrote nothing at the temporary path. An OSError of the block that names no
    file, such as that of a full disk, names `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".", suffix=f".{path.name}", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    temporary.unlink()  # only the name is wanted: some writers refuse a file that exists
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


def digest(path):
    """SHA-256 of a file, as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_leftovers(folder):
    """Delete, at any depth, the temporary files of `replace` that a killed process left. None may be at work."""
    for left in Path(folder).rglob(".????????.*"):
        left.unlink()


def write_json(path, value):
    """Save `value` as indented JSON. Raises ValueError for nan and infinity, which JSON does not know."""
    text = json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False)
    with replace(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def plain(value):
    """NumPy values, in dicts and lists of any depth, as lists and numbers, and nan as None: all that JSON can hold."""
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    return None if isinstance(value, float) and not np.isfinite(value) else value


def read_json(path):
    """The dict that a JSON file holds. Raises FileNotFoundError when missing and ValueError when it is damaged or holds
    anything else; both name the file."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingFileError(f"{path} is missing") from None
    except ValueError as error:
        raise UserError(f"{path} is not readable as JSON: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a JSON object with names, found {content!r:.60}")
    return content


def write_csv(path, rows):
    """Save rows (dicts) as CSV: a column for every key of any row; None, nan and what is lacking are empty cells."""
    names = dict.fromkeys(name for row in rows for name in row)
    with replace(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as target:
        writer = csv.DictWriter(target, list(names))
        writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)


def _cell(value):
    missing = value is None or isinstance(value, (float, np.floating)) and np.isnan(value)
    return "" if missing else value
