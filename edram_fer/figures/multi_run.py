"""Several runs in one figure: each has its own colour, marker and line style, so colour is never the only cue."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from edram_fer.figures.style import INK, MUTED, styled

# Okabe and Ito's colours (jfly.uni-koeln.de/color), distinguishable with all common kinds of colour blindness.
STYLES = [
    ("#0072b2", "o", "-"),
    ("#d55e00", "s", "--"),
    ("#009e73", "^", "-."),
    ("#cc79a7", "D", ":"),
    ("#56b4e9", "v", (0, (5, 1, 1, 1))),
    ("#e69f00", "P", (0, (1, 1))),
    ("#000000", "X", (0, (3, 1))),
]
PERCENT = FuncFormatter(lambda share, _: f"{100 * share:.4g}%")


def styles(names: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """{name: (colour, marker, line style)}; after seven runs the colours repeat with other markers and line styles."""
    result = {}
    for index, name in enumerate(names):
        round_, position = divmod(index, len(STYLES))
        result[name] = (STYLES[position][0], *STYLES[(position + round_) % len(STYLES)][1:])
    return result


@styled
def dots(
    rows: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    groups: Mapping[Any, str],
    panels: Mapping[str, str],
    *,
    group: str,
    value: str = "value",
    panel: str | None = None,
    low: str = "low",
    high: str = "high",
    reference: float | None = None,
    percent: bool = True,
    label: str | None = None,
    shared: bool = True,
) -> Figure:
    """Draw one panel per quantity, with one row per group and a dot with its 95 % interval for each run.

    Args:
        rows: dicts with the key "run" and the keys named by the other arguments.
        names: names of all runs, which determine their colours.
        groups: {value of the key `group`: label on the left}.
        panels: {value of the key `panel`: title}, from the left.
        group, panel, value, low, high: keys of the rows. If `group` is "run", each run has its own row. If `panel` is
            None, "{}" in a key stands for the panel's value: one row then holds several quantities.
        reference: position of a line across all panels; None: no line.
        percent: whether the values are fractions.
        label: text below the panels; None: no text.
        shared: whether all panels share one scale.
    """
    style, names = styles(names), [name for name in names if any(row["run"] == name for row in rows)]
    count = len(names)
    shift = 0 if group == "run" else 0.7 / count
    height = 0.14 * (count if shift else 1) + 0.14
    beside = max(1.2, 0.065 * max(map(len, groups.values())))  # inches, for the labels on the left
    figure = Figure(figsize=(max(4.6, 2.1 * len(panels) + beside), height * len(groups) + 0.95), layout="constrained")
    grid = figure.subplots(1, len(panels), sharex=shared, sharey=True, squeeze=False)[0]
    for axes, (key, title) in zip(grid, panels.items(), strict=True):
        if reference is not None:
            axes.axvline(reference, color=INK, linewidth=0.8, zorder=1)
        for index, name in enumerate(names):
            colour, mark, _ = style[name]
            selected = [
                row
                for row in rows
                if row["run"] == name
                and row[group] in groups
                and (panel is None or row[panel] == key)
                and row.get(value.format(key)) is not None
            ]
            heights = [list(groups).index(row[group]) + (index - (count - 1) / 2) * shift for row in selected]
            # None, an undefined interval, is nan: nothing to draw
            ends = np.array([[row[end.format(key)] for row in selected] for end in (low, high)], float)
            axes.hlines(heights, *ends, color=colour, linewidth=2, alpha=0.5)
            axes.plot(
                [row[value.format(key)] for row in selected],
                heights,
                color=colour,
                marker=mark,
                markersize=4.5,
                linestyle="none",
                label=name,
            )
        axes.set_title(title)
        axes.grid(axis="y", visible=False)
        axes.set_yticks(range(len(groups)), list(groups.values()))
        for edge in np.arange(len(groups) - 1) + 0.5:
            axes.axhline(edge, color=MUTED, linewidth=0.3, alpha=0.5)
        axes.set_ylim(len(groups) - 0.5, -0.5)
        if percent:
            axes.xaxis.set_major_formatter(PERCENT)
    _legend(figure, grid[0])
    if label:
        figure.supxlabel(label, fontsize=8)
    return figure


@styled
def accuracy_curves(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Figure:
    """Draw the accuracy after each glimpse with its 95 % interval; a run with one prediction is a horizontal line.

    Args:
        rows: from `comparison.score_tables.glimpse_accuracy_rows`.
        names: names of the runs.
    """
    figure = Figure(figsize=(4.8, 3.1), layout="constrained")
    axes, style = figure.subplots(), styles(names)
    last = max(row["glimpses"] for row in rows)
    for name in names:
        selected, (colour, mark, line) = [row for row in rows if row["run"] == name], style[name]
        steps, values, low, high = ([row[key] for row in selected] for key in ("glimpses", "accuracy", "low", "high"))
        if len(selected) == 1 < last:
            steps, values, low, high, mark = [1, last], values * 2, low * 2, high * 2, ""
        axes.fill_between(steps, *np.array([low, high], float), color=colour, alpha=0.13, linewidth=0)
        axes.plot(steps, values, color=colour, marker=mark, linestyle=line, markersize=4.5, label=name)
    return _accuracy_over(figure, axes, "glimpses")


@styled
def exit_curves(curves: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> Figure:
    """Draw accuracy against the mean number of glimpses when a model stops once it is confident, with 95 % intervals.

    Args:
        curves: {run: result of `attention.early_exit.curve`}.
        names: names of all runs, which determine their colours.
    """
    figure = Figure(figsize=(4.8, 3.1), layout="constrained")
    axes, style = figure.subplots(), styles(names)
    for name, curve in curves.items():
        colour, mark, line = style[name]
        order = np.argsort(curve["thresholds"])
        glimpses, accuracy = curve["mean_glimpses"][order], curve["accuracy"][order]
        axes.fill_between(glimpses, *curve["accuracy_interval"][order].T, color=colour, alpha=0.13, linewidth=0)
        axes.plot(glimpses, accuracy, color=colour, linestyle=line, label=name)
        steps = 1 + np.arange(len(curve["accuracy_after_glimpse"]))
        axes.plot(steps, curve["accuracy_after_glimpse"], color=colour, marker=mark, markersize=4.5, linestyle="none")
    return _accuracy_over(figure, axes, "mean number of glimpses")


@styled
def robustness_curves(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Figure:
    """Draw the accuracy under a growing black square and under growing rotation with its 95 % interval.

    A dotted line shows the accuracy of always predicting the most frequent class.

    Args:
        rows: from `studies.robustness.table_rows`, of one or more runs.
        names: names of all runs, which determine their colours.
    """
    figure = Figure(figsize=(7.6, 3.3), layout="constrained")
    panels, style = figure.subplots(1, 2, sharey=True), styles(names)
    present = [name for name in names if any(row["run"] == name for row in rows)]
    for axes, change in zip(panels, ("occlusion", "rotation"), strict=True):
        for name in present:
            selected = [row for row in rows if (row["run"], row["perturbation"]) == (name, change)]
            colour, mark, line = style[name]
            levels, values, low, high = ([row[key] for row in selected] for key in ("level", "accuracy", "low", "high"))
            axes.fill_between(levels, *np.array([low, high], float), color=colour, alpha=0.13, linewidth=0)
            axes.plot(levels, values, color=colour, marker=mark, linestyle=line, markersize=4.5, label=name)
        for share in {row["majority_accuracy"] for row in rows}:
            axes.axhline(share, color=MUTED, linewidth=0.9, linestyle=":", zorder=1)
    first, second = panels
    # Below the line, because the curve of a trained model starts above it.
    first.annotate(
        "always the most frequent class",
        (0.02, min(row["majority_accuracy"] for row in rows)),
        (0, -2),
        textcoords="offset points",
        xycoords=("axes fraction", "data"),
        va="top",
        fontsize=6.5,
        color=MUTED,
    )
    first.set(xlabel="side, fraction of the image side", ylabel="accuracy", ylim=(0, 1))
    first.set_title("Black square")
    second.set(xlabel="degrees, either direction")
    second.set_title("Rotation")
    first.xaxis.set_major_formatter(PERCENT)
    first.yaxis.set_major_formatter(PERCENT)
    if len(names) > 1:
        _legend(figure, first)
    return figure


@styled
def glimpse_steps(rows: Sequence[Mapping[str, Any]], names: Sequence[str], face: np.ndarray) -> Figure:
    """Draw zoom, mean position and scatter of the windows by step.

    Three panels: zoom (mean, sd as a band); the path of the mean positions with the sd as bars; and the scatter of the
    centres within emotions and between their means, as standard deviations.

    Args:
        rows: from `comparison.attention_tables.glimpse_rows`, only the rows for all images.
        names: names of all runs, which determine their colours.
        face: [H, W, C] in [0, 1], drawn below the positions.
    """
    figure = Figure(figsize=(9.2, 3.1), layout="constrained")
    zoom, position, scatter = figure.subplots(1, 3)
    edge = 1 + 1 / (np.array(face.shape[1::-1]) - 1)  # -1 and 1 are the centres of the outermost pixels
    position.imshow(
        np.squeeze(face),
        cmap="gray",
        vmin=0,
        vmax=1,
        alpha=0.45,
        interpolation="bicubic",
        extent=(-edge[0], edge[0], edge[1], -edge[1]),
    )
    for index, (name, (colour, mark, line)) in enumerate(styles(names).items()):
        selected = [row for row in rows if row["run"] == name]
        if not selected:
            continue
        column = {
            key: np.array([row[key] for row in selected]) for key in ("glimpse", "x", "y", "zoom", "x_sd", "y_sd")
        }
        sd, marks = np.array([row["zoom_sd"] for row in selected]), {"color": colour, "marker": mark, "markersize": 4.5}
        zoom.fill_between(column["glimpse"], column["zoom"] - sd, column["zoom"] + sd, color=colour, alpha=0.15, lw=0)
        zoom.plot(column["glimpse"], column["zoom"], linestyle=line, label=name, **marks)
        bars = {"xerr": column["x_sd"], "yerr": column["y_sd"], "elinewidth": 0.8, "linestyle": line}
        position.errorbar(column["x"], column["y"], **bars, **marks)
        for step, x, y in zip(column["glimpse"], column["x"], column["y"], strict=True):
            offset = (5, 4) if index % 2 else (-5, -9)
            position.annotate(
                str(step),
                (x, y),
                offset,
                textcoords="offset points",
                fontsize=7,
                color=colour,
                ha="left" if index % 2 else "right",
                fontweight="bold",
            )
        for key, filled in (("variance_within", colour), ("variance_between", "white")):
            sds = [np.sqrt(max(row[key], 0)) for row in selected]
            scatter.plot(column["glimpse"], sds, linestyle=line, markerfacecolor=filled, **marks)
    zoom.set(ylim=(0, None), ylabel="√area, fraction of the side", xlabel="glimpse")
    zoom.set_title("Zoom, ± sd")
    position.set(xlim=(-1, 1), ylim=(1, -1), aspect="equal", xlabel="x", ylabel="y, downwards")
    position.grid(False)
    position.set_title("Mean position on the face, ± sd")
    scatter.set(ylim=(0, None), ylabel="sd of the centre", xlabel="glimpse")
    scatter.set_title("Scatter: within ●, between ○")
    for axes in (zoom, scatter):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(figure, zoom)
    return figure


def _accuracy_over(figure, axes, glimpses):
    """Label both axes, add the legend, return the figure."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(PERCENT)
    axes.set(xlabel=glimpses, ylabel="accuracy")
    _legend(figure, axes)
    return figure


def _legend(figure, axes):
    """Add the legend above the panels, in as many columns as fit; further rows make the figure higher."""
    handles, labels = axes.get_legend_handles_labels()
    width = 0.6 + 0.065 * max(map(len, labels))  # of a column, inches
    columns = max(1, min(len(labels), 4, int(figure.get_figwidth() / width)))
    figure.set_figheight(figure.get_figheight() + 0.16 * (-(-len(labels) // columns) - 1))
    figure.legend(handles, labels, loc="outside upper center", ncols=columns)
