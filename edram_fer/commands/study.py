"""What a run looks at, whether it matters, and whether people look there."""

from pathlib import Path
from typing import Annotated

import typer

from edram_fer import startup
from edram_fer.commands.options import DataDir, Run
from edram_fer.run import layout


def window_ablation(
    run: Run,
    split: Annotated[str, typer.Option("--split")] = "test",
    source: Annotated[str | None, typer.Option("--data", help="Another data set than the run's own.")] = None,
    data_dir: DataDir = None,
    draws: Annotated[int, typer.Option("--draws", min=1, help="Of shuffled and random windows.")] = 3,
    seed: Annotated[int, typer.Option("--seed")] = 0,
):
    """Does looking matter? Accuracy with the run's own windows, mean, shuffled, random ones and the whole image."""
    startup.load_keras()
    from edram_fer.studies.window_ablation import ablate_windows

    result = ablate_windows(run, split=split, data=source, data_dir=data_dir, draws=draws, seed=seed)
    for name, found in {**result["accuracy"], **result["contrasts"]}.items():
        low, high = found["interval"]
        typer.echo(f"{name:18}{100 * found['value']:7.2f} %   ({100 * low:.2f} to {100 * high:.2f})")
    typer.echo(f"Figure: {run / layout.FIGURES / layout.WINDOW_ABLATION_FIGURE}")


def agreement(
    run: Run,
    fixations: Annotated[
        Path,
        typer.Option("--fixations", help="CSV: subject,image,start_x,start_y,duration; image is an image id."),
    ],
    split: Annotated[str | None, typer.Option("--split", help="[default: the first that was evaluated].")] = None,
    outside: Annotated[
        str, typer.Option("--outside", help="Rows beside their image: raise, or drop (they are counted).")
    ] = "raise",
    sigma: Annotated[
        float | None, typer.Option("--sigma", help="Of people's maps, in pixels [default: a tenth of the side].")
    ] = None,
    landmarks: Annotated[
        bool, typer.Option("--landmarks", help="Let dlib find the faces' landmarks where the data set has none.")
    ] = False,
    source: Annotated[str | None, typer.Option("--data", help="Another place of the images evaluated.")] = None,
    data_dir: DataDir = None,
    seed: Annotated[int, typer.Option("--seed")] = 0,
):
    """Does an evaluated run look where people look? Its maps and scan paths against their fixations."""
    startup.load_keras()
    from rich.console import Console
    from rich.table import Column, Table

    from edram_fer.figures.agreement import CANDIDATES, MEASURES, measured
    from edram_fer.studies.agreement import agree

    options = {"outside": outside, "sigma": sigma, "find_landmarks": landmarks, "data": source, "data_dir": data_dir}
    result = agree(run, fixations, split=split, seed=seed, **options)
    typer.echo(
        f"{result['fixations_file']}: {result['fixations_note']}; {result['images_without_fixations']} images of {result['split']} have none"
    )
    found = measured(result)
    table = Table(Column("", no_wrap=True), *(CANDIDATES[name][0] for name in found))
    for measure in found["model"]:
        means = [told[measure]["mean"] if measure in told else None for told in found.values()]
        table.add_row(MEASURES[measure], *("–" if mean is None else f"{mean:.3f}" for mean in means))
    Console().print(table)
    typer.echo(f"Figure: {run / layout.FIGURES / layout.AGREEMENT_FIGURE}")
