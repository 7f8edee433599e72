"""Agreement of a model's maps and scan paths with human fixations, compared with the baselines."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from edram_fer.figures.style import BLUE, INK, MUTED, ORANGE, styled

MEASURES = {
    "nss": "NSS",
    "cc": "CC",
    "sim": "SIM",
    "kl": "KL, lower is better",
    "auc_judd": "AUC (Judd)",
    "auc_shuffled": "shuffled AUC",
    "scan_match": "ScanMatch",
    "multi_match_shape": "MultiMatch, shape",
    "multi_match_direction": "MultiMatch, direction",
    "multi_match_length": "MultiMatch, length",
    "multi_match_position": "MultiMatch, position",
}
PATH_MEASURES = tuple(name for name in MEASURES if "match" in name)
CANDIDATES = {
    "model": ("the model", BLUE),
    "shuffled": ("another image", MUTED),
    "random": ("random path", MUTED),
    "centre_bias": ("centre bias", MUTED),
    "mean_landmarks": ("the mean face", MUTED),
    "people": ("other people", ORANGE),
}
COLUMNS = 4


@styled
def agreement(result: Mapping[str, Any]) -> Figure:
    """Draw one panel per defined measure, with a dot and its 95 % interval for the model and each baseline.

    Args:
        result: from `edram_fer.attention.baselines.compare_with_fixations`.
    """
    candidates = defined_measures(result)
    names, measures = [*candidates], [*candidates["model"]]
    rows = -(-len(measures) // COLUMNS)
    figure = Figure(figsize=(2.3 * COLUMNS + 1.2, (0.2 * len(names) + 0.75) * rows), layout="constrained")
    grid = figure.subplots(rows, COLUMNS, sharey=True, squeeze=False).ravel()
    for axes, measure in zip(grid, measures):
        for row, name in enumerate(names):
            if summary := candidates[name].get(measure):
                colour = CANDIDATES[name][1]
                low, high = np.array(summary["interval"], float)  # None, in a file, is nan: nothing to draw
                axes.plot([low, high], [row, row], color=colour, linewidth=3, alpha=0.45, solid_capstyle="butt")
                axes.plot(summary["mean"], row, "o", color=colour, markersize=4.5)
        axes.set_title(MEASURES[measure], color=INK)
        axes.set_yticks(range(len(names)), [CANDIDATES[name][0] for name in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
    for axes in grid[len(measures) :]:
        axes.set_visible(False)
    return figure


def defined_measures(result: Mapping[str, Any]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """{candidate: {measure: {"mean", "interval", "images", ...}}} in the order of CANDIDATES and MEASURES, without
    undefined measures."""
    parts = [result["maps"], result["paths"] or {}]
    candidates = {}
    for name in CANDIDATES:
        summaries = {measure: summary for part in parts for measure, summary in part.get(name, {}).items()}
        defined = {measure: summaries[measure] for measure in MEASURES if summaries.get(measure, {}).get("images")}
        if defined:
            candidates[name] = defined
    return candidates
