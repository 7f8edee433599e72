"""Several runs in one figure: a colour, a mark and a kind of line for each, so that no colour need be seen."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from edram_fer.figures.style import INK, MUTED, styled

# Okabe and Ito's colours (jfly.uni-koeln.de/color), which all common kinds of colour blindness tell apart.
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


def styles(names):
    """{name: (colour, mark, line)}; after seven runs the colours begin anew, with other marks and lines."""
    found = {}
    for index, name in enumerate(names):
        again, place = divmod(index, len(STYLES))
        found[name] = (STYLES[place][0], *STYLES[(place + again) % len(STYLES)][1:])
    return found


@styled
def dots(
    rows,
    names,
    groups,
    panels,
    *,
    group,
    value="value",
    panel=None,
    low="low",
    high="high",
    reference=None,
    percent=True,
    label=None,
    shared=True,
):
    """A panel for each quantity, in it a row for each group and a dot with its 95 % interval for each run.

    Args:
        rows: dicts with the key "run" and those named by the other arguments.
        names: of all runs, for their colours.
        groups: {value of the key `group`: name at the left}.
        panels: {value of the key `panel`: title}, from the left.
        group, panel, value, low, high: keys of the rows; where `group` is "run", each run has a row of its own. Where
            `panel` is None and a key holds "{}", the panel's value takes its place: one row tells several quantities.
        reference: a line across all panels.
        percent: values are shares; label: below the panels; shared: one scale for all panels.

    Returns: Figure.
    """
    look, names = styles(names), [name for name in names if any(row["run"] == name for row in rows)]
    count = len(names)
    shift = 0 if group == "run" else 0.7 / count
    height = 0.14 * (count if shift else 1) + 0.14
    figure = Figure(figsize=(max(4.6, 2.1 * len(panels) + 1.2), height * len(groups) + 0.95), layout="constrained")
    grid = figure.subplots(1, len(panels), sharex=shared, sharey=True, squeeze=False)[0]
    for axes, (key, title) in zip(grid, panels.items(), strict=True):
        if reference is not None:
            axes.axvline(reference, color=INK, linewidth=0.8, zorder=1)
        for index, name in enumerate(names):
            colour, mark, _ = look[name]
            own = [
                row
                for row in rows
                if row["run"] == name and row[group] in groups and (panel is None or row[panel] == key)
            ]
            own = [row for row in own if row.get(value.format(key)) is not None]
            place = [list(groups).index(row[group]) + (index - (count - 1) / 2) * shift for row in own]
            ends = [[row[end.format(key)] for row in own] for end in (low, high)]
            axes.hlines(place, *ends, color=colour, linewidth=2, alpha=0.5)
            axes.plot(
                [row[value.format(key)] for row in own],
                place,
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
def accuracy_curves(rows, names):
    """Accuracy after each glimpse with its 95 % interval; a run with one answer is a line across.

    Args:
        rows: of `comparison.score_tables.glimpse_accuracy_rows`; names: of the runs.
    """
    figure = Figure(figsize=(4.8, 3.1), layout="constrained")
    axes, look = figure.subplots(), styles(names)
    last = max(row["glimpses"] for row in rows)
    for name in names:
        own, (colour, mark, line) = [row for row in rows if row["run"] == name], look[name]
        steps, values, low, high = ([row[key] for row in own] for key in ("glimpses", "accuracy", "low", "high"))
        if len(own) == 1 < last:
            steps, values, low, high, mark = [1, last], values * 2, low * 2, high * 2, ""
        axes.fill_between(steps, low, high, color=colour, alpha=0.13, linewidth=0)
        axes.plot(steps, values, color=colour, marker=mark, linestyle=line, markersize=4.5, label=name)
    return _accuracy_over(figure, axes, "glimpses")


@styled
def exit_curves(curves, names):
    """Accuracy against the mean number of glimpses when a model stops as soon as it is sure, with 95 % intervals.

    Args:
        curves: {run: what `attention.early_exit.curve` gives}; names: of all runs, for their colours.
    """
    figure = Figure(figsize=(4.8, 3.1), layout="constrained")
    axes, look = figure.subplots(), styles(names)
    for name, found in curves.items():
        colour, mark, line = look[name]
        order = np.argsort(found["thresholds"])
        glimpses, accuracy = found["mean_glimpses"][order], found["accuracy"][order]
        axes.fill_between(glimpses, *found["accuracy_interval"][order].T, color=colour, alpha=0.13, linewidth=0)
        axes.plot(glimpses, accuracy, color=colour, linestyle=line, label=name)
        steps = 1 + np.arange(len(found["accuracy_after_glimpse"]))
        axes.plot(steps, found["accuracy_after_glimpse"], color=colour, marker=mark, markersize=4.5, linestyle="none")
    return _accuracy_over(figure, axes, "mean number of glimpses")


@styled
def robustness_curves(rows, names):
    """Accuracy under a growing black square and under a growing turn with its 95 % interval.

    Args:
        rows: of `studies.robustness.table_rows`, of one run or more; names: of all runs, for their colours.

    Returns: Figure; a dotted line is the accuracy of always saying the most frequent class.
    """
    figure = Figure(figsize=(7.6, 3.3), layout="constrained")
    panels, look = figure.subplots(1, 2, sharey=True), styles(names)
    asked = [name for name in names if any(row["run"] == name for row in rows)]
    for axes, change in zip(panels, ("occlusion", "rotation"), strict=True):
        for name in asked:
            own = [row for row in rows if (row["run"], row["perturbation"]) == (name, change)]
            colour, mark, line = look[name]
            levels, values, low, high = ([row[key] for row in own] for key in ("level", "accuracy", "low", "high"))
            axes.fill_between(levels, low, high, color=colour, alpha=0.13, linewidth=0)
            axes.plot(levels, values, color=colour, marker=mark, linestyle=line, markersize=4.5, label=name)
        for share in {row["majority_accuracy"] for row in rows}:
            axes.axhline(share, color=MUTED, linewidth=0.9, linestyle=":", zorder=1)
    first, second = panels
    # below the line: a model that has learned anything is above it where nothing is covered
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
    first.set(xlabel="its side, share of the image's", ylabel="accuracy", ylim=(0, 1))
    first.set_title("Black square")
    second.set(xlabel="degrees, either way")
    second.set_title("Turn")
    first.xaxis.set_major_formatter(PERCENT)
    first.yaxis.set_major_formatter(PERCENT)
    if len(names) > 1:
        _legend(figure, first)
    return figure


@styled
def glimpse_steps(rows, names, face):
    """Zoom, mean place and scatter of the windows by step.

    Args:
        rows: of `comparison.attention_tables.glimpse_rows`, those of all images; names: of all runs, for their colours.
        face: [H, W, C] in [0, 1], below the places.

    Returns: Figure of three panels: zoom (mean, sd as a band), the path of the mean places with the sd as bars, and the
        scatter of the centres inside the emotions and between their means, as standard deviations.
    """
    figure = Figure(figsize=(9.2, 3.1), layout="constrained")
    zoom, place, scatter = figure.subplots(1, 3)
    edge = 1 + 1 / (np.array(face.shape[1::-1]) - 1)  # -1 and 1 are the centres of the outermost pixels
    place.imshow(
        np.squeeze(face),
        cmap="gray",
        vmin=0,
        vmax=1,
        alpha=0.45,
        interpolation="bicubic",
        extent=(-edge[0], edge[0], edge[1], -edge[1]),
    )
    for index, (name, (colour, mark, line)) in enumerate(styles(names).items()):
        own = [row for row in rows if row["run"] == name]
        if not own:
            continue
        column = {key: np.array([row[key] for row in own]) for key in ("glimpse", "x", "y", "zoom", "x_sd", "y_sd")}
        sd, marks = np.array([row["zoom_sd"] for row in own]), {"color": colour, "marker": mark, "markersize": 4.5}
        zoom.fill_between(column["glimpse"], column["zoom"] - sd, column["zoom"] + sd, color=colour, alpha=0.15, lw=0)
        zoom.plot(column["glimpse"], column["zoom"], linestyle=line, label=name, **marks)
        bars = {"xerr": column["x_sd"], "yerr": column["y_sd"], "elinewidth": 0.8, "linestyle": line}
        place.errorbar(column["x"], column["y"], **bars, **marks)
        for step, x, y in zip(column["glimpse"], column["x"], column["y"], strict=True):
            aside = (5, 4) if index % 2 else (-5, -9)
            place.annotate(
                str(step),
                (x, y),
                aside,
                textcoords="offset points",
                fontsize=7,
                color=colour,
                ha="left" if index % 2 else "right",
                fontweight="bold",
            )
        for key, filled in (("variance_within", colour), ("variance_between", "white")):
            sds = [np.sqrt(max(row[key], 0)) for row in own]
            scatter.plot(column["glimpse"], sds, linestyle=line, markerfacecolor=filled, **marks)
    zoom.set(ylim=(0, None), ylabel="√area, share of the side", xlabel="glimpse")
    zoom.set_title("Zoom, ± sd")
    place.set(xlim=(-1, 1), ylim=(1, -1), aspect="equal", xlabel="x", ylabel="y, downwards")
    place.grid(False)
    place.set_title("Mean place on the face, ± sd")
    scatter.set(ylim=(0, None), ylabel="sd of the centre", xlabel="glimpse")
    scatter.set_title("Scatter: within ●, between ○")
    for axes in (zoom, scatter):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(figure, zoom)
    return figure


def _accuracy_over(figure, axes, glimpses):
    """Name both axes, put the legend, return the figure."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(PERCENT)
    axes.set(xlabel=glimpses, ylabel="accuracy")
    _legend(figure, axes)
    return figure


def _legend(figure, axes):
    """Above the panels, in as many columns as there is room for."""
    handles, labels = axes.get_legend_handles_labels()
    width = 0.6 + 0.065 * max(map(len, labels))  # of a column, inches
    columns = min(len(labels), 4, int(figure.get_figwidth() / width))
    figure.legend(handles, labels, loc="outside upper center", ncols=max(columns, 1))
