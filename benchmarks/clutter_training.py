"""Training and evaluation of models on cluttered images, common to the benchmarks of digits and of faces."""

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.clutter import Cluttered, Scene, Sources, make_images, shaken
from edram_fer import attention, files, intervals
from edram_fer.evaluation import cost
from edram_fer.figures.samples import samples
from edram_fer.figures.style import save
from edram_fer.training.losses import ALL_ENTRIES, FORMS, ZOOM_ENTRIES, EmotionLoss, LocationLoss
from edram_fer.training.optimizer import Adam

# Steps that training never reaches, so these images are new.
VALIDATION_STEP, TEST_STEP = 2**30, 2**31
LOGGED = 200  # steps over which a printed loss is the mean
LOCATION = {"all": ALL_ENTRIES, "zoom": ZOOM_ENTRIES, "none": None}


def add_options(parser: argparse.ArgumentParser, *, steps: int, out: str) -> None:
    """Add the options that the functions below read."""
    parser.add_argument("--steps", type=int, default=steps, help="training steps (default %(default)s)")
    parser.add_argument("--batch", type=int, default=64, help="images in a batch (default %(default)s)")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="after the warm-up (default %(default)s)")
    parser.add_argument("--emission-rate", type=float, default=0.25, help="its factor for the emission network")
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
    parser.add_argument("--seed", type=int, default=0, help="default %(default)s")
    parser.add_argument("--out", type=Path, default=Path(out), help="folder (default %(default)s)")


def run(
    name: str,
    model: keras.Model,
    training: Sources,
    test: Cluttered,
    scene: Scene,
    options: argparse.Namespace,
    *,
    classes: Sequence[str],
    **keywords: Any,
) -> dict[str, Any]:
    """Train, evaluate and save a model: NAME.keras, NAME.npz with the labels and, after each step, the predicted
    classes and the windows, and for a model that moves its windows NAME.png with the first test images.

    Args:
        name: of the files in --out.
        model: a randomly initialised model.
        training: of the training images.
        test: images [n, H, W, 1], labels [n] and windows [n, 2, 3] of the targets.
        scene: what the training images look like.
        options: of the command line.
        classes: names of the labels.
        **keywords: of `train`.

    Returns:
        the result of `evaluate`, the seconds of training and the options.
    """
    seconds = train(model, training, scene, options, **keywords)
    result, outputs = evaluate(model, test)
    with files.replace(options.out / f"{name}.keras") as temporary:
        model.save(temporary)
    with files.replace(options.out / f"{name}.npz") as temporary:
        predicted = outputs["emotion"].argmax(axis=-1)
        np.savez_compressed(temporary, labels=test[1], classes=predicted, windows=outputs["windows"])
    if "emitted" in outputs:
        draw(test, outputs, classes, options.out / f"{name}.png")
    settings = {key: value for key, value in vars(options).items() if key not in ("model", "data_dir", "out")}
    return {**result, "seconds": seconds, "options": files.plain(settings)}


def train(
    model: keras.Model,
    sources: Sources,
    scene: Scene,
    options: argparse.Namespace,
    *,
    location: str = "none",
    form: str = "ours",
    taught: float = 0.0,
) -> float:
    """Train a randomly initialised model.

    Adam with a linear warm-up to --learning-rate, cosine decay, and the global norm of the gradient clipped at 10.

    Args:
        model: the model.
        sources: of the images.
        scene: what the images look like.
        options: of the command line.
        location: a key of LOCATION, the entries of the windows that have targets.
        form: a key of `losses.FORMS`.
        taught: share of the steps, from the beginning, in which an EDRAM's glimpses are windows near the true ones, so
            that its classification learns from the first step on. In the remaining steps they are the windows that the
            model chooses, passed as inputs, so that no gradient flows through them. If `taught` is above 0, the
            emission network learns from the location loss alone, in all steps.

    Returns:
        the seconds of training.
    """
    losses, weights = {"emotion": EmotionLoss(**FORMS[form]["emotion"])}, {"emotion": 1.0}
    if LOCATION[location] is not None:
        losses["emitted"] = LocationLoss(LOCATION[location], **FORMS[form]["emitted"])
        weights["emitted"] = options.location_weight
    warmup = max(1, options.steps // 20)
    decay = max(1, options.steps - warmup)
    rate = keras.optimizers.schedules.CosineDecay(0.0, decay, warmup_target=options.learning_rate, warmup_steps=warmup)
    model.compile(Adam(rate, global_clipnorm=10.0), loss=losses, loss_weights=weights)
    # Not `fit`: TensorFlow's data sets of Python generators make the process return freed memory at once, which takes a
    # third of the processor time of small models.
    start, recent = time.perf_counter(), []
    for step in range(options.steps):
        images, labels, windows = make_images(sources, scene, options.seed, step, options.batch)
        inputs, targets = {"image": images}, {"emotion": labels, "emitted": windows}
        if step < taught * options.steps:
            rng = np.random.default_rng((options.seed, step, options.batch))  # no image has this number
            near = [shaken(windows, rng) for _ in range(model.arguments["glimpses"])]
            inputs["windows"] = np.stack(near, axis=1)
        elif taught:  # as inputs, so that no gradient flows through them
            inputs["windows"] = model.predict_on_batch(inputs)["windows"]
        recent.append(model.train_on_batch(inputs, {name: targets[name] for name in losses}, return_dict=True))
        if len(recent) == LOGGED or step + 1 == options.steps:
            means = {name: np.mean([values[name] for values in recent]) for name in recent[0]}
            shown = ", ".join(f"{name} {mean:.4f}" for name, mean in means.items())
            print(f"step {step + 1}, {time.perf_counter() - start:.0f} s: {shown}", flush=True)
            recent.clear()
    return time.perf_counter() - start


def evaluate(model: keras.Model, test: Cluttered) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Evaluate a model on the test images.

    Args:
        model: a trained model.
        test: images [n, H, W, 1], labels [n] and windows [n, 2, 3] of the targets.

    Returns:
        dict of the number of trainable parameters, the operations of one image, half of which are multiplications,
        milliseconds per image in batches of 64, and after each step error_percent with its 95 % interval and, for a
        model that moves its windows, distance of the centres of glimpse and target (in [-1, 1] coordinates),
        distance_pixels with its interval, and zoom; and the outputs of `predict`.
    """
    images, labels, targets = test
    outputs = model.predict({"image": images}, batch_size=100, verbose=0)
    errors = outputs["emotion"].argmax(axis=-1) != labels[:, None]
    result = {
        "parameters": cost.parameters(model),
        "operations": cost.flops(model),
        "milliseconds": 1000 * cost.seconds_per_image(model, 64),
        "error_percent": (100 * errors.mean(axis=0)).tolist(),
    }
    measures = {"error_percent": 100.0 * errors}
    if "emitted" in outputs:
        offset = attention.centres(outputs["windows"]) - attention.centres(targets)[:, None]
        distance = np.linalg.norm(offset, axis=-1)
        measures["distance_pixels"] = distance * (images.shape[1] - 1) / 2
        result["distance"] = distance.mean(axis=0).tolist()
        result["distance_pixels"] = measures["distance_pixels"].mean(axis=0).tolist()
        result["zoom"] = np.sqrt(attention.area(outputs["windows"])).mean(axis=0).tolist()
    ends = intervals.bootstrap(
        lambda rows: {name: values[rows].mean(axis=0) for name, values in measures.items()}, len(labels)
    )
    return result | {f"{name}_interval": values.tolist() for name, values in ends.items()}, outputs


def print_table(results: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the results of `evaluate`, with the seconds of training, by model."""
    columns = {"error_percent": "error %", "distance_pixels": "distance px", "distance": "in [-1, 1]", "zoom": "zoom"}
    for name, result in results.items():
        operations = result["operations"]
        counted = "" if operations is None else f"{operations / 2e6:.1f} M multiplications, "
        print(
            f"\n{name}: {result['parameters'] / 1e6:.2f} M parameters, {counted}"
            f"{result['milliseconds']:.2f} ms per image, {result['seconds'] / 60:.1f} min of training"
        )
        shown = [key for key in columns if key in result]
        print("  step" + "".join(f"{columns[key]:>13}" for key in shown) + "   95 % interval of the error")
        ends = result["error_percent_interval"]
        for step, values in enumerate(zip(*(result[key] for key in shown), strict=True)):
            print(
                f"{step + 1:6}" + "".join(f"{value:13.2f}" for value in values),
                "  {:.2f} to {:.2f}".format(*ends[step]),
            )


def draw(
    test: Cluttered, outputs: Mapping[str, np.ndarray], classes: Sequence[str], path: Path, count: int = 6
) -> None:
    """Draw the first test images with the windows and the prediction of each step."""
    images, labels, _ = test
    names = np.array(classes)
    scores = np.exp(outputs["emotion"][:count] - outputs["emotion"][:count].max(axis=-1, keepdims=True))
    probabilities = (scores / scores.sum(axis=-1, keepdims=True)).max(axis=-1)
    predictions = names[outputs["emotion"][:count].argmax(axis=-1)]
    save(samples(images[:count], outputs["windows"][:count], predictions, probabilities, names[labels[:count]]), path)
