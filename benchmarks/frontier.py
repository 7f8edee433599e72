"""Accuracy against operations: does looking pay at equal work?

    edram-fer prepare fer2013 --source SOURCE
    python -m benchmarks.frontier --out runs/frontier                    # resumes; --only cnn-8 for one point
    python -m benchmarks.frontier --data ferplus/majority --out runs/frontier-ferplus

Trains models of four families with one recipe (data, augmentation, optimizer, schedule, epochs): the CNN baseline of
several widths, EDRAM of several glimpse sizes, numbers of glimpses and widths, Deep-Emotion `plus`, and RAN. Operations
are the multiplications and additions of one forward pass, counted by TensorFlow's profiler. EDRAM with early exit is
derived from its predictions after each glimpse: it stops where the confidence reaches a threshold, chosen on validation
as the lowest whose accuracy is within `SLACK` of that of all glimpses, and its work is that of the glimpses it took.

Prints a table and writes frontier.json and frontier.svg to --out. No point has been trained yet. An EDRAM of 42 million
operations took 2.4 minutes an epoch with one thread of an AVX2 processor, beside other work; at that rate, all points
take ten hours.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.table import Column, Table

from edram_fer import data, files, startup
from edram_fer.attention import early_exit
from edram_fer.figures.style import save
from edram_fer.recipes import recipe as recipes
from edram_fer.recipes.recipe import Recipe
from edram_fer.run.evaluated_run import EvaluatedRun
from edram_fer.run.layout import METRICS, read_metrics
from edram_fer.studies import sweep

SIZE = 48
SLACK = 0.002
FAMILIES = {"cnn": "CNN", "edram": "EDRAM", "exit": "EDRAM, early exit", "plus": "Deep-Emotion plus", "ran": "RAN"}
WIDTHS = {
    4: (4, 6, 8, 12, 16, 24),
    8: (8, 12, 16, 24, 32, 48),
    12: (12, 16, 24, 32, 48, 64),
    16: (16, 24, 32, 48, 64, 96),
    24: (24, 32, 48, 64, 96, 128),
    32: (32, 48, 64, 96, 128, 192),
}


def _convolutions(width: int) -> tuple[str, ...]:
    """Settings of EDRAM and the CNN: filters of the six convolutions, and dense layers in proportion."""
    filters = ",".join(map(str, WIDTHS[width]))
    units = [f"{name}_units={8 * width}" for name in ("classification", "location", "head")]
    return (f"glimpse_filters=({filters})", f"glimpse_units={16 * width}", *units, "dropout=0.1")


def _plus(width: int) -> tuple[str, ...]:
    trunk = ",".join(str(width * factor) for factor in (1, 2, 4, 8))
    return ("model=deep_emotion", "variant=plus", f"trunk_filters=({trunk})", "l2_penalty=1e-4")


def _ran(width: int) -> tuple[str, ...]:
    filters = ",".join(str(width * factor) for factor in (1, 2, 4, 8))
    return (
        "model=ran",
        "backbone=iresnet18",
        f"backbone_filters=({filters})",
        "crops=fixed5",
        "crop_size=48",
        "dropout=0.1",
    )


# Family-...: settings of the recipe `fer2013`. EDRAM: glimpses, side of a glimpse, width.
POINTS: Mapping[str, tuple[str, ...]] = {
    **{f"cnn-{width}": ("model=cnn", *_convolutions(width)) for width in (4, 8, 12, 16, 24)},
    **{
        f"edram-{glimpses}-{side}-{width}": (f"glimpses={glimpses}", f"glimpse_size={side}", *_convolutions(width))
        for glimpses, side, width in ((3, 16, 12), (3, 20, 16), (2, 24, 16), (3, 24, 24), (3, 24, 32))
    },
    **{f"plus-{width}": _plus(width) for width in (4, 8, 16, 24)},
    **{f"ran-{width}": _ran(width) for width in (2, 4, 6, 8)},
}


def runs(source: str, epochs: int, seeds: int) -> dict[str, Recipe]:
    """{point-seed=N: recipe} of all points."""
    shared = [f"data={source}", f"epochs={epochs}"]
    shared += ["emotions=eight"] if source.startswith("ferplus") else []
    made = {}
    for name, settings in POINTS.items():
        made |= {
            f"{name}-seed={seed}": recipes.override(recipes.get("fer2013"), [*settings, *shared, f"seed={seed}"])
            for seed in range(seeds)
        }
    return made


def train(chosen: Mapping[str, Recipe], out: Path, splits: Sequence[str], data_dir: Path | None) -> None:
    """Train and evaluate some runs, and print which of them failed, and why."""
    for row in sweep.sweep(chosen, out, splits=splits, data_dir=data_dir, only=list(chosen), verbose=2):
        if row["status"] != "finished":
            print(f"{row['run']} {row['status']}", flush=True)


def work_and_accuracy(run: Path, split: str) -> dict[str, Any]:
    """The name, operations, parameters and milliseconds per image of an evaluated run, and its accuracy on a split."""
    metrics = read_metrics(run / METRICS)
    scores, described = metrics["splits"][split], metrics["run"]
    low, high = scores["intervals"]["accuracy"]
    return {
        "run": run.name,
        "operations": described["flops"],
        "parameters": described["parameters"],
        "milliseconds": 1000 * described["seconds_per_image"],
        "accuracy": scores["accuracy"],
        "low": low,
        "high": high,
    }


def point(run: Path) -> list[dict[str, Any]]:
    """The row of an evaluated run; for EDRAM with several glimpses also that with early exit."""
    family = run.name.partition("-")[0]
    row = {**work_and_accuracy(run, "test"), "family": family}
    if family != "edram":
        return [row]
    evaluated = EvaluatedRun(run)
    curves = {
        split: early_exit.curve_from_predictions(evaluated.predictions(split)) for split in ("validation", "test")
    }
    accuracies = np.array(curves["validation"]["accuracy"])
    chosen = int(np.flatnonzero(accuracies >= accuracies[-1] - SLACK)[0])  # thresholds rise
    taken = curves["test"]["mean_glimpses"][chosen]
    low, high = curves["test"]["accuracy_interval"][chosen]
    early = {
        "family": "exit",
        "operations": row["operations"] * taken / evaluated.predictions("test")["probabilities"].shape[1],
        "milliseconds": None,
        "accuracy": curves["test"]["accuracy"][chosen],
        "low": low,
        "high": high,
        "glimpses": taken,
    }
    return [row, {**row, **early}]


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Accuracy against operations, a line for each family, with 95 % intervals for other images."""
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for family, label in FAMILIES.items():
        of_family = sorted((row for row in rows if row["family"] == family), key=lambda row: row["operations"])
        if not of_family:
            continue
        x = [row["operations"] / 1e6 for row in of_family]
        y = np.array([[100 * row[name] for name in ("accuracy", "low", "high")] for row in of_family])
        errors = [y[:, 0] - y[:, 1], y[:, 2] - y[:, 0]]
        axes.errorbar(x, y[:, 0], yerr=errors, marker="o", capsize=2, label=label, alpha=0.9)
    axes.set_xscale("log")
    axes.set_xlabel("million operations of a forward pass")
    axes.set_ylabel("accuracy on test, %")
    axes.legend(frameon=False)
    save(figure, path)


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fer2013", help="fer2013 (default) or ferplus/majority")
    parser.add_argument("--data-dir", type=Path, help="folder of prepared data sets")
    parser.add_argument("--epochs", type=int, default=12, help="default %(default)s")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each point (default %(default)s)")
    parser.add_argument("--only", nargs="+", metavar="POINT", default=list(POINTS), help="only these points")
    parser.add_argument("--out", type=Path, default=Path("runs/frontier"), help="folder (default %(default)s)")
    options = parser.parse_args()
    startup.load_keras()
    described = data.describe(options.data, data_dir=options.data_dir)
    if unknown := set(options.only) - set(POINTS):
        parser.error(f"--only: expected {', '.join(POINTS)}, got {', '.join(sorted(unknown))}")
    every = runs(described["source"], options.epochs, options.seeds)
    chosen = {name: recipe for name, recipe in every.items() if name.rpartition("-seed=")[0] in options.only}
    train(chosen, options.out, ("validation", "test"), options.data_dir)
    evaluated = [options.out / name for name in every if (options.out / name / METRICS).exists()]
    rows = [row for run in evaluated for row in point(run)]
    files.write_json(options.out / "frontier.json", rows)
    draw(rows, options.out / "frontier.svg")
    columns = [Column(name, justify="right") for name in ("M operations", "M parameters", "ms", "accuracy, %", "95 %")]
    table = Table("run", "family", *columns)
    for row in sorted(rows, key=lambda row: (list(FAMILIES).index(row["family"]), row["operations"])):
        time = "" if row["milliseconds"] is None else f"{row['milliseconds']:.2f}"
        numbers = (f"{row['operations'] / 1e6:.1f}", f"{row['parameters'] / 1e6:.2f}", time)
        scores = (f"{100 * row['accuracy']:.2f}", f"{100 * row['low']:.1f} to {100 * row['high']:.1f}")
        table.add_row(row["run"], FAMILIES[row["family"]], *numbers, *scores)
    Console().print(table)


if __name__ == "__main__":
    main()
