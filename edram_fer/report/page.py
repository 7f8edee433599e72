"""report.html of a run: its scores, figures, recipe and environment in one self-contained file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from edram_fer import files
from edram_fer.errors import UserError
from edram_fer.evaluation import inference
from edram_fer.report.images import embed
from edram_fer.report.template import template
from edram_fer.run import layout
from edram_fer.run.evaluated_run import EvaluatedRun

FIXED = 1e-6  # spread of the centres, in [-1, 1], below which the rest is rounding
ATTRIBUTION_TITLES = ("Integrated gradients", "SmoothGrad", "Grad-CAM", "RISE")  # in the order of layout.ATTRIBUTIONS
SCORES = {
    "accuracy": ("Accuracy", "share of images classified correctly"),
    "mean_class_accuracy": ("Mean class accuracy", "mean recall over the emotions, with equal weights"),
    "macro_f1": ("Macro F1", "mean F1 over the emotions"),
    "ece": ("Calibration error", "expected difference between confidence and accuracy, 15 bins; 0 is best"),
}
CONFIDENCE = {
    "ece": ("Calibration error", "expected difference between confidence and accuracy, 15 bins of equal width"),
    "ece_floor": ("… of perfect calibration", "what chance alone makes of perfectly calibrated probabilities"),
    "ece_adaptive": ("Adaptive calibration error", "the same with 15 bins of equally many images"),
    "ece_adaptive_floor": ("… of perfect calibration", "what chance alone makes of perfectly calibrated probabilities"),
    "nll": ("Negative log-likelihood", "of the true emotion, in nats; lower is better"),
    "brier": ("Brier score", "squared distance of the probabilities from the truth, 0 to 2"),
    "aurc": ("AURC", "mean error rate over all shares of the most confident images"),
}
AFFECT = {
    "rmse": "RMSE",
    "pcc": "correlation",
    "ccc": "concordance (CCC)",
    "sagr": "sign agreement",
    "sagr_nonzero": "sign agreement without true zeros",
}


def write(folder: Path | str) -> Path:
    """Write report.html of an evaluated run.

    Figures that show faces are taken from the run's figures/; missing figures that need only numbers are drawn.

    Args:
        folder: the run folder.

    Returns:
        Path of the page.

    Raises:
        UserError: a file of the run is missing or damaged; the message names it.
        OSError: the folder cannot be written.
    """
    run = EvaluatedRun(folder)
    files.check_target(run.folder / layout.REPORT)
    if not all((run.folder / layout.FIGURES / split / layout.CONFUSION).exists() for split in run.splits):
        from edram_fer.figures.run import draw  # imports Matplotlib

        draw(run.folder)
    try:
        page = template("page.html").render(**_context(run))
    except UserError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, jinja2.UndefinedError) as error:
        raise UserError(
            f"{run.folder}: its files lack what a report shows, or hold something else: {error!r:.150}; evaluate the "
            f"run again"
        ) from error
    with files.replace(run.folder / layout.REPORT) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return run.folder / layout.REPORT


def _context(run: EvaluatedRun) -> dict[str, Any]:
    regions = _optional(run.folder / layout.REGION_SHARES)
    return {
        "run": {"calibration": None, **run.metrics["run"]},
        "calibration": inference.describe_calibration(run.metrics["run"].get("calibration")),
        "folder": str(run.folder),
        "splits": run.metrics["splits"],
        "parts": [_split_context(run, split, regions.get(split)) for split in run.splits],
        "figures": _figures(run.folder / layout.FIGURES, (*layout.RUN_FIGURES, *layout.STUDY_FIGURES)),
        "window_ablation": _optional(run.folder / layout.WINDOW_ABLATION),
        "window_gradients": _optional(run.folder / layout.WINDOW_GRADIENTS),
        "agreement": _optional(run.folder / layout.AGREEMENT),
        "studies": {
            Path(name).stem: _optional(run.folder / name)
            for name in (layout.OCCLUSION, layout.BUBBLES, layout.ROBUSTNESS, layout.REGION_WEIGHTS)
        },
        "attributions": _attributions(run.folder),
        "scores": SCORES,
        "affect": AFFECT,
        "confidence": CONFIDENCE,
        "recipe": _flatten(run.recipe),
        "monitor": run.recipe.get("monitor", "val_loss"),
        "environment": _flatten(_optional(run.folder / layout.ENVIRONMENT)),
    }


def _attributions(folder: Path) -> dict[str, tuple[str, dict[str, Any]]]:
    """{name of the figure: (title, numbers)} of the attribution methods that were used."""
    result = {}
    for method, title in zip(layout.ATTRIBUTIONS, ATTRIBUTION_TITLES, strict=True):
        numbers, _, figure = layout.attribution_files(method)
        if study := _optional(folder / numbers):
            result[Path(figure).stem] = (title, study)
    return result


def _split_context(run: EvaluatedRun, split: str, regions: Mapping[str, Any] | None) -> dict[str, Any]:
    scores = run.metrics["splits"][split]
    support = {emotion: row["support"] for emotion, row in scores["per_class"].items()}
    most_frequent, steps = max(support, key=support.__getitem__), len(scores["accuracy_after_glimpse"])
    return {
        "name": split,
        "of": run.data_split(split),
        "average": run.average(split),
        "scores": scores,
        "steps": steps,
        "recurrent": steps > 1,
        "chance": {"emotion": most_frequent, "share": support[most_frequent] / scores["images"]},
        "glimpses": _glimpse_rows(scores["glimpses"]),
        "collapsed": _collapsed_glimpses(scores["glimpses"]["collapsed"], run.recipe),
        "confusions": _confusions(scores["confusion"]),
        "figures": _figures(run.folder / layout.FIGURES / split, layout.SPLIT_FIGURES),
        "regions": regions,
    }


def _glimpse_rows(glimpses: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row per window: its mean position, size and spread, and the move that led to it."""
    rows = []
    for step in range(len(glimpses["area"])):
        total, between = sum(glimpses["variance"][step]), sum(glimpses["variance_between"][step])
        rows.append(
            {
                **{name: glimpses[name][step] for name in ("x", "y", "zoom", "zoom_sd", "area", "extents")},
                "spread": glimpses["spread"][step],
                "remark": _remark(glimpses["spread"][step], glimpses["collapsed"][step]),
                "by_class": between / total if total > 0 else None,
                "by_chance": glimpses.get("chance_between"),
                "move": glimpses["move_length"][step - 1] if step else None,
                "saccades": glimpses["saccade_share"][step - 1] if step else None,
            }
        )
    return rows


def _remark(spread: float, collapsed: bool) -> str:
    """What to say of the spread of a window; one that no image moves at all, such as a fixed crop, cannot collapse."""
    return " fixed" if spread < FIXED else " collapsed" if collapsed else ""


def _collapsed_glimpses(collapsed: Sequence[bool], recipe: Mapping[str, Any]) -> list[int]:
    """Numbers of the glimpses that look at the same position in every image, except those that are fixed by design."""
    forced = 1 if recipe.get("options", {}).get("first_glimpse") == "whole" else 0
    return [step + 1 for step, is_collapsed in enumerate(collapsed) if is_collapsed and step >= forced]


def _confusions(matrix: Mapping[str, Any], count: int = 3) -> list[tuple[str, str, float]]:
    """The most frequent confusions, as shares of the true emotion: [(truth, prediction, share)]."""
    pairs = [
        (truth, prediction, share)
        for truth, row in zip(matrix["emotions"], matrix["row_normalised"], strict=True)
        for prediction, share in zip(matrix["emotions"], row, strict=True)
        if truth != prediction and share
    ]
    return sorted(pairs, key=lambda pair: -pair[2])[:count]


def _figures(folder: Path, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    paths = [folder / name for name in names]
    return {path.stem: embed(path) for path in paths if path.exists()}


def _optional(path: Path) -> dict[str, Any]:
    return files.read_json(path) if path.exists() else {}


def _flatten(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Nested dicts, and lists of them (numbered from 1), as [(dotted name, text)]."""
    if isinstance(value, list) and any(isinstance(entry, (dict, list)) for entry in value):
        value = {number: entry for number, entry in enumerate(value, 1)}
    if isinstance(value, dict):
        parts = [_flatten(entry, f"{prefix}.{key}" if prefix else str(key)) for key, entry in value.items()]
        return [pair for part in parts for pair in part]
    text = ", ".join(map(str, value)) if isinstance(value, list) else "none" if value is None else str(value)
    return [(prefix, text)]
