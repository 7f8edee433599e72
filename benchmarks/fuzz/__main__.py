"""Mutated files and requests against everything that reads them, in several sittings.

    python -m benchmarks.fuzz --inputs 2000 --out fuzz.json          # all targets, up to 2000 inputs each
    python -m benchmarks.fuzz photo annotations-table --inputs 50000 --out fuzz.json
    python -m benchmarks.fuzz npz --only 1234                        # one input again, with its traceback
    python -m benchmarks.fuzz --recheck --out fuzz.json              # which findings are still there?
    python -m benchmarks.fuzz --table --out fuzz.json                # the table of docs/reliability.md

A sitting continues where the file ends. Input i of a target follows from (seed, target, i). Findings are exceptions
other than the documented ones, broken promises of the documentation, deaths of the process, and inputs that take more
than 5 seconds or add more than 500 MiB of resident memory. Target names may be shortened to their beginnings.
"""

import argparse
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.fuzz.campaign import READ, REFUSED, Result, Target, make_input, run
from edram_fer import files

KEPT = 5  # input numbers that are kept of a kind of finding
SAVED = 10.0  # seconds between two savings


def main() -> None:
    """Fuzz, replay or recheck."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="targets, or beginnings of them (default all)")
    parser.add_argument("--inputs", type=int, default=1000, help="inputs of each target in all (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of all inputs (default %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="of each target in this sitting, after its start"
    )
    parser.add_argument("--out", type=Path, help="JSON file with the results, which is continued")
    parser.add_argument("--only", type=int, metavar="I", help="read input I of one target here, without a process")
    parser.add_argument("--recheck", action="store_true", help="read the inputs of all findings in --out again")
    parser.add_argument("--table", action="store_true", help="print the results in --out as a Markdown table")
    options = parser.parse_args()
    state = _load(options.out, options.seed)
    if options.table:
        print("\n".join(_table(state["targets"])))
        return
    targets = _chosen(options.targets)
    for target in targets:
        if options.only is not None:
            _replay(target, options.seed, options.only)
        elif options.recheck:
            _recheck(target, state)
        else:
            _fuzz(target, state, options.inputs, options.seconds, options.out)
        if options.out:
            files.write_json(options.out, state)


def _chosen(beginnings: list[str]) -> list[Target]:
    from benchmarks.fuzz.targets import TARGETS  # imports all readers

    chosen = [target for name, target in TARGETS.items() if not beginnings or name.startswith(tuple(beginnings))]
    if not chosen:
        raise SystemExit(f"expected some of {', '.join(TARGETS)}")
    return chosen


def _load(path: Path | None, seed: int) -> dict[str, Any]:
    state = files.read_json(path) if path and path.exists() else {"seed": seed, "targets": {}}
    if state["seed"] != seed:
        raise SystemExit(f"{path} holds inputs of the seed {state['seed']}, expected {seed}")
    return state


def _fuzz(target: Target, state: dict[str, Any], inputs: int, seconds: float, path: Path | None) -> None:
    """Read the inputs from the first that was not read yet."""
    empty = {"inputs": 0, READ: 0, REFUSED: 0, "seconds": 0.0, "slowest": [0.0, None], "largest": [0.0, None]}
    done = state["targets"].setdefault(target.name, empty | {"findings": {}})
    earlier, start, saved, deadline = done["seconds"], time.monotonic(), time.monotonic(), float("inf")
    results = run(target, state["seed"], range(done["inputs"], inputs))
    for result in results:
        add(done, result)
        now = time.monotonic()
        done["seconds"] = round(earlier + now - start, 1)
        if path and now - saved > SAVED:
            files.write_json(path, state)
            saved = now
        deadline = min(deadline, now + seconds)
        if now > deadline:
            results.close()
            break
    kinds = "".join(f"\n    {one['count']:,} x {kind}: {one['detail']}" for kind, one in done["findings"].items())
    print(
        f"{target.name}: {done['inputs']:,} inputs, {done[READ]:,} read, {done[REFUSED]:,} refused; slowest "
        f"{done['slowest'][0]:.2f} s, largest {done['largest'][0]:.0f} MiB; {done['seconds']:.0f} s{kinds}",
        flush=True,
    )


def add(done: dict[str, Any], result: Result) -> None:
    """Count a result."""
    done["inputs"] += 1
    if result.outcome in (READ, REFUSED):
        done[result.outcome] += 1
    else:
        kind = done["findings"].setdefault(result.outcome, {"count": 0, "inputs": [], "detail": result.detail})
        kind["count"] += 1
        kind["inputs"] = [*kind["inputs"], result.index][:KEPT]
    for name, value in (("slowest", result.seconds), ("largest", result.mib)):
        done[name] = max(done[name], [round(value, 3), result.index], key=lambda pair: pair[0])


def _recheck(target: Target, state: dict[str, Any]) -> None:
    findings = state["targets"].get(target.name, {}).get("findings", {})
    indices = sorted({index for kind in findings.values() for index in kind["inputs"]})
    outcomes = {result.index: result for result in run(target, state["seed"], indices)}
    for name, kind in findings.items():
        kind["now"] = sorted({outcomes[index].outcome for index in kind["inputs"]})
        print(f"{target.name}: {name}: now {', '.join(kind['now'])}", flush=True)
    for result in outcomes.values():
        if result.outcome not in (READ, REFUSED):
            print(f"    input {result.index}: {result.outcome}: {result.detail}", flush=True)


def _replay(target: Target, seed: int, index: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contents = {path: (folder / path).read_bytes() for path in sorted(target.write(folder))}
        path, changed = make_input(target, contents, seed, index)
        place = folder / (path if not target.names else changed.decode("utf-8", "surrogateescape"))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(contents[path] if target.names else changed)
        print(f"{target.name}, input {index}: {place}, {len(changed):,} bytes: {changed[:300]!r}")
        target.check(folder, place.relative_to(folder).as_posix())
        print(READ)


def _table(targets: dict[str, Any]) -> Iterator[str]:
    yield "| target | inputs | read | refused | kinds of findings then | now | slowest | most memory | time |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, done in targets.items():
        kinds = done["findings"].values()
        now = sum(not set(kind.get("now", ["?"])) <= {READ, REFUSED} for kind in kinds)
        yield (
            f"| {name} | {done['inputs']:,} | {done[READ]:,} | {done[REFUSED]:,} | {len(kinds)} | {now} | "
            f"{done['slowest'][0]:.2f} s | {done['largest'][0]:.0f} MiB | {done['seconds']:.0f} s |"
        )
    yield f"| all | {_total(targets.values(), 'inputs'):,} | | | | | | | {_total(targets.values(), 'seconds'):.0f} s |"


def _total(entries: Iterable[dict[str, Any]], name: str) -> float:
    return sum(entry[name] for entry in entries)


if __name__ == "__main__":
    main()
