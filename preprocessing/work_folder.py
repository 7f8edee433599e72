"""The folder `unfinished.*` of a preparation, and which files in it preparations write: only these are ever deleted.

`lock`: one process at a time. `fingerprint`: what the chunks were made from. `chunks/000000.parquet`: chunk files of
faces. `tfds/NAME/.../1.0.0/`: the new data set, which moves into place with one rename. `old/`: the older data set,
once the new one has taken its place.
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from edram_fer.errors import UserError
from edram_fer.preprocessing.folder_lock import LOCK, remove_locked

_CHUNK = r"chunks/\d{6}\.(parquet|incomplete|records)"
_DATA_FILE = (  # of a data set, of TFDS and of the data sets here; TFDS writes some as incomplete.XXXXXX.NAME first
    r"(incomplete\.\w{6}\.)?(dataset_info\.json|features\.json|metadata\.json|README\.md|[^/]+\.labels\.txt"
    r"|[^/]+\.tfrecord-\d{5}-of-\d{5}(_index\.json)?|bucket_[0-9a-f-]{36}_\d{3}\.tmp"
    r"|rows\.parquet|faces\.png|failures\.png|rejected\.csv)"
)
_WRITTEN = re.compile(rf"{LOCK}|fingerprint|{_CHUNK}|(old|tfds(/[^/]+)+)/{_DATA_FILE}")


def clear(work: Path, name: str) -> None:
    """Remove a folder in that of a preparation, and in it only files of preparations.

    Raises:
        UserError: another file is in it.
    """
    folder = work / name
    if folder.exists():
        _remove_written(work, folder)
        _refuse(next(_others(folder), None))


def remove(work: Path) -> None:
    """Remove what preparations have written in their folder, and the folder if it is then empty.

    This process must hold its lock.
    """
    _remove_written(work, work)
    remove_locked(work)


def check_replaceable(target: Path) -> None:
    """Raise a UserError if the folder of a prepared data set holds another file, which would be deleted with it."""
    written = re.compile(_DATA_FILE)
    _refuse(
        next((path for path in _others(target) if not written.fullmatch(path.relative_to(target).as_posix())), None)
    )


def _refuse(path: Path | None) -> None:
    if path is not None:
        raise UserError(f"{path} was not written by edram-fer and would be deleted: move it elsewhere first")


def _others(folder: Path) -> Iterator[Path]:
    """Files and links in a folder, or the path itself if it is one of these."""
    paths = [folder, *sorted(folder.rglob("*"))] if folder.exists() else []
    return (path for path in paths if path.is_symlink() or not path.is_dir())


def _remove_written(work: Path, folder: Path) -> None:
    """Remove files of preparations in a folder, which is `work` or lies in it, and folders that are then empty."""
    for path in [*sorted(folder.rglob("*"), reverse=True), folder]:  # the content of a folder before the folder
        if path.is_symlink():
            continue
        if path.is_dir():
            with contextlib.suppress(OSError):  # not empty
                path.rmdir()
        elif _WRITTEN.fullmatch(name := path.relative_to(work).as_posix()) and name != LOCK:
            path.unlink()
