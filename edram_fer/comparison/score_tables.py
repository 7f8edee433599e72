"""What the runs scored: tables whose rows are dicts, for a CSV file and for a page."""

import numpy as np
from scipy.stats import binomtest

from edram_fer import intervals
from edram_fer.attention import early_exit
from edram_fer.evaluation import scores
from edram_fer.files import read_json
from edram_fer.run import layout
from edram_fer.studies import robustness

HEADLINE = ("accuracy", "mean_class_accuracy", "macro_f1")


def score_rows(runs):
    """A row for each run: its model, its size and speed where they are known, its scores and their 95 % intervals."""
    rows = []
    for run in runs.runs:
        row = {
            "run": run.name,
            "model": run.info["model"],
            "parameters": run.info.get("parameters"),
            "operations": run.info.get("operations"),
            "seconds_per_image": run.info.get("seconds_per_image"),
            "images": run.scores["images"],
        }
        for name in HEADLINE:
            row[name] = run.scores[name]
            row[f"{name}_low"], row[f"{name}_high"] = run.scores["intervals"][name]
        row["ece"] = run.scores["ece"]
        for dimension in scores.DIMENSIONS:
            row[f"{dimension}_ccc"] = run.scores.get(dimension, {}).get("ccc")
        rows.append(row)
    return rows


def split_rows(runs):
    """A row for each run and each split that it was evaluated on: its headline scores and their 95 % intervals.

    `average`: of what views its predictions are averages, a phrase, or None.
    """
    rows = []
    for run in runs.runs:
        for split, told in run.evaluated.metrics["splits"].items():
            row = {"run": run.name, "split": split, "images": told["images"]}
            for name in HEADLINE:
                ends = ("low", "high") if name == "accuracy" else (f"{name}_low", f"{name}_high")
                row[name] = told[name]
                row |= dict(zip(ends, told["intervals"][name], strict=True))
            rows.append({**row, "average": run.evaluated.average(split)})
    return rows


def pair_rows(runs, *, repeats=1000, seed=0):
    """A row for each run but the first: how it differs from the first on the same images.

    McNemar's exact two-sided test of the accuracies (`scores.compare`), and paired bootstraps, 95 %, of the differences
    of all three headline scores; by subject where subjects are known.
    """
    number = {name: index for index, name in enumerate(runs.emotions)}
    truth = np.array([number[name] for name in runs.truth])
    said = [np.array([number[name] for name in run.predictions["prediction"]]) for run in runs.runs]
    options = {"subjects": runs.subjects, "repeats": repeats, "seed": seed}

    def headline(predicted, rows):
        return scores.headline(scores.confusion(truth[rows], predicted[rows], len(number)))

    result = []
    for run, predicted in zip(runs.runs[1:], said[1:], strict=True):

        def gain(rows, predicted=predicted):
            own, first = headline(predicted, rows), headline(said[0], rows)
            return {name: own[name] - first[name] for name in HEADLINE}

        ends, whole = intervals.bootstrap(gain, len(truth), **options), gain(np.arange(len(truth)))
        found = scores.compare(run.correct, runs.runs[0].correct, subjects=runs.subjects, repeats=1, seed=seed)
        row = {"run": run.name, "first": runs.runs[0].name}
        row |= {
            "only_this_correct": found["only_a"],
            "only_reference_correct": found["only_b"],
            "mcnemar_p": found["p"],
        }
        for name in HEADLINE:
            row[f"{name}_difference"] = whole[name]
            row[f"{name}_low"], row[f"{name}_high"] = ends[name].tolist()
        result.append(row)
    return result


def recall_rows(runs):
    """A row for each run and emotion: recall with its 95 % interval (Wilson's), precision, F1 and images."""
    rows = []
    for run in runs.runs:
        for emotion in runs.present:
            own = run.scores["per_class"][emotion]
            right = int((run.correct & (runs.truth == emotion)).sum())
            ends = binomtest(right, own["support"]).proportion_ci(method="wilson")
            rows.append({"run": run.name, "emotion": emotion, **own, "recall_low": ends.low, "recall_high": ends.high})
    return rows


def glimpse_accuracy_rows(runs):
    """A row for each run and step: the accuracy after it."""
    rows = []
    for run in runs.runs:
        told = zip(run.scores["accuracy_after_glimpse"], run.scores["intervals"]["accuracy_after_glimpse"], strict=True)
        for step, (value, (low, high)) in enumerate(told, 1):
            rows.append({"run": run.name, "glimpses": step, "accuracy": value, "low": low, "high": high})
    return rows


def early_exits(runs, *, repeats=1000, seed=0):
    """{run: what `attention.early_exit.curve` gives} of the recurrent ones."""
    number = {name: index for index, name in enumerate(runs.emotions)}
    truth = np.array([number[name] for name in runs.truth])
    options = {"subjects": runs.subjects, "repeats": repeats, "seed": seed}
    recurrent = [run for run in runs.runs if run.recurrent]
    return {run.name: early_exit.curve(truth, run.predictions["probabilities"], **options) for run in recurrent}


def early_exit_rows(curves):
    """A row for each run and threshold."""
    rows = []
    for name, found in curves.items():
        columns = (found["thresholds"], found["mean_glimpses"], found["accuracy"], found["accuracy_interval"])
        for threshold, glimpses, accuracy, (low, high) in zip(*columns, strict=True):
            row = {"run": name, "threshold": threshold, "mean_glimpses": glimpses, "accuracy": accuracy}
            rows.append({**row, "low": low, "high": high})
    return rows


def window_ablation_rows(runs):
    """A row for each accuracy and contrast of the runs that were asked, on this split, whether looking matters."""
    rows = []
    for run in runs.runs:
        told = _asked(run, layout.WINDOW_ABLATION, runs.split)
        for kind in ("accuracy", "contrasts"):
            for name, found in told.get(kind, {}).items():
                low, high = found["interval"]
                rows.append({"run": run.name, "kind": kind, "windows": name, "value": found["value"]})
                rows[-1] |= {"low": low, "high": high}
    return rows


def robustness_rows(runs):
    """`studies.robustness.table_rows` of each run that was asked, on this split, about changed images."""
    asked = {run.name: _asked(run, layout.ROBUSTNESS, runs.split) for run in runs.runs}
    return [row for name, told in asked.items() if told for row in robustness.table_rows(told, name)]


def setting_rows(runs):
    """A row for each setting of the recipes that is not the same in all runs: {"setting", run: value, ...}."""
    recipes = {run.name: _flat(run.evaluated.recipe) for run in runs.runs}
    names = dict.fromkeys(name for recipe in recipes.values() for name in recipe)
    rows = [{"setting": name, **{run: recipe.get(name) for run, recipe in recipes.items()}} for name in names]
    return [row for row in rows if len({repr(row[run]) for run in recipes}) > 1]


def _asked(run, name, split):
    """Content of the file of a study of a run, {} where there is none of this split."""
    path = run.evaluated.folder / name
    told = read_json(path) if path.exists() else {}
    return told if told.get("split") == split else {}


def _flat(recipe, prefix=""):
    result = {}
    for key, value in recipe.items():
        result |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return result
