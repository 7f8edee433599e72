"""One process at a time works in a folder, tested with real processes."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys

import pytest
from support.paths import ROOT

from edram_fer.errors import FolderInUseError
from edram_fer.preprocessing.folder_lock import exclusive_lock, remove_locked

# Locks the folder, says so, and holds the lock until it is killed or its standard input ends.
HOLDER = """
import pathlib, sys
from edram_fer.preprocessing.folder_lock import exclusive_lock

with exclusive_lock(pathlib.Path(sys.argv[1]), "training"):
    print("locked", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def holder(folder):
    """Another process that holds the lock of the folder."""
    words = [sys.executable, "-c", HOLDER, str(folder)]
    process = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "locked\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_second_process_is_refused_at_once(tmp_path):
    folder = tmp_path / "new" / "run"
    with holder(folder) as other:
        with pytest.raises(FolderInUseError, match=f"another process is preparing in {folder}"):
            with exclusive_lock(folder):
                pass
        other.communicate("")
        assert other.returncode == 0
    with exclusive_lock(folder):
        pass


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this platform")
def test_killed_process_leaves_no_lock(tmp_path):
    with holder(tmp_path) as other:
        os.kill(other.pid, signal.SIGKILL)
        assert other.wait() == -signal.SIGKILL
    assert (tmp_path / "lock").exists()
    with exclusive_lock(tmp_path):
        pass


def test_lock_is_released_after_an_error(tmp_path):
    with pytest.raises(RuntimeError, match="inside"):
        with exclusive_lock(tmp_path):
            raise RuntimeError("inside")
    with holder(tmp_path), pytest.raises(FolderInUseError, match="is training in"):
        with exclusive_lock(tmp_path, "training"):
            pass


def test_remove_locked_removes_an_empty_folder(tmp_path):
    folder = tmp_path / "work"
    with exclusive_lock(folder):
        (folder / "state").touch()
        remove_locked(folder)
        assert os.listdir(folder) == ["state"]
    with exclusive_lock(folder):
        (folder / "state").unlink()
        remove_locked(folder)
        assert not folder.exists()
    with exclusive_lock(folder):
        assert os.listdir(folder) == ["lock"]


def _try(folder, attempts, running, overlaps):
    """Lock and remove the folder many times; count how often another process was inside at the same time."""
    refused = (FolderInUseError, FileNotFoundError, FileExistsError)  # the folder appears and disappears meanwhile
    for _ in range(attempts):
        with contextlib.suppress(*refused), exclusive_lock(folder):
            with running.get_lock():
                running.value += 1
                overlaps.value += running.value > 1
            (folder / "file").touch()
            (folder / "file").unlink()
            with running.get_lock():
                running.value -= 1
            remove_locked(folder)


def test_removing_the_folder_never_lets_two_processes_in(tmp_path):
    context = multiprocessing.get_context("spawn")
    running, overlaps = context.Value("i", 0), context.Value("i", 0)
    arguments = (tmp_path / "work", 300, running, overlaps)
    processes = [context.Process(target=_try, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0] and overlaps.value == 0
