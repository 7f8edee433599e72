"""Accuracy with a model's own windows and with others in their place."""

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from edram_fer.figures.style import BLUE, INK, MUTED, styled

NAMES = {
    "model": "its own windows",
    "mean": "mean windows, the same for all",
    "shuffled": "those of another image",
    "random": "random places, own size",
    "whole": "the whole image",
}


@styled
def window_ablation(result):
    """Draw a row for each kind of windows, with the 95 % interval, and the gap to the own windows.

    Args:
        result: what `edram_fer.studies.window_ablation.compare_accuracies` gives.

    Returns: Figure.
    """
    accuracy = result["accuracy"]
    figure = Figure(figsize=(5.2, 0.32 * len(accuracy) + 0.75), layout="constrained")
    axes = figure.subplots()
    for row, (kind, found) in enumerate(accuracy.items()):
        colour = BLUE if kind == "model" else MUTED
        axes.hlines(row, *found["interval"], color=colour, linewidth=3, alpha=0.45)
        axes.plot(found["value"], row, "o", color=colour, markersize=5)
        gap = found["value"] - accuracy["model"]["value"]
        text = f"{found['value']:.1%}" + (f"  ({100 * gap:+.1f})" if kind != "model" else "")
        axes.annotate(text, (1.01, row), xycoords=("axes fraction", "data"), va="center", fontsize=7.5, color=INK)
    axes.axvline(accuracy["model"]["value"], color=BLUE, linewidth=0.8, linestyle=":", zorder=0)
    axes.set_yticks(range(len(accuracy)), [NAMES.get(kind, kind) for kind in accuracy])
    axes.set(ylim=(len(accuracy) - 0.5, -0.5), xlabel="accuracy")
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return figure
