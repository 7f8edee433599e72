"""Folders of evaluated runs with random predictions, and the NPZ file that holds their images."""

import json

import numpy as np
import pyarrow as pa

from edram_fer import files
from edram_fer.attention.template import TEMPLATE
from edram_fer.evaluation import summary
from edram_fer.run import predictions

NASTY = '<script>alert("x")</script> & <b>bold</b>'
EMOTIONS = ["neutral", "happy", "sad"]
SIZE, STEPS, COUNT = 16, 3, 40


def random_run(windows=STEPS, steps=STEPS, seed=0):
    """Random images, and random outputs of a model for them."""
    rng = np.random.default_rng(seed)
    images = {
        "image": rng.integers(0, 256, (COUNT, SIZE, SIZE, 1), dtype=np.uint8),
        "emotion": rng.integers(0, 3, COUNT),
        "affect": rng.uniform(-1, 1, (COUNT, 2)),
        "id": np.arange(COUNT),
    }
    return images, random_outputs(images["emotion"], windows, steps, seed)


def random_outputs(truth, windows=STEPS, steps=STEPS, seed=0):
    """Random outputs of a model for images of true labels int [n]; the true class is a little more probable."""
    rng, count = np.random.default_rng([seed, 1]), len(truth)
    logits = rng.normal(0, 1, (count, steps, 3))
    logits[np.arange(count), :, truth] += 1
    matrices = np.eye(2, 3) * rng.uniform(0.3, 0.6, (count, windows, 1, 1)) + rng.normal(0, 0.1, (count, windows, 2, 3))
    return {
        "probabilities": (np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)).astype(np.float32),
        "affect": np.tanh(rng.normal(0, 1, (count, steps, 2))),
        "windows": matrices.astype(np.float32),
        "weights": np.full((count, windows), 1 / windows, np.float32),
    }


def landmarks(size):
    """Landmarks [68, 2] of a face that fills an image."""
    return (TEMPLATE / 1.9 / 2 + (0.5, 0.3)) * (size - 1)


def write_run(folder, images, outputs, recipe="made_up", data="drawn <faces>", emotions=EMOTIONS, split="test", **more):
    """Write the files of an evaluated run.

    Args:
        emotions: Emotions of the model, in the order of its probabilities.
        more: Further splits and the number of images, from the first on, that each has.
    """
    folder.mkdir(exist_ok=True)
    parts = {
        name: predictions.table(name, *(_first(count, arrays) for arrays in (images, outputs)), EMOTIONS, emotions)
        for name, count in {split: COUNT, **more}.items()
    }
    rows = pa.concat_tables(parts.values())
    scores = {name: summary.scores(part, repeats=20) for name, part in parts.items()}
    identity = {
        "recipe": recipe,
        "model": "edram",
        "emotions": list(emotions),
        "data": str(data),
        "command": "evaluate run",
        "versions": {"keras": "3.15"},
        "time": "2024-05-06T07:08:09+00:00",
        "seconds": 1.5,
    }
    predictions.write(rows, folder / "predictions.parquet")
    files.write_json(folder / "metrics.json", files.plain({"run": identity, "splits": scores}))
    files.write_json(folder / "recipe.json", {"name": recipe, "model_options": {"size": SIZE}, "seed": None})
    files.write_json(folder / "environment.json", {"python": "3.11", "packages": {"keras": NASTY}})
    return folder


def _first(count, arrays):
    return {name: values[:count] for name, values in arrays.items()}


def write_three_runs(root, **options):
    """Runs a of three glimpses (evaluated with `options`), short of two, cnn without windows, on faces.npz in `root`.

    Returns: (the images, their file).
    """
    images, outputs = random_run()
    images["landmarks"] = np.tile(landmarks(SIZE), (COUNT, 1, 1))
    data = npz_file(root / "faces.npz", images)
    write_run(root / "a", images, outputs, data=data, **options)
    write_run(root / "short", images, random_outputs(images["emotion"], 2, 2, seed=8), data=data)
    whole = random_outputs(images["emotion"], 1, 1, seed=9)
    whole["windows"][:] = np.eye(2, 3)
    write_run(root / "cnn", images, whole, data=data)
    return images, data


def write_robustness(folder, accuracy, split="test", images=COUNT):
    """Write robustness.json: the `accuracy` of each side of 0, 0.5 and 1 and of each angle of 0 and 90, in turn."""

    def row(level, value):
        drop = accuracy[0] - value
        scores = {"accuracy": value, "accuracy_interval": [value - 0.05, value + 0.05]}
        return {"level": level, **scores, "accuracy_drop": drop, "accuracy_drop_interval": [drop - 0.01, drop + 0.02]}

    rows = [row(*pair) for pair in zip((0, 0.5, 1, 0, 90), accuracy, strict=True)]
    settings = {"split": split, "images": images, "seed": 0, "majority_accuracy": 0.4}
    files.write_json(folder / "robustness.json", {**settings, "occlusion": rows[:3], "rotation": rows[3:]})


def write_occlusion(folder, images, maps, split="test", finished=True):
    """Write saliency_occlusion.npz with the maps [n, H, W] of the first n images, finished or not."""
    settings = {"split": split, "images": len(maps), "seed": 0, "window": 4, "stride": 2, "fill": 0.0}
    ids, labels = images["id"][: len(maps)].astype(str), images["emotion"][: len(maps)]
    content = {"settings": json.dumps(settings), "steps_done": len(maps), "probability_drop": maps}
    if finished:
        content |= {"mean_probability_drop": maps[:0], "id": ids, "label": labels, "emotions": np.array(EMOTIONS)}
    np.savez(folder / "saliency_occlusion.npz", **content)


def npz_file(path, images):
    """An NPZ file with the images as its split `test`."""
    metadata = {"source": "made up", "version": "1", "fingerprint": "abc", "emotions": np.array(EMOTIONS)}
    ids = np.array([str(name) for name in images["id"]])
    np.savez(path, **metadata, **{f"test/{name}": values for name, values in {**images, "id": ids}.items()})
    return path
