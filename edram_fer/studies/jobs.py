"""Run commands as processes of their own, some at a time."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from edram_fer.preprocessing.cores import available_cores

log = logging.getLogger(__name__)
POLL_SECONDS = 0.2
# By themselves, TensorFlow and JAX take most of a GPU's memory when they start, and leave none for a second process.
SHARED_GPU = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


def run(jobs: Mapping[str, Sequence[str]], parallel: int, logs: Path | str) -> dict[str, int]:
    """Run each command with Python, `parallel` of them at a time.

    Each process computes with its share of the processor cores, unless TF_NUM_INTRAOP_THREADS is set; JAX has no such
    setting. On a GPU, each takes memory as it needs it, not all at once. If this process is interrupted, so are they,
    with SIGTERM, and it waits for them.

    Args:
        jobs: {name: the words after `python`}.
        parallel: largest number of processes.
        logs: folder for what the commands print, as NAME.log.

    Returns:
        {name: exit status}.

    >>> run({"a": ["-c", "print(1)"], "b": ["-c", "raise SystemExit(3)"]}, 2, "logs")
    {'a': 0, 'b': 3}
    >>> Path("logs/a.log").read_text().strip()
    '1'
    """
    logs = Path(logs)
    logs.mkdir(parents=True, exist_ok=True)
    threads = str(max(available_cores() // parallel, 1))
    environment = {"TF_NUM_INTRAOP_THREADS": threads, **SHARED_GPU, **os.environ}
    waiting, running, statuses = list(jobs.items()), {}, {}
    try:
        while waiting or running:
            while waiting and len(running) < parallel:
                name, words = waiting.pop(0)
                log.info("%s begins; see %s", name, logs / f"{name}.log")
                with open(logs / f"{name}.log", "ab") as output:
                    call = [sys.executable, *words]
                    running[name] = subprocess.Popen(call, stdout=output, stderr=subprocess.STDOUT, env=environment)
            for name, process in list(running.items()):
                if process.poll() is not None:
                    statuses[name] = process.returncode
                    del running[name]
                    log.info("%s ended with status %d, %d to go", name, process.returncode, len(waiting) + len(running))
            time.sleep(POLL_SECONDS)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()
    return {name: statuses[name] for name in jobs}
