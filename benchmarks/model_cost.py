"""Parameters, operations and time of the models, one image of 48x48 at a time and in batches, in one run.

    python -m benchmarks.model_cost
    python -m benchmarks.model_cost fer2013 "fer2013 model=cnn" --out runs/model_cost.json

An argument is a recipe and, behind spaces, settings. Operations are TensorFlow's own count of one forward pass of one
image, multiplications and additions each counted, as its profiler sees them in the graph. Time is the median of the
rounds in which the models take turns, in float32. With the defaults, on two cores: about two minutes.
"""

import argparse
import statistics
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Column, Table

from edram_fer import files
from edram_fer.evaluation import cost
from edram_fer.recipes import recipe as recipes
from edram_fer.training import loop

DEFAULTS = (
    *("fer2013", "fer2013 model=cnn", "zoom_free", "deep_emotion_fer2013", "deep_emotion_fer2013 variant=image"),
    *("deep_emotion_fer2013 variant=plus", "ran_ferplus_small", "ran_ferplus_small crops=face"),
)
SIZE = 48


def build(text):
    """The model of "recipe key=value ..." for grey images of `SIZE`."""
    name, *settings = text.split()
    recipe = recipes.override(recipes.get(name), [*settings, "dtype=float32"])
    return loop.build(recipe, {"image_size": (SIZE, SIZE), "channels": 1})


def timed(model, batch):
    """A function that answers for `batch` random images and tells the milliseconds per image."""
    inputs = {
        name: tf.constant(np.random.default_rng(0).random((batch, *shape[1:]), dtype="float32"))
        for name, shape in model.input_shapes().items()
    }
    call = tf.function(lambda given: model(given, training=False))
    call(inputs)

    def once():
        begin = time.perf_counter()
        call(inputs)["emotion"].numpy()
        return 1000 * (time.perf_counter() - begin) / batch

    return once


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=DEFAULTS, metavar="RECIPE KEY=VALUE")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    built = {text: build(text) for text in options.models}
    rows = {}
    for name, model in built.items():
        rows[name] = {"parameters": cost.parameters(model), "flops": cost.flops(model)}
    for batch in (1, options.batch):
        calls = {name: timed(model, batch) for name, model in built.items()}
        seen = {name: [] for name in calls}
        for _ in range(options.rounds):
            for name, call in calls.items():
                seen[name].append(call())
        for name, values in seen.items():
            rows[name][f"ms_in_batches_of_{batch}"] = statistics.median(values)
    columns = ("parameters", "million operations", "ms alone", f"ms in batches of {options.batch}")
    table = Table(Column("model", no_wrap=True), *columns)
    for name, row in rows.items():
        times = [f"{row[f'ms_in_batches_of_{batch}']:.2f}" for batch in (1, options.batch)]
        table.add_row(name, f"{row['parameters']:,}", f"{row['flops'] / 1e6:,.0f}", *times)
    Console(width=120).print(table)
    if options.out:
        files.write_json(options.out, rows)


if __name__ == "__main__":
    main()
