"""The weight of each window of a face, and how it changes when a part of the face is covered."""

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from edram_fer.figures.style import BLUE, INK, MUTED, SHARES, show_image, styled


@styled
def region_weights(result, face, masks):
    """Draw the mean weights, their change under each box and the middle one of the squares, and by the share covered.

    Args:
        result: what `edram_fer.studies.region_weights.region_weights` gives.
        face: [H, W, C] in [0, 1], to show the covers on.
        masks: bool [H, W] of each of the result's covers: where it lies on that face.

    Returns: Figure. Above: a row for each window, dots with 95 % intervals, the darker the more of the window is
    covered. Below (where there are squares): the change of a window's weight against the covered share of it.
    """
    names, squares = result["windows"], [index for index, cover in enumerate(result["occluders"]) if "side" in cover]
    shown = [index for index, cover in enumerate(result["occluders"]) if "box" in cover] + squares[len(squares) // 2 :][
        :1
    ]
    rows = 0.2 * len(names)
    heights = [rows + 1.95, 1.75] if squares else [rows + 1.95]
    figure = Figure(figsize=(1.18 * (1 + len(shown)) + 1.5, sum(heights)), layout="constrained")
    parts = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    _by_cover(parts[0], result, face, [(result["occluders"][index], masks[index]) for index in shown], rows)
    if squares:
        _by_share(parts[1], result["by_occluded_share"])
    return figure


def _by_cover(figure, result, face, covered, height):
    covers, rows = [cover for cover, _ in covered], np.arange(len(result["windows"]))
    images, panels = figure.subplots(2, 1 + len(covers), height_ratios=[1, height], squeeze=False)
    whole = ({"name": "original", **result["original"]}, np.zeros(face.shape[:2], bool))
    for axes, (cover, mask) in zip(images, [whole, *covered], strict=True):
        show_image(axes, np.where(mask[..., None], 0, face))
        axes.set_title(cover["name"], loc="center", fontsize=8)
        axes.set_xlabel(f"{cover['accuracy']:.1%} right", fontsize=6.5, color=MUTED, labelpad=3)
    first, *others = panels
    _dots(first, rows, result["original"]["weight"], result["original"]["weight_interval"], np.zeros(len(rows)))
    first.axvline(1 / len(rows), color=INK, linewidth=0.8, zorder=1)
    first.set_yticks(rows, result["windows"])
    ends = np.array([cover["weight_change_interval"] for cover in covers])
    reach = 1.08 * max(np.abs(ends).max(initial=0), 1e-4)
    for axes, cover in zip(others, covers, strict=True):
        axes.axvline(0, color=INK, linewidth=0.8, zorder=1)
        _dots(axes, rows, cover["weight_change"], cover["weight_change_interval"], cover["occluded_share"])
        axes.set(xlim=(-reach, reach), yticks=rows, yticklabels=[])
    for axes in panels:
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(3, symmetric=axes is not first))
    first.set_xlabel("mean weight", fontsize=7.5)
    if others:
        others[len(others) // 2].set_xlabel("change of the mean weight", fontsize=7.5)
        bar = figure.colorbar(ScalarMappable(Normalize(0, 1), SHARES), ax=list(panels), pad=0.01, aspect=14)
        bar.set_label("covered share\nof the window", fontsize=7)
        bar.ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        bar.set_ticks([0, 0.5, 1])


def _dots(axes, rows, values, intervals, covered):
    axes.hlines(rows, *np.transpose(intervals), color=MUTED, linewidth=2.2, alpha=0.6)
    axes.scatter(values, rows, c=SHARES(np.asarray(covered)), edgecolors=BLUE, linewidths=0.8, s=17, zorder=3)


def _by_share(figure, curves):
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for axes, curve in zip(panels, curves, strict=True):
        known = [index for index, value in enumerate(curve["weight_change"]) if value is not None]
        places, values = ([curve[name][index] for index in known] for name in ("occluded_share", "weight_change"))
        low, high = np.transpose([curve["weight_change_interval"][index] for index in known])
        colour = INK if axes is panels[0] else BLUE
        axes.axhline(0, color=INK, linewidth=0.8, zorder=1)
        axes.fill_between(places, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(places, values, color=colour, marker="o", markersize=3)
        axes.set_title("all windows" if axes is panels[0] else curve["name"], fontsize=8)
        axes.set(xlim=(-0.05, 1.05), xticks=[0, 0.5, 1])
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    panels[0].set_ylabel("change of its weight", fontsize=7.5)
    figure.supxlabel("share of the window that a square at a random place covers", fontsize=7.5)
