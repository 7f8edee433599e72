"""How far the confidence of predictions can be trusted: the reliability diagram and the risk-coverage curve."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from edram_fer.figures.style import BLUE, FAINT, INK, MUTED, ORANGE, styled


@styled
def reliability(
    bins: Sequence[Mapping[str, float]],
    uncalibrated: Sequence[Mapping[str, float]] | None = None,
    *,
    calibrated: bool = False,
) -> Figure:
    """Draw the accuracy against the mean confidence of each bin, above the number of images in it.

    Args:
        bins: from `evaluation.calibration.reliability`.
        uncalibrated: the bins before the temperature; None: they are not drawn.
        calibrated: whether the model has a temperature.
    """
    figure = Figure(figsize=(4.2, 4.4), layout="constrained")
    axes, counts = figure.subplots(2, sharex=True, height_ratios=(4, 1))
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--", label="perfect calibration")
    for values, colour, style, label in (
        (uncalibrated, ORANGE, "s:", "without temperature"),
        (bins, BLUE, "o-", "with temperature" if calibrated else "not calibrated"),
    ):
        if values is not None:
            points = np.array([(row["confidence"], row["accuracy"], row["images"]) for row in values])
            axes.plot(points[:, 0], points[:, 1], style, color=colour, markersize=4, label=label)
    for row in bins:
        counts.bar((row["low"] + row["high"]) / 2, row["images"], row["high"] - row["low"], color=BLUE, edgecolor=FAINT)
    axes.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
    counts.set(xlabel="confidence: the highest probability", ylabel="images")
    counts.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.legend(loc="upper left")
    return figure


@styled
def risk_coverage(coverage: np.ndarray, risk: np.ndarray, labelled: Sequence[float] = (0.5, 0.8, 1.0)) -> Figure:
    """Draw the error rate among the most confident images against their share.

    Args:
        coverage, risk: [n], from `evaluation.calibration.risk_coverage`.
        labelled: coverages whose error rate is written at the curve.
    """
    figure = Figure(figsize=(4.6, 3.1), layout="constrained")
    axes = figure.subplots()
    axes.plot(coverage, risk, color=BLUE, linewidth=2.2)
    axes.axhline(risk.mean(), color=MUTED, linewidth=1, linestyle="--", label=f"mean (AURC): {risk.mean():.3f}")
    for share in labelled:
        row = max(int(np.ceil(share * len(risk))) - 1, 0)
        axes.plot(coverage[row], risk[row], "o", color=BLUE, markeredgecolor="white", markersize=5)
        options: dict[str, Any] = {"textcoords": "offset points", "ha": "right", "fontsize": 7, "color": INK}
        axes.annotate(f"{risk[row]:.1%} wrong among {share:.0%}", (coverage[row], risk[row]), (-4, 6), **options)
    axes.set(
        xlim=(0, 1.02),
        ylim=(0, max(1.12 * risk.max(), 0.01)),
        xlabel="share of the images, the most confident first",
        ylabel="error rate",
    )
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.legend(loc="lower right")
    return figure
