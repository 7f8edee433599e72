"""Does EDRAM find a digit among clutter? EDRAM against the CNN baseline of equal parameters, on the same stream.

    pip install "edram-fer[benchmarks]"
    python -m benchmarks.cluttered_digits --steps 6000 --out runs/cluttered_digits

Published on 100x100 cluttered MNIST, with 60,000 digits: EDRAM 1.24 % error with 10 glimpses (Ablavatski et al. 2017),
recurrent attention without it 8.11 %, a plain CNN 14.35 %. Here there are 4,000 digits for training and 1,000 for
testing, so 2 to 4 points more are to be expected.

With the defaults on two quiet cores, estimated from a few steps: 1.5 hours for EDRAM and 3.5 for the CNN, which
convolves all of the image; about half of that with --dtype mixed_bfloat16 where the processor multiplies bfloat16.

Prints and writes to --out: error after each step, and for EDRAM the mean distance of the glimpse centres from the
digit's; samples.png with the windows; result.json; the models.
"""

import argparse
import time
from pathlib import Path

import keras
import numpy as np

from benchmarks.clutter import Stream, make_images, split_digits
from edram_fer import attention, files, models
from edram_fer.figures.samples import samples
from edram_fer.figures.style import save
from edram_fer.training.losses import ALL_ENTRIES, ZOOM_ENTRIES, EmotionLoss, LocationLoss

CANVAS = 100
TEST_STEP = 2**31  # of the stream of images: never reached in training
LOCATION = {"all": ALL_ENTRIES, "zoom": ZOOM_ENTRIES, "none": None}
SIZES = {
    "glimpse_filters": (64, 64, 128, 128, 160, 192),
    "glimpse_units": 1024,
    "classification_units": 512,
    "location_units": 512,
    "head_units": 1024,
}
NAMES = np.array([str(digit) for digit in range(10)])


def build(name, options):
    """The model, compiled: Adam, its rate up to --learning-rate and down a cosine, the global norm clipped at 10."""
    # tanh bounds what the first emission sees, which otherwise diverges at such learning rates.
    own = {"glimpses": options.glimpses, "context_activation": "tanh", "emission_rate": options.emission_rate}
    shared = {"classes": 10, "affect": False, "dtype": options.dtype, "seed": options.seed, **sizes(options.width)}
    model = models.build(name, image_size=(CANVAS, CANVAS), **shared, **(own if name == "edram" else {}))
    terms, weights = {"emotion": EmotionLoss()}, {"emotion": 1.0}
    if located(name, options):
        terms["emitted"], weights["emitted"] = LocationLoss(LOCATION[options.location]), options.location_weight
    rise = max(1, options.steps // 20)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, options.steps - rise, warmup_target=options.learning_rate, warmup_steps=rise
    )
    model.compile(keras.optimizers.Adam(rate, global_clipnorm=10.0), loss=terms, loss_weights=weights)
    return model


def sizes(width):
    """Every number of units and filters of the published model, times `width`."""
    scaled = {name: np.rint(width * np.array(value)).astype(int).tolist() for name, value in SIZES.items()}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in scaled.items()}


def located(name, options):
    return name == "edram" and LOCATION[options.location] is not None


def train(name, options, digits):
    """Train from the beginning; the model and the seconds that it took."""
    keras.utils.set_random_seed(options.seed)
    model = build(name, options)
    steps = min(options.steps, 200)
    stream = Stream(digits, steps=steps, batch=options.batch, seed=options.seed, located=located(name, options))
    start = time.perf_counter()
    model.fit(stream, epochs=-(-options.steps // steps), verbose=2)
    return model, time.perf_counter() - start


def evaluate(model, test):
    """Error in % after each step; for a model that moves its windows also the centres' distance from the digit.

    Returns: (dict for the table, outputs of `predict`).
    """
    images, labels, targets = test
    outputs = model.predict({"image": images}, batch_size=100, verbose=0)
    wrong = outputs["emotion"].argmax(axis=-1) != labels[:, None]
    result = {"parameters": model.count_params(), "error_percent": (100 * wrong.mean(axis=0)).tolist()}
    if "emitted" in outputs:
        offset = attention.centres(outputs["windows"]) - attention.centres(targets)[:, None]
        distance = np.linalg.norm(offset, axis=-1).mean(axis=0)
        result["distance"] = distance.tolist()
        result["distance_pixels"] = (distance * (CANVAS - 1) / 2).tolist()
        result["zoom"] = np.sqrt(attention.area(outputs["windows"])).mean(axis=0).tolist()
    return result, outputs


def print_table(results):
    columns = {"error_percent": "error %", "distance_pixels": "distance px", "distance": "in [-1, 1]", "zoom": "zoom"}
    for name, result in results.items():
        print(f"\n{name}: {result['parameters'] / 1e6:.1f} M parameters, {result['seconds'] / 60:.1f} min of training")
        shown = [key for key in columns if key in result]
        print("  step" + "".join(f"{columns[key]:>13}" for key in shown))
        for step, values in enumerate(zip(*(result[key] for key in shown), strict=True), start=1):
            print(f"{step:6}" + "".join(f"{value:13.2f}" for value in values))


def draw(test, outputs, path, count=6):
    """Some test images with the windows of each step and what the model said."""
    images, labels, _ = test
    scores = np.exp(outputs["emotion"][:count] - outputs["emotion"][:count].max(axis=-1, keepdims=True))
    probabilities = (scores / scores.sum(axis=-1, keepdims=True)).max(axis=-1)
    said = NAMES[outputs["emotion"][:count].argmax(axis=-1)]
    faces = (255 * images[:count]).round().astype("uint8")
    save(samples(faces, outputs["windows"][:count], said, probabilities, NAMES[labels[:count]]), path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", choices=("edram", "cnn"), default=["edram", "cnn"])
    parser.add_argument("--steps", type=int, default=6000, help="of training")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--glimpses", type=int, default=6)
    parser.add_argument("--width", type=float, default=1.0, help="units and filters as a share of the published ones")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="the highest, after the warm-up")
    parser.add_argument("--emission-rate", type=float, default=0.25, help="share of it at which the emission learns")
    parser.add_argument("--location", choices=LOCATION, default="all", help="which entries of the windows have targets")
    # At 1, the published weight, what the classes' loss does to the windows through the sensor hides where they belong.
    parser.add_argument("--location-weight", type=float, default=10.0, help="of the location loss; the emotion's is 1")
    parser.add_argument("--dtype", default="float32", help="or mixed_bfloat16, faster where the processor knows it")
    parser.add_argument("--test", type=int, default=5000, help="images of the test set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/cluttered_digits"))
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
