"""Attention to the regions of the face by class, with intervals."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from edram_fer.figures.style import BLUE, GREEN, INK, MUTED, ORANGE, fitted, styled

# The eyes share a hue; markers and line styles differ, so colour is never the only cue.
STYLES = {
    "left eye": (BLUE, "o", "-"),
    "right eye": ("#6fb1ea", "s", "--"),
    "nose": (GREEN, "^", "-."),
    "mouth": (ORANGE, "D", "-"),
    "rest": (MUTED, "x", ":"),
}


@styled
def region_preference(shares: Mapping[str, Any]) -> Figure:
    """Draw share of attention divided by share of area for all steps together: panels are regions, rows are classes.

    The line at 1 means no preference; bars are 95 % intervals.

    Args:
        shares: from `attention.regions.shares_from_predictions`.
    """
    regions, rows = shares["regions"], np.arange(len(shares["groups"]))
    figure = Figure(figsize=(1.4 * len(regions) + 1.1, 0.26 * len(rows) + 0.9), layout="constrained")
    panels = figure.subplots(1, len(regions), sharex=True, sharey=True, squeeze=False)[0]
    for index, axes in enumerate(panels):
        colour, mark, _ = STYLES[regions[index]]
        low, high = shares["preference_interval"][:, -1, index].T
        axes.axvline(1, color=INK, linewidth=0.8, zorder=1)
        axes.hlines(rows, low, high, color=colour, linewidth=2.2, alpha=0.55)
        axes.scatter(shares["preference"][:, -1, index], rows, color=colour, marker=mark, s=18, zorder=3)
        axes.set_title(regions[index])
        axes.grid(axis="y", visible=False)
        axes.set_yticks(rows, [_label(*pair) for pair in zip(shares["groups"], shares["images"])])
    right = max(1.2, *(np.nan_to_num(shares[key][:, -1]).max() for key in ("preference", "preference_interval")))
    panels[-1].set(ylim=(len(rows) - 0.5, -0.5), xlim=(0, 1.06 * right))  # so that no marker is cut off
    figure.supxlabel("share of attention / share of area", fontsize=8)
    return figure


@styled
def region_steps(shares: Mapping[str, Any], *, columns: int = 4) -> Figure:
    """Draw share of attention divided by share of area by step: panels are classes, lines are regions.

    Args:
        shares: from `attention.regions.shares_from_predictions`.
        columns: panels per row.
    """
    count, steps = len(shares["groups"]), 1 + np.arange(shares["preference"].shape[1] - 1)
    across, down = min(columns, count), -(-count // columns)
    figure = Figure(figsize=(1.75 * across + 0.6, 1.55 * down + 0.75), layout="constrained")
    grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    for group, axes in zip(range(count), grid.flat):
        axes.axhline(1, color=INK, linewidth=0.8, zorder=1)
        for index, region in enumerate(shares["regions"]):
            colour, mark, line = STYLES[region]
            low, high = shares["preference_interval"][group, :-1, index].T
            axes.fill_between(steps, low, high, color=colour, alpha=0.18, linewidth=0)
            axes.plot(
                steps,
                shares["preference"][group, :-1, index],
                color=colour,
                marker=mark,
                linestyle=line,
                markersize=3.5,
                linewidth=1.3,
                label=region,
            )
        title = _label(shares["groups"][group], shares["images"][group])
        axes.set_title(title, fontsize=fitted(title, 9, 20))
        axes.set_xticks(steps)
    for column in range(count - across * (down - 1), across):  # empty: the row above has the tick labels
        grid[-1, column].set_visible(False)
        grid[-2, column].tick_params(labelbottom=True)
    grid[0, 0].set_ylim(bottom=0)
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=len(shares["regions"]))
    figure.supxlabel("glimpse", fontsize=8)
    figure.supylabel("share / area", fontsize=8)
    return figure


def _label(name, count):
    return f"{name} ({count:,})"
