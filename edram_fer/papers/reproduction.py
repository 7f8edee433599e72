"""Repeat the experiments of a paper whose data are there, and say of the others how to get their data."""

import csv
import dataclasses
import importlib.util
import logging
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from edram_fer import data, files
from edram_fer.errors import MissingFileError, UserError
from edram_fer.evaluation import evaluate
from edram_fer.papers.paper import NAMES, SINGLE, Benchmark, Experiment, Paper, Value, get
from edram_fer.preprocessing import datasets
from edram_fer.run import checkpoints, evaluation_folder, layout
from edram_fer.studies import sweep
from edram_fer.studies.observer import Observer
from edram_fer.studies.people import People, compare_with_people
from edram_fer.studies.region_weights import region_weights
from edram_fer.studies.saliency.occlusion import compute_occlusion_maps
from edram_fer.studies.window_ablation import ablate_windows

log = logging.getLogger(__name__)
FINISHED, MISSING = "finished", "data missing"
CHECKOUT = Path(__file__).resolve().parents[2]  # the folder of benchmarks/, unless the package is installed without it
ARGUMENTS = "arguments.json"  # of a benchmark, beside its result
IMAGES = 140  # of the studies that take long for an image, balanced over the classes
QUICK_IMAGES = 7

Study = Callable[..., Any]
# Name: what the study writes last, and how it is made of a run, its split, the folder of the data, and `quick`.
STUDIES: Mapping[str, tuple[str, Study]] = {
    "window_ablation": (
        layout.WINDOW_ABLATION,
        lambda run, split, data_dir, quick: ablate_windows(
            run, split=split, data_dir=data_dir, draws=1 if quick else 10
        ),
    ),
    "saliency": (
        layout.OCCLUSION,
        lambda run, split, data_dir, quick: compute_occlusion_maps(_observer(run, split, data_dir, quick)),
    ),
    "region_weights": (
        layout.REGION_WEIGHTS,
        lambda run, split, data_dir, quick: region_weights(_observer(run, split, data_dir, quick)),
    ),
}


@dataclasses.dataclass(frozen=True)
class Result:
    """A number of the paper beside ours.

    Attributes:
        published: What the paper reports.
        obtained: Ours, the mean over the seeds; None: not obtained.
        interval: (low, high), 95 %: for other images with one seed; for other images and seeds with several, where
            `studies.sweep.means` has it.
        seeds: Number of runs.
    """

    published: Value
    obtained: float | None = None
    interval: tuple[float, float] | None = None
    seeds: int = 0


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of an experiment.

    Attributes:
        experiment: The experiment.
        status: "finished"; "data missing", with how to get them; or why it failed.
        results: One for each value of the paper.
        runs: {combination: folders of its runs}, the finished ones.
        seconds: Of training, all runs together.
        notes: Sentences, such as on studies that failed.
        people: The comparison of the runs with people's gaze.
    """

    experiment: Experiment | Benchmark
    status: str
    results: list[Result]
    runs: dict[str, list[Path]] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    notes: list[str] = dataclasses.field(default_factory=list)
    people: People | None = None


def check(paper: Paper, data_dir: Path | str | None = None) -> list[Outcome]:
    """What `reproduce` would do: the outcomes of all experiments without runs, "ready" where the data are there."""
    return [_outcome(experiment, _missing(experiment, data_dir) or "ready") for experiment in paper.experiments]


def reproduce(
    paper: Paper,
    out: Path | str,
    *,
    data_dir: Path | str | None = None,
    sources: Mapping[str, Path | str] | None = None,
    only: Sequence[str] = (),
    settings: Sequence[str] = (),
    seeds: int = 1,
    quick: bool = False,
    fixations: Path | str | None = None,
    done: Callable[[list[Outcome]], object] = lambda outcomes: None,
    report: Callable[[str], None] = print,
    verbose: Literal["auto", 0, 1, 2] = "auto",
) -> list[Outcome]:
    """Repeat the experiments of a paper. What is finished in `out` is not repeated, and what was stopped is resumed.

    Args:
        paper: From `papers.paper.get`.
        out: Folder; the runs of an experiment are in a folder of its name.
        data_dir: Folder of prepared data sets.
        sources: Name of a data set, such as "affectnet" -> folder of its files, from which it is prepared first.
        only: Names of experiments; empty: all.
        settings: "key=value" settings of the recipe for all runs, such as initial_weights=FILE.
        seeds: Number of runs of each combination.
        quick: A trial: small models, one epoch. Shows that everything works; the numbers mean nothing.
        fixations: People's fixations on photos of KDEF, with which models that choose where to look are compared.
        done: Called with the outcomes so far after each experiment.
        report: Receives progress line by line.
        verbose: See Keras' `fit`.

    Raises:
        MissingFileError: There are no `fixations`.
        UserError: `only` or `sources` has an unknown name, or `settings` changes the data set.
        checkpoints.Interrupted: SIGTERM or Ctrl-C was received; the same call continues.
    """
    out, names = Path(out), [experiment.name for experiment in paper.experiments]
    if unknown := [name for name in only if name not in names]:
        raise UserError(f"only: expected one of {', '.join(names)}, got {unknown[0]!r}")
    used = {experiment.dataset for experiment in paper.experiments if isinstance(experiment, Experiment)}
    if unknown := [name for name in sources or {} if name not in used]:
        raise UserError(f"source: expected a data set of {paper.name}, {', '.join(sorted(used))}, got {unknown[0]!r}")
    if any(setting.partition("=")[0].strip() == "data" for setting in settings):
        raise UserError("--set: the data set belongs to the experiment; train other data with `edram-fer train`")
    if fixations is not None and not Path(fixations).exists():
        raise MissingFileError(f"{fixations} is missing; expected people's fixations, or a recording of them")
    files.check_writable(out)
    outcomes = []
    for experiment in paper.experiments:
        if only and experiment.name not in only:
            continue
        report(f"{experiment.name}: {experiment.title}")
        if isinstance(experiment, Benchmark):
            outcome = _measure(experiment, out / experiment.name, quick)
        else:
            changed = {name: (*getattr(experiment, name), *settings) for name in ("settings", "quick")}
            experiment = dataclasses.replace(experiment, **changed)
            source = (sources or {}).get(experiment.dataset)
            outcome = None if source is None else _prepare(experiment, source, data_dir, report)
            if outcome is None:
                outcome = _train(experiment, out / experiment.name, data_dir, seeds, quick, fixations, verbose)
        report(f"{experiment.name}: {outcome.status}")
        outcomes.append(outcome)
        done(outcomes)
    return outcomes


def across(
    outcomes: Sequence[Outcome], sources: Sequence[str], data_dir: Path | str | None = None
) -> list[dict[str, Any]]:
    """Accuracy of the finished runs on the test splits of other data sets.

    Args:
        outcomes: From `reproduce`.
        sources: Prepared data sets.
        data_dir: Their folder.

    Returns:
        A row for each run: "run"; and for each data set its "accuracy", or None if it has images of another size, no
        test split or no class of the run's; the log says which.
    """
    rows = []
    for run in (run for outcome in outcomes for runs in outcome.runs.values() for run in runs):
        row: dict[str, Any] = {"run": f"{run.parent.name}/{run.name}"}
        for source in sources:
            try:
                folder = evaluation_folder.open_folder(run, data=source, data_dir=data_dir).path
                metrics = layout.read_metrics(folder / layout.METRICS) if (folder / layout.METRICS).exists() else {}
                if "test" not in (known := metrics.get("splits", {})):
                    known = [name for name in data.splits(source, data_dir=data_dir) if name in known]
                    metrics = evaluate.evaluate(run, splits=(*known, "test"), data=source, data_dir=data_dir)
                row[source] = metrics["splits"]["test"]["accuracy"]
            except UserError as error:
                log.warning("%s on %s: %s", row["run"], source, error)
                row[source] = None
        rows.append(row)
    return rows


def prepared(data_dir: Path | str | None = None) -> list[str]:
    """The data sets of all papers that are prepared."""
    experiments = [experiment for name in NAMES for experiment in get(name).experiments]
    sources = dict.fromkeys(experiment.data for experiment in experiments if isinstance(experiment, Experiment))
    return [source for source in sources if _unprepared(source, data_dir) is None]


def _unprepared(source, data_dir):
    """Why a data set cannot be read, or None."""
    try:
        data.describe(source, data_dir=data_dir)
    except UserError as error:
        return str(error)
    return None


def _outcome(experiment, status, **fields):
    return Outcome(experiment, status, [Result(value) for value in experiment.values], **fields)


def _missing(experiment, data_dir):
    """Why an experiment cannot run, or None."""
    if isinstance(experiment, Benchmark):
        module = CHECKOUT.joinpath(*experiment.module.split(".")).with_suffix(".py")
        if module.exists() and importlib.util.find_spec(experiment.package):
            return None
        return (
            f"{MISSING}: {experiment.module} is in a checkout of edram-fer, where `pip install -e '.[benchmarks]'` "
            f"installs {experiment.package}"
        )
    reason = _unprepared(experiment.data, data_dir)
    return reason and f"{MISSING}: {reason}. {experiment.access} Then: {experiment.prepare_command(data_dir)}"


def _prepare(experiment, source, data_dir, report):
    """Prepare the data set; the outcome of the experiment if that fails, otherwise None."""
    options = {**experiment.preparation, **experiment.reader}
    try:
        datasets.prepare(experiment.prepared_as, source, data_dir or data.default_data_dir(), report=report, **options)
    except UserError as error:
        return _outcome(experiment, f"failed: {error}")
    return None


def _train(experiment, out, data_dir, seeds, quick, fixations, verbose):
    if reason := _missing(experiment, data_dir):
        return _outcome(experiment, reason)
    try:
        rows = sweep.sweep(
            experiment.runs(seeds, quick), out, splits=experiment.splits, data_dir=data_dir, verbose=verbose
        )
    except checkpoints.Interrupted:
        raise
    except UserError as error:
        return _outcome(experiment, f"failed: {error}")
    runs: dict[str, list[Path]] = {}
    for row in rows:
        if row["status"] == FINISHED:
            runs.setdefault(_combination(row["run"]), []).append(out / row["run"])
    notes = _study(experiment, [run for of_one in runs.values() for run in of_one], data_dir, quick)
    compared = None
    if fixations and experiment.people and runs:
        first = [of_one[0] for of_one in runs.values()]
        options = {"split": experiment.splits[0], "find_landmarks": True, "data_dir": data_dir}
        try:
            compared = compare_with_people(first, [fixations], "kdef", **options)
        except UserError as error:
            notes.append(f"people's gaze: {error}")
    failed = [f"{row['run']}: {row['status']}" for row in rows if row["status"] != FINISHED]
    means = {row["combination"]: row for row in sweep.means(rows, out)}
    return Outcome(
        experiment,
        "; ".join(failed) or FINISHED,
        [_result(value, runs.get(value.combination, []), means) for value in experiment.values],
        runs,
        sum(_seconds(run) for of_one in runs.values() for run in of_one),
        notes,
        compared,
    )


def _combination(run):
    return run.rpartition("seed=")[0].rstrip("-") or SINGLE


def _result(value, runs, means):
    """A value of the paper beside that of the runs of its combination."""
    if not runs:
        return Result(value)
    scores = [layout.read_metrics(run / layout.METRICS)["splits"][value.split] for run in runs]
    obtained = float(np.mean([score[value.score] for score in scores]))
    if len(runs) == 1:
        interval = scores[0]["intervals"].get(value.score)
    else:
        row, name = means[value.combination], f"{value.split}_{value.score}"
        interval = (row[f"{name}_low"], row[f"{name}_high"]) if f"{name}_low" in row else None
    return Result(value, obtained, None if interval is None else tuple(interval), len(runs))


def _seconds(run):
    """Seconds of training, from history.csv."""
    with (run / layout.HISTORY).open(newline="", encoding="utf-8") as file:
        return sum(float(row["seconds"]) for row in csv.DictReader(file))


def _study(experiment, runs, data_dir, quick):
    """Make the studies that the figures need; return sentences on those that failed."""
    notes = []
    for run in runs:
        for name in experiment.studies:
            result, study = STUDIES[name]
            path, model = run / result, run / layout.MODEL
            if path.exists() and path.stat().st_mtime >= model.stat().st_mtime:
                continue
            try:
                study(run, experiment.splits[0], data_dir, quick)
            except UserError as error:
                notes.append(f"{run.name}, {name}: {error}")
    return notes


def _observer(run, split, data_dir, quick):
    return Observer(run, split=split, count=QUICK_IMAGES if quick else IMAGES, data_dir=data_dir)


def _measure(benchmark, out, quick):
    """Run a benchmark in a process of its own, unless its result is there."""
    if reason := _missing(benchmark, None):
        return _outcome(benchmark, reason)
    result, arguments, words = out / "result.json", out / ARGUMENTS, benchmark.words(quick)
    if result.exists():
        before = files.read_json(arguments)["words"] if arguments.exists() else words
        if before != words:
            return _outcome(benchmark, f"failed: {result} was made by {shlex.join(before)}: expected another --out")
    else:
        files.write_json(arguments, {"words": words})
        call = [sys.executable, "-m", *words, "--out", str(out.absolute())]
        ended = subprocess.run(call, check=False, cwd=CHECKOUT)
        if ended.returncode:
            return _outcome(benchmark, f"failed: {benchmark.module} ended with status {ended.returncode}")
    measured = files.read_json(result)["models"]["edram"]
    accuracy = 1 - measured["error_percent"][-1] / 100
    low, high = (1 - end / 100 for end in reversed(measured["error_percent_interval"][-1]))
    results = [Result(value, accuracy, (low, high), 1) for value in benchmark.values]
    return Outcome(benchmark, FINISHED, results, seconds=measured["seconds"])
