"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of prepared data sets [default: $EDRAM_FER_DATA or ./data]."),
]
Run = Annotated[Path, typer.Argument(help="Run folder.")]
