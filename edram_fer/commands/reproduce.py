"""The command that repeats the experiments of a paper."""

from pathlib import Path
from typing import Annotated

import typer

from edram_fer import startup
from edram_fer.commands.options import DataDir, Quiet, verbosity
from edram_fer.errors import Stopped, UserError


def reproduce(
    paper: Annotated[str, typer.Argument(help="ablavatski2017, forch2019, minaee2019 or wang2020.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder [default: runs/PAPER; with --quick runs/PAPER-quick].")
    ] = None,
    data_dir: DataDir = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source", metavar="DATA=DIR", help="Prepare a data set from its files, affectnet=DIR; may be repeated."
        ),
    ] = None,
    only: Annotated[list[str] | None, typer.Option("--only", help="Only this experiment; may be repeated.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change the recipes, such as initial_weights=FILE."),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Runs of each setting.")] = 1,
    quick: Annotated[
        bool, typer.Option("--quick", help="A trial with small models and one epoch; its numbers mean nothing.")
    ] = False,
    list_only: Annotated[bool, typer.Option("--list", help="Only list the experiments and what they need.")] = False,
    fixations: Annotated[
        Path | None,
        typer.Option("--fixations", help="People's fixations on photos of KDEF, to compare the models with."),
    ] = None,
    across: Annotated[
        bool, typer.Option("--across", help="Also evaluate each run on the other data sets that are there.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Repeat a paper's experiments whose data are there, and write one page: published and obtained side by side.

    The same command resumes. Exit status: 0, or 1 if an experiment failed.
    """
    startup.load_keras_alone()
    from edram_fer.papers import paper as papers
    from edram_fer.papers import reproduction
    from edram_fer.report.reproduction import write
    from edram_fer.run import checkpoints

    chosen = papers.get(paper)
    if list_only:
        typer.echo(f"{chosen.reference}\n")
        for outcome in reproduction.check(chosen, data_dir):
            _print(outcome)
        return
    out = out or Path("runs") / (f"{paper}-quick" if quick else paper)
    sources = {}
    for text in source or []:
        name, equals, folder = text.partition("=")
        if not equals:
            raise UserError(f"--source: expected DATA=DIR, got {text!r}")
        sources[name] = folder
    try:
        outcomes = reproduction.reproduce(
            chosen,
            out,
            data_dir=data_dir,
            sources=sources,
            only=only or (),
            settings=settings or (),
            seeds=seeds,
            quick=quick,
            fixations=fixations,
            done=lambda outcomes: write(chosen, outcomes, out, quick=quick, seeds=seeds),
            report=typer.echo,
            verbose=verbosity(quiet),
        )
    except checkpoints.Interrupted as stop:
        raise Stopped(f"Stopped and saved {stop}. The same command goes on.", stop.signal) from None
    table = reproduction.across(outcomes, reproduction.prepared(data_dir), data_dir) if across else []
    page = write(chosen, outcomes, out, quick=quick, seeds=seeds, across=table)
    for outcome in outcomes:
        _print(outcome)
    typer.echo(f"Page: {page}")
    if any(not outcome.status.startswith((reproduction.FINISHED, reproduction.MISSING)) for outcome in outcomes):
        raise typer.Exit(1)


def _print(outcome):
    """An experiment, its numbers, its status and notes."""
    typer.echo(f"{outcome.experiment.name}: {outcome.experiment.title}")
    for result in outcome.results:
        value = result.published
        words = [value.split, "" if value.combination == "recipe" else value.combination, value.score.replace("_", " ")]
        numbers = [f"published {_percent(value.value)}", f"obtained {_percent(result.obtained)}"]
        typer.echo(f"  {' '.join(word for word in words if word)}: {', '.join(numbers)}")
    typer.echo("".join(f"  {line}\n" for line in (outcome.status, *outcome.notes)))


def _percent(value):
    return "–" if value is None else f"{100 * value:.2f} %"
