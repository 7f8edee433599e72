"""Export every kind of model to every format, and compare all outputs with those of the Keras model.

    python -m benchmarks.export_equality
    python -m benchmarks.export_equality ran --out runs/export_equality.json

Small models with random weights; arguments restrict them by name. A row gives the largest absolute difference of any
output, for batches of 1, 3 and 8 random images. About ten minutes of CPU time.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

import edram_fer
from edram_fer import files
from edram_fer.exporting import graph
from edram_fer.exporting.export import export
from edram_fer.exporting.writers import FORMATS
from edram_fer.models import FERModel

SIZE = (32, 33)
EDRAM = {
    "glimpses": 2,
    "glimpse_size": 14,
    "glimpse_units": 6,
    "head_units": 5,
    "classification_units": 8,
    "location_units": 7,
    "glimpse_filters": (2, 3, 4, 3, 4, 5),
    "context_filters": (2, 3, 4),
}
RAN = {"backbone_filters": (2, 3, 4, 5), "crop_size": 16, "backbone": "iresnet18"}
DEEP = {"trunk_filters": (3, 4, 5), "affect": True}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "edram": ("edram", EDRAM),
    "edram, mixed_bfloat16": ("edram", EDRAM | {"dtype": "mixed_bfloat16"}),
    "edram ablavatski2017": ("edram", EDRAM | {"variant": "ablavatski2017"}),
    "edram forch2019": ("edram", EDRAM | {"variant": "forch2019", "zoom_limit": 0.5}),
    "edram, zoom .5 squashed by extent": ("edram", EDRAM | {"zoom_limit": 0.5, "zoom_measure": "extent"}),
    "edram, zoom .3 clipped, whole first": (
        "edram",
        EDRAM | {"zoom_limit": 0.3, "zoom_mode": "clip", "first_glimpse": "whole"},
    ),
    "edram, no rotation, separable": ("edram", EDRAM | {"rotation": False, "sensor": "separable"}),
    "cnn": ("cnn", {name: value for name, value in EDRAM.items() if name not in ("glimpses", "context_filters")}),
    **{f"deep_emotion {name}": ("deep_emotion", DEEP | {"variant": name}) for name in ("paper", "image", "plus")},
    "deep_emotion release": ("deep_emotion", DEEP | {"variant": "release"}),
    "ran": ("ran", RAN),
    "ran, landmarks": ("ran", RAN | {"crops": "landmarks", "affect": True}),
    "ran, random, embedding": ("ran", RAN | {"crops": "random", "embedding": True, "signed_input": True}),
    "ran wang2020": ("ran", RAN | {"variant": "wang2020", "backbone": "resnet18", "crop_size": 32}),
    "ran vgg16, fixed7, mean": (
        "ran",
        RAN | {"backbone": "vgg16", "crop_size": 32, "crops": "fixed7", "attention": "mean"},
    ),
    "ran iresnet50, face": ("ran", RAN | {"backbone": "iresnet50", "crops": "face"}),
}


def build(name: str, options: dict[str, Any]) -> FERModel:
    """A model with random weights, so that no zero hides a part of it; the activations keep their size."""
    model, rng = edram_fer.build(name, image_size=SIZE, classes=4, **options), np.random.default_rng(0)
    for weight in model.weights:
        if weight.path.endswith("kernel"):
            gain = 0.75 if "res_net" in weight.path else 3.0
            weight.assign(rng.normal(0, np.sqrt(gain / np.prod(weight.shape[:-1])), weight.shape))
        elif weight.path.endswith(("gamma", "variance")):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif "seed" not in weight.path:
            weight.assign(rng.normal(0, 0.3, weight.shape))
    return model


def difference(model: FERModel, format: str, folder: Path) -> float:
    """The largest absolute difference of any output, for batches of several sizes."""
    suffix, _, open_to_run = FORMATS[format]
    path = export(model, folder / f"model{suffix}", format=format).path
    single, run, differences = model.in_float32(), open_to_run(path), []
    for count in (1, 3, 8):
        batch = graph.examples(graph.inputs(single, uint8=False, windows=False), count, seed=10 + count)
        outputs = run(batch)
        for name, values in single(batch, training=False).items():
            differences.append(float(np.abs(outputs[name] - keras.ops.convert_to_numpy(values)).max()))
    return max(differences)


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="parts of the names of models [default: all]")
    parser.add_argument("--out", type=Path, help="JSON file for the rows")
    arguments = parser.parse_args()
    rows, table = {}, Table("model", *FORMATS)
    for title, (name, options) in MODELS.items():
        if arguments.names and not any(part in title for part in arguments.names):
            continue
        model = build(name, options)
        with tempfile.TemporaryDirectory() as folder:
            rows[title] = {format: difference(model, format, Path(folder)) for format in FORMATS}
        table.add_row(title, *(f"{value:.1e}" for value in rows[title].values()))
        print(title, rows[title], flush=True)
    Console().print(table)
    if arguments.out:
        files.write_json(arguments.out, rows)


if __name__ == "__main__":
    main()
