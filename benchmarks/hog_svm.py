"""What a classifier of before deep learning reaches: histograms of oriented gradients and a linear SVM.

    pip install "edram-fer[benchmarks]"
    python -m benchmarks.hog_svm --data-dir data

Dalal, Triggs, "Histograms of Oriented Gradients for Human Detection", 2005: gradients by orientation in cells, blocks
of 2x2 cells, L2-Hys. The size of the cells and the SVM's C are chosen on validation, among --cells and --costs; the
chosen SVM, trained on training alone, is scored once on each test split that the data set has (test, test_clean, and
FERPlus' subsets). Nothing is drawn at random but the intervals. About 20 minutes on a core for FER2013.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from skimage.feature import hog
from sklearn.svm import LinearSVC
from tqdm.auto import tqdm

from edram_fer import data, intervals
from edram_fer.evaluation import scores

ORIENTATIONS, BLOCK = 9, 2
HEADLINE = ("accuracy", "mean_class_accuracy", "macro_f1")


def labelled(name, split, data_dir):
    """Images and emotions of the rows whose emotion is known."""
    rows = data.load_split(name, split, data_dir=data_dir)
    known = rows["emotion"] >= 0
    return {key: rows[key][known] for key in ("image", "emotion")}


def features(images, cell):
    """HOG of uint8 [N, H, W, 1], float32 [N, F]; `cell`: pixels of a cell's side."""
    options = {"pixels_per_cell": (cell, cell), "cells_per_block": (BLOCK, BLOCK), "block_norm": "L2-Hys"}
    bar = tqdm(images[..., 0], desc=f"HOG, cells of {cell}", unit=" images", disable=None)
    return np.array([hog(image, ORIENTATIONS, **options) for image in bar], np.float32)


def trained(images, labels, cost):
    """`dual=False` solves the problem itself: quicker with more images than features, and the same in every run."""
    return LinearSVC(C=cost, dual=False).fit(images, labels)


def choose(splits, cells, costs):
    """The SVM that is best on validation: (accuracy there, cell, cost, SVM)."""
    best = (-1.0,)
    for cell in cells:
        train, validation = (features(splits[name]["image"], cell) for name in ("train", "validation"))
        for cost in costs:
            start = time.process_time()
            machine = trained(train, splits["train"]["emotion"], cost)
            accuracy = machine.score(validation, splits["validation"]["emotion"])
            seconds = time.process_time() - start
            print(f"cells {cell}, C {cost:g}: validation {accuracy:.2%}, {seconds:.0f} s of processor time", flush=True)
            best = max(best, (accuracy, cell, cost, machine), key=lambda row: row[0])
    return best


def report(name, truth, prediction, classes):
    """A line with the scores of a split and their 95 % intervals."""

    def headline(rows):
        return scores.headline(scores.confusion(truth[rows], prediction[rows], classes))

    found, ends = headline(np.arange(len(truth))), intervals.bootstrap(headline, len(truth))
    texts = (f"{key} {found[key]:.2%} ({ends[key][0]:.2%} to {ends[key][1]:.2%})" for key in HEADLINE)
    print(f"{name}, {len(truth)} images: {', '.join(texts)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fer2013", help="a prepared data set of grey faces")
    parser.add_argument("--data-dir", type=Path, help="where it lies")
    parser.add_argument("--cells", type=int, nargs="+", default=[6, 8], help="sides in pixels to choose from")
    parser.add_argument("--costs", type=float, nargs="+", default=[0.003, 0.01, 0.03, 0.1], help="C to choose from")
    options = parser.parse_args()
    try:
        described = data.describe(options.data, data_dir=options.data_dir)
    except (ValueError, OSError) as error:
        parser.error(f"--data: {error}")
    if described["channels"] != 1:
        parser.error(f"--data: expected grey faces, {options.data} has {described['channels']} channels")
    if missing := [name for name in ("train", "validation") if name not in described["splits"]]:
        parser.error(f"--data: expected train and validation, {options.data} has no {' and no '.join(missing)}")
    limit = min(described["image_size"]) // BLOCK
    if wrong := [cell for cell in options.cells if not 1 <= cell <= limit]:
        parser.error(f"--cells: expected pixels from 1 to {limit}, half of the faces' side, got {wrong[0]}")
    if wrong := [cost for cost in options.costs if not 0 < cost < np.inf]:
        parser.error(f"--costs: expected numbers above 0, got {wrong[0]:g}")
    names = ["train", "validation", *(name for name in described["splits"] if name.startswith("test"))]
    splits = {name: labelled(options.data, name, options.data_dir) for name in names}
    accuracy, cell, cost, machine = choose(splits, options.cells, options.costs)
    print(f"chosen on validation: cells of {cell} pixels, C {cost:g}, {accuracy:.2%}")
    for name in names[2:]:
        prediction = machine.predict(features(splits[name]["image"], cell))
        report(name, splits[name]["emotion"], prediction, len(described["emotions"]))


if __name__ == "__main__":
    main()
