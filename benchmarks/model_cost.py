"""Parameters, operations and time of the models, on single images of 48x48 and on batches.

    python -m benchmarks.model_cost
    python -m benchmarks.model_cost fer2013 "fer2013 model=cnn" --out runs/model_cost.json

An argument is a recipe, followed by settings. Operations are the multiplications and additions that TensorFlow's
profiler counts in the graph of one forward pass of one image. Time is the median of rounds in which the models take
turns, in float32. The defaults take about two minutes on two cores.
"""

import argparse
import statistics
import time
from collections.abc import Callable
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


def build(text: str) -> keras.Model:
    """Build the model of "recipe key=value ..." for grey images of `SIZE` x `SIZE` pixels."""
    name, *settings = text.split()
    recipe = recipes.override(recipes.get(name), [*settings, "dtype=float32"])
    return loop.build(recipe, {"image_size": (SIZE, SIZE), "channels": 1})


def make_timer(model: keras.Model, batch: int) -> Callable[[], float]:
    """A function that runs the model on `batch` random images and returns the milliseconds per image."""
    inputs = {
        name: tf.constant(np.random.default_rng(0).random((batch, *shape[1:]), dtype="float32"))
        for name, shape in model.input_shapes().items()
    }
    call = tf.function(lambda features: model(features, training=False))
    call(inputs)  # traces the graph

    def measure():
        begin = time.perf_counter()
        call(inputs)["emotion"].numpy()
        return 1000 * (time.perf_counter() - begin) / batch

    return measure


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=DEFAULTS, metavar="RECIPE KEY=VALUE", help="quoted, as above")
    parser.add_argument("--batch", type=int, default=64, help="images in a batch (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="default %(default)s")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    built = {text: build(text) for text in options.models}
    rows = {}
    for name, model in built.items():
        rows[name] = {"parameters": cost.parameters(model), "flops": cost.flops(model)}
    for batch in (1, options.batch):
        timers = {name: make_timer(model, batch) for name, model in built.items()}
        milliseconds = {name: [] for name in timers}
        for _ in range(options.rounds):
            for name, measure in timers.items():
                milliseconds[name].append(measure())
        for name, values in milliseconds.items():
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
