"""Recipes to run folders."""

import datetime
import signal
from pathlib import Path
from typing import Annotated

import typer

from edram_fer import startup
from edram_fer.commands.options import DataDir


def train(
    recipe: Annotated[str | None, typer.Argument(help="A recipe: fer2013, ran_ferplus, demo, ...")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe; may be repeated.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Run folder [default: runs/RECIPE-MODEL-TIME].")] = None,
    resume: Annotated[Path | None, typer.Option("--resume", metavar="RUN", help="Go on with this run.")] = None,
    data_dir: DataDir = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="One line per epoch, no progress bar.")] = False,
):
    """Train by a recipe, or go on with a run that was stopped."""
    startup.load_keras()
    from edram_fer import checkpoints, training
    from edram_fer import recipe as recipes

    if (recipe is None) == (resume is None):
        raise typer.BadParameter(f"expected a recipe ({', '.join(recipes.names())}) or --resume RUN, not both or none")
    verbose = 2 if quiet else "auto"
    try:
        if resume is not None:
            if settings or out:
                raise typer.BadParameter("--resume takes the run's own recipe: it goes without --set and --out")
            out = resume
            training.resume(resume, data_dir=data_dir, verbose=verbose)
        else:
            resolved = recipes.override(recipes.get(recipe), settings or [])
            stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
            out = out or Path("runs") / f"{resolved.name}-{resolved.model}-{stamp}"
            training.train(resolved, out, data_dir=data_dir, verbose=verbose)
    except checkpoints.Interrupted as stop:
        typer.echo(f"Stopped and saved {stop}. Go on with: python train.py --resume {out}", err=True)
        raise typer.Exit(128 + signal.SIGTERM) from None
    typer.echo(f"Trained: {out}. Next: python evaluate.py {out}")
