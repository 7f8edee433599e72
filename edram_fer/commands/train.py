"""The commands that train a single run or a grid of runs."""

import datetime
import logging
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from edram_fer import processes, startup
from edram_fer.commands.options import DataDir, Quiet, verbosity
from edram_fer.errors import Stopped, UserError

LOGS = "logs"  # folder in that of a sweep, for what its processes print


def train(
    recipe: Annotated[str | None, typer.Argument(help="A recipe: fer2013, ran_ferplus, demo, ...")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe; may be repeated.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Run folder [default: runs/RECIPE-MODEL-TIME].")] = None,
    resume: Annotated[Path | None, typer.Option("--resume", metavar="RUN", help="Resume this run.")] = None,
    data_dir: DataDir = None,
    quiet: Quiet = False,
    devices: Annotated[
        str, typer.Option("--devices", metavar="N", help="Devices of this machine to train on, or all.")
    ] = "1",
) -> None:
    """Train a model with a recipe, or resume a run that was stopped."""
    if devices != "all" and not devices.isdecimal():
        raise typer.BadParameter(f"--devices: expected a number or all, got {devices!r}")
    first = processes.is_first()
    if not first:
        logging.disable(logging.WARNING)
    startup.load_keras_alone()
    from edram_fer.recipes import recipe as recipes
    from edram_fer.run import checkpoints
    from edram_fer.training import loop

    if (recipe is None) == (resume is None):
        names = ", ".join(recipes.list_recipes())
        raise typer.BadParameter(f"expected a recipe ({names}) or --resume RUN, not both or none")
    options = {
        "data_dir": data_dir,
        "verbose": verbosity(quiet) if first else 0,
        "devices": devices if devices == "all" else int(devices),
    }
    try:
        if resume is not None:
            if settings or out:
                raise typer.BadParameter("--resume uses the run's recipe and cannot be combined with --set or --out")
            out = resume
            loop.resume(resume, **options)
        elif recipe is not None:
            resolved = recipes.override(recipes.get(recipe), settings or [])
            stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
            out = out or Path("runs") / f"{resolved.name}-{resolved.model}-{stamp}"
            loop.train(resolved, out, **options)
    except checkpoints.Interrupted as stop:
        resuming = shlex.join(["edram-fer", "train", "--resume", str(out), *_data_dir_words(data_dir)])
        raise Stopped(f"Stopped and saved {stop}. Resume with: {resuming}", stop.signal) from None
    if first:
        typer.echo(f"Trained: {out}. Next: {_next_step(out, data_dir)}")


def _next_step(run, data_dir):
    """The command that evaluates a run, on its validation split if the data set has no test split."""
    from edram_fer import data
    from edram_fer.run import checkpoints, layout

    source, folder = layout.run_data(run, data_dir=data_dir)
    splits = data.splits(source, data_dir=folder)
    words = [] if "test" in splits else ["--split", checkpoints.read_recipe(run).validation_split]
    return shlex.join(["edram-fer", "evaluate", str(run), *words, *_data_dir_words(data_dir)])


def _data_dir_words(data_dir):
    return [] if data_dir is None else ["--data-dir", str(data_dir)]


def launch(
    words: Annotated[list[str], typer.Argument(metavar="-- train ...", help="The command, after two dashes.")],
    number: Annotated[int, typer.Option("-n", "--processes", min=1, help="Processes on this machine.")] = 2,
    hosts: Annotated[
        str | None,
        typer.Option("--hosts", metavar="HOST,HOST", help="Print the command for each of these machines, and end."),
    ] = None,
) -> None:
    """Train one model in several processes, each of which computes a part of every batch (JAX only).

    If a process fails or is killed, all end; `train --resume` continues, with any number of processes.
    """
    if words[0] != "train":
        raise UserError(f"launch: expected the command train after --, got {words[0]!r}")
    if hosts is not None:
        for line in processes.commands(words, hosts.split(",")):
            typer.echo(line)
        return
    if status := processes.launch([*_program(), *words], number):
        raise typer.Exit(status)


def sweep(
    recipe: Annotated[str, typer.Argument(help="A recipe: zoom_free, ...")],
    zoom_limit: Annotated[
        str | None,
        typer.Option("--zoom-limit", metavar="V,V", help="Short for --vary zoom_limit=V,V, such as none,.5,.3."),
    ] = None,
    vary: Annotated[
        list[str] | None, typer.Option("--vary", metavar="KEY=V,V", help="Values of a setting; may be repeated.")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Runs of each combination.")] = 1,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe of all runs.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the runs [default: runs/RECIPE].")] = None,
    split: Annotated[list[str] | None, typer.Option("--split", help="Evaluate on this split [default: test].")] = None,
    data_dir: DataDir = None,
    quiet: Quiet = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="RUN", help="Only this run, no tables; may be repeated.")
    ] = None,
    parallel: Annotated[int, typer.Option("--parallel", min=1, help="Runs at a time, each in its own process.")] = 1,
    print_jobs: Annotated[
        bool, typer.Option("--print-jobs", help="Print the command of each run, for a cluster, and end.")
    ] = False,
) -> None:
    """Train and evaluate a recipe with all combinations of some settings; the same command resumes it.

    If a run fails, sweep.csv gives the reason, the run's folder keeps traceback.txt, the other runs continue, and the
    command exits with status 1.
    """
    startup.load_keras_alone()
    from edram_fer.recipes.settings import split_values
    from edram_fer.run import checkpoints
    from edram_fer.studies import jobs
    from edram_fer.studies import sweep as sweeps

    varied, vary = {}, [*(vary or []), *([f"zoom_limit={zoom_limit}"] if zoom_limit else [])]
    for setting in vary:
        key, equals, text = setting.partition("=")
        key, values = key.strip(), split_values(text)
        if not equals or not all(values):
            raise UserError(f"--vary: expected KEY=VALUE,VALUE, got {setting!r}")
        if key in varied:
            raise UserError(
                f"--vary: expected all values of {key} at once, {key}=VALUE,VALUE, got {setting!r} after them"
            )
        varied[key] = values
    out, splits = out or Path("runs") / recipe, tuple(split or ("test",))
    runs = sweeps.grid(recipe, varied, seeds, settings or [])
    repeated = {"--vary": vary, "--set": settings, "--split": splits, "--seeds": [seeds], "--out": [out]}
    words = [str(word) for option, values in repeated.items() for value in values or () for word in (option, value)]
    words = ["sweep", recipe, *words, *_data_dir_words(data_dir), "--quiet", "--only"]
    if print_jobs:
        for name in only or runs:
            typer.echo(shlex.join(["edram-fer", *words, name]))
        return
    if parallel > 1:
        jobs.run({name: [*_program(), *words, name] for name in only or runs}, parallel, out / LOGS)
    try:
        rows = sweeps.sweep(
            *(runs, out),
            splits=splits,
            data_dir=data_dir,
            only=only or (),
            retry=parallel == 1,  # the processes have just tried
            verbose=verbosity(quiet),
        )
    except checkpoints.Interrupted as stop:
        raise Stopped(f"Stopped and saved {stop}. The same command resumes the sweep.", stop.signal) from None
    _print_means(sweeps.means(rows, out), splits[0])
    if not only:
        typer.echo(f"Tables: {out / sweeps.TABLE}, {out / sweeps.MEANS}. Compare runs: edram-fer compare RUN RUN ...")
    unfinished = [row for row in rows if row["status"] != "finished"]
    for row in unfinished:
        trace = f" ({out / row['traceback']})" if "traceback" in row else ""
        typer.echo(f"{row['run']} {row['status']}{trace}", err=True)
    if unfinished:
        raise typer.Exit(1)


def _program():
    """The words after `python` that start this command line: a script with models of its own, or the package."""
    script = Path(sys.argv[0])
    return [str(script)] if script.suffix == ".py" and script.name != "__main__.py" else ["-m", "edram_fer"]


def _print_means(averages, split):
    """Print the rows of means.csv with the scores of a split."""
    from rich.console import Console
    from rich.table import Table

    table = Table("combination", "runs", "accuracy, %", "95 % interval", "difference", "mean class accuracy, %")
    for average in averages:
        accuracy, of_classes = (_mean(average, f"{split}_{score}") for score in ("accuracy", "mean_class_accuracy"))
        key = f"{split}_accuracy"
        interval = _interval(average.get(f"{key}_low"), average.get(f"{key}_high"))
        difference = average.get(f"{key}_difference")
        ends = _interval(average.get(f"{key}_difference_low"), average.get(f"{key}_difference_high"))
        difference = "" if difference is None else f"{100 * difference:+.2f} ({ends})"
        table.add_row(average["combination"], str(average["runs"]), accuracy, interval, difference, of_classes)
    Console().print(table)
    if any(average["runs"] == 1 for average in averages):
        typer.echo("One run of each says nothing about other seeds: --seeds 3 or more gives intervals that do.")


def _interval(low, high):
    return "–" if low is None else f"{100 * low:.2f} to {100 * high:.2f}"


def _mean(average, score):
    """The mean of a score in percent with its standard deviation, or a dash where no run has finished."""
    if average.get(score) is None:
        return "–"
    deviation = average.get(f"{score}_sd")
    return f"{100 * average[score]:.2f}" + ("" if deviation is None else f" ± {100 * deviation:.2f}")
