"""Does memory stay flat over many epochs, and over many evaluations in one process?

    python -m benchmarks.steady_memory                          # all: some minutes
    python -m benchmarks.steady_memory training --backend jax --epochs 1000

Trains a tiny CNN with the command `train`, and calls `evaluate`, with figures and report, again and again in one
process, which collects garbage after each. The inputs are the drawn ones of `benchmarks.faults`. Prints as JSON, for
each, the resident memory after each epoch or evaluation (at most 20 of them), and by how much the largest after the
warm-up (the first fifth) exceeds that at the end of the warm-up. The exit status is 1 if this is more than 3 %.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from benchmarks.faults import inputs, process
from benchmarks.peak_memory import MIB

LIMIT = 0.03  # growth after the warm-up, as a share
EVALUATE = """
import gc, sys
from edram_fer.cli import main

for _ in range(int(sys.argv[1])):
    try:
        main(["evaluate", "run"])
    except SystemExit as end:
        if end.code:
            raise
    gc.collect()  # what refers to itself, such as a model, otherwise stays until Python looks for it
"""


def command(kind: str, count: int) -> tuple[list[str], str]:
    """The words of a command that does something `count` times, and with what a line of its output begins each time."""
    if kind == "evaluations":
        return [sys.executable, "-c", EVALUATE, str(count)], "Report: "
    return [*process.COMMAND, *inputs.train_words("trained", [*inputs.CNN, f"epochs={count}"])], "Epoch "


def sample(words: Sequence[str], mark: str, folder: Path, environment: dict[str, str]) -> list[float]:
    """Run a command in a folder. Returns its resident memory in MiB at each line that begins with `mark`.

    Raises:
        RuntimeError: the command failed.
    """
    environment = {**environment, "PYTHONUNBUFFERED": "1"}
    memory = []
    with subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout or ():
            if line.startswith(mark):
                memory.append(round(psutil.Process(running.pid).memory_info().rss / MIB, 1))
    if running.returncode:
        raise RuntimeError(f"{words} ended with status {running.returncode}")
    return memory


def growth(memory: Sequence[float]) -> float:
    """By which share the largest value after the first fifth exceeds that at its end.

    >>> growth([50, 100, 101, 102, 101, 100, 100, 100, 100, 100])
    0.02
    """
    warm = max(len(memory) // 5, 1)
    return round(max(memory[warm:]) / memory[warm - 1] - 1, 4)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="evaluations, training [default: both]")
    parser.add_argument("--backend", choices=("tensorflow", "jax"), help="[default: both, one after the other]")
    parser.add_argument("--evaluations", type=int, default=10, help="(default %(default)s)")
    parser.add_argument("--epochs", type=int, default=200, help="(default %(default)s)")
    parser.add_argument("--work", type=Path, default=Path("build/faults"), help="(default %(default)s)")
    options = parser.parse_args()
    counts = {"evaluations": options.evaluations, "training": options.epochs}
    if unknown := set(options.kinds) - set(counts):
        parser.error(f"unknown: {', '.join(unknown)}")
    work, report = options.work.absolute(), {}
    work.mkdir(parents=True, exist_ok=True)
    inputs.make(work / "inputs", process.COMMAND, process.environment(work))
    for kind in options.kinds or counts:
        for backend in [options.backend] if options.backend else ["tensorflow", "jax"]:
            folder, start = work / "steady_memory", time.monotonic()
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(work / "inputs" / "run", folder / "run")
            memory = sample(*command(kind, counts[kind]), folder, process.environment(work, backend))
            shutil.rmtree(folder)
            if len(memory) != counts[kind]:
                raise RuntimeError(f"{kind}: expected {counts[kind]} lines of output to measure at, got {len(memory)}")
            report[f"{kind}, {backend}"] = {
                "times": len(memory),
                "seconds": round(time.monotonic() - start, 1),
                "memory_mib": memory[:: max(len(memory) // 20, 1)],
                "growth_after_warm_up": growth(memory),
            }
    print(json.dumps(report, indent=1))
    if any(row["growth_after_warm_up"] > LIMIT for row in report.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
