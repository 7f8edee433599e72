"""A classifier from before deep learning: histograms of oriented gradients (HOG) and a linear SVM.

    pip install "edram-fer[benchmarks]"
    python -m benchmarks.hog_svm --data-dir data

Dalal, Triggs, "Histograms of Oriented Gradients for Human Detection", 2005: gradients by orientation in cells, blocks
of 2x2 cells, L2-Hys. The cell size and the SVM's C are chosen on the validation split from --cells and --costs. The
chosen SVM, trained on the training split alone, is evaluated once on each test split of the data set (test, test_clean,
and FERPlus' subsets). Only the bootstrap intervals involve randomness. FER2013 takes about 20 minutes on one core.
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from skimage.feature import hog
from sklearn.svm import LinearSVC
from tqdm.auto import tqdm

from edram_fer import data, intervals
from edram_fer.errors import UserError
from edram_fer.evaluation import scores

ORIENTATIONS, BLOCK = 9, 2
HEADLINE = ("accuracy", "mean_class_accuracy", "macro_f1")


class Candidate(NamedTuple):
    """A trained SVM with its settings and its accuracy on the validation split."""

    accuracy: float
    cell: int
    cost: float
    svm: LinearSVC


def load_labelled(name: str, split: str, data_dir: Path | None) -> dict[str, np.ndarray]:
    """Images uint8 [N, H, W, 1] and emotions int [N] of the rows whose emotion is known."""
    rows = data.load_split(name, split, data_dir=data_dir)
    known = rows["emotion"] >= 0
    return {key: rows[key][known] for key in ("image", "emotion")}


def features(images: np.ndarray, cell: int) -> np.ndarray:
    """HOG features float32 [N, F] of images uint8 [N, H, W, 1], with cells of `cell` x `cell` pixels."""
    options = {"pixels_per_cell": (cell, cell), "cells_per_block": (BLOCK, BLOCK), "block_norm": "L2-Hys"}
    bar = tqdm(images[..., 0], desc=f"HOG, cells of {cell}", unit=" images", disable=None)
    return np.array([hog(image, ORIENTATIONS, **options) for image in bar], np.float32)


def fit(inputs: np.ndarray, labels: np.ndarray, cost: float) -> LinearSVC:
    """Train a linear SVM on features [N, F] and labels [N], with C = `cost`."""
    # The primal problem: faster with more images than features, and deterministic.
    return LinearSVC(C=cost, dual=False).fit(inputs, labels)


def choose(splits: Mapping[str, Mapping[str, np.ndarray]], cells: Sequence[int], costs: Sequence[float]) -> Candidate:
    """Train an SVM for each cell size and cost; return the most accurate one on the validation split."""
    best = None
    for cell in cells:
        train, validation = (features(splits[name]["image"], cell) for name in ("train", "validation"))
        for cost in costs:
            start = time.process_time()
            svm = fit(train, splits["train"]["emotion"], cost)
            accuracy = svm.score(validation, splits["validation"]["emotion"])
            seconds = time.process_time() - start
            print(f"cells {cell}, C {cost:g}: validation {accuracy:.2%}, {seconds:.0f} s of CPU time", flush=True)
            if best is None or accuracy > best.accuracy:
                best = Candidate(accuracy, cell, cost, svm)
    return best


def report(name: str, truth: np.ndarray, prediction: np.ndarray, classes: int) -> None:
    """Print a line with the scores of a split and their 95 % intervals.

    Args:
        name: name of the split.
        truth: class indices [N].
        prediction: class indices [N].
        classes: number of classes.
    """

    def headline(rows):
        return scores.headline(scores.confusion(truth[rows], prediction[rows], classes))

    values, ends = headline(np.arange(len(truth))), intervals.bootstrap(headline, len(truth))
    texts = (f"{key} {values[key]:.2%} ({ends[key][0]:.2%} to {ends[key][1]:.2%})" for key in HEADLINE)
    print(f"{name}, {len(truth)} images: {', '.join(texts)}")


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fer2013", help="a prepared data set of grey faces")
    parser.add_argument("--data-dir", type=Path, help="folder of the prepared data sets")
    parser.add_argument("--cells", type=int, nargs="+", default=[6, 8], help="cell sizes in pixels to choose from")
    parser.add_argument(
        "--costs", type=float, nargs="+", default=[0.003, 0.01, 0.03, 0.1], help="values of C to choose from"
    )
    options = parser.parse_args()
    try:
        described = data.describe(options.data, data_dir=options.data_dir)
    except UserError as error:
        parser.error(f"--data: {error}")
    if described["channels"] != 1:
        parser.error(f"--data: expected grey faces, {options.data} has {described['channels']} channels")
    if missing := [name for name in ("train", "validation") if name not in described["splits"]]:
        parser.error(f"--data: expected train and validation, {options.data} has no {' and no '.join(missing)}")
    limit = min(described["image_size"]) // BLOCK
    if invalid := [cell for cell in options.cells if not 1 <= cell <= limit]:
        parser.error(f"--cells: expected pixels from 1 to {limit}, half of the faces' side, got {invalid[0]}")
    if invalid := [cost for cost in options.costs if not 0 < cost < np.inf]:
        parser.error(f"--costs: expected numbers above 0, got {invalid[0]:g}")
    names = ["train", "validation", *(name for name in described["splits"] if name.startswith("test"))]
    splits = {name: load_labelled(options.data, name, options.data_dir) for name in names}
    best = choose(splits, options.cells, options.costs)
    print(f"chosen on validation: cells of {best.cell} pixels, C {best.cost:g}, {best.accuracy:.2%}")
    for name in names[2:]:
        prediction = best.svm.predict(features(splits[name]["image"], best.cell))
        report(name, splits[name]["emotion"], prediction, len(described["emotions"]))


if __name__ == "__main__":
    main()
