"""Accuracy by the number of glimpses."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from edram_fer.figures.style import BLUE, INK, MUTED, styled


@styled
def accuracy_by_glimpse(
    accuracy: Sequence[float],
    interval: Sequence[Sequence[float]] | None = None,
    recalls: Mapping[str, Sequence[float]] | None = None,
) -> Figure:
    """Draw the accuracy after 1 to T glimpses.

    Args:
        accuracy: [T], fractions.
        interval: [T, 2], drawn as a band; None: no band.
        recalls: {emotion: [T]}, drawn as thin lines with their names on the right; None: no lines.
    """
    steps = 1 + np.arange(len(accuracy))
    figure = Figure(figsize=(4.6, 3.1), layout="constrained")
    axes = figure.subplots()
    for values in (recalls or {}).values():
        axes.plot(steps, values, color=MUTED, linewidth=0.8, alpha=0.8)
    if interval is not None:
        axes.fill_between(steps, *np.array(interval, float).T, color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(steps, accuracy, color=BLUE, linewidth=2.2, marker="o", markersize=4)
    ends = {**{name: values[-1] for name, values in (recalls or {}).items()}, "all images": accuracy[-1]}
    low, high = axes.get_ylim()
    for name, (value, y) in _spread_labels(ends, (high - low) * 0.05).items():
        overall = name == "all images"
        axes.annotate(
            f"{name} {value:.0%}",
            (steps[-1], y),
            (7, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
            annotation_clip=False,
            color=BLUE if overall else INK,
            fontweight="bold" if overall else "normal",
        )
    axes.set_xticks(steps)
    axes.set(xlabel="glimpses", ylabel="accuracy (recall of an emotion)", ylim=(low, high))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return figure


def _spread_labels(ends, gap):
    """{name: (value, height of its label)}: labels in the order of their values, at least `gap` apart."""
    names = sorted((name for name in ends if np.isfinite(ends[name])), key=ends.get)
    heights = np.array([ends[name] for name in names], float)
    for _ in range(200):  # labels that are too close move apart, each by half of the missing distance
        overlap = np.maximum(gap - np.diff(heights), 0) / 2
        if not (overlap > gap / 1000).any():
            break
        heights[:-1] -= overlap
        heights[1:] += overlap
    return {name: (ends[name], height) for name, height in zip(names, heights, strict=True)}
