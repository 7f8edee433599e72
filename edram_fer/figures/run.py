"""All figures of an evaluated run, from its files and the pictures that it was evaluated on."""

from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from edram_fer import files, predictions
from edram_fer.evaluation import read_metrics
from edram_fer.figures.by_glimpse import accuracy_by_glimpse
from edram_fer.figures.confusion import confusion
from edram_fer.figures.curves import curves, read_history
from edram_fer.figures.heatmaps import heatmaps
from edram_fer.figures.samples import choose, samples
from edram_fer.figures.style import save


def draw(run, images=None):
    """Draw the figures of a run folder into its figures/.

    Args:
        run: the run folder, evaluated.
        images: uint8 [n, H, W, C], the pictures of the first split in the order of its rows. Without them the heat
            maps and samples, which show faces, are not drawn.

    Returns: list of the written paths.

    Raises FileNotFoundError or ValueError naming a file that is missing or damaged, ValueError when the number of
    images is not that of the rows.
    """
    run = Path(run)
    metrics = read_metrics(run / "metrics.json")
    rows = predictions.read(run / "predictions.parquet")
    split = rows["split"][0].as_py()
    found = predictions.unpack(rows.filter(pc.equal(rows["split"], split)))
    drawn = _from_numbers(found, metrics["splits"][split])
    if (run / "history.csv").exists():
        monitor = files.read_json(run / "recipe.json").get("monitor", "val_loss")
        drawn["curves.svg"] = curves(read_history(run / "history.csv"), monitor)
    if images is not None:
        if len(images) != len(found["id"]):
            raise ValueError(f"split {split} has {len(found['id'])} predictions, but {len(images)} images were given")
        drawn |= _with_faces(found, np.asarray(images), metrics["splits"][split]["confusion"]["emotions"])
    return [save(figure, run / "figures" / name) for name, figure in drawn.items()]


def _from_numbers(found, scores):
    matrix, accuracy = scores["confusion"], scores["accuracy_after_glimpse"]
    drawn = {"confusion.svg": confusion(matrix["counts"], matrix["emotions"])}
    if len(accuracy) > 1:
        recalls = {}
        for name in matrix["emotions"]:
            rows = found["truth"] == name
            if rows.any():
                recalls[name] = (found["steps"][rows] == name).mean(axis=0)
        drawn["by_glimpse.svg"] = accuracy_by_glimpse(accuracy, scores["intervals"]["accuracy_after_glimpse"], recalls)
    return drawn


def _with_faces(found, images, emotions):
    windows, weights, truth = found["windows"], found["weights"], found["truth"]
    recurrent = found["steps"].shape[1] == windows.shape[1] > 1
    options = {"what": "glimpse" if recurrent else "window"}
    drawn = {}
    if not np.allclose(windows, np.eye(2, 3)):  # a plain CNN looks at all of every picture: nothing to map
        drawn["heatmaps.png"] = heatmaps(images, windows, weights, truth, emotions, by_step=recurrent, **options)
    confidence = found["probabilities"].max(axis=-1)
    for name, right in (("right", True), ("wrong", False)):
        if rows := choose(truth, found["prediction"], emotions, right=right):
            drawn[f"samples_{name}.png"] = samples(
                images[rows], windows[rows], found["steps"][rows], confidence[rows], truth[rows],
                weights=weights[rows], **options,
            )
    return drawn
