"""Every ratio of speed and memory in one run, and the page that shows them.

    make bench                                # or: python -m benchmarks.ratios
    python -m benchmarks.ratios prediction    # one part, without writing anything

Each part is a process of its own with one thread, in which what is compared takes turns; times are medians of processor
time, which other processes change little. Writes docs/benchmarks.json, and from it the table of docs/benchmarks.md
(between two comments) and docs/roofline.svg. Less than 15 minutes on two cores.

The roofline shows the operations per second of forward passes against their operations per byte, below what the
processor can do: the speed of a large matrix product and of copying a large array. Bytes are those of the outputs of
all operations of the graph, written and read once, and of the weights, read once.
"""

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edram_fer import files

ROOT = Path(__file__).parents[1]
RESULTS, PAGE, FIGURE = (ROOT / "docs" / name for name in ("benchmarks.json", "benchmarks.md", "roofline.svg"))
BEGIN, END = "<!-- ratios: written by make bench -->", "<!-- end of ratios -->"
MODEL = "fer2013-edram"
MODELS = {  # {name: recipe and options that differ}
    "EDRAM": "fer2013",
    "CNN": "fer2013 model=cnn",
    "Deep-Emotion": "deep_emotion_fer2013 variant=image",
    "RAN, IResNet-18/4": "ran_ferplus_small",
}
Row = dict[str, Any]


def row(measure: str, unit: str, values: Mapping[str, float], *, less: bool = True) -> Row:
    """One line of the table: the first of two values is compared with the second.

    Args:
        measure: what is measured.
        unit: of the values.
        values: {name: value} of the two.
        less: whether a smaller value is better; the ratio is then first / second, otherwise second / first.
    """
    first, second = values.values()
    return {
        "measure": measure,
        "unit": unit,
        "values": dict(values),
        "ratio": first / second if less else second / first,
    }


def in_turn(calls: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """{name: median milliseconds of processor time of a call}; the calls take turns, after one that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            begin = time.process_time()
            call()
            times[name].append(1000 * (time.process_time() - begin))
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def prediction() -> list[Row]:
    """The included model: Keras' own call, the compiled call of a loaded model, and ONNX Runtime."""
    import keras

    import edram_fer
    from edram_fer.exporting import once

    model, exported, rows = edram_fer.load(MODEL), once.load(MODEL), []
    for count, rounds in ((1, 30), (64, 6)):
        faces = np.random.default_rng(0).random((count, *model.image_shape), np.float32)
        times = in_turn(
            {
                "Keras": lambda faces=faces: keras.Model.__call__(model, {"image": faces}, training=False),
                "compiled": lambda faces=faces: model(faces),
                "ONNX Runtime": lambda faces=faces: exported(faces),
            },
            rounds,
        )
        batch = "one face" if count == 1 else f"a face in a batch of {count}"
        milliseconds = {name: value / count for name, value in times.items()}
        for fast in ("compiled", "ONNX Runtime"):
            rows.append(row(f"prediction, {batch}", "ms", {"Keras": milliseconds["Keras"], fast: milliseconds[fast]}))
    return rows


def command() -> list[Row]:
    """`edram-fer predict` of one face, from the start of the process to its end."""
    from PIL import Image

    from edram_fer.preprocessing.synthetic.faces import draw

    seconds, peaks = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "face.png"
        Image.fromarray(np.squeeze(draw(0, 0, size=48).image)).save(path)
        for runtime, name in (("keras", "Keras"), ("onnx", "ONNX Runtime")):
            words = ["predict", MODEL, str(path), "--detectors", "none", "--no-draw", "--restart"]
            usage = run_command([*words, f"--runtime={runtime}", f"--out={folder}/{runtime}"])
            seconds[name], peaks[name] = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    return [
        row("`edram-fer predict`, one face", "CPU seconds", seconds),
        row("`edram-fer predict`, one face, peak memory", "MiB", peaks),
    ]


def run_command(words: Sequence[str]) -> resource.struct_rusage:
    """Run `edram-fer` with these arguments; what it used."""
    process = subprocess.Popen([sys.executable, "-m", "edram_fer", *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"edram-fer {' '.join(words)}: exit status {os.waitstatus_to_exitcode(status)}")
    return usage


def photos() -> list[Row]:
    """Detectors on a photo without a face, and drawing a face beside predicting it."""
    from edram_fer.exporting import once
    from edram_fer.figures import photo
    from edram_fer.preprocessing import detection

    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    image = np.asarray(np.kron(noise, np.ones((16, 16, 1), np.uint8)))  # 960x1280
    dlib, yunet = detection.Dlib(), detection.YuNet()
    exported = once.load(MODEL)
    crop = np.zeros((1, *exported.image_shape), np.float32)
    windows = exported(crop)["windows"][0]
    face = {"left": 400, "top": 300, "side": 300, "emotion": "happy", "probability": 0.9, "windows": windows}
    detect = in_turn({"dlib": lambda: dlib(image), "YuNet": lambda: yunet(image)}, 5)
    draw = in_turn({"predicting": lambda: exported(crop), "drawing": lambda: photo.annotate(image, [face])}, 15)
    return [
        row("detecting faces in a photo of 1280x960 without one", "ms", detect),
        row("a photo with one face", "ms", draw),
    ]


def augmentation() -> list[Row]:
    """Warping 64 images of 100x100 for training."""
    from benchmarks.augmentation import compare

    speeds, _ = compare()
    return [row("augmentation, images of 100x100", "images per CPU second", speeds, less=False)]


def input_memory() -> list[Row]:
    """Memory of 50,000 training images of 100x100."""
    from benchmarks.input_memory import compare

    result = compare(50_000)
    taken = result["peak_mib"] - result["without_faces_mib"]
    return [row("50,000 training images of 100x100", "MiB", {"taken": taken, "their pixels": result["pixels_mib"]})]


def evaluation() -> list[Row]:
    """`edram-fer evaluate` of the included model on as many images as FER2013's test split has."""
    rng, count = np.random.default_rng(0), 3589
    emotions = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noise.npz"
        np.savez(
            path,
            **{
                "emotions": np.array(emotions),
                "version": np.array("1"),
                "fingerprint": np.array("noise"),
                "test/image": rng.integers(0, 256, (count, 48, 48, 1), np.uint8),
                "test/emotion": np.arange(count) % len(emotions),
                "test/affect": np.full((count, 2), -2, np.float32),
                "test/id": np.arange(count).astype("U"),
            },
        )
        seconds = {}
        for name, options in (("with figures", []), ("without", ["--no-figures"])):
            usage = run_command(["evaluate", MODEL, "--data", str(path), "--out", f"{folder}/{name}", *options])
            seconds[name] = usage.ru_utime + usage.ru_stime
    return [row(f"`edram-fer evaluate`, {count:,} images", "CPU seconds", seconds)]


def training() -> list[Row]:
    """A training step of EDRAM, six glimpses, 100x100, 32 images, in what the processor computes with."""
    from benchmarks.training_step import keras_step
    from edram_fer import devices

    options = argparse.Namespace(batch=32, image_size=100, glimpses=6)
    steps = {"float32": keras_step(options, "float32")}
    if not devices.emulates("bfloat16"):
        steps["bfloat16"] = keras_step(options, "mixed_bfloat16")
    times = in_turn(steps, 3)
    operations = 3 * 32 * forward_operations("edram", image_size=(100, 100), glimpses=6)  # backward: twice the forward
    reached = operations / times["float32"] / 1e6
    rows = [row("training step, share of a matrix product", "GFLOPS", {"step": reached, "product": peak_gflops()})]
    if "bfloat16" in times:
        rows.append(row("training step of 32 images", "ms", times))
    return rows


def kernels() -> list[Row]:
    """Gradients by TensorFlow's own kernels and by oneDNN's, in processes in turn: the least of three medians."""
    times: dict[str, dict[str, list[float]]] = {}
    for _ in range(3):
        for name, switch in (("TensorFlow's own", "0"), ("oneDNN's", "1")):
            for item in measure("gradients", TF_ENABLE_ONEDNN_OPTS=switch):
                times.setdefault(item["model"], {}).setdefault(name, []).append(item["milliseconds"])
    return [
        row(f"kernels, gradient of {model}", "ms", {name: min(values) for name, values in both.items()})
        for model, both in times.items()
    ]


def gradients() -> list[Row]:
    """{"model", "milliseconds"}: the gradient of the sum of all outputs for 32 images, for each of `MODELS`."""
    import tensorflow as tf

    from benchmarks import model_cost

    rows = []
    for name, recipe in MODELS.items():
        model = model_cost.build(recipe)
        inputs = {key: tf.random.uniform((32, *shape[1:])) for key, shape in model.input_shapes().items()}

        def gradient(model=model, inputs=inputs):
            with tf.GradientTape() as tape:
                outputs = model(inputs, training=True)
                total = tf.add_n([tf.reduce_sum(output) for output in outputs.values()])
            return tape.gradient(total, model.trainable_variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)

        compiled = tf.function(gradient, autograph=False)
        times = in_turn({name: lambda compiled=compiled: compiled()[0].numpy()}, 4)
        rows.append({"model": name, "milliseconds": times[name]})
    return rows


def forward_operations(name: str, **options: Any) -> int:
    """Operations of a forward pass of one image."""
    import edram_fer
    from edram_fer.evaluation import cost

    return cost.flops(edram_fer.build(name, **options)) or 0


def peak_gflops(side: int = 1536) -> float:
    """Operations per second of a product of square matrices of float32, in billions."""
    import tensorflow as tf

    matrix = tf.random.normal((side, side))
    times = in_turn({"product": lambda: tf.linalg.matmul(matrix, matrix).numpy()}, 5)
    return 2 * side**3 / times["product"] / 1e6


def copied_gigabytes(size: int = 1 << 28) -> float:
    """Bytes per second that are read and written when a large array is copied, in billions."""
    source, target = np.ones(size, np.uint8), np.empty(size, np.uint8)
    times = in_turn({"copy": lambda: np.copyto(target, source)}, 5)
    return 2 * size / times["copy"] / 1e6


def roofline() -> list[Row]:
    """Points of the roofline: {"model", "batch", "intensity" operations per byte, "gflops"}, and the two roofs."""
    import tensorflow as tf

    from benchmarks import model_cost
    from edram_fer.evaluation import cost

    points: list[Row] = [{"peak_gflops": peak_gflops(), "copied_gigabytes": copied_gigabytes()}]
    for name, recipe in MODELS.items():
        model = model_cost.build(recipe)
        operations, weights = cost.flops(model) or 0, 4 * sum(int(np.prod(weight.shape)) for weight in model.weights)
        for batch in (1, 64):
            inputs = {key: tf.random.uniform((batch, *shape[1:])) for key, shape in model.input_shapes().items()}
            call = tf.function(lambda features, model=model: model(features, training=False), autograph=False)
            graph = call.get_concrete_function(inputs).graph
            outputs = [tensor for operation in graph.get_operations() for tensor in operation.outputs]
            written = sum(4 * tensor.shape.num_elements() for tensor in outputs if tensor.dtype == tf.float32)
            times = in_turn({name: lambda call=call, inputs=inputs: call(inputs)["emotion"].numpy()}, 5)
            points.append(
                {
                    "model": name,
                    "batch": batch,
                    "intensity": batch * operations / (2 * written + weights),
                    "gflops": batch * operations / times[name] / 1e6,
                }
            )
    return points


PARTS: dict[str, Callable[[], list[Row]]] = {
    part.__name__: part
    for part in (prediction, command, photos, augmentation, input_memory, evaluation, training, kernels, roofline)
}


def measure(name: str, **variables: str) -> list[Row]:
    """The rows of a part, measured by a new process with one thread and these environment variables."""
    threads = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    environment = {**os.environ, **dict.fromkeys(threads, "1"), "TF_CPP_MIN_LOG_LEVEL": "3", **variables}
    call = [sys.executable, "-m", "benchmarks.ratios", name]
    output = subprocess.run(call, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[-1])


def table(results: Mapping[str, Any]) -> str:
    """The table of the page, in Markdown."""
    lines = [
        f"{results['machine']}; {results['date']}; {results['minutes']:.0f} minutes.",
        "",
        "| measure | compared | with | ratio |",
        "|---|---|---|---|",
    ]
    for item in results["rows"]:
        cells = [f"{name}: {value:,.{_digits(value)}f} {item['unit']}" for name, value in item["values"].items()]
        lines.append(f"| {item['measure']} | {cells[0]} | {cells[1]} | {item['ratio']:.2f} |")
    return "\n".join(lines)


def _digits(value: float) -> int:
    return 0 if value >= 100 else 1 if value >= 10 else 2


def write_page(results: Mapping[str, Any]) -> None:
    """Replace the table of docs/benchmarks.md."""
    text = PAGE.read_text("utf-8")
    pattern = f"{re.escape(BEGIN)}.*?{re.escape(END)}"
    new, count = re.subn(pattern, lambda _: f"{BEGIN}\n\n{table(results)}\n\n{END}", text, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"{PAGE}: expected one {BEGIN} ... {END}, got {count}")
    with files.replace(PAGE) as temporary:
        temporary.write_text(new, "utf-8")


def draw(points: Sequence[Row]) -> Any:
    """The roofline of `roofline()` as a Matplotlib figure."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    from edram_fer.figures.multi_run import styles
    from edram_fer.figures.style import INK, MUTED, styled

    @styled
    def figure() -> Figure:
        roofs, *models = points
        peak, bandwidth = roofs["peak_gflops"], roofs["copied_gigabytes"]
        drawing = Figure((6.4, 3.8), layout="constrained")
        axes = drawing.subplots()
        edges = np.array([0.1, peak / bandwidth, 1000])
        axes.loglog(edges, np.minimum(edges * bandwidth, peak), color=INK)
        axes.text(900, peak * 1.08, f"matrix product: {peak:.0f} GFLOPS", ha="right", color=MUTED)
        axes.text(0.3, 0.24 * bandwidth, f"copying: {bandwidth:.0f} GB/s", color=MUTED)
        looks = styles(list(dict.fromkeys(point["model"] for point in models)))
        for point in models:
            colour, marker, _ = looks[point["model"]]
            filled = {"markerfacecolor": colour if point["batch"] > 1 else "white", "markeredgecolor": colour}
            label = point["model"] if point["batch"] > 1 else None
            axes.plot(point["intensity"], point["gflops"], marker, color=colour, label=label, **filled)
        axes.set(xlabel="operations per byte", ylabel="billion operations per second", xlim=(0.1, 1000))
        axes.set_ylim(min(point["gflops"] for point in models) / 2, 1.5 * peak)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter(NullFormatter())
        axes.set_title("One thread, one face (white) and 64 faces")
        axes.legend(loc="lower right")
        return drawing

    return figure()


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {**PARTS, "gradients": gradients}  # what `kernels` asks other processes for
    parser.add_argument("part", nargs="?", choices=parts, help="measure only this, in this process, and print JSON")
    options = parser.parse_args()
    if options.part:
        print(json.dumps(parts[options.part]()))
        return
    from tqdm import tqdm

    from edram_fer.figures.style import save

    begin = time.monotonic()
    rows = {name: measure(name) for name in tqdm(PARTS, unit="part")}
    points = rows.pop("roofline")
    results = {
        "machine": machine(),
        "date": time.strftime("%Y-%m-%d"),
        "minutes": (time.monotonic() - begin) / 60,
        "rows": [item for of_part in rows.values() for item in of_part],
        "roofline": points,
    }
    files.write_json(RESULTS, files.plain(results))
    write_page(results)
    save(draw(points), FIGURE)
    print(table(results))


def machine() -> str:
    """The processor and what runs on it, in one line."""
    from edram_fer.preprocessing.cores import available_cores
    from edram_fer.run import environment

    names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    load = os.getloadavg()[0]
    versions = environment.versions()
    libraries = ", ".join(f"{name} {versions[name]}" for name in ("keras", "tensorflow") if name in versions)
    return f"{available_cores()} cores of {names[0] if names else 'an unknown processor'}, load {load:.0f}, {libraries}"


if __name__ == "__main__":
    main()
