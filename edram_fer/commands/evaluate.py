"""Run folders to scores, figures and pages."""

import functools
from typing import Annotated

import typer

from edram_fer import files, startup
from edram_fer.commands.options import DataDir, Run
from edram_fer.run import layout


def evaluate(
    run: Run,
    split: Annotated[list[str] | None, typer.Option("--split", help="May be repeated [default: test].")] = None,
    source: Annotated[str | None, typer.Option("--data", help="Another data set than the run's own.")] = None,
    data_dir: DataDir = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1)] = 128,
    flip: Annotated[bool, typer.Option("--flip", help="Also the average with the mirror images.")] = False,
    ten_crop: Annotated[
        float | None, typer.Option("--ten-crop", metavar="SHARE", help="Also the average of ten crops, 0.9 of a side.")
    ] = None,
    figures: Annotated[bool, typer.Option("--figures/--no-figures", help="Draw figures and the report.")] = True,
):
    """Predictions, scores, figures and the report of a run."""
    startup.load_keras()
    from edram_fer.evaluation import evaluate

    metrics = evaluate.evaluate(
        run,
        splits=tuple(split or ("test",)),
        data=source,
        data_dir=data_dir,
        batch_size=batch_size,
        flip=flip,
        ten_crop=ten_crop,
    )
    for name, scores in metrics["splits"].items():
        typer.echo(
            f"{name}: accuracy {scores['accuracy']:.2%}, mean class accuracy {scores['mean_class_accuracy']:.2%}, "
            f"{scores['images']} images"
        )
    if figures:
        _draw(run, source, data_dir)
        report(run)


def figures(
    run: Run,
    pdf: Annotated[bool, typer.Option("--pdf", help="Each figure also as PDF.")] = False,
    landmarks: Annotated[
        bool, typer.Option("--landmarks", help="Let dlib find the faces' landmarks where the data set has none.")
    ] = False,
    source: Annotated[str | None, typer.Option("--data", help="Another place of the images evaluated.")] = None,
    data_dir: DataDir = None,
):
    """All figures of an evaluated run, for each split, and the report with them."""
    startup.load_keras()
    written = _draw(run, source, data_dir, find_landmarks=landmarks, pdf=pdf)
    typer.echo(f"Figures: {len(written)} files in {run / layout.FIGURES}")
    for split, found in files.read_json(run / layout.REGION_SHARES).items():
        missing = (
            f" {found['excluded_share']:.1%} of the faces have none." if found.get("excluded_share") is not None else ""
        )
        typer.echo(f"Regions of the face, {split}: {found['note']}{missing}")
    report(run)


def report(run: Run):
    """Write report.html of an evaluated run."""
    from edram_fer.report import write

    typer.echo(f"Report: {write(run)}")


def _draw(run, source, data_dir, **options):
    """The figures of an evaluated run; the paths that were written."""
    from edram_fer.figures.run import draw
    from edram_fer.run.evaluated_run import EvaluatedRun

    return draw(run, functools.partial(EvaluatedRun(run).features, data=source, data_dir=data_dir), **options)
