"""Training curves from history.csv."""

import csv
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator, PercentFormatter

from edram_fer.attention.windows import COLLAPSED
from edram_fer.errors import MissingFileError, UserError
from edram_fer.figures.colours import step_colours
from edram_fer.figures.style import BLUE, MUTED, ORANGE, styled

ACCURACIES = ("emotion_accuracy", "accuracy")


def read_history(path: Path | str) -> dict[str, np.ndarray]:
    """Read history.csv as {column: float [epochs]}, nan where a cell is empty.

    Raises:
        MissingFileError: there is no such file.
        UserError: the file is empty or damaged; the message names it.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            names, *rows = csv.reader(file)
    except FileNotFoundError:
        raise MissingFileError(f"{path} is missing: the run has no training history") from None
    except (ValueError, csv.Error) as error:  # an empty file, or a file that is not text
        raise UserError(f"{path} is not a readable training history: {error}") from error
    if not rows:
        raise UserError(f"{path} is not a readable training history: no epochs")
    try:
        columns = zip(*([float(cell or "nan") for cell in row] for row in rows), strict=True)
        return {name: np.array(column) for name, column in zip(names, columns, strict=True)}
    except ValueError as error:  # a cell that is not a number, or a row of another length
        raise UserError(f"{path} is not a readable training history: {error}") from error


@styled
def curves(history: Mapping[str, np.ndarray], monitor: str = "val_loss") -> Figure:
    """Draw loss, accuracy and learning rate by epoch and, for models with glimpses, their zoom, position and spread.

    Args:
        history: {column: [epochs]} with the names of Keras' logs ("loss", "val_emotion_accuracy", "learning_rate") and
            of `training.metrics.WindowStatistics`, with or without "val_" ("val_glimpse_1_zoom_sd").
        monitor: the column that determined the best epoch; maximised if its name ends in "accuracy", otherwise
            minimised.

    Returns:
        Figure of one or two rows; a panel whose columns are absent is left out.
    """
    epochs = 1 + np.arange(len(next(iter(history.values()))))
    pattern = re.compile(r"(?:val_)?glimpse_(\d+)_zoom")
    steps = sorted({int(match[1]) for name in history if (match := pattern.fullmatch(name))})
    panels = [_loss, _accuracy, _rate] if "learning_rate" in history else [_loss, _accuracy]
    rows = [panels, [_zoom, _place, _spread][: len(panels)]] if steps else [panels]
    figure = Figure(figsize=(3.1 * len(panels), 2.35 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), len(panels), squeeze=False, sharex=True)
    best = _best(history, monitor)
    for axes, panel in zip(grid.flat, [panel for row in rows for panel in row], strict=True):
        panel(axes, history, epochs, steps)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if best is not None:
            axes.axvline(epochs[best], color=MUTED, linewidth=0.8, linestyle=":", zorder=0)
    if best is not None:
        text = {"xytext": (3, -2), "textcoords": "offset points", "va": "top", "fontsize": 7, "color": MUTED}
        grid[0, 0].annotate("best", (epochs[best], 1), xycoords=("data", "axes fraction"), **text)
    for axes in grid[-1]:
        axes.set_xlabel("epoch")
    return figure


def _best(history, monitor):
    """Index of the first best epoch; None where the column is absent or empty."""
    values = np.asarray(history.get(monitor, []), float)
    if not np.isfinite(values).any():
        return None
    return int(np.nanargmax(values) if monitor.endswith("accuracy") else np.nanargmin(values))


def _pair(axes, history, epochs, name):
    """Draw a quantity for training and for validation."""
    for column, label, colour in ((name, "training", ORANGE), (f"val_{name}", "validation", BLUE)):
        if column in history:
            axes.plot(epochs, history[column], color=colour, label=label)
    if axes.lines:
        axes.legend(loc="best")


def _loss(axes, history, epochs, steps):
    axes.set_title("Loss")
    _pair(axes, history, epochs, "loss")


def _accuracy(axes, history, epochs, steps):
    axes.set_title("Accuracy")
    present = [name for name in ACCURACIES if name in history or f"val_{name}" in history]
    _pair(axes, history, epochs, present[0] if present else ACCURACIES[0])
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def _rate(axes, history, epochs, steps):
    axes.set_title("Learning rate")
    axes.plot(epochs, history["learning_rate"], color=MUTED, drawstyle="steps-mid")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(LogFormatter())  # without mathematical text, see `style`
    axes.yaxis.set_minor_formatter(LogFormatter())


def _column(history, name):
    """The validation column of a glimpse statistic, or else the training column."""
    return history.get(f"val_{name}", history.get(name))


def _zoom(axes, history, epochs, steps):
    axes.set_title("Zoom of each glimpse, ± sd")
    for step, colour in zip(steps, step_colours(len(steps)), strict=True):
        mean, sd = _column(history, f"glimpse_{step}_zoom"), _column(history, f"glimpse_{step}_zoom_sd")
        axes.plot(epochs, mean, color=colour, label=str(step))
        if sd is not None:
            axes.fill_between(epochs, mean - sd, mean + sd, color=colour, alpha=0.15, linewidth=0)
    axes.set_ylabel("√area, fraction of the side")
    axes.set_ylim(bottom=0)
    axes.legend(ncols=3, title="glimpse", title_fontsize=7.5, columnspacing=1, handlelength=1.2)


def _place(axes, history, epochs, steps):
    axes.set_title("Mean position: x solid, y dashed")
    for step, colour in zip(steps, step_colours(len(steps)), strict=True):
        for axis, style in (("x", "-"), ("y", "--")):
            if (values := _column(history, f"glimpse_{step}_{axis}")) is not None:
                axes.plot(epochs, values, color=colour, linestyle=style, linewidth=1.3)
    axes.set_ylabel("-1 left, top; 1 right, bottom")


def _spread(axes, history, epochs, steps):
    axes.set_title("Spread of the centres")
    for step, colour in zip(steps, step_colours(len(steps)), strict=True):
        sds = [_column(history, f"glimpse_{step}_{axis}_sd") for axis in ("x", "y")]
        if all(sd is not None for sd in sds):
            axes.plot(epochs, np.sqrt(np.mean(np.square(sds), axis=0)), color=colour)
    axes.axhspan(0, COLLAPSED, color=MUTED, alpha=0.25, linewidth=0)
    axes.annotate(
        "collapsed",
        (1, COLLAPSED),
        (-2, 1),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=7,
        color=MUTED,
    )
    axes.set_ylabel("sd over the images")
    axes.set_ylim(bottom=0)
