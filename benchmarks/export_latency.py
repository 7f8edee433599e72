"""Time, size and accuracy of exported models beside Keras, on one thread.

    python -m benchmarks.export_latency
    python -m benchmarks.export_latency fer2013-edram runs/... --data fer2013 --out runs/export_latency.json
    python -m benchmarks.export_latency "deep_emotion_fer2013 variant=plus" "ran_ferplus_small"

An argument is a trained model, as `edram_fer.load` takes it, or a recipe followed by settings, whose model has random
weights and grey images of 48x48; without one all included models are measured. A time is the median of rounds in which
the runtimes take turns, in milliseconds of processor time, which other processes hardly change, for one image alone and
for each image of a batch of 64. With --data the accuracy on a split is measured, too. About three minutes of CPU time
for each model.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

import edram_fer
from benchmarks import model_cost
from edram_fer import files
from edram_fer.errors import MissingFileError
from edram_fer.evaluation import inference
from edram_fer.exporting import graph
from edram_fer.exporting.export import export
from edram_fer.models import FERModel

BATCHES = (1, 64)
EXPORTS = {
    "ONNX Runtime": ("model.onnx", {}),
    "ONNX Runtime, int8": ("small.onnx", {"int8": True}),
    "LiteRT": ("model.tflite", {}),
    "LiteRT, int8": ("small.tflite", {"int8": True}),
}


def load(text: str) -> FERModel:
    """A trained model, or the model of a recipe with random weights."""
    try:
        return edram_fer.load(text)
    except MissingFileError:
        return model_cost.build(text)


def measure(model: FERModel, folder: Path, labelled: tuple[Any, np.ndarray] | None, rounds: int) -> dict[str, Any]:
    """{runtime: {"megabytes", "accuracy", milliseconds by batch size}}."""
    single = model.in_float32()
    model.save(folder / "model.keras")
    compiled = tf.function(lambda batch: single(batch, training=False), autograph=False)
    runs: dict[str, Callable[[Any], Any]] = {
        "Keras, model(x)": lambda batch: single(batch, training=False),
        "Keras, predict_on_batch": single.predict_on_batch,
        "Keras, tf.function": compiled,
    }
    rows: dict[str, dict[str, Any]] = {name: {"megabytes": _megabytes(folder / "model.keras")} for name in runs}
    for name, (file, options) in EXPORTS.items():
        path = export(single, folder / file, **options).path
        runs[name] = edram_fer.load_exported(path, threads=1)
        rows[name] = {"megabytes": _megabytes(path)}
        if labelled is not None:
            rows[name]["accuracy"] = _accuracy(runs[name], *labelled)
    if labelled is not None:
        rows["Keras, tf.function"]["accuracy"] = _accuracy(single, *labelled)
    for count in BATCHES:
        batch = graph.examples(graph.inputs(single, uint8=False, windows=False), count)
        times: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(rounds + 1):  # the first one traces
            for name, run in runs.items():
                begin = time.process_time()
                np.asarray(run(batch)["emotion"])
                times[name].append(1000 * (time.process_time() - begin) / count)
        for name, values in times.items():
            rows[name][f"ms_batch_{count}"] = statistics.median(values[1:])
    return rows


def _megabytes(path: Path) -> float:
    return path.stat().st_size / 1e6


def _accuracy(model: Any, features: Any, labels: np.ndarray) -> float:
    predictions = inference.predict(model, features["image"], landmarks=features.get("landmarks"))
    return float((predictions["probabilities"][:, -1].argmax(axis=-1) == labels).mean())


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="trained models, or recipes with settings [default: included models]")
    parser.add_argument("--data", help="prepared data set for the accuracy")
    parser.add_argument("--data-dir", type=Path, help="folder of prepared data sets")
    parser.add_argument("--split", default="test", help="of the data set")
    parser.add_argument("--rounds", type=int, default=20, help="of which the median is taken")
    parser.add_argument("--out", type=Path, help="JSON file for the rows")
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    results = {}
    for text in arguments.models or edram_fer.list_weights():
        model, labelled = load(text), None
        if arguments.data and model.emotions:
            labelled = inference.labelled(model, arguments.data, arguments.split, arguments.data_dir)
        with tempfile.TemporaryDirectory() as folder:
            results[text] = measure(model, Path(folder), labelled, arguments.rounds)
        table = Table("", "MB", *(f"ms, batch {count}" for count in BATCHES), "accuracy", title=text)
        for name, row in results[text].items():
            times = [f"{row[f'ms_batch_{count}']:.2f}" for count in BATCHES]
            table.add_row(
                name, f"{row['megabytes']:.1f}", *times, f"{row['accuracy']:.2%}" if "accuracy" in row else ""
            )
        Console().print(table)
    if arguments.out:
        files.write_json(arguments.out, results)


if __name__ == "__main__":
    main()
