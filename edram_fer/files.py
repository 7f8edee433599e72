"""Write files atomically; read files, with errors that name a missing or damaged file."""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from edram_fer.errors import MissingFileError, UserError, at_path, reason
from edram_fer.preprocessing.spreadsheet import csv_text

# What `json.loads` raises; numbers of more than 4300 digits end in a ValueError, deeply nested values in the other.
NOT_JSON = (ValueError, RecursionError)
DEEPEST = 100  # levels of nested values that are read: whoever walks through them needs several frames for each
TEMPORARY = ".edram-fer-"  # names of the folders of temporary files begin like this
_LOCK = "lock"  # in such a folder: locked while its process lives


@contextlib.contextmanager
def replace(path: Path | str) -> Generator[Path, None, None]:
    """Yield a temporary path of the same name that takes the place of `path` once the block succeeds.

    A reader sees either the old file or the complete new one. The temporary file is in a folder next to `path`, since a
    rename is atomic only within one file system. It is flushed to disk before the rename; if the block raises, it is
    removed and `path` stays unchanged. Missing parent folders are created. Temporary files that killed processes have
    left there are removed.

        with files.replace("run/metrics.json") as temporary:
            temporary.write_text(json.dumps(metrics))

    Raises:
        FileNotFoundError: The block wrote nothing at the temporary path.
        OSError: Raised by the block; if the error names no file, as with a full disk, or the temporary one, `path` is
            named.
    """
    path = Path(path)
    with _temporary_folder(path.parent) as folder:
        temporary = folder / path.name
        try:
            yield temporary
            with open(temporary, "r+b") as written:  # Windows flushes only files that are open for writing
                os.fsync(written.fileno())
            os.replace(temporary, path)
        except OSError as error:
            if isinstance(error, FileNotFoundError) or error.filename not in (None, str(temporary)):
                raise
            raise at_path(error, path) from error


@contextlib.contextmanager
def _temporary_folder(parent: Path) -> Generator[Path, None, None]:
    """A folder in `parent` that is removed afterwards, or by a later process if this one is killed."""
    parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(parent)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=parent))
        lock = filelock.FileLock(folder / _LOCK)
        try:
            lock.acquire(timeout=0)
            break
        except (filelock.Timeout, FileNotFoundError):
            continue  # another process took the folder for a leftover before it was locked
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, OSError) and error.filename is None:  # of a file system that cannot lock
                raise at_path(error, parent) from error
            raise
    try:
        yield folder
    finally:
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)


def _remove_leftovers(parent: Path) -> None:
    """Remove the temporary folders of processes that were killed; the folders of living ones are locked."""
    for leftover in parent.glob(f"{TEMPORARY}????????"):
        if not (leftover / _LOCK).exists():
            with contextlib.suppress(OSError):  # not empty: not one of these folders
                leftover.rmdir()
            continue
        lock = filelock.FileLock(leftover / _LOCK)
        with contextlib.suppress(OSError):  # another process uses the folder, or is just removing it
            lock.acquire(timeout=0)
            lock.release()
            shutil.rmtree(leftover, ignore_errors=True)


def check_writable(folder: Path | str) -> None:
    """Raise an OSError unless files can be written into a folder, which is created: before long work, not after it."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        # Without a name, where that is possible, and without a buffer, which closing the file would try to write again.
        with tempfile.TemporaryFile(prefix=TEMPORARY, dir=folder, buffering=0) as probe:
            if probe.write(bytes(4096)) < 4096:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(probe.fileno())
    except OSError as error:
        raise at_path(error, folder) from error


def check_target(path: Path | str) -> None:
    """As `check_writable` for a single file that takes the place of `path`.

    Raises:
        OSError: its folder cannot be written, or `path` is a folder.
    """
    if Path(path).is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    check_writable(Path(path).parent)


def copy(source: Path | str, target: Path | str) -> None:
    """Copy a file with its times, atomically."""
    with replace(target) as temporary:
        shutil.copy2(source, temporary)


@contextlib.contextmanager
def replace_folder(path: Path | str) -> Generator[Path, None, None]:
    """As `replace` for a folder: yield the path of a new one, which takes the place of `path` once the block succeeds.

    An existing folder `path` is deleted after the new one is in its place. If the process is killed in the short time
    without either, the next call brings the old one back.

    Raises:
        FileNotFoundError: the block made no folder.
        OSError: as for `replace`.
    """
    path = Path(path)
    old = path.with_name(f"{TEMPORARY}old-{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}")
    with _temporary_folder(path.parent) as folder:
        temporary = folder / path.name
        if os.path.lexists(old):  # a process was killed
            os.replace(old, folder / f"{old.name}-left" if os.path.lexists(path) else path)
        yield temporary
        if not temporary.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(temporary))
        try:
            if path.exists():
                os.replace(path, old)
            os.replace(temporary, path)
        except BaseException:
            if os.path.lexists(old) and not os.path.lexists(path):
                os.replace(old, path)
            raise
        if os.path.lexists(old):
            os.replace(old, folder / old.name)


def digest(path: Path | str) -> str:
    """SHA-256 of a file in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
