"""reproduction.html: what a paper reports beside what was obtained here, in one self-contained file."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edram_fer import files
from edram_fer.papers.paper import SINGLE, Benchmark, Paper
from edram_fer.papers.reproduction import Outcome, Result
from edram_fer.report.images import embed
from edram_fer.report.people import write_template_page
from edram_fer.report.template import percent, template
from edram_fer.run import environment, layout

PAGE, TABLE = "reproduction.html", "reproduction.csv"
SCORES = {"accuracy": "accuracy", "mean_class_accuracy": "mean class accuracy"}


def write(
    paper: Paper,
    outcomes: Sequence[Outcome],
    out: Path | str,
    *,
    quick: bool = False,
    seeds: int = 1,
    across: Sequence[dict[str, Any]] = (),
) -> Path:
    """Write the page, and its numbers as reproduction.csv.

    Args:
        paper: The paper.
        outcomes: From `papers.reproduction.reproduce`.
        out: Folder of the page.
        quick, seeds: As for `reproduce`.
        across: From `papers.reproduction.across`; empty: the page has no such table.

    Returns:
        Path of the page.

    Raises:
        OSError: `out` cannot be written.
    """
    out = Path(out)
    rows = [_csv_row(outcome, result) for outcome in outcomes for result in outcome.results]
    files.write_csv(out / TABLE, rows)
    sources = [name for name in (across[0] if across else {}) if name != "run"]
    page = template("reproduction.html").render(
        paper=paper,
        quick=quick,
        experiments=[_experiment(outcome, out, quick, seeds) for outcome in outcomes],
        sources=sources,
        across=[{"run": row["run"], "cells": [percent(row[source]) for source in sources]} for row in across],
    )
    with files.replace(out / PAGE) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return out / PAGE


def _csv_row(outcome: Outcome, result: Result) -> dict[str, Any]:
    value = result.published
    low, high = result.interval or (None, None)
    return {
        "experiment": outcome.experiment.name,
        "status": outcome.status,
        "combination": value.combination,
        "split": value.split,
        "score": value.score,
        "published": value.value,
        "obtained": result.obtained,
        "low": low,
        "high": high,
        "seeds": result.seeds,
    }


def _experiment(outcome: Outcome, out: Path, quick: bool, seeds: int) -> dict[str, Any]:
    experiment = outcome.experiment
    runs = {combination: of_one[0] for combination, of_one in outcome.runs.items()}
    people = None
    if outcome.people is not None:
        people = write_template_page(outcome.people, out / experiment.name / "people").relative_to(out).as_posix()
    return {
        "name": experiment.name,
        "title": experiment.title,
        "status": f"{outcome.status[0].upper()}{outcome.status[1:]}",
        "notes": outcome.notes,
        "differences": experiment.differences,
        "commands": _commands(outcome, quick, seeds),
        "machine": _machine(next(iter(runs.values()))) if runs else None,
        "minutes": outcome.seconds / 60,
        "rows": [_row(result) for result in outcome.results],
        "figures": [] if isinstance(experiment, Benchmark) else _figures(experiment.figures, runs),
        "people": people,
    }


def _commands(outcome: Outcome, quick: bool, seeds: int) -> list[str]:
    experiment = outcome.experiment
    if isinstance(experiment, Benchmark):
        return [shlex.join(["python", "-m", *experiment.words(quick)])]
    return [experiment.prepare_command(), experiment.train_command(seeds, quick)]


def _machine(run: Path) -> str:
    """The machine and the versions of a run's last start, in a line."""
    recorded = environment.read(run)
    machine, versions = recorded["machine"], recorded["versions"]
    backend = versions.get(versions["backend"], "")
    return (
        f"{machine['processor']}, {machine['cores']} cores, {', '.join(machine['devices'])}; edram-fer "
        f"{versions['edram-fer']}, Keras {versions['keras']}, {versions['backend']} {backend}"
    )


def _row(result: Result) -> dict[str, Any]:
    value = result.published
    difference = "–"
    if value.value is not None and result.obtained is not None:
        difference = f"{100 * (result.obtained - value.value):+.1f}".replace("-", "−")
    return {
        "combination": "" if value.combination == SINGLE else value.combination,
        "split": value.split,
        "score": SCORES[value.score],
        "published": percent(value.value, 2),
        "obtained": percent(result.obtained, 2),
        "interval": ""
        if result.interval is None
        else f"{percent(result.interval[0])} to {percent(result.interval[1])}",
        "difference": difference,
        "seeds": result.seeds,
    }


def _figures(figures: Sequence[Any], runs: dict[str, Path]) -> list[dict[str, Any]]:
    """Of each published figure what it shows, and ours of each combination."""
    shown = []
    for figure in figures:
        paths = {combination: run / layout.FIGURES / figure.path for combination, run in runs.items()}
        images = [
            {"combination": "" if combination == SINGLE else combination, **embed(path)}
            for combination, path in paths.items()
            if path.exists()
        ]
        if images:
            shown.append({"shows": figure.shows, "published": figure.published, "images": images})
    return shown
