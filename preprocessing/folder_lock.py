"""Restrict a folder to one process at a time, on Linux, macOS and Windows."""

import contextlib
from collections.abc import Generator
from pathlib import Path

import filelock

from edram_fer.errors import FolderInUseError, at_path

LOCK = "lock"
HIDDEN = ".edram-fer-lock"


@contextlib.contextmanager
def exclusive_lock(folder: Path, activity: str = "preparing", name: str = LOCK) -> Generator[None, None, None]:
    """Reserve a folder for this process, without waiting; the folder is created if it does not exist.

    The operating system holds the lock on a file in it, so it is released however the process ends.

    Args:
        folder: the folder to reserve.
        activity: the activity of the process, for the message.
        name: of the file.

    Raises:
        FolderInUseError: another process has reserved the folder.
        OSError: the folder cannot be written, or its file system cannot lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # filelock (3.24.2 and newer) rejects a lock file that another process has just removed, see `remove_locked`.
    lock = filelock.FileLock(folder / name)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise FolderInUseError(f"another process is {activity} in {folder}") from None
    except OSError as error:
        if error.filename is None:  # of a file system that cannot lock
            raise at_path(error, folder) from error
        raise
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def reserved(folder: Path, activity: str) -> Generator[None, None, None]:
    """Reserve a folder of the user's, as `exclusive_lock` does, with a hidden file that is removed afterwards.

    Raises:
        FolderInUseError: another process has reserved the folder.
    """
    with exclusive_lock(folder, activity, HIDDEN):
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # on Windows, where an open file cannot be removed, it stays
                (folder / HIDDEN).unlink()


def remove_locked(folder: Path) -> None:
    """Remove the lock of a folder while this process holds it, and the folder if nothing else is in it.

    The folder is kept if another process starts to use it at this moment. On Windows it is kept with the empty lock
    file, because an open file cannot be removed there.
    """
    with contextlib.suppress(OSError):
        (folder / LOCK).unlink()
        folder.rmdir()
