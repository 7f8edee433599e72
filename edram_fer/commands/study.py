"""What a run looks at, and whether it matters."""

from typing import Annotated

import typer

from edram_fer import startup
from edram_fer.commands.options import DataDir, Run


def looking(
    run: Run,
    split: Annotated[str, typer.Option("--split")] = "test",
    source: Annotated[str | None, typer.Option("--data", help="Another data set than the run's own.")] = None,
    data_dir: DataDir = None,
    draws: Annotated[int, typer.Option("--draws", min=1, help="Of shuffled and random windows.")] = 3,
    seed: Annotated[int, typer.Option("--seed")] = 0,
):
    """Does looking matter? Accuracy with the run's own windows, mean, shuffled, random ones and the whole picture."""
    startup.load_keras()
    from edram_fer.studies.looking import FIGURE, look

    result = look(run, split=split, data=source, data_dir=data_dir, draws=draws, seed=seed)
    for name, found in {**result["accuracy"], **result["contrasts"]}.items():
        low, high = found["interval"]
        typer.echo(f"{name:18}{100 * found['value']:7.2f} %   ({100 * low:.2f} to {100 * high:.2f})")
    typer.echo(f"Figure: {run / 'figures' / FIGURE}")
