"""Maps of people and of runs side by side: a row for each, a column for each step."""

import textwrap
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from edram_fer.figures.style import HEAT, INK, image_axes, styled

_OUTLINES = (range(17), range(17, 22), range(22, 27), range(27, 31), range(31, 36))  # of the 68 landmarks
_CLOSED = (range(36, 42), range(42, 48), range(48, 60))


@styled
def maps(rows: Mapping[str, np.ndarray], title: str, landmarks: ArrayLike | None = None) -> Figure:
    """Draw the maps of one emotion.

    Args:
        rows: {name: [steps + 1, H, W]}: densities, the last one for all steps together; people have one.
        title: of the figure.
        landmarks: [68, 2] in pixels of the maps, drawn over each map.
    """
    steps = max(len(stack) for stack in rows.values())
    height, width = next(iter(rows.values())).shape[1:]
    figure = Figure(figsize=(1.5 * steps + 1.2, 1.5 * height / width * len(rows) + 0.5), layout="constrained")
    grid = figure.subplots(len(rows), steps, squeeze=False)
    for axes_of_row, (name, stack) in zip(grid, rows.items(), strict=True):
        order = [len(stack) - 1, *range(len(stack) - 1)]
        for column, axes in enumerate(axes_of_row):
            image_axes(axes)
            if column >= len(order):
                axes.set_visible(False)
                continue
            values = stack[order[column]]
            if np.isfinite(values).all():
                axes.imshow(values, cmap=HEAT, vmin=0, vmax=values.max(), interpolation="antialiased")
            if landmarks is not None:
                _outline(axes, np.asarray(landmarks, float), (height, width))
            axes.set_title("all" if column == 0 else f"glimpse {column}", color=INK)
        axes_of_row[0].set_ylabel(textwrap.fill(name, 22), color=INK)
    figure.suptitle(title, color=INK, fontsize=9, fontweight="bold")
    return figure


def _outline(axes, landmarks, shape):
    for part, closed in [*((part, False) for part in _OUTLINES), *((part, True) for part in _CLOSED)]:
        points = landmarks[[*part, *([part[0]] if closed else [])]]
        axes.plot(*points.T, color="white", linewidth=0.6, alpha=0.7)
    axes.set_xlim(-0.5, shape[1] - 0.5)
    axes.set_ylim(shape[0] - 0.5, -0.5)
