"""The faults, one function each: disturb a command, judge how it ended, run it to its end and compare its files."""

import contextlib
import os
import shutil
import signal
import subprocess
import zlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faults import comparison, process
from benchmarks.faults.process import Ending, Process
from benchmarks.faults.stages import OUT, STAGES, Stage
from edram_fer import files

Row = dict[str, Any]  # of the JSON file
CLOCKS = ("-1d", "-10y")
DISKS = 20  # sizes of the full disk
SIGNALS = {
    "kill": (signal.SIGKILL,),
    "terminate": (signal.SIGTERM,),
    "interrupt": (signal.SIGINT,),
    "interrupt-twice": (signal.SIGINT, signal.SIGINT),
}


class Cases:
    """All cases of one stage.

    Args:
        name: the stage.
        work: the folder of `inputs` and of a folder for each stage and fault.
        seed: determines the moments.
        rows: the rows of all cases so far, by `key`; a case with a row is not repeated.
        save: called with the key and the row of each new case.
    """

    def __init__(
        self, name: str, work: Path, seed: int, rows: dict[str, Row], save: Callable[[str, Row], None]
    ) -> None:
        self.name, self.stage, self.work = name, STAGES[name], work
        self.seed, self.rows, self.save = seed, rows, save
        self.reference = self._measure()

    def _measure(self) -> dict[str, Any]:
        """Run the command twice undisturbed; what differs already then is a fault of the harness."""
        path = self._folder("reference.json")
        if not path.exists():
            endings, contents = [], []
            for name in ("again", "reference"):
                shutil.rmtree(self._folder(name), ignore_errors=True)
                self.stage.begin(self._folder(name))
                endings.append(process.run(self.stage, self._folder(name)))
                contents.append(self._contents(self._folder(name)))
            if endings[-1].code or contents[0] != contents[1]:
                different = comparison.differences(*contents)
                raise RuntimeError(f"{self.name} alone: {endings[-1].last_line}; {', '.join(different)}")
            size = _size(self._folder("reference"))
            files.write_json(
                path,
                {"seconds": endings[-1].seconds, "first_write": endings[-1].first_write, "bytes": size}
                | {"contents": contents[-1]},
            )
        return files.read_json(path)

    def run(self, fault: str, count: int) -> None:
        """Make `count` cases of a fault, or what is left of them."""
        FAULTS[fault](self, fault, count)

    # ------------------------------------------------------------------ signals in chains

    def interrupted(self, fault: str, count: int) -> None:
        """Interrupt the command again and again; each start continues from what the one before has left.

        When the command reaches its end, its files are compared, and the next case begins afresh.
        """
        folder, reached, number = self._folder(fault), 0, 0
        while reached < count:
            key = self._key(fault, number)
            if key not in self.rows:
                self._interrupt_once(folder, fault, number, key)
            reached += self.rows[key]["reached"]
            number += 1
        key = self._key(fault, f"end-of-{count}")
        if key not in self.rows and folder.exists():
            self.save(key, self._to_the_end(folder) | {"reached": False})

    def _interrupt_once(self, folder: Path, fault: str, number: int, key: str) -> None:
        if not folder.exists():
            self.stage.begin(folder)
        random = self._random(fault, number)
        after_write, group = bool(random.integers(2)), bool(random.integers(2))
        longest = self.reference["seconds"] - (self.reference["first_write"] if after_write else 0)
        moment = float(random.uniform(0, max(longest, 0.5)))
        before = process.state(folder)
        ending = process.interrupt(
            self.stage, folder, SIGNALS[fault], moment, after_write=after_write, group=group and fault == "kill"
        )
        row: Row = {"moment": round(moment, 2), "after_write": after_write, "group": group, **_described(ending)}
        if not ending.reached:
            problems = [] if ending.code in self.stage.codes else ["the start after an interruption failed"]
            problems += comparison.differences(self.reference["contents"], self._contents(folder))
        else:
            problems = _signal_problems(SIGNALS[fault], ending, changed=process.state(folder) != before)
        ended = not ending.reached or ending.code in self.stage.codes
        if ending.reached and (ended or ending.code == -SIGNALS[fault][0]):
            differing = comparison.differences(self.reference["contents"], self._contents(folder))
            if ended:  # the signal came just before the end
                problems = differing
            elif fault != "kill" and not differing:  # or while Python shut down
                ended, problems = True, []
        self.save(key, row | {"problems": problems})
        if ended:
            self._put_away(folder, key if problems else None)

    # ------------------------------------------------------------------ one fault in each case

    def paused(self, fault: str, count: int) -> None:
        """Stop the command and its workers for two seconds (SIGSTOP, SIGCONT)."""
        for folder, number in self._fresh(fault, count):
            running = Process(self.stage, folder)
            reached = running.wait(self._moment(fault, number))
            running.send(signal.SIGSTOP, group=True)
            running.wait(running.seconds + 2)
            running.send(signal.SIGCONT, group=True)
            self._finish(folder, fault, number, running.end(reached=reached), [])

    def twice(self, fault: str, count: int) -> None:
        """Start the command twice in one folder, the second within a second of the first."""
        for folder, number in self._fresh(fault, count):
            first = Process(self.stage, folder, log=folder.with_suffix(".first"))
            first.wait(float(self._random(fault, number).uniform(0, 1)))
            second = Process(self.stage, folder, log=folder.with_suffix(".second"))
            endings = [first.end(), second.end()]
            problems = [text for ending in endings for text in _sentence_problems(ending, self.stage)]
            if not any(ending.code in self.stage.codes for ending in endings):
                problems.append("neither of the two processes succeeded")
            refused = next((ending for ending in endings if ending.code), endings[1])
            self._finish(folder, fault, number, refused, problems, any_code=True)

    def moved(self, fault: str, count: int) -> None:
        """Kill the command, rename the folder that it writes, and continue there."""
        for folder, number in self._fresh(fault, count):
            moment = self._moment(fault, number, after_write=True)
            ending = process.interrupt(self.stage, folder, SIGNALS["kill"], moment, after_write=True, group=True)
            if has_written := (folder / OUT).exists():
                (folder / OUT).rename(folder / "moved")
            row = self._to_the_end(folder, "moved") if has_written else self._to_the_end(folder)
            self.save(self._key(fault, number), row | {"reached": ending.reached, "moment": round(moment, 2)})
            self._put_away(folder, self._key(fault, number) if row["problems"] else None)

    def clock(self, fault: str, count: int) -> None:
        """Kill the command, set the clock back by a day or ten years, and continue. Needs the program faketime."""
        for folder, number in self._fresh(fault, count):
            moment, clock = self._moment(fault, number, after_write=True), CLOCKS[number % len(CLOCKS)]
            ending = process.interrupt(self.stage, folder, SIGNALS["kill"], moment, after_write=True, group=True)
            row = self._to_the_end(folder, clock=clock) | {"clock": clock}
            self.save(self._key(fault, number), row | {"reached": ending.reached, "moment": round(moment, 2)})
            self._put_away(folder, self._key(fault, number) if row["problems"] else None)

    def full(self, fault: str, count: int) -> None:
        """Run the command on a disk that fills; then enlarge the disk and continue. Needs the right to mount."""
        start = _size(self.work / "inputs" / "run") if self.stage.run else 0
        sizes = np.linspace(start + 8192, 1.15 * self.reference["bytes"] + 16384, DISKS)
        for number, size in enumerate(sizes[np.linspace(0, DISKS - 1, count).round().astype(int)]):
            if (key := self._key(fault, number)) in self.rows:
                continue
            with self._disk(fault, f"size={int(size)}") as folder:
                ending = process.run(self.stage, folder)
                problems = _sentence_problems(ending, self.stage)
                if ending.code not in self.stage.codes and "o space left" not in ending.last_line:
                    problems.append("the message does not say that the disk is full")
                subprocess.run(["mount", "-o", "remount,size=1g", str(folder)], check=True)
                row = {"bytes": int(size), **_described(ending), "reached": True}
                end = self._to_the_end(folder)
                self.save(key, row | {"problems": problems + end["problems"]})

    def read_only(self, fault: str, count: int) -> None:
        """Run the command in a folder that cannot be written; then make it writable and continue."""
        for number in range(count):
            if (key := self._key(fault, number)) in self.rows:
                continue
            with self._disk(fault, "size=1g") as folder:
                subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
                ending = process.run(self.stage, folder)
                problems = _sentence_problems(ending, self.stage)
                if ending.code in self.stage.codes:
                    problems.append("it succeeded without writing")
                if "ead-only" not in ending.last_line or OUT not in ending.last_line:
                    problems.append("the message does not name the folder that cannot be written")
                subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
                end = self._to_the_end(folder)
                self.save(key, {**_described(ending), "reached": True, "problems": problems + end["problems"]})

    # ------------------------------------------------------------------ what they share

    def _fresh(self, fault: str, count: int) -> Iterator[tuple[Path, int]]:
        for number in range(count):
            if self._key(fault, number) not in self.rows:
                folder = self._folder(fault)
                shutil.rmtree(folder, ignore_errors=True)
                self.stage.begin(folder)
                yield folder, number

    def _finish(
        self, folder: Path, fault: str, number: int, ending: Ending, problems: list[str], *, any_code: bool = False
    ) -> None:
        """Save the row of a command that ended by itself, with what differs in its files."""
        key, row = self._key(fault, number), _described(ending)
        if ending.code not in self.stage.codes and not any_code:
            problems = [*problems, f"exit status {ending.code}"]
        differing = comparison.differences(self.reference["contents"], self._contents(folder))
        self.save(key, row | {"reached": True, "problems": problems + differing})
        self._put_away(folder, key if problems + differing else None)

    def _to_the_end(self, folder: Path, out: str = OUT, clock: str = "") -> Row:
        """Run the command to its end, under another name of its folder if that was moved, and compare its files."""
        ending = process.run(self.stage, folder, out, clock)
        if out != OUT:
            (folder / out).rename(folder / OUT)
        problems = [] if ending.code in self.stage.codes else [f"the last start failed: {ending.last_line}"]
        problems += comparison.differences(self.reference["contents"], self._contents(folder))
        return {**_described(ending), "problems": problems}

    @contextlib.contextmanager
    def _disk(self, fault: str, options: str) -> Generator[Path, None, None]:
        """A folder on a file system of its own in memory, with what the stage starts from."""
        folder = self._folder(fault)
        folder.mkdir(exist_ok=True)
        if os.path.ismount(folder):
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
        try:
            self.stage.begin(folder)
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)

    def _contents(self, folder: Path) -> dict[str, str]:
        rules = {f"{OUT}/{pattern}": read for pattern, read in self.stage.rules.items()}
        return comparison.contents(folder, rules)

    def _put_away(self, folder: Path, faulty: str | None) -> None:
        """Remove the folder of a case, or keep it under another name if something is wrong with it."""
        if faulty is None:
            shutil.rmtree(folder)
        else:
            kept = self.work / "kept" / faulty.replace("/", ".")
            shutil.rmtree(kept, ignore_errors=True)
            kept.parent.mkdir(exist_ok=True)
            folder.rename(kept)

    def _moment(self, fault: str, number: int, *, after_write: bool = False) -> float:
        longest = self.reference["seconds"] - (self.reference["first_write"] if after_write else 0)
        return float(self._random(fault, number).uniform(0, max(longest, 0.2)))

    def _random(self, fault: str, number: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, zlib.crc32(f"{self.name} {fault}".encode()), number])

    def _folder(self, name: str) -> Path:
        return self.work / f"{self.name}.{name}"

    def _key(self, fault: str, number: int | str) -> str:
        return f"{self.name}/{fault}/{number}"


def _described(ending: Ending) -> Row:
    return {
        "reached": ending.reached,
        "code": ending.code,
        "seconds": ending.seconds,
        "message": ending.last_line[:300],
    }


def _signal_problems(signals: tuple[int, ...], ending: Ending, changed: bool) -> list[str]:
    """What is wrong with the end of a process that a signal has reached."""
    if signals[0] == signal.SIGKILL or ending.code == 0:  # the latter just before its end
        return []
    if ending.code == -signals[0] and not changed:
        return []  # Python was still starting
    problems = []
    statuses = {128 + number for number in signals}
    if len(signals) > 1:
        statuses.add(-signals[-1])  # the second one may come while Python shuts down
    if ending.code not in statuses:
        problems.append(f"exit status {ending.code} after signal {signals[0]}")
    if ending.traceback:
        problems.append("a traceback")
    if "top" not in ending.last_line:  # "Stopped", "stopped"
        problems.append("no sentence says that it was stopped")
    return problems


def _sentence_problems(ending: Ending, stage: Stage) -> list[str]:
    """What is wrong with the end of a process that may fail: it must do so with one sentence."""
    if ending.code in stage.codes:
        return []
    problems = [] if ending.code == 1 else [f"exit status {ending.code}"]
    if ending.traceback:
        problems.append("a traceback")
    if not ending.last_line.startswith("error: "):
        problems.append(f"no sentence: {ending.last_line[:100]}")
    return problems


def _size(folder: Path) -> int:
    """Bytes of a folder on a disk with pages of 4096 bytes."""
    return sum(-(-path.stat().st_size // 4096) * 4096 + 1024 for path in folder.rglob("*"))


FAULTS: dict[str, Callable[[Cases, str, int], None]] = {
    **dict.fromkeys(SIGNALS, Cases.interrupted),
    "pause": Cases.paused,
    "two-processes": Cases.twice,
    "moved": Cases.moved,
    "clock": Cases.clock,
    "full-disk": Cases.full,
    "read-only": Cases.read_only,
}
