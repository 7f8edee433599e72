"""The confusion matrix: row percentages in colour, with counts."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from edram_fer.evaluation.scores import row_normalised
from edram_fer.figures.style import FAINT, INK, SHARES, styled


@styled
def confusion(counts: np.ndarray, emotions: Sequence[str]) -> Figure:
    """Draw a confusion matrix.

    Each cell shows its percentage of the row and, below, the count. A class without images has an empty row.

    Args:
        counts: int [K, K]; rows are the truth, columns the prediction.
        emotions: K names.
    """
    counts = np.asarray(counts)
    shares, size = row_normalised(counts), len(emotions)
    longer = 0.06 * max(0, max(map(len, emotions)) - 10)  # inches, for names that are longer than those of the eight
    figure = Figure(figsize=(0.62 * size + 1.5 + longer, 0.5 * size + 0.9 + 0.6 * longer), layout="constrained")
    axes = figure.subplots()
    axes.grid(False)
    image = axes.imshow(np.nan_to_num(shares), cmap=SHARES, vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(size, size):
        share = shares[row, column]
        if np.isfinite(share):
            colour = "white" if share > 0.45 else INK
            axes.text(column, row - 0.03, f"{100 * share:.0f}", ha="center", va="bottom", fontsize=9, color=colour)
            count = f"{counts[row, column]:,}"
            axes.text(column, row + 0.1, count, ha="center", va="top", fontsize=6.5, alpha=0.8, color=colour)
    axes.set_xticks(range(size), emotions, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(size), [f"{name} ({n:,})" for name, n in zip(emotions, counts.sum(axis=1), strict=True)])
    axes.set(xlabel="prediction", ylabel="truth (images)")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    edges = np.arange(size + 1) - 0.5
    axes.hlines(edges, -0.5, size - 0.5, color=FAINT, linewidth=0.6)
    axes.vlines(edges, -0.5, size - 0.5, color=FAINT, linewidth=0.6)
    bar = figure.colorbar(image, ax=axes, aspect=28, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    bar.set_label("share of the row")
    return figure
