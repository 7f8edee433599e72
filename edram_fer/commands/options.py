"""Arguments and options that several commands share, and a line that several print."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

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
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed for choosing the images and for all random numbers.")]


def print_note(result: Mapping[str, Any]) -> None:
    """Print what the number of subjects means for the intervals of a study, if there is something to say."""
    if result["intervals_note"]:
        typer.echo(result["intervals_note"])
