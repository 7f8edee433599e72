"""One target with inputs that coverage guides, for the readers that are written in Python.

    pip install atheris
    python -m benchmarks.fuzz.guided annotations-table --seconds 60 --out findings

Atheris (libFuzzer) keeps the inputs that reach new branches of the project's code and mutates them further, half of
them with `benchmarks.fuzz.mutations`. Each kind of finding is printed once, and its input is written into --out. An
input that takes more than 5 seconds or 2.5 GB, or kills the process, ends the run; libFuzzer then writes it itself.
"""

import argparse
import random
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["edram_fer"]):
    from benchmarks.fuzz import campaign, mutations
    from benchmarks.fuzz.targets import TARGETS


def main() -> None:
    """Fuzz one target until the time is over."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fuzz.guided",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", choices=[name for name, target in TARGETS.items() if not target.names])
    parser.add_argument("--seconds", type=int, default=60, help="(default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(default %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("findings"), help="folder for inputs (default %(default)s)")
    options = parser.parse_args()
    target = TARGETS[options.target]
    folder = Path(tempfile.mkdtemp(prefix="edram-fer-fuzz-"))  # libFuzzer ends the process without unwinding it
    root, corpus = folder / "seeds", folder / "corpus"
    root.mkdir(), corpus.mkdir(), options.out.mkdir(exist_ok=True)
    with atheris.instrument_imports(include=["edram_fer"]):
        contents = {path: (root / path).read_bytes() for path in sorted(target.write(root))}
        for path in contents:
            target.check(root, path)  # imports what the check needs
    names = list(contents)
    for number, content in enumerate(contents.values()):
        (corpus / str(number)).write_bytes(bytes([number % 256]) + content)
    kinds: set[str] = set()

    def read(data: bytes) -> None:
        """The first byte chooses the file that the others replace."""
        path = names[(data[0] if data else 0) % len(names)]
        (root / path).write_bytes(data[1:])
        outcome, detail = campaign.outcome_of(target, root, path)
        (root / path).write_bytes(contents[path])
        if outcome not in (campaign.READ, campaign.REFUSED) and outcome not in kinds:
            kinds.add(outcome)
            (options.out / f"{target.name}-{len(kinds)}").write_bytes(data[1:])
            print(f"{outcome}: {detail} ({options.out / f'{target.name}-{len(kinds)}'}, {path})", flush=True)

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < 0.5:
            return atheris.Mutate(data, most)
        return (data[:1] + mutations.mutate(rng, data[1:], list(contents.values())))[:most]

    settings = [f"-max_total_time={options.seconds}", f"-seed={options.seed}", "-max_len=100000", "-timeout=5"]
    arguments = ["guided", *settings, "-rss_limit_mb=2500", f"-artifact_prefix={options.out}/", str(corpus)]
    atheris.Setup(arguments, read, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
