"""A grid of runs: one recipe with combinations of some settings and several seeds. Finished runs are skipped, and
stopped runs are resumed."""

import contextlib
import dataclasses
import functools
import itertools
import logging
import re
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from edram_fer import data, files
from edram_fer.errors import FolderInUseError, UserError
from edram_fer.evaluation import evaluate, seeds
from edram_fer.figures.run import draw
from edram_fer.preprocessing.folder_lock import reserved
from edram_fer.recipes import recipe as recipes
from edram_fer.recipes.recipe import AUTO, Recipe
from edram_fer.run import checkpoints, layout
from edram_fer.run.evaluated_run import EvaluatedRun
from edram_fer.training import loop

log = logging.getLogger(__name__)
TABLE, MEANS = "sweep.csv", "means.csv"
SCORES = ("accuracy", "mean_class_accuracy", "macro_f1")


def grid(
    name: str, vary: Mapping[str, Sequence[str]], seeds: int = 1, settings: Sequence[str] = ()
) -> dict[str, Recipe]:
    """All combinations of settings and seeds.

    Args:
        name: Name of a recipe.
        vary: Key of a setting, see `recipe.override`, -> its values as texts.
        seeds: Number of consecutive seeds, starting at the recipe's seed.
        settings: "key=value" settings for all runs.

    Returns:
        {folder name, such as "zoom_limit=0.5-seed=1": Recipe}, the seeds of a combination next to each other.

    Raises:
        UserError: The recipe, a key or a value is unknown, `vary` contains the seed, or a combination occurs twice.
    """
    if "seed" in vary:
        raise UserError(f"sweep: the seed cannot be varied: use --seeds instead of seed={','.join(vary['seed'])}")
    if seeds < 1:
        raise UserError(f"seeds: expected at least 1, got {seeds}")
    runs, base = {}, recipes.override(recipes.get(name), settings)
    for values in itertools.product(*vary.values()):
        combination = list(zip(vary, values, strict=True))
        varied = recipes.override(base, [f"{key}={text}" for key, text in combination])
        labels = [_label(key, recipes.parse_setting(key, text)) for key, text in combination]
        for seed in range(base.seed, base.seed + seeds):
            folder = "-".join([*labels, f"seed={seed}"])
            if folder in runs:
                raise UserError(f"sweep: {folder} occurs twice")
            runs[folder] = recipes.override(varied, [f"seed={seed}"])
    return runs


def sweep(
    runs: Mapping[str, Recipe],
    out: Path | str,
    *,
    splits: Sequence[str] = ("test",),
    data_dir: Path | str | None = None,
    only: Sequence[str] = (),
    retry: bool = True,
    verbose: Literal["auto", 0, 1, 2] = "auto",
) -> list[dict[str, Any]]:
    """Train and evaluate the runs of a `grid`, one after the other, each in a folder of its own in `out`.

    If a run fails, its row gives the reason, its folder keeps the traceback, and the next run begins. sweep.csv is
    rewritten after every run; means.csv, see `means`, is written at the end.

    Several processes, also on several machines that share `out`, can each do some of the runs: name these in `only`.

    Args:
        runs: Folder name -> Recipe, see `grid`.
        out: Folder of the run folders and the tables.
        splits: The splits that the runs are evaluated on.
        data_dir: Folder of prepared data sets.
        only: Train and evaluate only these runs, and write no tables; empty: all runs.
        retry: Whether runs that have failed before are tried again.
        verbose: See Keras' `fit`.

    Returns:
        The rows of sweep.csv: "run"; "status", "finished", "failed: ..." with the reason, or "in use: ..." if another
        process works on the run; and the `SCORES` of each split, or "traceback", the path of the traceback relative to
        `out`.

    Raises:
        UserError: A folder holds a run of another recipe, a model cannot be built, or `only` names a run that is not
            in the grid; raised before the first run.
        FolderInUseError: Another sweep of all runs is running in `out`.
        checkpoints.Interrupted: SIGTERM or Ctrl-C was received; the same call continues the sweep.
    """
    out = Path(out)
    if unknown := [name for name in only if name not in runs]:
        raise UserError(f"only: expected one of {', '.join(runs)}, got {unknown[0]}")
    runs = {name: runs[name] for name in only or runs}
    described = {
        source: data.describe(source, data_dir=data_dir) for source in {recipe.data for recipe in runs.values()}
    }
    runs = {folder: _resolve(out / folder, recipe, described[recipe.data]) for folder, recipe in runs.items()}
    _check_models(runs, described)
    files.check_writable(out)
    rows = []
    with contextlib.nullcontext() if only else reserved(out, "sweeping"):
        for number, (folder, recipe) in enumerate(runs.items(), 1):
            log.info("run %d of %d: %s", number, len(runs), out / folder)
            row = {"run": folder, **_finish(out / folder, recipe, splits, data_dir, retry, verbose)}
            log.info("%s: %s", folder, row["status"])
            rows.append(row)
            if not only:
                files.write_csv(out / TABLE, rows)
        if not only:
            files.write_csv(out / MEANS, means(rows, out))
    return rows


def means(rows: Sequence[Mapping[str, Any]], out: Path | str | None = None) -> list[dict[str, Any]]:
    """Average the rows of sweep.csv over the seeds.

    Args:
        rows: from `sweep`.
        out: the folder of the sweep, whose predictions the intervals need; None: without intervals.

    Returns:
        A row for each combination: "combination"; "runs", the number of finished runs; and for each score its mean,
        under the name of the score, and its sample standard deviation, under that name with "_sd". With `out` and
        two or more runs, also "SPLIT_accuracy_low" and "_high", the 95 % interval of the mean accuracy for other images
        and other seeds, and "SPLIT_accuracy_difference" with "_low" and "_high", the difference from the first
        combination if both were evaluated on the same images (`seeds.compare_groups`).
    """
    names = dict.fromkeys(name for row in rows for name in row if name.endswith(SCORES))
    combinations = {}
    for row in rows:
        combination = row["run"].rpartition("seed=")[0].rstrip("-") or "recipe"
        combinations.setdefault(combination, []).append(row)
    ends = {} if out is None else _intervals(combinations, Path(out))
    averaged = []
    for combination, members in combinations.items():
        finished = [row for row in members if row["status"] == "finished"]
        average = {"combination": combination, "runs": len(finished)}
        for name in names:
            values = [row[name] for row in finished if name in row]
            average[name] = float(np.mean(values)) if values else None
            average[f"{name}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
        averaged.append({**average, **ends.get(combination, {})})
    return averaged


def _intervals(combinations, out):
    """{combination: {"SPLIT_accuracy_low": ..., ...}} from the predictions of the finished runs."""
    groups = {}  # {(split, ids of its images): {combination: columns of correct answers}}
    subjects = {}
    for combination, rows in combinations.items():
        for row in (row for row in rows if row["status"] == "finished"):
            run = EvaluatedRun(out / row["run"])
            for split in run.splits:
                predictions = run.predictions(split)
                known = np.isin(predictions["truth"], predictions["emotions"])
                correct = (predictions["prediction"] == predictions["truth"])[known]
                key = split, tuple(predictions["id"][known].tolist())
                groups.setdefault(key, {}).setdefault(combination, []).append(correct)
                subjects[key] = None if predictions["subjects"] is None else predictions["subjects"][known]
    result = {}
    for key, columns in groups.items():
        compared = {name: np.stack(runs, axis=1) for name, runs in columns.items()}
        for row in seeds.compare_groups(compared, subjects=subjects[key]):
            names = ("low", "high", "difference", "difference_low", "difference_high")
            result.setdefault(row["group"], {}).update({f"{key[0]}_accuracy_{name}": row[name] for name in names})
    return result


def _label(key, value):
    """ "key=value" as a part of a folder name that is valid on every platform."""
    return re.sub(r'[<>:"/\\|?*]', "_", f"{key}={'none' if value is None else value}")


def _finish(run, recipe, splits, data_dir, retry, verbose):
    """Train and evaluate a run, unless that is already done; return the columns of its row except the first."""
    trace = run / layout.TRACEBACK
    failed = {"traceback": f"{run.name}/{layout.TRACEBACK}"}
    if not retry and trace.exists():
        return {"status": f"failed: {trace.read_text(encoding='utf-8').splitlines()[-1]}", **failed}
    try:
        with reserved(run, "sweeping"):
            _train_and_evaluate(run, recipe, splits, data_dir, verbose)
    except checkpoints.Interrupted:
        raise
    except FolderInUseError as error:
        return {"status": f"in use: {error}"}
    except Exception as error:  # any failure, even a bug, affects only this run: the others continue
        with files.replace(trace) as temporary:
            temporary.write_text(traceback.format_exc(), encoding="utf-8")
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        return {"status": f"failed: {reason}", **failed}
    trace.unlink(missing_ok=True)
    scores = layout.read_metrics(run / layout.METRICS)["splits"]
    return {
        "status": "finished",
        **{f"{split}_{name}": scores[split][name] for split in scores for name in SCORES},
    }


def _train_and_evaluate(run, recipe, splits, data_dir, verbose):
    keras.utils.clear_session()
    if (run / layout.RECIPE).exists():
        loop.resume(run, data_dir=data_dir, verbose=verbose)
    else:
        loop.train(recipe, run, data_dir=data_dir, verbose=verbose)
    if not _is_evaluated(run, splits):
        evaluate.evaluate(run, splits=splits, data_dir=data_dir)
    if not (run / layout.REGION_SHARES).exists():  # written last, and removed by an evaluation
        draw(run, functools.partial(EvaluatedRun(run).features, data_dir=data_dir))


def _is_evaluated(run, splits):
    """Whether metrics.json is newer than the model and has all splits."""
    metrics = run / layout.METRICS
    if not metrics.exists() or metrics.stat().st_mtime < (run / layout.MODEL).stat().st_mtime:
        return False
    return set(splits) <= set(layout.read_metrics(metrics)["splits"])


def _check_models(runs, described):
    """Build each model once, so that an invalid option is reported now and not hours later."""
    built = []
    for folder, recipe in runs.items():
        key = (recipe.data, recipe.model, recipe.emotions, recipe.options)
        if key in built:
            continue
        built.append(key)
        try:
            loop.build(recipe, described[recipe.data])
        except UserError as error:
            raise UserError(f"{folder}: {error}") from error
        except Exception as error:
            error.add_note(f"while building the model of {folder}")
            raise
    keras.utils.clear_session()


def _resolve(run, recipe, described):
    """The recipe as `loop.resolve` completes it, or as another machine did that began the run. UserError if the folder
    holds a run of another recipe."""
    if not (run / layout.RECIPE).exists():
        return loop.resolve(recipe, described)
    existing = checkpoints.read_recipe(run)
    if recipe.dtype == AUTO:
        recipe = dataclasses.replace(recipe, dtype=existing.dtype)
    recipe = loop.resolve(recipe, described)
    recorded = existing.to_json()
    for key, value in recipe.to_json().items():
        if recorded[key] != value:
            raise UserError(f"{run} holds a run of another recipe: expected {key} {value!r}, it has {recorded[key]!r}")
    return recipe
