"""report.html of a run: its scores, figures, recipe and environment in one file that needs nothing else."""

from pathlib import Path

import jinja2

from edram_fer import files
from edram_fer.errors import UserError
from edram_fer.report.images import embedded
from edram_fer.report.template import template
from edram_fer.run import layout
from edram_fer.run.evaluated_run import EvaluatedRun

SCORES = {
    "accuracy": ("Accuracy", "share of images whose emotion is classified correctly"),
    "mean_class_accuracy": ("Mean class accuracy", "mean recall of the emotions present: each counts the same"),
    "macro_f1": ("Macro F1", "mean F1 over the emotions"),
    "ece": ("Calibration error", "how far confidence is from accuracy, 15 bins; 0 is best"),
}
AFFECT = {"rmse": "RMSE", "pcc": "correlation", "ccc": "concordance (CCC)", "sagr": "sign agreement"}


def write(run):
    """Write report.html of an evaluated run folder.

    What shows faces is taken from figures/, where evaluation drew it; what can be drawn from the numbers alone is
    drawn anew when it is missing.

    Returns: path of the page.

    Raises FileNotFoundError or ValueError naming the file of the run that is missing or damaged.
    """
    run = EvaluatedRun(run)
    if not all((run.folder / layout.FIGURES / split / layout.CONFUSION).exists() for split in run.splits):
        from edram_fer.figures.run import draw  # Matplotlib only where something is drawn

        draw(run.folder)
    try:
        page = template("page.html").render(**_context(run))
    except (jinja2.UndefinedError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise UserError(f"{run.folder / layout.METRICS} is damaged or incomplete: {error}") from error
    with files.replace(run.folder / layout.REPORT) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return run.folder / layout.REPORT


def _context(run):
    regions = _optional(run.folder / layout.REGION_SHARES)
    return {
        "run": run.metrics["run"],
        "folder": str(run.folder),
        "splits": run.metrics["splits"],
        "parts": [_of_split(run, split, regions.get(split)) for split in run.splits],
        "figures": _figures(run.folder / layout.FIGURES, (*layout.RUN_FIGURES, *layout.STUDY_FIGURES)),
        "window_ablation": _optional(run.folder / layout.WINDOW_ABLATION),
        "agreement": _optional(run.folder / layout.AGREEMENT),
        "studies": {
            Path(name).stem: _optional(run.folder / name)
            for name in (layout.OCCLUSION, layout.BUBBLES, layout.ROBUSTNESS, layout.REGION_WEIGHTS)
        },
        "scores": SCORES,
        "affect": AFFECT,
        "recipe": _flat(run.recipe),
        "monitor": run.recipe.get("monitor", "val_loss"),
        "environment": _flat(_optional(run.folder / layout.ENVIRONMENT)),
    }


def _of_split(run, split, regions):
    scores = run.metrics["splits"][split]
    support = {emotion: row["support"] for emotion, row in scores["per_class"].items()}
    common, steps = max(support, key=support.get), len(scores["accuracy_after_glimpse"])
    return {
        "name": split,
        "of": run.data_split(split),
        "average": run.average(split),
        "scores": scores,
        "steps": steps,
        "recurrent": steps > 1,
        "chance": {"emotion": common, "share": support[common] / scores["images"]},
        "glimpses": _glimpse_rows(scores["glimpses"]),
        "collapsed": _collapsed(scores["glimpses"]["collapsed"], run.recipe),
        "confusions": _confusions(scores["confusion"]),
        "figures": _figures(run.folder / layout.FIGURES / split, layout.SPLIT_FIGURES),
        "regions": regions,
    }


def _glimpse_rows(glimpses):
    """One dict for each window: its mean place, size and spread, and the move that led to it."""
    rows = []
    for step in range(len(glimpses["area"])):
        statistics = {key: glimpses["statistics"][f"{key}_{step + 1}"] for key in ("x", "y", "zoom")}
        overall, between = sum(glimpses["variance"][step]), sum(glimpses["variance_between"][step])
        rows.append(
            {
                **statistics,
                "zoom_sd": glimpses["statistics"][f"zoom_{step + 1}_sd"],
                "area": glimpses["area"][step],
                "extents": glimpses["extents"][step],
                "spread": glimpses["spread"][step],
                "collapsed": glimpses["collapsed"][step],
                "by_class": between / overall if overall > 0 else None,
                "move": glimpses["moves"][step - 1] if step else None,
                "saccades": glimpses["saccades"][step - 1] if step else None,
            }
        )
    return rows


def _collapsed(collapsed, recipe):
    """Numbers of the glimpses that look at the same place of every image, but are not made to."""
    fixed = 1 if recipe.get("options", {}).get("first_glimpse") == "whole" else 0
    return [step + 1 for step, found in enumerate(collapsed) if found and step >= fixed]


def _confusions(matrix, count=3):
    """The most frequent mistakes as a share of their true emotion: [(truth, prediction, share)]."""
    pairs = [
        (truth, prediction, share)
        for truth, row in zip(matrix["emotions"], matrix["row_shares"], strict=True)
        for prediction, share in zip(matrix["emotions"], row, strict=True)
        if truth != prediction and share
    ]
    return sorted(pairs, key=lambda pair: -pair[2])[:count]


def _figures(folder, names):
    paths = [folder / name for name in names]
    return {path.stem: embedded(path) for path in paths if path.exists()}


def _optional(path):
    return files.read_json(path) if path.exists() else {}


def _flat(value, prefix=""):
    """Nested dicts, and lists of them (counted from 1), as [(dotted name, text)]."""
    if isinstance(value, list) and any(isinstance(entry, (dict, list)) for entry in value):
        value = {number: entry for number, entry in enumerate(value, 1)}
    if isinstance(value, dict):
        parts = [_flat(entry, f"{prefix}.{key}" if prefix else str(key)) for key, entry in value.items()]
        return [pair for part in parts for pair in part]
    text = ", ".join(map(str, value)) if isinstance(value, list) else "none" if value is None else str(value)
    return [(prefix, text)]
