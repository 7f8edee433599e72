"""Commands that compare evaluated runs."""

from pathlib import Path
from typing import Annotated

import typer

from edram_fer import startup
from edram_fer.commands.options import DataDir


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Evaluated run folders, or names of included models; each is compared with the first."),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the page, its figures and its tables.")] = Path(
        "comparison"
    ),
    split: Annotated[
        str | None,
        typer.Option("--split", help="Split to compare on [default: test, or the first that all runs have]."),
    ] = None,
    landmarks: Annotated[
        bool, typer.Option("--landmarks", help="Find the landmarks with dlib if the data set has none.")
    ] = False,
    fixations: Annotated[
        Path | None,
        typer.Option(
            "--fixations", help="CSV of human fixations: subject,image,start_x,start_y,duration; image is an id."
        ),
    ] = None,
    outside: Annotated[
        str, typer.Option("--outside", help="Fixations outside their image: raise an error, or drop and count them.")
    ] = "raise",
    source: Annotated[
        str | None, typer.Option("--data", help="Data set to read the images from [default: the evaluated one].")
    ] = None,
    data_dir: DataDir = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the intervals and samples.")] = 0,
    pdf: Annotated[bool, typer.Option("--pdf", help="Also save each figure as PDF.")] = False,
) -> None:
    """Compare two or more evaluated runs on one page: scores, robustness, maps, scan paths, regions, agreement.

    The page includes results of window-ablation, robustness and saliency from the run folders.
    """
    startup.load_keras_alone()
    from edram_fer.report.comparison import compare as write

    options = {
        "split": split,
        "find_landmarks": landmarks,
        "data": source,
        "data_dir": data_dir,
        "seed": seed,
        "pdf": pdf,
    }
    typer.echo(f"Comparison: {write(runs, out, fixations=fixations, outside=outside, **options)}")


def crops(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Evaluated runs or names of included models, such as one with and one without the region-biased loss."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="File to write: .png, .svg or .pdf.")] = Path("crops.png"),
    split: Annotated[
        str | None,
        typer.Option("--split", help="Split to compare on [default: test, or the first that all runs have]."),
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(
            "--image", help="Image id; may be repeated [default: per class, one correct and one misclassified]."
        ),
    ] = None,
    title: Annotated[
        list[str] | None,
        typer.Option("--title", help="Title of a run, once per run [default: the last parts of the paths]."),
    ] = None,
    source: Annotated[
        str | None, typer.Option("--data", help="Data set to read the images from [default: the evaluated one].")
    ] = None,
    data_dir: DataDir = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed for choosing the faces.")] = 0,
) -> None:
    """Draw the crops of some faces, sorted by their attention weights in one or several runs."""
    startup.load_keras_alone()
    from edram_fer.comparison.crops import crops as draw

    options = {"split": split, "image_ids": image, "titles": title, "data": source, "data_dir": data_dir, "seed": seed}
    typer.echo(f"Figure: {draw(runs, out, **options)}")
