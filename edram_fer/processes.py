"""Several processes that train one model: how they find each other, and how they are started on one machine."""

import atexit
import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence

from edram_fer.errors import KilledWorkerError, Stopped, UserError, reason

# By these variables Keras learns the address of the first process, the number of processes, and which one this is.
ADDRESS, NUMBER, INDEX = (f"KERAS_DISTRIBUTION_{name}" for name in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID"))
PORT = 29400  # of the first machine, in the commands for several
CONTINUE = "--resume continues the run from its last checkpoint, with any number of processes"
_LOST = re.compile("gloo|nccl|coordination|connection|peer", re.IGNORECASE)  # in JAX's errors
POLL_SECONDS, GRACE_SECONDS = 0.2, 10.0


def are_several() -> bool:
    """Whether the environment makes this process one of several."""
    return NUMBER in os.environ


def is_first() -> bool:
    """Whether this process writes the files of a run: it is the only one, or the first of several."""
    return os.environ.get(INDEX, "0") == "0"


def environment(address: str, number: int, index: int) -> dict[str, str]:
    """The variables of one process of several.

    >>> environment("node1:29400", 2, 1)["KERAS_DISTRIBUTION_PROCESS_ID"]
    '1'
    """
    return {ADDRESS: address, NUMBER: str(number), INDEX: str(index)}


def commands(words: Sequence[str], hosts: Sequence[str]) -> list[str]:
    """The command for each machine, as a line for its shell; the first machine is also the address of all.

    >>> print(commands(["train", "fer2013"], ["node1", "node2"])[1])
    KERAS_DISTRIBUTION_JOB_ADDRESSES=node1:29400 KERAS_DISTRIBUTION_NUM_PROCESSES=2 KERAS_DISTRIBUTION_PROCESS_ID=1 \
edram-fer train fer2013
    """
    lines = []
    for index in range(len(hosts)):
        variables = environment(f"{hosts[0]}:{PORT}", len(hosts), index)
        assignments = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
        lines.append(" ".join([*assignments, shlex.join(["edram-fer", *words])]))
    return lines


def launch(words: Sequence[str], number: int) -> int:
    """Run a Python command in several processes on this machine, which find each other. The first one prints.

    If one fails, the others are ended, too. If this process is interrupted, so are they, with SIGTERM, and it waits
    for them. With GPUs, process i sees GPU i alone.

    Args:
        words: The words after `python`.
        number: How many processes.

    Returns:
        The exit status of the process that failed, or 0. What a process other than the first printed before it failed
        is printed, too.

    Raises:
        KilledWorkerError: A process was killed.
    """
    with socket.socket() as probe, tempfile.TemporaryFile() as output:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
        probe.close()
        started: list[subprocess.Popen[bytes]] = []
        try:
            for index in range(number):
                variables = {**os.environ, **environment(address, number, index), "JAX_LOCAL_DEVICE_IDS": str(index)}
                stream = output if index else None
                started.append(subprocess.Popen([sys.executable, *words], env=variables, stdout=stream, stderr=stream))
            failed = _first_failure(started)
        except KeyboardInterrupt:
            for process in started:
                process.terminate()
            statuses = [process.wait() for process in started]  # all save their state after the same step
            return max((abs(status) + 128 * (status < 0) for status in statuses), default=128 + signal.SIGINT)
        except BaseException:
            _end(started)
            raise
        _end(started)
        if failed is None:
            return 0
        status = started[failed].returncode
        if failed:
            output.seek(0)
            sys.stderr.buffer.write(output.read())
            sys.stderr.flush()
    if status < 0:
        raise KilledWorkerError(
            f"process {failed + 1} of {number} was killed by signal {-status}, so the others were stopped; {CONTINUE}"
        )
    return status


def _first_failure(started):
    """Wait until a process fails, and return its index, or until all have ended well, and return None."""
    while True:
        statuses = [process.poll() for process in started]
        if failed := [index for index, status in enumerate(statuses) if status]:
            return min(failed, key=lambda index: statuses[index] > 0)  # one that was killed, if there is one
        if None not in statuses:
            return None
        time.sleep(POLL_SECONDS)


def _end(started):
    """End the processes that still run. They may wait for one that has ended, and then do not answer SIGTERM."""
    for process in started:
        process.terminate()
    deadline = time.monotonic() + GRACE_SECONDS
    for process in started:
        try:
            process.wait(max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def together() -> Generator[None, None, None]:
    """In a `with` block, an error ends this process without the others; JAX would wait for them for minutes.

    Raises:
        KilledWorkerError: The connection to another process was lost.
    """
    try:
        yield
    except Stopped:  # all of them stop
        raise
    except Exception as error:
        if not are_several():
            raise
        atexit.register(_end_at_once)  # functions that are registered last run first
        if isinstance(error, UserError) or not _LOST.search(str(error)):
            raise
        raise KilledWorkerError(f"another process of this run has ended ({reason(error)}); {CONTINUE}") from error


def _end_at_once():
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
