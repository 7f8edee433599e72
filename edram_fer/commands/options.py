"""Arguments and options that several commands share, and what several print."""

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of prepared data sets [default: $EDRAM_FER_DATA or ./data]."),
]
Run = Annotated[
    Path,
    typer.Argument(help="Run folder, name of an included model, .keras file, exported file, or card of any model."),
]
KerasRun = Annotated[Path, typer.Argument(help="Run folder, name of an included model, or .keras file.")]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="Folder for the results [default: the run; for other data than the run's RUN/evaluations/DATA; for an "
        "included model evaluations/NAME].",
    ),
]
EvaluatedRun = Annotated[Path, typer.Argument(help="Evaluated run folder, or the name of an included model.")]
Split = Annotated[str, typer.Option("--split", help="Split of the data set.")]
Source = Annotated[str | None, typer.Option("--data", help="Data set to use instead of the run's.")]
Images = Annotated[int | None, typer.Option(min=1, help="Number of images, balanced over the classes [default: all].")]
Quiet = Annotated[
    bool, typer.Option("--quiet", help="One line per epoch, no progress bar [default: on a terminal, the bar].")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed for choosing the images and for all random numbers.")]


def verbosity(quiet: bool) -> Literal["auto", 2]:
    """`verbose` of Keras' `fit`: its progress bar would fill the log file of a job with megabytes for each hour."""
    return "auto" if sys.stdout.isatty() and not quiet else 2


def interval(ends: Sequence[float | None], style: str = ".3f") -> str:
    """An interval in brackets after a space, each end formatted in a style; "" if it is undefined.

    >>> interval((0.25, 0.5), ".1%"), interval((None, None))
    (' (25.0% to 50.0%)', '')
    """
    low, high = ends
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return ""
    return f" ({low:{style}} to {high:{style}})"


def print_note(result: Mapping[str, Any]) -> None:
    """Print what the number of subjects means for the intervals of a study, if there is something to say."""
    if result["intervals_note"]:
        typer.echo(result["intervals_note"])
