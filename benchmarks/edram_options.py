"""What each option of EDRAM is worth: short trainings that differ from one base in one thing.

    edram-fer prepare fer2013 --source SOURCE
    python -m benchmarks.edram_options --out runs/edram_options           # resumes; --only base for one

All use the recipe `fer2013` with a small EDRAM of about 25 million operations (multiplications and additions of one
forward pass), except where an option costs more. Prints a table with the accuracy on the validation images, by which
options are chosen, and writes edram_options.json to --out. The CNN of equal operations stands beside them.
"""

import argparse
import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Column, Table

from benchmarks.frontier import train, work_and_accuracy
from edram_fer import files, startup
from edram_fer.recipes import recipe as recipes
from edram_fer.recipes.recipe import Recipe
from edram_fer.run.layout import METRICS

HEADS = ("glimpse_units=256", "classification_units=128", "location_units=128", "head_units=128", "dropout=0.1")
BASE = ("glimpses=3", "glimpse_size=20", "glimpse_filters=(16,24,32,48,64,96)", *HEADS)
SGD = ("optimizer=sgd", "learning_rate=0.05", "weight_decay=5e-4", "min_learning_rate=1e-4")
# Name: settings in addition to the base.
TRIED: Mapping[str, tuple[str, ...]] = {
    "base": (),
    "cnn": ("model=cnn", "glimpse_filters=(11,16,22,32,45,64)", *HEADS),
    "glance": ("context_size=24", "context_relu=true", "first_glimpse=context"),
    "whole-and-glance": ("context_size=24", "context_relu=true"),
    "one-glimpse": ("glimpses=1", "glimpse_size=32"),
    "two-glimpses": ("glimpses=2", "glimpse_size=24"),
    "trunk": ("trunk_filters=(16,)", "glimpse_size=16"),
    "zoom-target": ("zoom_target=0.35",),
    "no-location-loss": ("location_weight=0",),
    "sgd": SGD,
    "mixup": ("mixup=0.2",),
    "erasing": ("augmentation.erase=0.25",),
    "ema": ("ema=0.99",),
    "rotation": ("rotation=true",),
}


def make_recipe(name: str, source: str, epochs: int, seed: int) -> Recipe:
    """The recipe of one of TRIED."""
    base = () if name == "cnn" else BASE
    shared = (f"data={source}", f"epochs={epochs}", f"seed={seed}")
    return recipes.override(recipes.get("fer2013"), [*base, *shared, *TRIED[name]])


def row(run: Path) -> dict[str, Any]:
    """The row of an evaluated run."""
    with open(run / "history.csv", newline="", encoding="utf-8") as file:
        seconds = [float(epoch["seconds"]) for epoch in csv.DictReader(file)]
    return {**work_and_accuracy(run, "validation"), "seconds_per_epoch": float(np.median(seconds))}


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fer2013", help="data set (default %(default)s)")
    parser.add_argument("--data-dir", type=Path, help="folder of prepared data sets")
    parser.add_argument("--epochs", type=int, default=6, help="default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default %(default)s")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=TRIED, default=list(TRIED), help="only these")
    parser.add_argument("--out", type=Path, default=Path("runs/edram_options"), help="folder (default %(default)s)")
    options = parser.parse_args()
    startup.load_keras()
    chosen = {name: make_recipe(name, options.data, options.epochs, options.seed) for name in options.only}
    train(chosen, options.out, ("validation",), options.data_dir)
    rows = [row(options.out / name) for name in TRIED if (options.out / name / METRICS).exists()]
    files.write_json(options.out / "edram_options.json", rows)
    columns = ("M operations", "M parameters", "s per epoch", "accuracy, %", "95 %")
    table = Table("option", *(Column(name, justify="right") for name in columns))
    for of_run in sorted(rows, key=lambda row: -row["accuracy"]):
        table.add_row(
            of_run["run"],
            f"{of_run['operations'] / 1e6:.1f}",
            f"{of_run['parameters'] / 1e6:.2f}",
            f"{of_run['seconds_per_epoch']:.0f}",
            f"{100 * of_run['accuracy']:.2f}",
            f"{100 * of_run['low']:.1f} to {100 * of_run['high']:.1f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
