"""How well maps and scan paths of models agree with people's, beside what knows nothing of the image."""

from matplotlib.figure import Figure

from edram_fer.figures.style import BLUE, INK, MUTED, ORANGE, styled

MEASURES = {
    "nss": "NSS",
    "cc": "CC",
    "sim": "SIM",
    "kl": "KL, less is better",
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
    "shuffled": ("on another image", MUTED),
    "centre_bias": ("the middle", MUTED),
    "mean_landmarks": ("the mean face", MUTED),
    "ceiling": ("other people", ORANGE),
}
COLUMNS = 4


@styled
def agreement(result):
    """A panel for each measure that is defined, a dot with its 95 % interval for the model and each of its baselines.

    Args:
        result: what `edram_fer.attention.baselines.compare_with_fixations` gives.

    Returns: Figure.
    """
    found = measured(result)
    names, measures = [*found], [*found["model"]]
    rows = -(-len(measures) // COLUMNS)
    figure = Figure(figsize=(2.3 * COLUMNS + 1.2, (0.2 * len(names) + 0.75) * rows), layout="constrained")
    grid = figure.subplots(rows, COLUMNS, sharey=True, squeeze=False).ravel()
    for axes, measure in zip(grid, measures):
        for row, name in enumerate(names):
            if told := found[name].get(measure):
                colour = CANDIDATES[name][1]
                axes.hlines(row, *told["interval"], color=colour, linewidth=3, alpha=0.45)
                axes.plot(told["mean"], row, "o", color=colour, markersize=4.5)
        axes.set_title(MEASURES[measure], color=INK)
        axes.set_yticks(range(len(names)), [CANDIDATES[name][0] for name in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
    for axes in grid[len(measures) :]:
        axes.set_visible(False)
    return figure


def measured(result):
    """{candidate: {measure: its "mean", "interval" and "images"}}, without what is not defined, in the order of both
    tables above."""
    parts = [result["maps"], result["paths"] or {}]
    found = {}
    for name in CANDIDATES:
        told = {key: value for part in parts for key, value in part.get(name, {}).items()}
        known = {key: told[key] for key in MEASURES if key in told and told[key]["images"]}
        if known:
            found[name] = known
    return found
