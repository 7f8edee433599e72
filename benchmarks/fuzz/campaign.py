"""Run a target on numbered inputs in a process of its own, and watch that process.

Input i of a target is a function of (seed, target, i): a seed file, chosen and mutated by a random generator of that
name. A target reads each input as users' files are read. It may answer with a documented error; everything else is a
finding: another exception, a broken promise, the death of the process, and more than SLOW seconds or LARGE MiB.
"""

import dataclasses
import faulthandler
import multiprocessing
import os
import random
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.peak_memory import MIB, peak_mib
from edram_fer.errors import UserError

SLOW, HANGING = 5.0, 30.0  # seconds of one input: a finding, and the process is killed
LARGE, TOO_LARGE = 500.0, 2500.0  # MiB of resident memory that one input adds: the same
DEATH = "death.txt"  # the traceback of a process that died
READ, REFUSED = "read", "refused"  # outcomes that are no findings
RENEWED = 20_000  # inputs after which a process is replaced
ROOT = Path(__file__).resolve().parents[2]
OURS = ("edram_fer", "preprocessing", "models")  # folders of the code that is tested

Mutation = Callable[[random.Random, bytes, Sequence[bytes]], bytes]


class Broken(Exception):
    """A target answered in a way that its documentation rules out."""


@dataclasses.dataclass(frozen=True)
class Target:
    """Code that reads files from elsewhere.

    Attributes:
        name: of the target.
        write: writes the seed files into an empty folder and returns the paths of those to mutate, relative to it.
        check: reads the file at a path in the folder. Raises UserError where that is documented, and Broken.
        mutate: changes the content of a file; see `mutations.mutate`.
        names: mutate the name of the file instead, and leave its content.
    """

    name: str
    write: Callable[[Path], list[str]]
    check: Callable[[Path, str], None]
    mutate: Mutation
    names: bool = False


class Result(NamedTuple):
    """What became of an input.

    Attributes:
        index: its number.
        outcome: READ, REFUSED, or the kind of a finding.
        seconds: wall time.
        mib: resident memory that it added at most; 0 if it did not exceed that of an input before it.
        detail: more on a finding.
    """

    index: int
    outcome: str
    seconds: float
    mib: float
    detail: str = ""


def make_input(target: Target, contents: dict[str, bytes], seed: int, index: int) -> tuple[str, bytes]:
    """The path of the seed file and the mutated content, or the mutated path, of an input."""
    rng = random.Random(f"{seed} {target.name} {index}")
    path = rng.choice(list(contents))
    if target.names:
        return path, target.mutate(rng, os.fsencode(path), [os.fsencode(other) for other in contents])
    return path, target.mutate(rng, contents[path], list(contents.values()))


def run(target: Target, seed: int, indices: Sequence[int], *, hanging: float = HANGING) -> Iterator[Result]:
    """The results of inputs in their order; a process that dies, hangs or grows too large is replaced.

    Raises:
        RuntimeError: the target refuses one of its own seed files.
    """
    position = 0
    while position < len(indices):
        end = min(position + RENEWED, len(indices))
        for result in _one_process(target, seed, indices[position:end], hanging):
            position += 1
            yield result


def _one_process(target: Target, seed: int, indices: Sequence[int], hanging: float) -> Iterator[Result]:
    """The results until the process has to be replaced."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory(prefix="edram-fer-fuzz-") as folder:
        process = context.Process(target=work, args=(sender, target, seed, indices, folder), daemon=True)
        process.start()
        sender.close()
        try:
            refused = receiver.recv()  # of the unchanged files, before the clock starts
            if refused:
                raise RuntimeError(f"{target.name} refuses its own seed files: {refused}")
            for index in indices:
                result = _receive(receiver, process, index, hanging, Path(folder) / DEATH)
                yield result
                if result.seconds < 0 or result.mib > LARGE:
                    break
        except EOFError:
            raise RuntimeError(f"{target.name}: the process died before the first input; see its messages") from None
        finally:
            process.kill()
            process.join()
            receiver.close()


def _receive(receiver: Connection, process: BaseProcess, index: int, hanging: float, death: Path) -> Result:
    """The result of the input that the process works on; its seconds are negative if the process has ended."""
    start, watched = time.monotonic(), psutil.Process(process.pid)
    try:
        before = watched.memory_info().rss
        while not receiver.poll(0.2):
            if time.monotonic() - start > hanging:
                return Result(index, f"more than {hanging:g} s", -1, 0)
            if (grown := (watched.memory_info().rss - before) / MIB) > TOO_LARGE:
                return Result(index, f"more than {TOO_LARGE:g} MiB", -1, grown)
        return receiver.recv()
    except (EOFError, psutil.Error):
        process.join(5)
        code = process.exitcode
        name = signal.Signals(-code).name if code is not None and code < 0 else f"exit status {code}"
        return Result(index, f"death of the process: {name}", -1, 0, death.read_text("utf-8")[:500])


def work(sender: Connection, target: Target, seed: int, indices: Sequence[int], folder: str) -> None:
    """Read the inputs, in the process of a target, and send their results."""
    faulthandler.enable(open(Path(folder) / DEATH, "w", encoding="utf-8"))  # open until the process ends
    root = Path(folder) / "seeds"
    root.mkdir()
    contents = {path: (root / path).read_bytes() for path in sorted(target.write(root))}
    refused = []
    for path in contents:
        outcome, detail = outcome_of(target, root, path)
        if outcome != READ:
            refused.append(f"{path}: {outcome} {detail}")
    sender.send(refused)
    _silence()
    process = psutil.Process()
    for index in indices if not refused else ():
        path, changed = make_input(target, contents, seed, index)
        if target.names:
            restored, place = None, root / os.fsdecode(changed)
            existed = place.exists() or any(parent.is_file() for parent in place.parents)
            if not existed:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(contents[path])
            path = os.path.relpath(place, root)
        else:
            restored, place, existed = contents[path], root / path, False
            place.write_bytes(changed)
        before, peak, start = process.memory_info().rss / MIB, peak_mib(), time.perf_counter()
        outcome, detail = outcome_of(target, root, path)
        seconds, grown = time.perf_counter() - start, peak_mib()
        mib = grown - before if grown > peak else 0.0
        if outcome in (READ, REFUSED) and seconds > SLOW:
            outcome, detail = f"more than {SLOW:g} s", f"{seconds:.1f} s"
        elif outcome in (READ, REFUSED) and mib > LARGE:
            outcome, detail = f"more than {LARGE:g} MiB", f"{mib:.0f} MiB"
        sender.send(Result(index, outcome, seconds, mib, "" if outcome == REFUSED else detail))
        if restored is not None:
            place.write_bytes(restored)
        elif not existed:
            _remove(place, root, contents)


def _remove(place: Path, root: Path, contents: dict[str, bytes]) -> None:
    """Remove a file, and the folders that held it alone."""
    place.unlink()
    for folder in place.parents:
        if folder == root or any(folder.iterdir()):
            break
        folder.rmdir()


def _silence() -> None:
    """Drop what decoders print about damaged files."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(null, stream)
    os.close(null)


def outcome_of(target: Target, root: Path, path: str) -> tuple[str, str]:
    """The outcome of reading a file, and more on it."""
    try:
        target.check(root, path)
    except UserError as error:
        return REFUSED, str(error)[:200]
    except Broken as error:
        return f"broken promise: {str(error).partition(':')[0]}", str(error)[:500]
    except BaseException as error:  # whatever is not documented, SystemExit and MemoryError included
        frames = traceback.extract_tb(error.__traceback__)
        frame = next((frame for frame in reversed(frames) if _is_ours(frame.filename)), frames[-1])
        kind = f"{type(error).__name__} in {Path(frame.filename).name}:{frame.name}"
        last = frames[-1]
        return kind, f"{str(error)[:300]!r}, raised in {Path(last.filename).name}:{last.lineno} {last.name}"
    return READ, ""


def _is_ours(filename: str) -> bool:
    path = Path(filename).resolve()
    return path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in OURS
