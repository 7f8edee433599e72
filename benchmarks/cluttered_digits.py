"""Does EDRAM find a digit among clutter? EDRAM and the parameter-matched CNN baseline, trained on the same images.

    pip install "edram-fer[benchmarks]"
    python -m benchmarks.cluttered_digits --steps 6000 --out runs/cluttered_digits

Published on 100x100 cluttered MNIST, with 60,000 digits: EDRAM 1.24 % error with 10 glimpses (Ablavatski et al. 2017),
recurrent attention without the spatial transformer 8.11 %, a plain CNN 14.35 %. This benchmark has only 4,000 digits
for training and 1,000 for testing, so expect 2 to 4 percentage points more.

Estimated time with the defaults on two quiet cores: 1.5 hours for EDRAM and 3.5 hours for the CNN, which convolves the
whole image; about half of that with --dtype mixed_bfloat16 where the processor supports bfloat16.

Prints the error after each step and, for EDRAM, the mean distance between the centres of glimpse and digit. Writes to
--out: the same numbers in result.json, samples.png with the windows, and the models.
"""

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.clutter import Digits, Stream, make_images, split_digits
from edram_fer import attention, files, models
from edram_fer.figures.samples import samples
from edram_fer.figures.style import save
from edram_fer.training.losses import ALL_ENTRIES, FORMS, ZOOM_ENTRIES, EmotionLoss, LocationLoss

CANVAS = 100
TEST_STEP = 2**31  # training never reaches this step, so the test images are new
LOCATION = {"all": ALL_ENTRIES, "zoom": ZOOM_ENTRIES, "none": None}
SIZES = {
    "glimpse_filters": (64, 64, 128, 128, 160, 192),
    "glimpse_units": 1024,
    "classification_units": 512,
    "location_units": 512,
    "head_units": 1024,
}
NAMES = np.array([str(digit) for digit in range(10)])


def build(name: str, options: argparse.Namespace) -> keras.Model:
    """Build and compile "edram" or "cnn".

    Adam with a linear warm-up to --learning-rate, cosine decay, and the global norm of the gradient clipped at 10.
    """
    edram = {"variant": options.variant, "glimpses": options.glimpses}
    if options.variant == "ours":
        # tanh bounds the input of the first emission, which otherwise diverges at such learning rates.
        edram |= {"context_activation": "tanh", "emission_rate": options.emission_rate}
    shared = {"classes": 10, "affect": False, "dtype": options.dtype, "seed": options.seed, **sizes(options.width)}
    model = models.build(name, image_size=(CANVAS, CANVAS), **shared, **(edram if name == "edram" else {}))
    form = FORMS[options.variant if name == "edram" else "ours"]
    losses, weights = {"emotion": EmotionLoss(**form["emotion"])}, {"emotion": 1.0}
    if has_window_targets(name, options):
        losses["emitted"] = LocationLoss(LOCATION[options.location], **form["emitted"])
        weights["emitted"] = options.location_weight
    warmup = max(1, options.steps // 20)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, options.steps - warmup, warmup_target=options.learning_rate, warmup_steps=warmup
    )
    model.compile(keras.optimizers.Adam(rate, global_clipnorm=10.0), loss=losses, loss_weights=weights)
    return model


def sizes(width: float) -> dict[str, int | tuple[int, ...]]:
    """The numbers of units and filters of the published model, multiplied by `width`."""
    scaled = {name: np.rint(width * np.array(value)).astype(int).tolist() for name, value in SIZES.items()}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in scaled.items()}


def has_window_targets(name: str, options: argparse.Namespace) -> bool:
    """Whether the model is trained with the digits' windows as targets."""
    return name == "edram" and LOCATION[options.location] is not None


def train(name: str, options: argparse.Namespace, digits: Digits) -> tuple[keras.Model, float]:
    """Train a randomly initialised model; return it and the seconds of training."""
    keras.utils.set_random_seed(options.seed)
    model = build(name, options)
    steps = min(options.steps, 200)
    with_windows = has_window_targets(name, options)
    stream = Stream(digits, steps=steps, batch=options.batch, seed=options.seed, with_windows=with_windows)
    start = time.perf_counter()
    model.fit(stream, epochs=-(-options.steps // steps), verbose=2)
    return model, time.perf_counter() - start


def evaluate(
    model: keras.Model, test: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Evaluate a model on the test images.

    Args:
        model: a trained model.
        test: images [n, H, W, 1], labels [n] and windows [n, 2, 3] of the digits.

    Returns:
        dict of the number of parameters and, after each step, error_percent and, for a model that moves its windows,
        distance of the centres of glimpse and digit (in [-1, 1] coordinates), distance_pixels and zoom; and the outputs
        of `predict`.
    """
    images, labels, targets = test
    outputs = model.predict({"image": images}, batch_size=100, verbose=0)
    errors = outputs["emotion"].argmax(axis=-1) != labels[:, None]
    result = {"parameters": model.count_params(), "error_percent": (100 * errors.mean(axis=0)).tolist()}
    if "emitted" in outputs:
        offset = attention.centres(outputs["windows"]) - attention.centres(targets)[:, None]
        distance = np.linalg.norm(offset, axis=-1).mean(axis=0)
        result["distance"] = distance.tolist()
        result["distance_pixels"] = (distance * (CANVAS - 1) / 2).tolist()
        result["zoom"] = np.sqrt(attention.area(outputs["windows"])).mean(axis=0).tolist()
    return result, outputs


def print_table(results: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the results of `evaluate`, with the seconds of training, by model."""
    columns = {"error_percent": "error %", "distance_pixels": "distance px", "distance": "in [-1, 1]", "zoom": "zoom"}
    for name, result in results.items():
        print(f"\n{name}: {result['parameters'] / 1e6:.1f} M parameters, {result['seconds'] / 60:.1f} min of training")
        shown = [key for key in columns if key in result]
        print("  step" + "".join(f"{columns[key]:>13}" for key in shown))
        for step, values in enumerate(zip(*(result[key] for key in shown), strict=True), start=1):
            print(f"{step:6}" + "".join(f"{value:13.2f}" for value in values))


def draw(
    test: tuple[np.ndarray, np.ndarray, np.ndarray], outputs: Mapping[str, np.ndarray], path: Path, count: int = 6
) -> None:
    """Draw the first test images with the windows and the prediction of each step."""
    images, labels, _ = test
    scores = np.exp(outputs["emotion"][:count] - outputs["emotion"][:count].max(axis=-1, keepdims=True))
    probabilities = (scores / scores.sum(axis=-1, keepdims=True)).max(axis=-1)
    predictions = NAMES[outputs["emotion"][:count].argmax(axis=-1)]
    pixels = (255 * images[:count]).round().astype("uint8")
    save(samples(pixels, outputs["windows"][:count], predictions, probabilities, NAMES[labels[:count]]), path)


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", choices=("edram", "cnn"), default=["edram", "cnn"], help="default both")
    parser.add_argument(
        "--variant",
        choices=("ours", "ablavatski2017"),
        default="ours",
        help="of EDRAM; ablavatski2017: also its losses (as published with --learning-rate 1e-4 --location-weight 1 "
        "--batch 128 --glimpses 8)",
    )
    parser.add_argument("--steps", type=int, default=6000, help="training steps (default %(default)s)")
    parser.add_argument("--batch", type=int, default=64, help="images in a batch (default %(default)s)")
    parser.add_argument("--glimpses", type=int, default=6, help="number of EDRAM's glimpses (default %(default)s)")
    parser.add_argument("--width", type=float, default=1.0, help="factor of the published units and filters")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="after the warm-up (default %(default)s)")
    parser.add_argument("--emission-rate", type=float, default=0.25, help="its factor for the emission network")
    parser.add_argument("--location", choices=LOCATION, default="all", help="entries of the windows with targets")
    # At the published weight of 1, the gradient of the classification loss drowns the gradient of the location loss.
    parser.add_argument(
        "--location-weight",
        type=float,
        default=10.0,
        help="weight of the location loss; the weight of the classification loss is 1",
    )
    parser.add_argument(
        "--dtype",
        default="float32",
        help="float32 (default), or mixed_bfloat16, faster where the processor supports it",
    )
    parser.add_argument("--test", type=int, default=5000, help="number of test images (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default %(default)s")
    parser.add_argument("--out", type=Path, default=Path("runs/cluttered_digits"), help="folder (default %(default)s)")
    options = parser.parse_args()
    training, testing = split_digits(options.seed)
    test = make_images(*testing, options.seed, TEST_STEP, options.test)
    settings = {name: value for name, value in vars(options).items() if name != "out"}
    results = {}
    for name in options.model:
        model, seconds = train(name, options, training)
        results[name], outputs = evaluate(model, test)
        results[name]["seconds"] = seconds
        with files.replace(options.out / f"{name}.keras") as temporary:
            model.save(temporary)
        if name == "edram":
            draw(test, outputs, options.out / "samples.png")
        files.write_json(options.out / "result.json", {"options": settings, "models": results})
    print_table(results)


if __name__ == "__main__":
    main()
