"""Accuracy under a growing occluder and a growing turn."""

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from edram_fer.figures.style import BLUE, MUTED, ORANGE, styled


@styled
def robustness(result):
    """Draw both curves with their 95 % intervals, and the accuracy of always saying the most frequent class.

    Args:
        result: what `edram_fer.studies.robustness.robustness` gives.

    Returns: Figure.
    """
    figure = Figure(figsize=(6.4, 2.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    kinds = (("occluder", "black square", BLUE), ("rotation", "turn", ORANGE))
    for axes, (kind, title, colour) in zip(panels, kinds, strict=True):
        levels = [row["level"] for row in result[kind]]
        low, high = zip(*(row["interval"] for row in result[kind]))
        axes.fill_between(levels, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(levels, [row["accuracy"] for row in result[kind]], color=colour, marker="o", markersize=3.5)
        axes.axhline(result["most_frequent"], color=MUTED, linewidth=0.9, linestyle=":")
        axes.set_title(title)
    first, second = panels
    first.annotate("always the most frequent class", (0.02, result["most_frequent"]), (0, -3),
                   textcoords="offset points", xycoords=("axes fraction", "data"), va="top", fontsize=6.5, color=MUTED)
    first.set(xlabel="its side, share of the picture's", ylabel="accuracy", ylim=(0, 1))
    first.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    first.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    second.set(xlabel="degrees, either way")
    return figure
