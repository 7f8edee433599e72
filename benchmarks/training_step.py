"""Time and memory of a training step, compared with a plain PyTorch EDRAM of the same sizes.

    pip install "edram-fer[torch]"
    python -m benchmarks.training_step --out runs/training_step.json

Each contender runs in its own process. They take turns in rounds of a few steps, so that noise on the machine affects
all of them. A step is forward pass, backward pass, clipping of the global norm, and Adam on one batch of random images.
First, the weights of the Keras model are copied into the PyTorch model and the outputs of both are compared. Other work
on the machine can only slow a step down, so the ratio compares the fastest steps; the medians are reported as well.

Goal: on CPU, the faster of our two precisions is at least 1.2 times faster than the faster of PyTorch's two (its
bfloat16 is autocast). The defaults take about five minutes on two cores.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.peak_memory import peak_mib

if TYPE_CHECKING:
    import keras

CONTENDERS = ("keras-float32", "keras-bfloat16", "torch-float32", "torch-bfloat16")
COMPARED = ("emotion", "affect", "emitted")
TOLERANCE = 1e-2  # for logits of about 1: a rounding error of 1e-5 after a glimpse grows tenfold in two or three more


def make_batch(options: argparse.Namespace, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random images float32 [B, H, W, 1], labels [B], and valence and arousal [B, 2]."""
    rng = np.random.default_rng(seed)
    image = rng.random((options.batch, options.image_size, options.image_size, 1), dtype="float32")
    return image, rng.integers(0, 7, options.batch), rng.uniform(-1, 1, (options.batch, 2)).astype("float32")


def keras_model(options: argparse.Namespace, dtype: str = "float32") -> "keras.Model":
    """Our EDRAM, randomly initialised."""
    from edram_fer import models

    size = (options.image_size, options.image_size)
    return models.build("edram", image_size=size, glimpses=options.glimpses, dtype=dtype)


def keras_step(options: argparse.Namespace, dtype: str) -> Callable[[], object]:
    """A function that does one training step of our EDRAM, with Keras' compiled step."""
    from edram_fer.training.losses import AffectLoss, EmotionLoss, LocationLoss
    from edram_fer.training.optimizer import Adam

    model = keras_model(options, dtype)
    model.compile(
        Adam(1e-4, global_clipnorm=10.0),
        loss={"emotion": EmotionLoss(), "affect": AffectLoss(), "emitted": LocationLoss()},
        jit_compile=False,
    )
    image, emotion, affect = make_batch(options)
    zoom = np.tile(np.float32([[0.35, 0, 0], [0, 0.35, 0]]), (len(image), 1, 1))
    return lambda: model.train_on_batch({"image": image}, {"emotion": emotion, "affect": affect, "emitted": zoom})


def torch_step(options: argparse.Namespace, dtype: str) -> Callable[[], object]:
    """A function that does one training step of the PyTorch EDRAM."""
    import torch
    import torch.nn.functional as F

    from benchmarks.torch_edram import EDRAM

    net = EDRAM(options.image_size, glimpses=options.glimpses)
    optimizer = torch.optim.Adam(net.parameters(), 1e-4)
    image, emotion, affect = (torch.from_numpy(array) for array in make_batch(options))
    image, emotion = image.permute(0, 3, 1, 2).contiguous(), emotion[:, None].expand(-1, options.glimpses)

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            logits, affects, emitted = net(image)
        loss = F.cross_entropy(logits.float().flatten(0, 1), emotion.flatten())
        loss = loss + (affects.float() - affect[:, None]).square().sum(-1).mean()
        loss = loss + (emitted.float()[:, :, [0, 1], [0, 1]] - 0.35).square().sum(-1).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        optimizer.step()
        return loss.item()

    return step


def contend(options: argparse.Namespace) -> None:
    """Process of a contender: read a number of steps per line of standard input, run them, and print a line of JSON.

    Each line holds the seconds of each step and the peak memory so far in MiB.
    """
    library, dtype = options.contender.split("-")
    dtype = "mixed_bfloat16" if (library, dtype) == ("keras", "bfloat16") else dtype
    step = {"keras": keras_step, "torch": torch_step}[library](options, dtype)
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            start = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - start)
        print(json.dumps({"seconds": seconds, "peak_mib": peak_mib()}), flush=True)


def write_reference(options: argparse.Namespace) -> None:
    """Write the weights of a Keras EDRAM whose glimpses differ, a batch and the outputs for it to options.file."""
    model, rng = keras_model(options), np.random.default_rng(1)
    for weight in model.weights:
        if weight.path.endswith("moving_variance"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif weight.path.endswith("moving_mean"):
            weight.assign(rng.normal(0, 0.1, weight.shape))
    cell, glimpse = model.cell, model.cell.glimpse
    cell.emission.dense.kernel.assign(rng.normal(0, 0.1, cell.emission.dense.kernel.shape))
    image = make_batch(options)[0][:8]
    outputs = model({"image": image})
    parts = [*zip(model.context.convolutions, model.context.norms), [cell.emission.dense]]
    parts += [*zip(glimpse.cnn.convolutions, glimpse.cnn.norms)]
    parts += [[glimpse.what, glimpse.what_norm, glimpse.where, glimpse.where_norm, cell.lstm1, cell.lstm2]]
    for head in (model.emotion_head, model.affect_head):
        parts += [*zip(head.hidden, head.norms), [head.output_layer]]
    weights = [layer.get_weights() for part in parts for layer in part]
    arrays_by_name = {f"{i} {j}": array for i, arrays in enumerate(weights) for j, array in enumerate(arrays)}
    np.savez(options.file, image=image, **{name: np.asarray(outputs[name]) for name in COMPARED}, **arrays_by_name)


def print_difference(options: argparse.Namespace) -> None:
    """Print as JSON the largest difference between each output of the PyTorch model and of `write_reference`."""
    import torch

    from benchmarks.torch_edram import EDRAM

    with np.load(options.file) as file:
        reference = dict(file)
    names = sorted((name for name in reference if " " in name), key=lambda name: [int(n) for n in name.split()])
    weights = [[reference[n] for n in names if n.split()[0] == str(i)] for i in range(int(names[-1].split()[0]) + 1)]
    net = EDRAM(options.image_size, glimpses=options.glimpses).eval()
    net.load(weights)
    with torch.no_grad():
        outputs = net(torch.from_numpy(reference["image"]).permute(0, 3, 1, 2))
    pairs = {name: (output.numpy(), reference[name]) for name, output in zip(COMPARED, outputs, strict=True)}
    difference = {name: float(np.abs(a - b).max()) for name, (a, b) in pairs.items()}
    print(json.dumps(difference | {"range_of_matrices": float(np.ptp(reference["emitted"], axis=(0, 1)).max())}))


def start_process(options: argparse.Namespace, *arguments: object) -> subprocess.Popen:
    """Start this script with the same sizes and further arguments in a separate process."""
    sizes = ["--batch", options.batch, "--glimpses", options.glimpses, "--image-size", options.image_size]
    command = [sys.executable, "-m", "benchmarks.training_step", *map(str, sizes), *map(str, arguments)]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)


def ask(worker: subprocess.Popen, text: object = None) -> Any:
    """Send a process a line, or close its input with None; return its answer, parsed from JSON.

    Raises:
        RuntimeError: the process failed.
    """
    if text is not None:
        print(text, file=worker.stdin, flush=True)
        if line := worker.stdout.readline():
            return json.loads(line)
    out, _ = worker.communicate()
    if worker.returncode:
        raise RuntimeError(f"{' '.join(worker.args)}: exit status {worker.returncode}")
    return json.loads(out) if out.strip() else None


def compare_outputs(options: argparse.Namespace) -> dict[str, float]:
    """Largest difference of each output between both models with the same weights.

    Raises:
        ValueError: the logits differ by more than `TOLERANCE`.
    """
    with tempfile.TemporaryDirectory() as folder:
        for part in ("reference", "difference"):
            difference = ask(start_process(options, "--part", part, "--file", Path(folder) / "reference.npz"))
    if not difference["emotion"] <= TOLERANCE:
        raise ValueError(
            f"the models differ: expected logits equal to within {TOLERANCE}, got {difference['emotion']:.2g}"
        )
    return difference


def measure(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Run all contenders in turn.

    Returns:
        for each contender a dict of rounds (seconds of each step [rounds, steps]), fastest and median (seconds), and
        peak_mib.
    """
    workers = {name: start_process(options, "--part", "contend", "--contender", name) for name in options.contenders}
    for name, worker in workers.items():
        ask(worker, options.warm_up)
        print(f"{name} is ready", flush=True)
    results = {name: {"rounds": []} for name in workers}
    for _ in range(options.rounds):
        for name, worker in workers.items():
            answer = ask(worker, options.steps)
            results[name]["rounds"].append(answer["seconds"])
            results[name]["peak_mib"] = round(answer["peak_mib"])
    for worker in workers.values():
        ask(worker)
    for result in results.values():
        steps = sum(result["rounds"], [])
        result |= {"fastest": min(steps), "median": statistics.median(steps)}
    return results


def print_table(results: Mapping[str, Mapping[str, Any]], batch: int) -> dict[str, float] | None:
    """Print the results; return by statistic how many times faster ours is (None unless both libraries ran)."""
    print(f"\n{'contender':16}{'fastest ms':>11}{'median ms':>11}{'images/s':>10}{'peak MiB':>10}")
    for name, result in results.items():
        fastest, median = result["fastest"], result["median"]
        print(f"{name:16}{1000 * fastest:11.0f}{1000 * median:11.0f}{batch / fastest:10.1f}{result['peak_mib']:10}")
    sides = [[name for name in results if name.startswith(library)] for library in ("keras", "torch")]
    if not all(sides):
        return None
    ours, theirs = (min(names, key=lambda name: results[name]["fastest"]) for names in sides)
    ratio = {statistic: results[theirs][statistic] / results[ours][statistic] for statistic in ("fastest", "median")}
    print(f"{ours} is {ratio['fastest']:.2f} times faster than {theirs} ({ratio['median']:.2f} by the medians)")
    return ratio


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in {"batch": 64, "glimpses": 6, "image-size": 100, "rounds": 8, "steps": 2, "warm-up": 2}.items():
        parser.add_argument(f"--{name}", type=int, default=value, help=f"default {value}")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=CONTENDERS, help="default all")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    for inner in ("part", "contender", "file"):  # arguments of the child processes
        parser.add_argument(f"--{inner}", help=argparse.SUPPRESS)
    options = parser.parse_args()
    parts = {"contend": contend, "reference": write_reference, "difference": print_difference}
    if options.part:
        parts[options.part](options)
        return
    difference = compare_outputs(options)
    print("largest difference with equal weights:", ", ".join(f"{n} {difference[n]:.1e}" for n in COMPARED), end=" ")
    print(f"(the entries of the matrices span {difference['range_of_matrices']:.2f})", flush=True)
    results = measure(options)
    ratio = print_table(results, options.batch)
    if options.out:
        from edram_fer import files
        from edram_fer.preprocessing.cores import available_cores

        sizes = {name: getattr(options, name) for name in ("batch", "glimpses", "image_size")}
        machine = {"processor": platform.processor() or platform.machine(), "cores": available_cores()}
        files.write_json(
            options.out, {**sizes, **machine, "difference": difference, "ratio": ratio, "contenders": results}
        )


if __name__ == "__main__":
    main()
