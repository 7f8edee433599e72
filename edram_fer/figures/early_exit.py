"""The early-exit curve: accuracy against the mean number of glimpses when the model stops once it is confident."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from edram_fer.figures.style import BLUE, INK, ORANGE, styled

LABELLED_THRESHOLDS = (0.5, 0.7, 0.8, 0.9, 0.95)  # thresholds labelled on the curve


@styled
def early_exit(curve: Mapping[str, np.ndarray], labelled: Sequence[float] = LABELLED_THRESHOLDS) -> Figure:
    """Draw the early-exit curve and the accuracies after a fixed number of glimpses, with 95 % intervals.

    Args:
        curve: from `attention.early_exit.curve`.
        labelled: thresholds to label on the curve, if the curve contains them and there is enough space.
    """
    figure = Figure(figsize=(4.6, 3.1), layout="constrained")
    axes, steps = figure.subplots(), 1 + np.arange(len(curve["accuracy_after_glimpse"]))
    low, high = curve["accuracy_after_glimpse_interval"].T
    axes.vlines(steps, low, high, color=ORANGE, linewidth=1, alpha=0.8)
    axes.plot(
        steps,
        curve["accuracy_after_glimpse"],
        color=ORANGE,
        marker="s",
        markersize=4.5,
        linestyle="none",
        label="every image stops after this glimpse",
    )
    order = np.argsort(curve["thresholds"])
    glimpses, accuracy = curve["mean_glimpses"][order], curve["accuracy"][order]
    axes.fill_between(glimpses, *curve["accuracy_interval"][order].T, color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(glimpses, accuracy, color=BLUE, linewidth=2.2, label="each image stops once confident")
    _thresholds(axes, curve["thresholds"][order], glimpses, accuracy, labelled, 0.12 * max(steps[-1] - 1, 1))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set(xlabel="mean number of glimpses", ylabel="accuracy")
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def _thresholds(axes, thresholds, glimpses, accuracy, labelled, apart):
    """Label some thresholds above the curve, at least `apart` glimpses from each other."""
    last = -np.inf
    for threshold in labelled:
        index = int(np.argmin(np.abs(thresholds - threshold)))
        if not np.isclose(thresholds[index], threshold) or glimpses[index] - last < apart:
            continue
        last = glimpses[index]
        axes.plot(last, accuracy[index], marker="o", markersize=4, color=BLUE, markeredgecolor="white")
        axes.annotate(
            f"{threshold:.0%} confident",
            (last, accuracy[index]),
            (-3, 7),
            textcoords="offset points",
            fontsize=6.5,
            ha="right",
            color=INK,
        )
