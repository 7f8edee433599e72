"""A target for the fuzzing harness that reads, refuses, raises, hangs or dies, as its file says."""

import os
import signal
import time
from pathlib import Path

from benchmarks.fuzz.campaign import Broken, Target
from edram_fer.errors import UserError

ANSWERS = (b"read", b"refused", b"raises", b"breaks", b"dies", b"hangs")


def write(folder: Path) -> list[str]:
    (folder / "a").write_bytes(b"read")
    return ["a"]


def mutate(rng, content, others):
    """The answers in turn: the target replaces the mutations, and sees the file names of the seeds alone."""
    return rng.choice(ANSWERS)


def check(folder: Path, name: str) -> None:
    answer = (folder / name).read_bytes()
    if answer == b"refused":
        raise UserError("a: expected b, got c")
    if answer == b"raises":
        raise KeyError("nobody foresaw this")
    if answer == b"breaks":
        raise Broken("rows: 3 of 4")
    if answer == b"dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if answer == b"hangs":
        time.sleep(60)


FAKE = Target("fake", write, check, mutate)
