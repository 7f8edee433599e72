"""Commands that test whether it matters where a model looks, and whether people look there, too."""

from pathlib import Path
from typing import Annotated

import typer

from edram_fer import startup
from edram_fer.commands.options import DataDir, EvaluatedRun, Out, Run
from edram_fer.run import layout


def window_ablation(
    run: Run,
    split: Annotated[str, typer.Option("--split")] = "test",
    source: Annotated[str | None, typer.Option("--data", help="Data set to use instead of the run's.")] = None,
    data_dir: DataDir = None,
    out: Out = None,
    draws: Annotated[int, typer.Option("--draws", min=1, help="How often shuffled and random windows are drawn.")] = 3,
    seed: Annotated[int, typer.Option("--seed")] = 0,
) -> None:
    """Measure the accuracy with the model's windows, with mean, shuffled and random windows, and the whole image."""
    startup.load_keras_alone()
    from edram_fer.run import evaluation_folder
    from edram_fer.studies.window_ablation import ablate_windows

    folder, data, folder_of_data = evaluation_folder.open_folder(run, data=source, data_dir=data_dir, out=out)
    result = ablate_windows(folder, split=split, data=data, data_dir=folder_of_data, draws=draws, seed=seed)
    for name, accuracy in {**result["accuracy"], **result["contrasts"]}.items():
        low, high = accuracy["interval"]
        typer.echo(f"{name:18}{100 * accuracy['value']:7.2f} %   ({100 * low:.2f} to {100 * high:.2f})")
    typer.echo(f"Figure: {folder / layout.FIGURES / layout.WINDOW_ABLATION_FIGURE}")


def agreement(
    run: EvaluatedRun,
    fixations: Annotated[
        Path,
        typer.Option("--fixations", help="CSV: subject,image,start_x,start_y,duration; image is an image id."),
    ],
    split: Annotated[str | None, typer.Option("--split", help="An evaluated split [default: the first].")] = None,
    outside: Annotated[
        str, typer.Option("--outside", help="Fixations outside their image: raise an error, or drop and count them.")
    ] = "raise",
    sigma: Annotated[
        float | None,
        typer.Option(
            "--sigma", help="Width of the Gaussians in the fixation maps, in pixels [default: a tenth of the side]."
        ),
    ] = None,
    landmarks: Annotated[
        bool, typer.Option("--landmarks", help="Find the landmarks with dlib if the data set has none.")
    ] = False,
    source: Annotated[
        str | None, typer.Option("--data", help="Data set to read the images from [default: the evaluated one].")
    ] = None,
    data_dir: DataDir = None,
    seed: Annotated[int, typer.Option("--seed")] = 0,
) -> None:
    """Compare the attention maps and scan paths of an evaluated run with people's fixations."""
    startup.load_keras_alone()
    from rich.console import Console
    from rich.table import Column, Table

    from edram_fer.figures.agreement import CANDIDATES, MEASURES, defined_measures
    from edram_fer.run import evaluation_folder
    from edram_fer.studies.agreement import measure_agreement

    result = measure_agreement(
        run,
        fixations,
        split=split,
        outside=outside,
        sigma=sigma,
        find_landmarks=landmarks,
        data=source,
        data_dir=data_dir,
        seed=seed,
    )
    typer.echo(
        f"{result['fixations_file']}: {result['fixations_note']}; {result['images_without_fixations']} images of "
        f"{result['split']} have none"
    )
    candidates = defined_measures(result)
    table = Table(Column("", no_wrap=True), *(CANDIDATES[name][0] for name in candidates))
    for measure in candidates["model"]:
        values = [measures[measure]["mean"] if measure in measures else None for measures in candidates.values()]
        table.add_row(MEASURES[measure], *("–" if value is None else f"{value:.3f}" for value in values))
    Console().print(table)
    if result["intervals_note"]:
        typer.echo(result["intervals_note"])
    typer.echo(f"Figure: {evaluation_folder.find(run) / layout.FIGURES / layout.AGREEMENT_FIGURE}")
