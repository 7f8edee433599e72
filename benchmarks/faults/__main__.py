"""Disturbs the commands with kills, signals, full disks and the like, and compares what they leave with a quiet run.

    python -m benchmarks.faults --kills 100 --seed 0 --out faults.json
    python -m benchmarks.faults predict export --faults kill,full-disk --kills 50 --out faults.json

Real processes work on small drawn inputs and get real signals at random moments, half of them counted from their start
and half from their first change on disk. Each start continues from what the one before has left, until the command
ends; then every file must have the bytes of a run that nothing disturbed, except for what `stages.py` names, and no
other file may be there.

A case with a row in --out is not repeated, so the same command resumes. The exit status is 1 if a case had a problem;
its folder is kept under --work/kept. full-disk and read-only mount small file systems in memory, which only root
may do; clock needs the program faketime (Debian's package faketime). Without these, the faults are left out.
"""

import argparse
import collections
import os
import shutil
import sys
import time
from pathlib import Path

from benchmarks.faults import inputs, process
from benchmarks.faults.cases import DISKS, FAULTS, Cases, Row
from benchmarks.faults.stages import STAGES
from edram_fer import files

MOUNTED = ("full-disk", "read-only")


class Rows:
    """The rows of the JSON file.

    Args:
        path: the file; the rows in it are kept.
        seed: must be that of the rows in it.
    """

    def __init__(self, path: Path, seed: int) -> None:
        self.path, self.seed = path, seed
        content = files.read_json(path) if path.exists() else {"seed": seed, "rows": {}}
        if content["seed"] != seed:
            sys.exit(f"{path}: expected seed {seed}, its rows have seed {content['seed']}")
        self.rows: dict[str, Row] = content["rows"]

    def save(self, key: str, row: Row) -> None:
        """Add a row, print it and write the file."""
        self.rows[key] = row
        files.write_json(self.path, {"seed": self.seed, "rows": self.rows})
        problems = "; ".join(row["problems"])
        print(f"{time.strftime('%H:%M:%S')} {key}: {row['code']} {row['seconds']} s {problems}", flush=True)

    def summary(self) -> list[dict[str, object]]:
        """A row for each stage and fault: numbers of disturbed starts, of undisturbed ends and of cases with a problem.

        The files of each undisturbed end were compared.
        """
        counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        for key, row in self.rows.items():
            counts[key.rpartition("/")[0]] += collections.Counter(
                disturbed=int(row["reached"]), undisturbed=int(not row["reached"]), problems=int(bool(row["problems"]))
            )
        kinds = ("disturbed", "undisturbed", "problems")
        return [
            dict(zip(("stage", "fault"), name.split("/"), strict=True)) | {kind: counter[kind] for kind in kinds}
            for name, counter in counts.items()
        ]


def main() -> None:
    """Run the benchmark; see the module docstring."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"[default: all] {', '.join(STAGES)}")
    parser.add_argument("--faults", default=",".join(FAULTS), help=f"separated by commas [default: {','.join(FAULTS)}]")
    parser.add_argument("--kills", type=int, default=10, help="in each stage [default: 10]")
    parser.add_argument("--others", type=int, default=3, help="cases of each other fault [default: 3]")
    parser.add_argument("--disks", type=int, default=DISKS, help=f"sizes of the full disk [default: {DISKS}]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("build/faults.json"), help="[default: build/faults.json]")
    parser.add_argument("--work", type=Path, default=Path("build/faults"), help="[default: build/faults]")
    options = parser.parse_args()
    faults = options.faults.split(",")
    if unknown := [*(set(options.stages) - set(STAGES)), *(set(faults) - set(FAULTS))]:
        parser.error(f"unknown: {', '.join(unknown)}")
    if os.geteuid():
        faults = [fault for fault in faults if fault not in MOUNTED]
        print("not root: without full-disk and read-only", flush=True)
    if shutil.which("faketime") is None:
        faults = [fault for fault in faults if fault != "clock"]
        print("the program faketime is not installed: without clock", flush=True)
    counts = {"kill": options.kills, "full-disk": options.disks, "read-only": 1}
    rows, work = Rows(options.out, options.seed), options.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    inputs.make(work / "inputs", process.COMMAND, process.environment(work))
    chosen = options.stages or list(STAGES)
    for name in chosen:
        cases = Cases(name, work, options.seed, rows.rows, rows.save)
        for fault in faults:
            cases.run(fault, counts.get(fault, options.others))
    for row in (summary := rows.summary()):
        print(f"| {' | '.join(map(str, row.values()))} |")
    sys.exit(int(any(row["problems"] for row in summary)))


if __name__ == "__main__":
    main()
