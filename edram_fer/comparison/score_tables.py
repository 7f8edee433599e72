"""The scores of several runs as tables whose rows are dicts, for CSV files and for the page."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from edram_fer import intervals
from edram_fer.attention import early_exit
from edram_fer.comparison.runs import Run, Runs
from edram_fer.evaluation import scores, seeds
from edram_fer.files import read_json
from edram_fer.run import layout
from edram_fer.studies import robustness

HEADLINE = ("accuracy", "mean_class_accuracy", "macro_f1")


def score_rows(runs: Runs) -> list[dict[str, Any]]:
    """One row per run: its model, size and speed where known, and its scores with their 95 % intervals."""
    rows = []
    for run in runs.runs:
        row = {
            "run": run.name,
            "model": run.info["model"],
            "parameters": run.info.get("parameters"),
            "flops": run.info.get("flops"),
            "seconds_per_image": run.info.get("seconds_per_image"),
            "images": run.scores["images"],
        }
        for name in HEADLINE:
            row[name] = run.scores[name]
            row[f"{name}_low"], row[f"{name}_high"] = run.scores["intervals"][name]
        row["ece"], row["ece_floor"] = run.scores["ece"], run.scores.get("calibration", {}).get("ece_floor")
        for dimension in scores.DIMENSIONS:
            row[f"{dimension}_ccc"] = run.scores.get(dimension, {}).get("ccc")
        rows.append(row)
    return rows


def split_rows(runs: Runs) -> list[dict[str, Any]]:
    """One row per run and evaluated split: the headline scores with their 95 % intervals.

    "average" describes the views over which the predictions are averaged; None for plain predictions.
    """
    rows = []
    for run in runs.runs:
        for split, split_scores in run.evaluated.metrics["splits"].items():
            row = {"run": run.name, "split": split, "images": split_scores["images"]}
            for name in HEADLINE:
                ends = ("low", "high") if name == "accuracy" else (f"{name}_low", f"{name}_high")
                row[name] = split_scores[name]
                row |= dict(zip(ends, split_scores["intervals"][name], strict=True))
            rows.append({**row, "average": run.evaluated.average(split)})
    return rows


def pair_rows(runs: Runs, *, repeats: int = 1000, seed: int = 0) -> list[dict[str, Any]]:
    """One row per run except the first: its differences from the first run on the same images.

    "p" is that of the exact test of the accuracies (`scores.p_value`: McNemar's, by subject where subjects are known),
    "p_holm" adjusted for the number of runs (`scores.holm`). The differences of the three headline scores have paired
    bootstrap intervals, 95 %, resampled by subject where subjects are known.
    """
    number = {name: index for index, name in enumerate(runs.emotions)}
    truth = np.array([number[name] for name in runs.truth])
    predictions = [np.array([number[name] for name in run.predictions["prediction"]]) for run in runs.runs]
    reference, options = runs.runs[0], {"subjects": runs.subjects, "repeats": repeats, "seed": seed}

    def headline(predicted, selected):
        return scores.headline(scores.confusion(truth[selected], predicted[selected], len(number)))

    rows = []
    for run, predicted in zip(runs.runs[1:], predictions[1:], strict=True):

        def gain(selected, predicted=predicted):
            run_scores, reference_scores = headline(predicted, selected), headline(predictions[0], selected)
            return {name: run_scores[name] - reference_scores[name] for name in HEADLINE}

        ends, difference = intervals.bootstrap(gain, len(truth), **options), gain(np.arange(len(truth)))
        test = scores.compare(run.correct, reference.correct, subjects=runs.subjects, repeats=1, seed=seed)
        row = {
            "run": run.name,
            "reference": reference.name,
            "only_this_correct": test["only_a"],
            "only_reference_correct": test["only_b"],
            "p": test["p"],
        }
        for name in HEADLINE:
            row[f"{name}_difference"] = difference[name]
            row[f"{name}_low"], row[f"{name}_high"] = ends[name].tolist()
        rows.append(row)
    for row, p in zip(rows, scores.holm([row["p"] for row in rows]).tolist(), strict=True):
        row["p_holm"] = p
    return rows


def group_rows(runs: Runs) -> list[dict[str, Any]]:
    """One row for each way of training, from `seeds.compare_groups`: runs whose recipes differ in the seed alone.

    A run without a seed, such as an exported file, or with the seed of another run, such as a second export of it, is
    no further sample of a way of training and stands alone. Groups have the name of their first run, without its seed.
    No rows if no two runs belong together.
    """
    by_seed: dict[str, dict[Any, Run]] = {}
    for run in runs.runs:
        recipe = _flatten(run.evaluated.recipe)
        seed, key = recipe.pop("seed", None), repr(recipe)
        if seed is None or seed in by_seed.get(key, {}):
            key = run.name
        by_seed.setdefault(key, {})[seed] = run
    groups = {key: [*members.values()] for key, members in by_seed.items()}
    if max(map(len, groups.values())) < 2:
        return []
    correct = {
        re.sub(r"[-/_]?seed=\d+$", "", members[0].name) or "recipe": np.stack([run.correct for run in members], axis=1)
        for members in groups.values()
    }
    if len(correct) < len(groups):  # without their seeds, names of different groups are equal
        correct = {members[0].name: np.stack([run.correct for run in members], axis=1) for members in groups.values()}
    return seeds.compare_groups(correct, subjects=runs.subjects)


def recall_rows(runs: Runs, *, repeats: int = 1000, seed: int = 0) -> list[dict[str, Any]]:
    """One row per run and emotion: recall with its 95 % interval, precision, F1 and number of images.

    The interval is Wilson's, or a bootstrap by subject where subjects are known. Runs but the first have "p" of the
    difference from the first run's recall (`scores.p_value`) and "p_holm", adjusted for all these runs and emotions.
    """
    rows, tested = [], []
    for run in runs.runs:
        for emotion in runs.present:
            members = np.flatnonzero(runs.truth == emotion)
            correct, reference = run.correct[members], runs.runs[0].correct[members]
            subjects = None if runs.subjects is None else np.asarray(runs.subjects, object)[members]
            row = {"run": run.name, "emotion": emotion, **run.scores["per_class"][emotion]}
            if intervals.groups(subjects, len(members)).max() + 1 == len(members):
                ends = intervals.wilson(correct.mean(), len(members))
            else:
                ends = intervals.bootstrap(
                    lambda drawn, correct=correct: {"recall": correct[drawn].mean()},
                    len(members),
                    subjects=subjects,
                    shares=("recall",),
                    repeats=repeats,
                    seed=seed,
                )["recall"]
            row["recall_low"], row["recall_high"] = ends.tolist()
            rows.append({**row, "p": None, "p_holm": None})
            if run is not runs.runs[0]:
                rows[-1]["p"] = scores.p_value(correct, reference, subjects)
                tested.append(rows[-1])
    for row, p in zip(tested, scores.holm([row["p"] for row in tested]).tolist(), strict=True):
        row["p_holm"] = p
    return rows


def glimpse_accuracy_rows(runs: Runs) -> list[dict[str, Any]]:
    """One row per run and step: the accuracy after it with its 95 % interval."""
    rows = []
    for run in runs.runs:
        accuracies = run.scores["accuracy_after_glimpse"]
        ends = run.scores["intervals"]["accuracy_after_glimpse"]
        for step, (accuracy, (low, high)) in enumerate(zip(accuracies, ends, strict=True), 1):
            rows.append({"run": run.name, "glimpses": step, "accuracy": accuracy, "low": low, "high": high})
    return rows


def early_exits(runs: Runs, *, repeats: int = 1000, seed: int = 0) -> dict[str, dict[str, Any]]:
    """{run: result of `attention.early_exit.curve`} of the recurrent runs."""
    number = {name: index for index, name in enumerate(runs.emotions)}
    truth = np.array([number[name] for name in runs.truth])
    options = {"subjects": runs.subjects, "repeats": repeats, "seed": seed}
    recurrent = [run for run in runs.runs if run.recurrent]
    return {run.name: early_exit.curve(truth, run.predictions["probabilities"], **options) for run in recurrent}


def early_exit_rows(curves: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """`early_exits` as rows: one per run and threshold."""
    rows = []
    for name, curve in curves.items():
        columns = (curve["thresholds"], curve["mean_glimpses"], curve["accuracy"], curve["accuracy_interval"])
        for threshold, glimpses, accuracy, (low, high) in zip(*columns, strict=True):
            row = {"run": name, "threshold": threshold, "mean_glimpses": glimpses, "accuracy": accuracy}
            rows.append({**row, "low": low, "high": high})
    return rows


def window_ablation_rows(runs: Runs) -> list[dict[str, Any]]:
    """One row per accuracy and contrast of each run with a window ablation on this split."""
    rows = []
    for run in runs.runs:
        study = _study_results(run, layout.WINDOW_ABLATION, runs.split)
        for kind in ("accuracy", "contrasts"):
            for name, result in study.get(kind, {}).items():
                low, high = result["interval"]
                row = {"run": run.name, "kind": kind, "windows": name, "value": result["value"]}
                rows.append({**row, "low": low, "high": high})
    return rows


def robustness_rows(runs: Runs) -> list[dict[str, Any]]:
    """`studies.robustness.table_rows` of each run whose robustness was measured on this split."""
    rows = []
    for run in runs.runs:
        if study := _study_results(run, layout.ROBUSTNESS, runs.split):
            rows += robustness.table_rows(study, run.name)
    return rows


def setting_rows(runs: Runs) -> list[dict[str, Any]]:
    """One row per setting that differs between the recipes: {"setting": name, run: value, ...}."""
    recipes = {run.name: _flatten(run.evaluated.recipe) for run in runs.runs}
    names = dict.fromkeys(name for recipe in recipes.values() for name in recipe)
    rows = [{"setting": name, **{run: recipe.get(name) for run, recipe in recipes.items()}} for name in names]
    return [row for row in rows if len({repr(row[run]) for run in recipes}) > 1]


def _study_results(run: Run, name: str, split: str) -> dict[str, Any]:
    """Content of a study's file in the run folder; {} if the study was not run on this split."""
    path = run.evaluated.folder / name
    content = read_json(path) if path.exists() else {}
    return content if content.get("split") == split else {}


def _flatten(recipe: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    result = {}
    for key, value in recipe.items():
        result |= _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return result
