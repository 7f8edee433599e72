"""Training on a GPU: images per second, memory and share of the peak, and then the longest training that time allows.

    python -m benchmarks.gpu --out runs/gpu
    python -m benchmarks.gpu --data fer2013.npz --out runs/gpu    # then trains on it until --seconds are over

Needs JAX alone, neither TensorFlow nor a network, and ends within ten minutes: for a machine that is lent for a short
time. On a machine without a package index, install the wheels that it lacks from a folder (`pip download --no-deps -d
wheels keras namex optree ...` elsewhere, `pip install --no-index --no-deps wheels/*.whl` there). FER2013, as
`edram-fer export-data` writes it, has 53 MB.

First, EDRAM trains on random images: the compiled step of Keras' `fit`, with augmentation. On the device path the
images lie in the memory of the device and are augmented in the step; on the host path NumPy makes the batches. A row is
the fastest of several epochs of some steps, without the first, which compiles; `results.json` is rewritten after each.
The operations of a training step are counted as three times those that XLA counts in a forward pass. Memory is the peak
of the process so far, so batch sizes should rise. With --data, a recipe then trains for as many epochs as fit, with
several steps a call, and stops in time; the run in `--out`/run can be resumed and evaluated.
"""

import argparse
import dataclasses
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import keras
import numpy as np

from edram_fer import data, files
from edram_fer.data.batches import Batches
from edram_fer.preprocessing.emotions import SEVEN
from edram_fer.recipes import recipe as recipes
from edram_fer.recipes.recipe import Recipe
from edram_fer.run import checkpoints
from edram_fer.training import loop

# Dense bfloat16 operations per second, from the data sheets.
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12}
MARGIN = 0.8  # share of the time left that epochs are planned for
LEAST = 60  # seconds in which a training makes sense: the step is compiled twice
EVALUATED = 64  # validation images of the random data set


class DevicePath(Batches):
    """Batches whose images are on the device."""

    on_device = True


class HostPath(Batches):
    """Batches that NumPy makes."""

    on_device = False


class Seconds(keras.callbacks.Callback):
    """The seconds of each epoch."""

    def on_train_begin(self, logs: Any = None) -> None:
        self.epochs: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.begin = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        float(logs["loss"])  # waits for the device
        self.epochs.append(time.perf_counter() - self.begin)


def write_images(path: Path, count: int, size: int) -> None:
    """Write an .npz archive of `count` random training images of `size` x `size` pixels."""
    rng, content = np.random.default_rng(0), {"emotions": np.array(SEVEN)}
    for split, number in (("train", count), ("validation", EVALUATED)):
        content |= {
            f"{split}/image": rng.integers(0, 256, (number, size, size, 1), "uint8"),
            f"{split}/emotion": np.arange(number) % len(SEVEN),
            f"{split}/affect": rng.uniform(-1, 1, (number, 2)).astype("float32"),
            f"{split}/id": np.arange(number).astype(str),
        }
    np.savez(path, source="random", version="1", fingerprint="random", **content)


def measure(recipe: Recipe, path: type[Batches], steps: int, rounds: int) -> dict[str, Any]:
    """Train a recipe for 1 + `rounds` epochs of `steps` steps.

    Returns:
        "images_per_second", of the fastest round; "first_seconds", of the epoch in which the step is compiled; and
        "memory_gib", the peak of the device, None on a CPU.
    """
    keras.utils.clear_session()
    model = loop.build(recipe, data.describe(recipe.data))
    batches, _ = loop.batches(recipe, model, None)
    batches = path(**{field.name: getattr(batches, field.name) for field in dataclasses.fields(batches) if field.init})
    if batches.on_device:
        model.prepare_batch = batches.preparation()
    loop.compile_model(model, recipe, batches)
    content = batches.start()
    _, targets = batches.prepare(**content[0][0]) if batches.on_device else content[0]
    loop.make_metrics(model, targets)
    seconds = Seconds()
    model.fit(content, steps_per_epoch=steps, epochs=1 + rounds, shuffle=False, verbose=0, callbacks=[seconds])
    memory = (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    return {
        "images_per_second": steps * recipe.batch_size / min(seconds.epochs[1:]),
        "first_seconds": seconds.epochs[0],
        "memory_gib": None if memory is None else memory / 2**30,
    }


def training_flops(recipe: Recipe) -> float:
    """Operations of a training step per image: three times those that XLA counts in a forward pass."""
    model = loop.build(recipe, data.describe(recipe.data))
    image = jax.ShapeDtypeStruct((1, *model.image_shape), "float32")
    forward = jax.jit(lambda image: model({"image": image}, training=False)["emotion"]).lower(image)
    return 3 * forward.cost_analysis()["flops"]


def print_row(row: dict[str, Any]) -> None:
    """Print a measurement as a line of a Markdown table."""
    share = "" if row["share_of_peak"] is None else f"{row['share_of_peak']:.1%}"
    memory = "" if row["memory_gib"] is None else f"{row['memory_gib']:.2f}"
    numbers = f"{row['images_per_second']:,.0f} | {share} | {memory} | {row['first_seconds']:.0f}"
    print(f"| {row['path']} | {row['batch']} | {numbers} |", flush=True)


def train(options: argparse.Namespace, seconds: float) -> None:
    """Train a recipe on --data for at most some seconds, or resume the run, and print the last row of its history."""
    settings = [f"data={options.data}", f"steps_per_call={options.steps_per_call}", *options.set]
    run = options.out / "run"
    begin = time.monotonic()
    recipe = loop.resolve(recipes.override(recipes.get(options.recipe), settings), data.describe(options.data))
    timer = threading.Timer(max(seconds - 15, 1), os.kill, (os.getpid(), signal.SIGTERM))  # saving takes some seconds
    timer.daemon = True
    timer.start()
    try:
        if (run / "recipe.json").exists():
            loop.resume(run, verbose=2)
        else:
            rate = measure(recipe, DevicePath, options.steps, 2)["images_per_second"]
            images = data.class_counts(options.data, recipe.train_split)
            left = MARGIN * (seconds - (time.monotonic() - begin))
            epochs = max(min(recipe.epochs, int(left * rate / sum(images.values()))), 1)
            print(f"{rate:,.0f} images per second: {epochs} epochs of {recipe.name} in {left:.0f} seconds", flush=True)
            loop.train(dataclasses.replace(recipe, epochs=epochs), run, verbose=2)
    except checkpoints.Interrupted as stop:
        print(f"stopped and saved {stop}")
    finally:
        timer.cancel()


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 256, 1024, 4096], help="on the device path")
    parser.add_argument("--host-batches", type=int, nargs="*", default=[256], help="on the host path")
    sizes = {"image-size": 100, "glimpses": 6, "images": 16384, "steps": 20, "rounds": 3, "steps-per-call": 8}
    for name, value in {**sizes, "seconds": 570}.items():
        parser.add_argument(f"--{name}", type=int, default=value, help=f"default {value}")
    parser.add_argument("--dtype", default="mixed_bfloat16", help="default mixed_bfloat16")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="further settings of the recipes")
    parser.add_argument("--peak", type=float, help="operations per second of the device, if it is not known")
    parser.add_argument("--data", type=Path, help="an .npz archive to train on afterwards")
    parser.add_argument("--recipe", default="fer2013", help="for --data; default fer2013")
    parser.add_argument("--out", type=Path, required=True, help="folder for results.json and the run")
    options = parser.parse_args()
    begin, kind = time.monotonic(), jax.local_devices()[0].device_kind
    peak = options.peak or next((value for name, value in PEAKS.items() if name in kind), None)
    results: dict[str, Any] = {"device": kind, "jax": jax.__version__, "keras": keras.__version__, "rows": []}
    paths = [("device", DevicePath, batch) for batch in options.batches]
    paths += [("host", HostPath, batch) for batch in options.host_batches]
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images.npz"
        write_images(images, options.images, options.image_size)
        settings = [f"data={images}", f"dtype={options.dtype}", f"glimpses={options.glimpses}", *options.set]
        recipe = recipes.override(recipes.get("forch2019"), settings)
        results["flops"] = flops = training_flops(recipe)
        print(f"{kind}, JAX {jax.__version__}, Keras {keras.__version__}; {recipe.dtype}, {options.glimpses} glimpses,")
        print(f"{options.image_size} pixels, {flops / 1e9:.2f} GFLOP an image; peak: {peak or 'unknown'}\n")
        print("| path | batch | images/s | of the peak | GiB | first epoch, s |\n|---|---|---|---|---|---|", flush=True)
        for name, path, batch in paths:
            if time.monotonic() - begin > options.seconds / 2:
                print(f"no time for the {name} path with batches of {batch}", file=sys.stderr)
                continue
            try:
                row = measure(dataclasses.replace(recipe, batch_size=batch), path, options.steps, options.rounds)
            except jax.errors.JaxRuntimeError as error:
                if "RESOURCE_EXHAUSTED" not in str(error):
                    raise
                print(f"| {name} | {batch} | out of memory |", flush=True)
                continue
            share = peak and row["images_per_second"] * flops / peak
            results["rows"].append({"path": name, "batch": batch, **row, "share_of_peak": share})
            print_row(results["rows"][-1])
            files.write_json(options.out / "results.json", results)
    left = options.seconds - (time.monotonic() - begin)
    if options.data and left < LEAST:
        print(f"{left:.0f} seconds are too few to train", file=sys.stderr)
    elif options.data:
        train(options, left)


if __name__ == "__main__":
    main()
