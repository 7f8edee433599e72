"""A grid of runs: one recipe, some values of some settings, some seeds. What is finished is skipped, what was stopped
goes on."""

import functools
import itertools
import logging
from pathlib import Path

import keras
import numpy as np

from edram_fer import data, files, models
from edram_fer.errors import UserError
from edram_fer.evaluation import evaluate
from edram_fer.figures.run import draw
from edram_fer.recipes import recipe as recipes
from edram_fer.recipes.settings import parse_value
from edram_fer.run import checkpoints, layout
from edram_fer.run.evaluated_run import EvaluatedRun
from edram_fer.training import loop

log = logging.getLogger(__name__)
TABLE, MEANS = "sweep.csv", "means.csv"
SCORES = ("accuracy", "mean_class_accuracy", "macro_f1")


def grid(name, vary, seeds=1, settings=()):
    """All combinations of settings and seeds.

    Args:
        name: of a recipe.
        vary: {key as in recipe.override: [values as texts]}.
        seeds: how many, counted from the recipe's own.
        settings: "key=value" of all runs.

    Returns: {folder name, as "zoom_limit=0.5-seed=1": Recipe}, the seeds of a combination next to each other.

    Raises ValueError for an unknown recipe, key or value, a seed among the settings to vary, or a combination that
    comes twice.
    """
    if "seed" in vary:
        raise UserError(f"sweep: seed is not to be varied, expected --seeds, got seed={','.join(vary['seed'])}")
    if seeds < 1:
        raise UserError(f"seeds: expected at least 1, got {seeds}")
    runs, base = {}, recipes.override(recipes.get(name), settings)
    for values in itertools.product(*vary.values()):
        chosen = [f"{key}={parse_value(value)}" for key, value in zip(vary, values, strict=True)]
        for seed in range(base.seed, base.seed + seeds):
            folder = "-".join([*chosen, f"seed={seed}"]).replace("/", "_").replace("None", "none")
            if folder in runs:
                raise UserError(f"sweep: {folder} comes twice")
            runs[folder] = recipes.override(base, [*chosen, f"seed={seed}"])
    return runs


def sweep(runs, out, *, splits=("test",), data_dir=None, verbose="auto"):
    """Train and evaluate the runs of a `grid`, one after the other, each in a folder of its own in `out`.

    A run that ends in an error (a loss that is nan, a damaged checkpoint) becomes a row with that status, and the next
    begins. sweep.csv is written anew after every run, means.csv (mean and standard deviation over the seeds) at the
    end.

    Returns: the rows of sweep.csv: "run", "status" ("finished" or "failed: why"), and `SCORES` of each split.

    Raises:
        ValueError: a folder holds a run of another recipe, or no model can be built by one of the recipes; said before
            the first run begins.
        checkpoints.Interrupted: SIGTERM or Ctrl-C came; the same call goes on.
    """
    out = Path(out)
    for folder, recipe in runs.items():
        _check_same(out / folder, recipe)
    _check_models(runs, data_dir)
    rows = []
    for number, (folder, recipe) in enumerate(runs.items(), 1):
        log.info("run %d of %d: %s", number, len(runs), out / folder)
        row = {"run": folder, **_statement(out / folder, recipe, splits, data_dir, verbose)}
        log.info("%s: %s", folder, row["status"])
        rows.append(row)
        files.write_csv(out / TABLE, rows)
    files.write_csv(out / MEANS, means(rows))
    return rows


def means(rows):
    """Over the seeds of each combination: "runs" that are finished, and mean and sample deviation of each score."""
    names = [name for row in rows for name in row if name.endswith(SCORES)]
    groups = {}
    for row in rows:
        groups.setdefault(row["run"].rpartition("seed=")[0].rstrip("-") or "recipe", []).append(row)
    found = []
    for combination, members in groups.items():
        finished = [row for row in members if row["status"] == "finished"]
        line = {"combination": combination, "runs": len(finished)}
        for name in dict.fromkeys(names):
            values = [row[name] for row in finished]
            line[name] = float(np.mean(values)) if values else None
            line[f"{name}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
        found.append(line)
    return found


def _statement(run, recipe, splits, data_dir, verbose):
    """Train and evaluate as far as that is not done yet; the status and scores of one run."""
    try:
        keras.utils.clear_session()
        if (run / layout.RECIPE).exists():
            loop.resume(run, data_dir=data_dir, verbose=verbose)
        else:
            loop.train(recipe, run, data_dir=data_dir, verbose=verbose)
        if not _is_evaluated(run, splits):
            evaluate.evaluate(run, splits=splits, data_dir=data_dir)
            draw(run, functools.partial(EvaluatedRun(run).features, data_dir=data_dir))
    except (ValueError, FloatingPointError) as error:
        return {"status": f"failed: {error}"}
    scored = layout.read_metrics(run / layout.METRICS)["splits"]
    return {
        "status": "finished",
        **{f"{split}_{name}": scored[split][name] for split in scored for name in SCORES},
    }


def _is_evaluated(run, splits):
    """Whether metrics.json is younger than the model and has all splits."""
    metrics = run / layout.METRICS
    if not metrics.exists() or metrics.stat().st_mtime < (run / layout.MODEL).stat().st_mtime:
        return False
    return set(splits) <= set(layout.read_metrics(metrics)["splits"])


def _check_models(runs, data_dir):
    """Build each of the models once: what its options get wrong would else be found hours later."""
    seen = []
    for folder, recipe in runs.items():
        if (key := (recipe.data, recipe.model, recipe.emotions, recipe.options)) in seen:
            continue
        seen.append(key)
        about = data.describe(recipe.data, data_dir=data_dir)
        shape = {"image_size": tuple(about["image_size"]), "channels": about["channels"]}
        try:
            models.build(recipe.model, **shape, classes=len(recipe.classes), **recipe.options)
        except ValueError as error:
            raise UserError(f"{folder}: {error}") from error
    keras.utils.clear_session()


def _check_same(run, recipe):
    if not (run / layout.RECIPE).exists():
        return
    there = checkpoints.read_recipe(run).to_json()
    for key, value in recipe.to_json().items():
        if there[key] != value:
            raise UserError(f"{run} holds a run of another recipe: expected {key} {value!r}, it has {there[key]!r}")
