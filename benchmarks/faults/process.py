"""A command as a process of its own, with its output in files, that signals can reach at chosen moments."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.faults.stages import OUT, Stage

COMMAND = [sys.executable, "-c", "from edram_fer.cli import main; main()"]
ROOT = Path(__file__).parents[2]
POLL = 0.01  # seconds between two looks at a process
TIMEOUT = 600.0  # seconds, after which a command hangs
LEFTOVER_SECONDS = 15.0  # that the workers of a killed process may take to end


def environment(work: Path, backend: str = "tensorflow") -> dict[str, str]:
    """The environment of the commands.

    JAX keeps what it compiles in `work`, since compiling takes most of a run.
    """
    chosen = {
        "KERAS_BACKEND": backend,
        "PYTHONPATH": str(ROOT),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
    }
    compiled = {"JAX_COMPILATION_CACHE_DIR": str(work / "jax"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    return {**os.environ, "TF_NUM_INTRAOP_THREADS": "1", **chosen, **compiled}


@dataclasses.dataclass(frozen=True)
class Ending:
    """How a process ended.

    Attributes:
        code: exit status, or minus the number of the signal that ended it.
        seconds: how long it ran.
        first_write: seconds until the first change in its folder; `seconds` if there was none.
        last_line: of its standard error.
        traceback: whether its standard error shows one.
        reached: whether the signals reached it before it ended.
    """

    code: int
    seconds: float
    first_write: float
    last_line: str
    traceback: bool
    reached: bool = False


class Process:
    """A command of a stage in the folder of a case.

    Args:
        stage: the stage.
        folder: the folder of the case.
        out: the name of the folder to write into.
        log: standard output and error go to this path with .out and .err.
        clock: how far its clock is set back, as the program faketime takes it, such as "-1d"; "": not at all. Its
            monotonic clock and the dates of files on the disk are as they are, as after a clock was really set back,
            except that new files have the true date, too.
    """

    def __init__(self, stage: Stage, folder: Path, out: str = OUT, log: Path | None = None, clock: str = "") -> None:
        self.folder, self.log = folder, log or folder.with_suffix(".log")
        self.before, self.begin, self.first_write = state(folder), time.monotonic(), None
        with open(f"{self.log}.out", "wb") as output, open(f"{self.log}.err", "wb") as errors:
            words = [*COMMAND, *stage.command(folder, out)]
            if clock:
                words = ["faketime", "-m", "--exclude-monotonic", "-f", clock, *words]
            options = {
                "cwd": folder,
                "env": environment(folder.parent, stage.backend) | {"NO_FAKE_STAT": "1"},
                "stdin": subprocess.DEVNULL,
            }
            self.popen = subprocess.Popen(words, stdout=output, stderr=errors, start_new_session=True, **options)

    @property
    def seconds(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self.begin

    def wait(self, seconds: float, *, after_write: bool = False) -> bool:
        """Wait for some seconds after its start, or after the first change in its folder. False if it ended before."""
        while self.popen.poll() is None:
            if self.first_write is None and state(self.folder) != self.before:
                self.first_write = self.seconds
            origin = self.first_write if after_write else 0.0
            if origin is not None and self.seconds >= origin + seconds:
                return True
            if self.seconds > TIMEOUT:
                self.send(signal.SIGKILL, group=True)
                self.popen.wait()
                raise TimeoutError(f"{self.popen.args} has not ended after {TIMEOUT:.0f} seconds")
            time.sleep(POLL)
        return False

    def send(self, number: int, *, group: bool) -> None:
        """Send a signal to the process, or to it and all its workers."""
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.popen.pid, number)

    def end(self, *, reached: bool = False) -> Ending:
        """Wait for its end and for that of its workers."""
        self.wait(TIMEOUT + 1)
        code, seconds = self.popen.wait(), self.seconds
        while _group_lives(self.popen.pid) and self.seconds < seconds + LEFTOVER_SECONDS:
            time.sleep(POLL)
        text = Path(f"{self.log}.err").read_text("utf-8", "replace")
        lines = [line for line in text.replace("\r", "\n").split("\n") if line.strip()]
        return Ending(
            code,
            round(seconds, 2),
            round(self.first_write or seconds, 2),
            lines[-1].strip() if lines else "",
            "Traceback" in text,
            reached,
        )


def run(stage: Stage, folder: Path, out: str = OUT, clock: str = "") -> Ending:
    """Run a command to its end; see `Process`."""
    return Process(stage, folder, out, clock=clock).end()


def interrupt(
    stage: Stage, folder: Path, signals: Sequence[int], moment: float, *, after_write: bool, group: bool
) -> Ending:
    """Run a command and send it signals at a moment, half a second apart.

    Args:
        stage: the stage.
        folder: the folder of the case.
        signals: their numbers.
        moment: seconds since its start, or since the first change in its folder.
        after_write: the latter.
        group: whether its workers get the signals, too.
    """
    process = Process(stage, folder)
    reached = process.wait(moment, after_write=after_write)
    for count, number in enumerate(signals):
        if count:
            process.wait(process.seconds + 0.5)
        process.send(number, group=group)
    return process.end(reached=reached)


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """{path: (size, time of the last change)} of all files and folders in a folder."""
    states = {}
    for parent, folders, names in os.walk(folder):
        for path in (os.path.join(parent, name) for name in (*folders, *names)):
            with contextlib.suppress(FileNotFoundError):  # it has just gone
                status = os.lstat(path)
                states[path] = (status.st_size, status.st_mtime_ns)
    return states


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
