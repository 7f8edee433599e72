"""Evaluated runs beside each other."""

from pathlib import Path
from typing import Annotated

import typer

from edram_fer import startup
from edram_fer.commands.options import DataDir


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; the others are compared with the first.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the page, its figures and its tables.")] = Path(
        "comparison"
    ),
    split: Annotated[str | None, typer.Option("--split", help="[default: the first that all have].")] = None,
    landmarks: Annotated[
        bool, typer.Option("--landmarks", help="Let dlib find the faces' landmarks where the data set has none.")
    ] = False,
    fixations: Annotated[
        Path | None,
        typer.Option("--fixations", help="CSV of people's: subject,image,start_x,start_y,duration; image is an id."),
    ] = None,
    outside: Annotated[
        str, typer.Option("--outside", help="Fixations beside their image: raise, or drop (they are counted).")
    ] = "raise",
    source: Annotated[str | None, typer.Option("--data", help="Another place of the images evaluated.")] = None,
    data_dir: DataDir = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the intervals and the samples.")] = 0,
):
    """Two or more evaluated runs on one page: scores, losses on changed faces, maps, paths, regions, agreement.

    What window-ablation, robustness and saliency wrote into the runs is on it, too.
    """
    startup.load_keras()
    from edram_fer.report.comparison import compare as write

    options = {"split": split, "find_landmarks": landmarks, "data": source, "data_dir": data_dir, "seed": seed}
    typer.echo(f"Comparison: {write(runs, out, fixations=fixations, outside=outside, **options)}")


def crops(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, such as one with and one without a loss.")],
    out: Annotated[Path, typer.Option("--out", help="The figure: .png, .svg or .pdf.")] = Path("crops.png"),
    split: Annotated[str | None, typer.Option("--split", help="[default: the first that all have].")] = None,
    image: Annotated[
        list[str] | None,
        typer.Option("--image", help="Id of a face; may be repeated [default: one right, one wrong of each class]."),
    ] = None,
    title: Annotated[
        list[str] | None, typer.Option("--title", help="Of a run, once for each [default: the ends of their paths].")
    ] = None,
    source: Annotated[str | None, typer.Option("--data", help="Another place of the images evaluated.")] = None,
    data_dir: DataDir = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the choice of faces.")] = 0,
):
    """The crops of the same faces in the order of their weights, by one or several evaluated runs that weigh them."""
    startup.load_keras()
    from edram_fer.comparison.crops import crops as draw

    options = {"split": split, "image_ids": image, "titles": title, "data": source, "data_dir": data_dir, "seed": seed}
    typer.echo(f"Figure: {draw(runs, out, **options)}")
