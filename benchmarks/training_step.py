"""Time and memory of a training step beside a plain PyTorch EDRAM of the same sizes, in one run.

    pip install "edram-fer[torch]"
    python -m benchmarks.training_step --out runs/training_step.json

Every contender lives in a process of its own; rounds of a few steps go in turn from one to the next, so that a noisy
machine is noisy for all. A step is forward, backward, global norm clipping and Adam on one batch of random images.
First it is shown that both nets compute the same: the Keras weights go into the PyTorch net, the outputs are compared.
Other work on the machine can only slow a step, so the fastest steps are compared; the medians stand beside.

Goal: the faster of our two precisions at least 1.2 times faster, on CPU, than the faster of PyTorch's two (its bfloat16
is autocast). With the defaults, on two cores: about five minutes.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CONTENDERS = ("keras-float32", "keras-bfloat16", "torch-float32", "torch-bfloat16")
COMPARED = ("emotion", "affect", "emitted")
TOLERANCE = 1e-2  # of the logits, about 1: rounding of 1e-5 after one glimpse grows tenfold in two or three more


def batch_of(options, seed=0):
    """Random images [B, H, W, 1], labels [B], valence and arousal [B, 2]."""
    rng = np.random.default_rng(seed)
    image = rng.random((options.batch, options.image_size, options.image_size, 1), dtype="float32")
    return image, rng.integers(0, 7, options.batch), rng.uniform(-1, 1, (options.batch, 2)).astype("float32")


def keras_model(options, dtype="float32"):
    from edram_fer import models

    size = (options.image_size, options.image_size)
    return models.build("edram", image_size=size, glimpses=options.glimpses, dtype=dtype)


def keras_step(options, dtype):
    """A function that does one training step of our EDRAM, by Keras' own compiled step."""
    from edram_fer.training.losses import AffectLoss, EmotionLoss, LocationLoss
    from edram_fer.training.optimizer import Adam

    model = keras_model(options, dtype)
    model.compile(
        Adam(1e-4, global_clipnorm=10.0),
        loss={"emotion": EmotionLoss(), "affect": AffectLoss(), "emitted": LocationLoss()},
        jit_compile=False,
    )
    image, emotion, affect = batch_of(options)
    zoom = np.tile(np.float32([[0.35, 0, 0], [0, 0.35, 0]]), (len(image), 1, 1))
    return lambda: model.train_on_batch({"image": image}, {"emotion": emotion, "affect": affect, "emitted": zoom})


def torch_step(options, dtype):
    """The same in PyTorch."""
    import torch
    import torch.nn.functional as F

    from benchmarks.torch_edram import EDRAM

    net = EDRAM(options.image_size, glimpses=options.glimpses)
    optimizer = torch.optim.Adam(net.parameters(), 1e-4)
    image, emotion, affect = (torch.from_numpy(array) for array in batch_of(options))
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


def contend(options):
    """A contender's process: for each number on standard input that many steps, and the seconds of each as JSON."""
    library, dtype = options.contender.split("-")
    dtype = "mixed_bfloat16" if (library, dtype) == ("keras", "bfloat16") else dtype
    step = {"keras": keras_step, "torch": torch_step}[library](options, dtype)
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            start = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - start)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts in KiB
        print(json.dumps({"seconds": seconds, "peak_mib": peak}), flush=True)


def write_reference(options):
    """Weights of a Keras EDRAM whose glimpses differ, a batch and its logits, into options.file."""
    model, rng = keras_model(options), np.random.default_rng(1)
    for weight in model.weights:
        if weight.path.endswith("moving_variance"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif weight.path.endswith("moving_mean"):
            weight.assign(rng.normal(0, 0.1, weight.shape))
    cell, glimpse = model.cell, model.cell.glimpse
    cell.emission.dense.kernel.assign(rng.normal(0, 0.1, cell.emission.dense.kernel.shape))
    image = batch_of(options)[0][:8]
    outputs = model({"image": image})
    parts = [*zip(model.context.convolutions, model.context.norms), [cell.emission.dense]]
    parts += [*zip(glimpse.cnn.convolutions, glimpse.cnn.norms)]
    parts += [[glimpse.what, glimpse.what_norm, glimpse.where, glimpse.where_norm, cell.lstm1, cell.lstm2]]
    for head in (model.emotion_head, model.affect_head):
        parts += [*zip(head.hidden, head.norms), [head.output_layer]]
    weights = [layer.get_weights() for part in parts for layer in part]
    named = {f"{i} {j}": array for i, arrays in enumerate(weights) for j, array in enumerate(arrays)}
    np.savez(options.file, image=image, **{name: np.asarray(outputs[name]) for name in COMPARED}, **named)


def print_difference(options):
    """The largest difference of each output of the PyTorch net from that reference, as JSON."""
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


def process(options, *more, **how):
    """This script again with the same sizes, in a process of its own."""
    sizes = ["--batch", options.batch, "--glimpses", options.glimpses, "--image-size", options.image_size]
    command = [sys.executable, "-m", "benchmarks.training_step", *map(str, sizes), *map(str, more)]
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    return subprocess.Popen(command, env=quiet, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, **how)


def answer(worker, text=None):
    """Send a contender a line, or close its input; its answer as JSON."""
    if text is not None:
        print(text, file=worker.stdin, flush=True)
        if line := worker.stdout.readline():
            return json.loads(line)
    out, _ = worker.communicate()
    if worker.returncode:
        raise RuntimeError(f"{' '.join(worker.args)}: exit status {worker.returncode}")
    return json.loads(out) if out.strip() else None


def compare_outputs(options):
    """Largest difference of each output between both nets with the same weights. Raises ValueError above TOLERANCE."""
    with tempfile.TemporaryDirectory() as folder:
        for part in ("reference", "difference"):
            difference = answer(process(options, "--part", part, "--file", Path(folder) / "reference.npz"))
    if not difference["emotion"] <= TOLERANCE:
        raise ValueError(f"the nets differ: expected logits equal to {TOLERANCE}, found {difference['emotion']:.2g}")
    return difference


def measure(options):
    """contender -> {"rounds": seconds of a step [rounds, steps], "peak_mib"}, the rounds interleaved."""
    workers = {name: process(options, "--part", "contend", "--contender", name) for name in options.contenders}
    for name, worker in workers.items():
        answer(worker, options.warm_up)
        print(f"{name} is ready", flush=True)
    results = {name: {"rounds": []} for name in workers}
    for _ in range(options.rounds):
        for name, worker in workers.items():
            told = answer(worker, options.steps)
            results[name]["rounds"].append(told["seconds"])
            results[name]["peak_mib"] = round(told["peak_mib"])
    for worker in workers.values():
        answer(worker)
    for result in results.values():
        steps = sum(result["rounds"], [])
        result |= {"fastest": min(steps), "median": statistics.median(steps)}
    return results


def print_table(results, batch):
    """The rows, and {statistic: ratio} of the fastest of ours to the fastest of PyTorch's (None without both sides)."""
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in {"batch": 64, "glimpses": 6, "image-size": 100, "rounds": 8, "steps": 2, "warm-up": 2}.items():
        parser.add_argument(f"--{name}", type=int, default=value, help=f"default {value}")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=CONTENDERS)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    for inner in ("part", "contender", "file"):  # of the processes that this one starts
        parser.add_argument(f"--{inner}", help=argparse.SUPPRESS)
    options = parser.parse_args()
    parts = {"contend": contend, "reference": write_reference, "difference": print_difference}
    if options.part:
        return parts[options.part](options)
    difference = compare_outputs(options)
    print("largest difference with equal weights:", ", ".join(f"{n} {difference[n]:.1e}" for n in COMPARED), end=" ")
    print(f"(entries of the matrices range over {difference['range_of_matrices']:.2f})", flush=True)
    results = measure(options)
    ratio = print_table(results, options.batch)
    if options.out:
        from edram_fer import files
        from edram_fer.preprocessing.faces import available_cores

        sizes = {name: getattr(options, name) for name in ("batch", "glimpses", "image_size")}
        machine = {"processor": platform.processor() or platform.machine(), "cores": available_cores()}
        files.write_json(
            options.out, {**sizes, **machine, "difference": difference, "ratio": ratio, "contenders": results}
        )


if __name__ == "__main__":
    main()
