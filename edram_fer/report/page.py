"""report.html of a run: its scores, figures, recipe and environment in one file that needs nothing else."""

import base64
import importlib.resources
import io
import re
from pathlib import Path

import jinja2
from PIL import Image

from edram_fer import files, predictions
from edram_fer.evaluation import read_metrics
from edram_fer.figures import DPI

SCORES = {
    "accuracy": ("Accuracy", "share of pictures whose emotion is named right"),
    "mean_class_accuracy": ("Mean class accuracy", "mean recall of the emotions present: each counts the same"),
    "macro_f1": ("Macro F1", "mean F1 over the emotions"),
    "ece": ("Calibration error", "how far confidence is from accuracy, 15 bins; 0 is best"),
}
PIXELS_PER_INCH = 112
AFFECT = {"rmse": "RMSE", "pcc": "correlation", "ccc": "concordance (CCC)", "sagr": "sign agreement"}


def write(run):
    """Write report.html of an evaluated run folder.

    Heat maps and samples are taken from figures/, where evaluation drew them; what can be drawn from the numbers
    alone is drawn anew when it is missing.

    Returns: path of the page.

    Raises FileNotFoundError or ValueError naming the file of the run that is missing or damaged.
    """
    run = Path(run)
    metrics = read_metrics(run / "metrics.json")
    predictions.read(run / "predictions.parquet")  # a damaged table is an error even where its figures are there
    if not (run / "figures" / "confusion.svg").exists():
        from edram_fer.figures.run import draw  # Matplotlib only where something is drawn

        draw(run)
    try:
        page = _template().render(**_context(run, metrics))
    except (jinja2.UndefinedError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{run / 'metrics.json'} is damaged or incomplete: {error}") from error
    with files.replace(run / "report.html") as temporary:
        temporary.write_text(page, encoding="utf-8")
    return run / "report.html"


def _template():
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": _percent, "number": _number}
    text = importlib.resources.files("edram_fer.report").joinpath("page.html").read_text(encoding="utf-8")
    return environment.from_string(text)


def _context(run, metrics):
    name, first = next(iter(metrics["splits"].items()))
    recipe, steps = files.read_json(run / "recipe.json"), len(first["accuracy_after_glimpse"])
    support = {emotion: row["support"] for emotion, row in first["per_class"].items()}
    common = max(support, key=support.get)
    return {
        "run": metrics["run"],
        "splits": metrics["splits"],
        "name": name,
        "first": first,
        "steps": steps,
        "chance": {"emotion": common, "share": support[common] / first["pictures"]},
        "scores": SCORES,
        "affect": AFFECT,
        "glimpses": _glimpse_rows(first["glimpses"]),
        "collapsed": _collapsed(first["glimpses"]["collapsed"], recipe),
        "recurrent": steps > 1,
        "confusions": _confusions(first["confusion"]),
        "figures": {path.stem: _embedded(path) for path in sorted((run / "figures").glob("*.*"))},
        "recipe": _flat(recipe),
        "monitor": recipe.get("monitor", "val_loss"),
        "environment": _flat(_optional(run / "environment.json")),
    }


def _glimpse_rows(glimpses):
    """One dict for each window: its mean place, size and spread, and the move that led to it."""
    rows = []
    for step in range(len(glimpses["area"])):
        statistics = {key: glimpses["statistics"][f"{key}_{step + 1}"] for key in ("x", "y", "zoom")}
        overall, between = sum(glimpses["overall"][step]), sum(glimpses["between"][step])
        rows.append({
            **statistics,
            "zoom_sd": glimpses["statistics"][f"zoom_{step + 1}_sd"],
            "area": glimpses["area"][step],
            "extents": glimpses["extents"][step],
            "spread": glimpses["spread"][step],
            "collapsed": glimpses["collapsed"][step],
            "by_class": between / overall if overall > 0 else None,
            "move": glimpses["moves"][step - 1] if step else None,
            "saccades": glimpses["saccades"][step - 1] if step else None,
        })
    return rows


def _collapsed(collapsed, recipe):
    """Numbers of the glimpses that look at the same place of every picture, but are not made to."""
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


def _embedded(path):
    """A figure as {"uri": data address, "width": CSS pixels at which its letters are as large as the page's small
    print}.

    Pictures are stored as WebP: a tenth of the bytes of a PNG, and no visible loss.
    """
    content = path.read_bytes()
    if path.suffix == ".svg":
        kind, points = "svg+xml", re.search(rb'<svg[^>]* width="([\d.]+)pt"', content)
        inches = float(points[1]) / 72 if points else 6
    else:
        try:
            picture, packed = Image.open(path).convert("RGB"), io.BytesIO()
        except OSError as error:
            raise ValueError(f"{path} is not a readable picture: {error}") from error
        picture.save(packed, "WEBP", quality=90)
        kind, inches, content = "webp", picture.width / DPI, packed.getvalue()
    uri = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return {"uri": uri, "width": round(inches * PIXELS_PER_INCH)}


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


def _percent(value, digits=1):
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def _number(value, digits=3):
    return "–" if value is None else f"{round(value, digits) + 0:.{digits}f}"  # + 0: no minus before a zero
