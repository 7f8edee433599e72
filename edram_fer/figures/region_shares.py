"""Which regions of the face each class looks at, with intervals."""

import numpy as np
from matplotlib.figure import Figure

from edram_fer.figures.style import BLUE, GREEN, INK, MUTED, ORANGE, styled

# The eyes share a hue; marks and lines differ too, for those who see no colours.
STYLES = {
    "left eye": (BLUE, "o", "-"),
    "right eye": ("#6fb1ea", "s", "--"),
    "nose": (GREEN, "^", "-."),
    "mouth": (ORANGE, "D", "-"),
    "rest": (MUTED, "x", ":"),
}


@styled
def region_preference(found):
    """Share of the attention over share of the area, all steps together: a panel for each region, a row for each class.

    Args:
        found: what `attention.regions.region_shares` gives.

    Returns: Figure; the line at 1 is no preference, bars are the 95 % intervals.
    """
    regions, rows = found["regions"], np.arange(len(found["groups"]))
    figure = Figure(figsize=(1.4 * len(regions) + 1.1, 0.26 * len(rows) + 0.9), layout="constrained")
    for index, axes in enumerate(figure.subplots(1, len(regions), sharex=True, sharey=True, squeeze=False)[0]):
        colour, mark, _ = STYLES[regions[index]]
        low, high = found["preference_interval"][:, -1, index].T
        axes.axvline(1, color=INK, linewidth=0.8, zorder=1)
        axes.hlines(rows, low, high, color=colour, linewidth=2.2, alpha=0.55)
        axes.scatter(found["preference"][:, -1, index], rows, color=colour, marker=mark, s=18, zorder=3)
        axes.set_title(regions[index])
        axes.grid(axis="y", visible=False)
        axes.set_yticks(rows, [_label(*pair) for pair in zip(found["groups"], found["images"])])
    right = max(1.2, np.nanmax(found["preference_interval"][:, -1]))
    axes.set(ylim=(len(rows) - 0.5, -0.5), xlim=(0, 1.06 * right))  # no mark is cut
    figure.supxlabel("share of the attention / share of the area", fontsize=8)
    return figure


@styled
def region_steps(found, *, columns=4):
    """Share / area at each step: a panel for each class, a line for each region with its 95 % interval.

    Args:
        found: what `attention.regions.region_shares` gives.
        columns: panels in a row.

    Returns: Figure.
    """
    count, steps = len(found["groups"]), 1 + np.arange(found["preference"].shape[1] - 1)
    across, down = min(columns, count), -(-count // columns)
    figure = Figure(figsize=(1.75 * across + 0.6, 1.55 * down + 0.75), layout="constrained")
    grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    for group, axes in zip(range(count), grid.flat):
        axes.axhline(1, color=INK, linewidth=0.8, zorder=1)
        for index, region in enumerate(found["regions"]):
            colour, mark, line = STYLES[region]
            low, high = found["preference_interval"][group, :-1, index].T
            axes.fill_between(steps, low, high, color=colour, alpha=0.18, linewidth=0)
            axes.plot(
                steps,
                found["preference"][group, :-1, index],
                color=colour,
                marker=mark,
                linestyle=line,
                markersize=3.5,
                linewidth=1.3,
                label=region,
            )
        axes.set_title(_label(found["groups"][group], found["images"][group]))
        axes.set_xticks(steps)
    for column in range(count - across * (down - 1), across):  # the last row is not full: the one above has the numbers
        grid[-1, column].set_visible(False)
        grid[-2, column].tick_params(labelbottom=True)
    grid[0, 0].set_ylim(bottom=0)
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=len(found["regions"]))
    figure.supxlabel("glimpse", fontsize=8)
    figure.supylabel("share / area", fontsize=8)
    return figure


def _label(name, count):
    return f"{name} ({count:,})"
