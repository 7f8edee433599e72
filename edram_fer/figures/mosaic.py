"""Small images in rows and columns, with labels on the left and above."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure

from edram_fer.figures.style import MUTED, fitted, image_axes

TILE, GAP = 1.05, 0.03  # inches; share of a tile
LETTER = 0.064  # inches, upper bound of the width of a letter


def mosaic(tiles: np.ndarray, labels: Sequence[tuple[str, int | None]], titles: Sequence[str]) -> tuple[Figure, Axes]:
    """Draw all tiles in one pair of axes; separate axes for every tile would take most of the drawing time.

    Args:
        tiles: [rows, columns, H, W, 3] in [0, 1]; a single column is laid out as a row.
        labels: (name, number of images or None) of each row.
        titles: titles of the columns.

    Returns:
        (figure, axes); the figure has space for a colour bar on the right.
    """
    across = tiles.shape[1] == 1
    rows, columns = (1, len(tiles)) if across else tiles.shape[:2]
    height = TILE * tiles.shape[2] / tiles.shape[3]
    beside = 1.2 if across else 2.0 + 0.075 * max(0, max(len(name) for name, _ in labels) - 10)  # inches
    figure = Figure(figsize=(TILE * columns + beside, height * rows + 0.5), layout="constrained")
    axes = figure.subplots()
    image_axes(axes)
    for index, tile in enumerate(tiles.reshape(-1, *tiles.shape[2:])):
        row, column = divmod(index, columns)
        extent = (column, column + 1 - GAP, row + 1 - GAP, row)
        axes.imshow(tile, interpolation="bicubic", extent=extent)
    (_labels_above if across else _labels_left)(axes, labels)
    for column, title in enumerate(titles):
        style = {"fontweight": "bold", "fontsize": fitted(title, 8, 14)}
        axes.text(column + 0.5 - GAP / 2, -0.06, title, ha="center", va="bottom", **style)
    axes.set(xlim=(0, columns - GAP), ylim=(rows - GAP, 0), aspect=height / TILE)
    return figure, axes


def label_bar(figure: Figure, bar: Colorbar, text: str) -> None:
    """Label a colour bar in lines that fit the height of the figure; a figure with a single row is short."""
    letters = int(figure.get_figheight() / LETTER)
    fits = max(map(len, text.split("\n"))) <= letters
    bar.set_label(text if fits else textwrap.fill(text.replace("\n", " "), letters))


def _labels_above(axes, labels):
    for index, (name, count) in enumerate(labels):
        text = name if count is None else f"{name} ({count:,})"
        axes.text(index + 0.5 - GAP / 2, -0.04, text, ha="center", va="bottom", fontsize=fitted(text, 7, 18))


def _labels_left(axes, labels):
    style = {"xytext": (-6, 0), "textcoords": "offset points", "ha": "right", "annotation_clip": False}
    for index, (name, count) in enumerate(labels):
        if count is None:
            axes.annotate(name, (0, index + 0.5), va="center", fontweight="bold", **style)
            continue
        axes.annotate(name, (0, index + 0.46), va="bottom", fontweight="bold", **style)
        axes.annotate(f"{count:,}", (0, index + 0.54), va="top", color=MUTED, fontsize=7, **style)
