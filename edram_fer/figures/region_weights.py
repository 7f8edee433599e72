"""The weight of each window of a face, and its change when a part of the face is covered."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from edram_fer.figures.style import BLUE, INK, MUTED, SHARES, show_image, styled


@styled
def region_weights(result: Mapping[str, Any], face: np.ndarray, masks: Sequence[np.ndarray]) -> Figure:
    """Draw the mean weights, and their change under each occluder and by the covered share of the window.

    Top: one row per window, with dots and 95 % intervals; the darker a dot, the more of the window is covered. The
    boxes and the square of medium size are shown. Bottom (if there are squares): the change of a window's weight
    against its covered share.

    Args:
        result: from `edram_fer.studies.region_weights.region_weights`.
        face: [H, W, C] in [0, 1], on which the occluders are drawn.
        masks: bool [H, W] for each occluder of the result: its position on that face.
    """
    names, occluders = result["windows"], result["occluders"]
    squares = [index for index, occluder in enumerate(occluders) if "side" in occluder]
    shown = [index for index, occluder in enumerate(occluders) if "box" in occluder]
    if squares:
        shown.append(squares[len(squares) // 2])
    rows = 0.2 * len(names)
    heights = [rows + 1.95, 1.75] if squares else [rows + 1.95]
    figure = Figure(figsize=(1.18 * (1 + len(shown)) + 1.5, sum(heights)), layout="constrained")
    parts = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    _draw_by_occluder(parts[0], result, face, [(occluders[index], masks[index]) for index in shown], rows)
    if squares:
        _draw_by_share(parts[1], result["by_occluded_share"])
    return figure


def _draw_by_occluder(figure, result, face, occluded, height):
    occluders, rows = [occluder for occluder, _ in occluded], np.arange(len(result["windows"]))
    images, panels = figure.subplots(2, 1 + len(occluders), height_ratios=[1, height], squeeze=False)
    original = ({"name": "original", **result["original"]}, np.zeros(face.shape[:2], bool))
    for axes, (occluder, mask) in zip(images, [original, *occluded], strict=True):
        show_image(axes, np.where(mask[..., None], 0, face))
        axes.set_title(occluder["name"], loc="center", fontsize=8)
        axes.set_xlabel(f"{occluder['accuracy']:.1%} correct", fontsize=6.5, color=MUTED, labelpad=3)
    first, *others = panels
    _draw_dots(first, rows, result["original"]["weight"], result["original"]["weight_interval"], np.zeros(len(rows)))
    first.axvline(1 / len(rows), color=INK, linewidth=0.8, zorder=1)
    first.set_yticks(rows, result["windows"])
    changes = [(*occluder["weight_change"], *np.ravel(occluder["weight_change_interval"])) for occluder in occluders]
    reach = 1.08 * max(np.abs(np.nan_to_num(np.array(changes, float))).max(initial=0), 1e-4)
    for axes, occluder in zip(others, occluders, strict=True):
        axes.axvline(0, color=INK, linewidth=0.8, zorder=1)
        _draw_dots(
            axes, rows, occluder["weight_change"], occluder["weight_change_interval"], occluder["occluded_share"]
        )
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


def _draw_dots(axes, rows, values, intervals, covered):
    axes.hlines(rows, *np.transpose(np.array(intervals, float)), color=MUTED, linewidth=2.2, alpha=0.6)
    axes.scatter(values, rows, c=SHARES(np.asarray(covered)), edgecolors=BLUE, linewidths=0.8, s=17, zorder=3)


def _draw_by_share(figure, curves):
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for axes, curve in zip(panels, curves, strict=True):
        defined = [index for index, value in enumerate(curve["weight_change"]) if value is not None]
        places, values = ([curve[name][index] for index in defined] for name in ("occluded_share", "weight_change"))
        low, high = np.array([curve["weight_change_interval"][index] for index in defined], float).T
        colour = INK if axes is panels[0] else BLUE
        axes.axhline(0, color=INK, linewidth=0.8, zorder=1)
        axes.fill_between(places, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(places, values, color=colour, marker="o", markersize=3)
        axes.set_title("all windows" if axes is panels[0] else curve["name"], fontsize=8)
        axes.set(xlim=(-0.05, 1.05), xticks=[0, 0.5, 1])
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    panels[0].set_ylabel("change of the weight", fontsize=7.5)
    figure.supxlabel("share of the window covered by a square at a random position", fontsize=7.5)
