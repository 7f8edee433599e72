"""Where attention should win: the emotion of a face at a random place of a large image, among pieces of other faces.

    edram-fer prepare drawn_faces
    python -m benchmarks.cluttered_faces --data drawn_faces/grey48
    python -m benchmarks.cluttered_faces --data fer2013 --model edram edram-free cnn cnn-wide edram-cut cnn-cut
    python -m benchmarks.cluttered_faces --data fer2013 --canvas 240 --model edram cnn
    python -m benchmarks.cluttered_faces --cost 100 160 240 480 --out runs/cost
    python -m benchmarks.cluttered_faces --plot runs/cluttered_faces --out runs/cost

EDRAM sees the whole image in 24x24 averages, which a small CNN reads (`context_relu`: the published context network is
linear and finds no face among pieces of others), and takes glimpses of 24x24 points; the CNN convolves all pixels, with
strides, and takes the mean and the maximum of its last maps. All are trained on the same images with the same
optimizer:

- edram: with the windows of the faces as targets of its windows (the location loss). For --taught of the steps its
  glimpses are windows near them, later those that the model chooses, without a gradient through them.
- edram-free: without them.
- cnn: as many filters as make its number of multiplications equal to EDRAM's.
- cnn-wide: three times as many multiplications.
- edram-cut, cnn-cut: the models above on the face alone, without clutter, in its full size: the error that remains when
  it is found.

Prints for each model parameters, multiplications, milliseconds per image and minutes of training, and after each
glimpse the error and, for EDRAM, the distance of its centre from the face and its zoom. Writes to --out: the same
numbers in result.json, in which models of earlier calls are kept, and the files that `clutter_training.run` names. The
figures NAME.png show images of the data set. With --cost it trains nothing and prints what one image costs on canvases
of other sizes; with --plot it draws cluttered_faces.svg from that and from the results of several folders, with an
image and the glimpses of the first: bars are errors with 95 % intervals, a white line in a bar is the error on the face
alone, a dotted line that of always giving the most frequent answer.

It needs TensorFlow, which counts the multiplications.
"""

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from benchmarks.clutter import Scene, Sources, make_images
from benchmarks.clutter_training import TEST_STEP, add_options, print_table, run
from edram_fer import attention, data, files, models
from edram_fer.evaluation import cost
from edram_fer.figures.colours import step_colours
from edram_fer.figures.style import BLUE, MUTED, ORANGE, save, show_image, styled
from edram_fer.models.contract import FERModel, unknown_affect
from edram_fer.models.spatial_transformer import IDENTITY
from edram_fer.models.tensor import Tensor

NAMES = {
    "edram": "EDRAM",
    "edram-free": "EDRAM without location loss",
    "cnn": "CNN",
    "cnn-wide": "wide CNN",
    "edram-cut": "EDRAM",
    "cnn-cut": "CNN",
}
PIECE = (8, 16)  # smallest and largest side of a piece of clutter in pixels
COVERED = 0.3  # area of all pieces together, as a share of the canvas
TAUGHT = 0.75  # share of the steps
WIDE = 3  # times the multiplications of "cnn"
EDRAM_OPTIONS = {
    "glimpse_size": 24,
    "context_size": 24,
    "context_relu": True,
    "rotation": False,
    "context_activation": "tanh",
    "affect": False,
    "glimpse_filters": (12, 16, 24, 32, 64, 96),
    "glimpse_units": 256,
    "classification_units": 128,
    "location_units": 128,
    "head_units": 128,
    "dropout": 0.2,
}
# Filters and strides of the CNN's convolutions, all 3x3; the filters are multiplied by its width.
FILTERS, STRIDES = (8, 16, 24, 48, 64, 96), (2, 2, 1, 2, 2, 1)
HEAD_UNITS = 128


@keras.saving.register_keras_serializable(package="edram_fer_benchmarks")
class StridedCNN(FERModel):
    """Six 3x3 convolutions with strides, batch normalisation and ReLU -> mean and maximum of the maps -> hidden layer.

    Args:
        image_size, channels, classes: of the images.
        filters: filters of the convolutions.
        dropout: share of the inputs of both dense layers set to 0 in training.
        seed: seed of the dropout.
        **kwargs: see FERModel.

    Call arguments: inputs {"image": [B, H, W, C]}.

    Returns:
        {"emotion": logits [B, 1, K], "affect": unknown [B, 1, 2], "windows": [B, 1, 2, 3], the identity, "weights":
        [B, 1], all 1}.
    """

    def __init__(
        self,
        image_size: Sequence[int],
        channels: int = 1,
        classes: int = 7,
        filters: Sequence[int] = FILTERS,
        dropout: float = 0.2,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.arguments = {
            "image_size": image_size,
            "channels": channels,
            "classes": classes,
            "filters": filters,
            "dropout": dropout,
            "seed": seed,
        }
        self.convolutions = [
            keras.layers.Conv2D(n, 3, stride, padding="same", use_bias=False, kernel_initializer="he_normal")
            for n, stride in zip(filters, STRIDES, strict=True)
        ]
        self.norms = [keras.layers.BatchNormalization(momentum=0.9) for _ in filters]
        self.hidden = keras.layers.Dense(HEAD_UNITS, use_bias=False, kernel_initializer="he_normal")
        self.hidden_norm = keras.layers.BatchNormalization(momentum=0.9)
        self.drop = keras.layers.Dropout(dropout, seed=seed)
        self.output_layer = keras.layers.Dense(classes, dtype="float32")
        self.build_for_image()

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> dict[str, Tensor]:
        x = ops.cast(inputs["image"], self.compute_dtype)
        for convolution, norm in zip(self.convolutions, self.norms):
            x = ops.relu(norm(convolution(x), training=training))
        x = ops.concatenate([ops.mean(x, axis=(1, 2)), ops.max(x, axis=(1, 2))], axis=-1)
        x = ops.relu(self.hidden_norm(self.hidden(self.drop(x, training=training)), training=training))
        emotion = self.output_layer(self.drop(x, training=training))[:, None]
        identity = ops.convert_to_tensor(np.array(IDENTITY, "float32"))
        return {
            "emotion": emotion,
            "affect": unknown_affect(emotion),
            "windows": ops.tile(identity[None, None], (ops.shape(emotion)[0], 1, 1, 1)),
            "weights": ops.ones_like(emotion[:, :, 0]),
        }


def multiplications(filters: Sequence[int], canvas: int, channels: int = 1) -> int:
    """Multiplications of a StridedCNN's convolutions and hidden layer for one image."""
    total, side = 2 * filters[-1] * HEAD_UNITS, canvas
    for before, after, stride in zip((channels, *filters), filters, STRIDES, strict=False):
        side = -(-side // stride)
        total += side * side * 9 * before * after
    return total


def filters_for(wanted: float, canvas: int, channels: int = 1) -> tuple[int, ...]:
    """The filters, FILTERS times a factor, whose multiplications are nearest to the wanted ones."""
    candidates = [tuple(max(round(n * width), 1) for n in FILTERS) for width in np.arange(0.1, 10, 0.02)]
    return min(candidates, key=lambda filters: abs(multiplications(filters, canvas, channels) - wanted))


def make_scene(canvas: int, target: tuple[int, int]) -> Scene:
    """A face among pieces whose area together is COVERED times the canvas."""
    pieces = round(COVERED * canvas**2 / np.mean(np.arange(PIECE[0], PIECE[1] + 1) ** 2))
    return Scene(canvas, target, pieces, PIECE, opaque=True, mirrored=True)


def load_faces(source: str, split: str, data_dir: Path | None) -> Sources:
    """The faces of a split that have an emotion, grey: uint8 [n, side, side], and their labels int [n]."""
    features = data.load_split(source, split, data_dir=data_dir)
    labelled = features["emotion"] >= 0
    grey = features["image"][labelled].mean(axis=-1).round().astype("uint8")
    return grey, features["emotion"][labelled]


def build_edram(canvas: int, classes: int, options: argparse.Namespace) -> FERModel:
    """Build the EDRAM for a canvas."""
    shared = {"dtype": options.dtype, "seed": options.seed, "classes": classes}
    rates = {"emission_rate": options.emission_rate, "glimpses": options.glimpses}
    return models.build("edram", image_size=(canvas, canvas), **shared, **rates, **EDRAM_OPTIONS)


def build(name: str, canvas: int, classes: int, options: argparse.Namespace) -> FERModel:
    """Build one of NAMES; a CNN gets its filters from the multiplications of the EDRAM."""
    edram = build_edram(canvas, classes, options)
    if name.startswith("edram"):
        return edram
    wanted = (cost.flops(edram) or 0) / 2 * (WIDE if "wide" in name else 1)
    keras.utils.set_random_seed(options.seed)
    shared = {"dtype": options.dtype, "seed": options.seed, "classes": classes}
    return StridedCNN(image_size=(canvas, canvas), filters=filters_for(wanted, canvas), **shared)


def print_costs(canvases: Sequence[int], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Print and return the cost of one image by canvas: EDRAM, and the CNN that equals it on --canvas."""
    filters = build("cnn", options.canvas, 7, options).arguments["filters"]
    rows = []
    print(f"CNN with {', '.join(map(str, filters))} filters\n\n  canvas   model   M multiplications   ms per image")
    for canvas in canvases:
        contenders = {
            "edram": build_edram(canvas, 7, options),
            "cnn": StridedCNN(image_size=(canvas, canvas), filters=filters, dtype=options.dtype),
        }
        for name, model in contenders.items():
            operations, seconds = cost.flops(model), cost.seconds_per_image(model, options.batch, repeats=10)
            row = {"canvas": canvas, "model": name, "operations": operations, "milliseconds": 1000 * seconds}
            print(f"{canvas:8}   {name:5}   {(operations or 0) / 2e6:17.2f}   {row['milliseconds']:12.2f}")
            rows.append(row)
    return rows


def first_image(folder: Path, run: Mapping[str, Any], data_dir: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """The first test image of a folder's results, uint8 [H, W, 1], and EDRAM's windows in it, float32 [T, 2, 3]."""
    made, scene = run["images"], run["images"]["scene"]
    faces = load_faces(made["data"], made["split"], data_dir)
    scene = Scene(**{name: tuple(value) if isinstance(value, list) else value for name, value in scene.items()})
    images, _, _ = make_images(faces, scene, made["seed"], TEST_STEP, 1, each_once=True)
    return images[0], np.load(folder / "edram.npz")["windows"][0]


@styled
def plot(
    runs: Sequence[Mapping[str, Any]],
    costs: Sequence[Mapping[str, Any]],
    image: np.ndarray,
    windows: np.ndarray,
) -> Figure:
    """Draw an image with the windows of EDRAM, the errors of the models, and the multiplications by side of the image.

    Args:
        runs: contents of result.json, one for each kind of images.
        costs: the rows of `print_costs`.
        image: uint8 [H, W, 1], an image of the task.
        windows: float32 [T, 2, 3], the glimpses of the model "edram" in it.
    """
    figure = Figure(figsize=(7.4, 4.4), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(1, 1.15))
    shown, above, below = (figure.add_subplot(place) for place in (grid[:, 0], grid[0, 1], grid[1, 1]))
    show_image(shown, image)
    shown.set_title("Which emotion has the face?\nEDRAM's glimpses", fontsize=9)
    for step, (colour, window) in enumerate(zip(step_colours(len(windows)), windows, strict=True), 1):
        corners = attention.pixels(attention.corners(window), image.shape[:2])
        shown.add_patch(Polygon(corners, fill=False, edgecolor=colour, linewidth=1.8, label=str(step)))
    shown.legend(ncols=len(windows), loc="upper center", bbox_to_anchor=(0.5, 0), title="glimpse", title_fontsize=7.5)
    _draw_errors(above, runs)
    colours = {"edram": BLUE, "cnn": ORANGE}
    for model, colour in colours.items():
        rows = [row for row in costs if row["model"] == model]
        sides, values = [row["canvas"] for row in rows], [row["operations"] / 2e6 for row in rows]
        below.plot(sides, values, color=colour, marker="o", markersize=4, label=NAMES[model])
    below.set(title="Million multiplications for one image", xlabel="side of the image, pixels", ylim=(0, None))
    below.set_xticks(sorted({row["canvas"] for row in costs}))
    below.legend(loc="upper left")
    return figure


def _draw_errors(axes: Axes, runs: Sequence[Mapping[str, Any]]) -> None:
    """A bar for EDRAM and one for the CNN in each run; lines for the face alone and for the most frequent class."""
    ticks = {}
    for number, content in enumerate(runs):
        names = {"grey48": "drawn faces", "fer2013": "FER2013"}
        source, side = Path(content["images"]["data"]).stem, content["images"]["scene"]["canvas"]
        for offset, name, colour in ((-0.2, "edram", BLUE), (0.2, "cnn", ORANGE)):
            if (result := content["models"].get(name)) is None:
                continue
            error, (low, high) = result["error_percent"][-1], result["error_percent_interval"][-1]
            axes.barh(number + offset, error, 0.36, color=colour)
            axes.plot([low, high], [number + offset] * 2, color="black", linewidth=1)
            if alone := content["models"].get(f"{name}-cut"):
                axes.plot([alone["error_percent"][-1]] * 2, number + offset + np.array([-0.18, 0.18]), "w", linewidth=2)
        chance = content["majority_error_percent"]
        axes.plot([chance, chance], [number - 0.42, number + 0.42], color=MUTED, linestyle=":")
        ticks[number] = f"{names.get(source, source)},\n{side} pixels"
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set(title="Error, %", xlim=(0, 100))


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fer2013", help="prepared data set or .npz file (default %(default)s)")
    parser.add_argument("--data-dir", type=Path, help="folder of prepared data sets")
    parser.add_argument("--split", help="faces to test with (default: test_clean where there is one, else test)")
    parser.add_argument("--model", nargs="+", choices=NAMES, default=["edram", "cnn"], help="default: edram cnn")
    parser.add_argument("--canvas", type=int, default=160, help="side of the image in pixels (default %(default)s)")
    parser.add_argument(
        "--face", type=int, nargs=2, default=(36, 48), help="smallest and largest side of the face (default 36 48)"
    )
    parser.add_argument("--glimpses", type=int, default=3, help="number of EDRAM's glimpses (default %(default)s)")
    parser.add_argument("--cost", type=int, nargs="+", metavar="CANVAS", help="only print the cost on these canvases")
    parser.add_argument("--plot", type=Path, nargs="+", metavar="FOLDER", help="only draw the results of these folders")
    parser.add_argument(
        "--taught",
        type=float,
        default=TAUGHT,
        help="share of the steps, from the beginning, in which the model edram is shown where to look (default "
        "%(default)s)",
    )
    add_options(parser, steps=4000, out="runs/cluttered_faces")
    parser.set_defaults(learning_rate=2e-3, batch=32)
    options = parser.parse_args()
    if not PIECE[1] <= options.face[0] <= options.face[1] <= options.canvas:
        parser.error(f"--face: expected two sides from {PIECE[1]} to --canvas {options.canvas}, got {options.face}")
    if options.cost:
        files.write_json(options.out / "cost.json", {"costs": print_costs(options.cost, options)})
        return
    if options.plot:
        runs = [files.read_json(folder / "result.json") for folder in options.plot]
        image, windows = first_image(options.plot[0], runs[0], options.data_dir)
        figure = plot(runs, files.read_json(options.out / "cost.json")["costs"], image, windows)
        save(figure, options.out / "cluttered_faces.svg")
        return
    splits = data.splits(options.data, data_dir=options.data_dir)
    options.split = options.split or ("test_clean" if "test_clean" in splits else "test")
    classes = data.emotions(options.data, data_dir=options.data_dir)
    training, testing = (load_faces(options.data, split, options.data_dir) for split in ("train", options.split))
    scene, cut = make_scene(options.canvas, tuple(options.face)), Scene(max(options.face), (max(options.face),) * 2)
    cut = dataclasses.replace(cut, pieces=0, mirrored=True)
    images = {"data": options.data, "split": options.split, "scene": dataclasses.asdict(scene), "seed": options.seed}
    path, results = options.out / "result.json", {}
    if path.exists():
        before = files.read_json(path)
        if before["images"] != files.plain(images):
            parser.error(f"--out: {path} holds results for other images, {before['images']}")
        results = before["models"]
    majority = np.bincount(training[1]).argmax()
    chance = 100 * float(np.mean(testing[1] != majority))
    for name in options.model:
        seen = cut if name.endswith("-cut") else scene
        # All models see the same test images; mirrored test faces are as good as others.
        test = make_images(testing, seen, options.seed, TEST_STEP, len(testing[1]), each_once=True)
        keras.utils.set_random_seed(options.seed)
        model = build(name, seen.canvas, len(classes), options)
        located = {"location": "all", "taught": options.taught} if name == "edram" else {}
        results[name] = run(name, model, training, test, seen, options, classes=classes, **located)
        files.write_json(path, {"images": images, "majority_error_percent": chance, "models": results})
    print(f"error of always answering {classes[majority]}: {chance:.2f} %")
    print_table(results)


if __name__ == "__main__":
    main()
