"""Accuracy with a model's own windows and with replacements."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from edram_fer.figures.style import BLUE, INK, MUTED, styled

NAMES = {
    "model": "own windows",
    "mean": "mean windows",
    "place": "own places, mean size",
    "size": "own sizes, mean place",
    "shuffled": "windows of another image",
    "random": "random positions",
    "whole": "the whole image",
}


@styled
def window_ablation(result: Mapping[str, Any]) -> Figure:
    """Draw the accuracy for each kind of windows with its 95 % interval, and the difference from the model's windows.

    Args:
        result: from `edram_fer.studies.window_ablation`.
    """
    accuracy = result["accuracy"]
    figure = Figure(figsize=(5.2, 0.32 * len(accuracy) + 0.75), layout="constrained")
    axes = figure.subplots()
    for row, (kind, summary) in enumerate(accuracy.items()):
        colour = BLUE if kind == "model" else MUTED
        axes.hlines(row, *np.array(summary["interval"], float), color=colour, linewidth=3, alpha=0.45)
        axes.plot(summary["value"], row, "o", color=colour, markersize=5)
        difference = summary["value"] - accuracy["model"]["value"]
        text = f"{summary['value']:.1%}" + (f"  ({100 * difference:+.1f})" if kind != "model" else "")
        axes.annotate(text, (1.01, row), xycoords=("axes fraction", "data"), va="center", fontsize=7.5, color=INK)
    axes.axvline(accuracy["model"]["value"], color=BLUE, linewidth=0.8, linestyle=":", zorder=0)
    axes.set_yticks(range(len(accuracy)), [NAMES[kind] for kind in accuracy])
    axes.set(ylim=(len(accuracy) - 0.5, -0.5), xlabel="accuracy")
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return figure
