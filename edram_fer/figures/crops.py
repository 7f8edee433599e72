"""A face and its crops sorted by attention weight, for one run or several side by side."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from edram_fer import attention
from edram_fer.figures.colours import step_colours
from edram_fer.figures.samples import answer, caption, choose, glimpse, tile
from edram_fer.figures.style import FAINT, INK, MUTED, fitted, image_axes, styled

TILE, GAP, TEXT = 0.76, 0.09, 0.36  # inches; shares of a tile: between tiles, below them for two lines of text
BESIDE = 0.95  # share of a tile: space to the left of a run's crops for its prediction


class WeightedFaces(NamedTuple):
    """Windows, weights and predictions of a run for n faces.

    Attributes:
        title: text above its crops.
        windows: [n, N, 2, 3].
        weights: [n, N].
        labels: predicted names [n].
        probabilities: probabilities of the predicted class [n].
    """

    title: str
    windows: np.ndarray
    weights: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray


def one_per_class(truth: np.ndarray, prediction: np.ndarray, order: Sequence[str], seed: int = 0) -> list[int]:
    """Choose one correctly classified and one misclassified image of each class; arguments as in `samples.choose`.

    Returns:
        Indices of the images, sorted by class, the correct one first.
    """
    correct, incorrect = (choose(truth, prediction, order, correct=kind, seed=seed) for kind in (True, False))
    return sorted([*correct, *incorrect], key=lambda row: order.index(truth[row]))  # stable: the correct one first


@styled
def crops(images: np.ndarray, truths: np.ndarray, runs: Sequence[WeightedFaces]) -> Figure:
    """Draw one row per face: the face, then for each run its prediction and its crops, sorted by descending weight.

    Modelled on the figure of crops and weights in Wang et al. 2020 (arXiv 1905.04075). A window has the same frame
    colour in all rows; the whole face has a dark frame. Below each crop are its weight and the name of its position
    (`attention.names`).

    Args:
        images: uint8 [n, H, W, C].
        truths: names [n].
        runs: one entry per run, for the same faces; windows may differ between runs.
    """
    count, shape = len(images), images.shape[1:3]
    pitch = max(1, shape[0] / shape[1]) + TEXT + GAP
    starts = 1 + np.cumsum([0, *(BESIDE + run.windows.shape[1] * (1 + GAP) for run in runs)])
    figure = Figure(figsize=(TILE * starts[-1] + 0.1, TILE * (count * pitch + 0.3)), layout="constrained")
    axes = figure.subplots()
    image_axes(axes)
    for row in range(count):
        tile(axes, 0, row * pitch, images[row])
        style = {"fontweight": "bold", "fontsize": fitted(truths[row], 8, 12)}
        axes.text(0.5, row * pitch + pitch - TEXT - GAP + 0.06, truths[row], ha="center", va="top", **style)
    for start, run in zip(starts, runs):
        names, colours = attention.names(run.windows.mean(axis=0)), _colours(run.windows)
        for row in range(count):
            top, line = row * pitch, (row + 1) * pitch - TEXT - GAP + 0.06
            text, colour = answer(run.labels[row], run.probabilities[row], truths[row])
            label, _, share = text.rpartition(" ")
            anchor = (start + BESIDE - GAP, top + (line - top) / 2)
            lines, size = f"{label}\n{share}", fitted(label, 7, 12)
            axes.text(*anchor, lines, color=colour, ha="right", va="center", fontsize=size, linespacing=1.3)
            order = np.argsort(-run.weights[row], kind="stable")
            for left, window in zip(start + BESIDE + np.arange(len(order)) * (1 + GAP), order):
                content = glimpse(images[row], run.windows[row, window], min(shape))
                tile(axes, left, top, content, colours[window])
                caption(axes, left + 0.5, line, f"{run.weights[row, window]:.3f}", INK)
                axes.text(left + 0.5, line + 0.17, names[window], color=MUTED, ha="center", va="top", fontsize=5.5)
        axes.text(start + BESIDE, -0.09, run.title, ha="left", va="bottom", fontweight="bold")
    for start in starts[1:-1]:
        axes.plot([start + 0.04] * 2, [0, count * pitch - GAP], color=FAINT, linewidth=0.8)
    axes.set(xlim=(-0.02, starts[-1] - GAP + 0.02), ylim=(count * pitch - GAP, -0.02), aspect="equal")
    return figure


def _colours(windows):
    """A colour [4] for each of `windows` [n, N, 2, 3]; dark if the window is the whole face in every image."""
    is_whole = [not attention.has_windows(windows[:, index]) for index in range(windows.shape[1])]
    colours = iter(step_colours(max(1, is_whole.count(False))))
    return [to_rgba(INK) if whole else next(colours) for whole in is_whole]
