"""The commands that evaluate a run, draw its figures and write its report."""

import functools
import shlex
from pathlib import Path
from typing import Annotated

import typer

from edram_fer import files, startup
from edram_fer.commands.options import DataDir, EvaluatedRun, Out, Run
from edram_fer.preprocessing.folder_lock import reserved
from edram_fer.run import layout


def evaluate(
    run: Run,
    split: Annotated[list[str] | None, typer.Option("--split", help="May be repeated [default: test].")] = None,
    source: Annotated[str | None, typer.Option("--data", help="Data set to use instead of the run's.")] = None,
    data_dir: DataDir = None,
    out: Out = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1)] = 128,
    flip: Annotated[
        bool, typer.Option("--flip", help="Also score predictions averaged over each image and its mirror image.")
    ] = False,
    ten_crop: Annotated[
        float | None,
        typer.Option(
            "--ten-crop",
            metavar="SHARE",
            help="Also score predictions averaged over ten crops, whose side is this share of the image's.",
        ),
    ] = None,
    figures: Annotated[
        bool, typer.Option("--figures/--no-figures", help="Draw the figures and write the report.")
    ] = True,
) -> None:
    """Evaluate a run on one or more splits; draw the figures and write the report."""
    startup.load_keras_alone()
    from edram_fer.evaluation import evaluate as evaluation
    from edram_fer.evaluation import inference
    from edram_fer.run import evaluation_folder

    folder, data, folder_of_data = evaluation_folder.open_folder(run, data=source, data_dir=data_dir, out=out)
    with reserved(folder, "evaluating"):
        metrics = evaluation.evaluate(
            folder,
            splits=tuple(split or ("test",)),
            data=data,
            data_dir=folder_of_data,
            batch_size=batch_size,
            flip=flip,
            ten_crop=ten_crop,
        )
        _print_scores(metrics)
        calibration = metrics["run"]["calibration"]
        cure = "" if calibration else f" `{shlex.join(['edram-fer', 'calibrate', str(folder)])}` calibrates them."
        typer.echo(f"{inference.describe_calibration(calibration)}{cure}")
        if figures:
            _draw(folder, data, folder_of_data)
            report(folder)
        else:
            typer.echo(f"Scores: {folder / layout.METRICS}")


def _print_scores(metrics):
    for name, scores in metrics["splits"].items():
        typer.echo(
            f"{name}: accuracy {scores['accuracy']:.2%}, mean class accuracy {scores['mean_class_accuracy']:.2%}, "
            f"calibration error {scores['ece']:.2%}, {scores['images']} images"
        )
        if scores["intervals_note"]:
            typer.echo(f"{name}: {scores['intervals_note']}")
        for line in _unmatched_classes(name, scores):
            typer.echo(line)


def calibrate(
    run: Annotated[Path, typer.Argument(help="Run folder, .keras file, or card of any model.")],
    split: Annotated[
        str | None, typer.Option("--split", help="Images to fit to [default: the run's validation split].")
    ] = None,
    source: Annotated[str | None, typer.Option("--data", help="Data set to use instead of the run's.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Fit the temperature of a run's probabilities on validation images, and store it in the run's model.keras."""
    startup.load_keras_alone()
    from edram_fer.evaluation.calibrate import calibrate as fit

    result = fit(run, split=split, data=source, data_dir=data_dir)
    temperature, nll, conformal = result["temperature"], result["nll"], result["conformal"]
    steps = " after each glimpse" if len(temperature) > 1 else ""
    typer.echo(f"Temperature{steps}: {', '.join(f'{value:.3f}' for value in temperature)}")
    typer.echo(
        f"Negative log-likelihood on {result['images']} images of {result['split']}: {nll['before']:.4f} before, "
        f"{nll['after']:.4f} after"
    )
    typer.echo(
        f"A {conformal['level']:.0%} prediction set holds the classes of at least {1 - conformal['threshold']:.1%}"
    )
    typer.echo(f"Stored with the model; now evaluate it (again): {shlex.join(['edram-fer', 'evaluate', str(run)])}")


def _unmatched_classes(split, scores):
    """A line for the emotions that the model does not know, and one for answers that the split cannot confirm."""
    if scores["excluded"]:
        counts = ", ".join(f"{count} {name}" for name, count in scores["excluded"].items())
        yield f"{split}: not scored, since the model has no such class: {counts}"
    matrix = scores["confusion"]
    answers = dict(zip(matrix["emotions"], map(sum, zip(*matrix["counts"], strict=True)), strict=True))
    absent = [name for name, row in scores["per_class"].items() if not row["support"]]
    if wrong := [f"{answers[name]} times {name}" for name in absent if answers[name]]:
        yield f"{split}: always wrong, since no image has this emotion, are the answers {', '.join(wrong)}"


def figures(
    run: EvaluatedRun,
    pdf: Annotated[bool, typer.Option("--pdf", help="Also save each figure as PDF.")] = False,
    landmarks: Annotated[
        bool, typer.Option("--landmarks", help="Find the landmarks with dlib if the data set has none.")
    ] = False,
    source: Annotated[
        str | None, typer.Option("--data", help="Data set to read the images from [default: the evaluated one].")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Redraw all figures of an evaluated run, for each split, and write the report."""
    startup.load_keras_alone()
    from edram_fer.run import evaluation_folder

    run = evaluation_folder.find(run)
    written = _draw(run, source, data_dir, find_landmarks=landmarks, pdf=pdf)
    typer.echo(f"Figures: {len(written)} files in {run / layout.FIGURES}")
    for split, shares in files.read_json(run / layout.REGION_SHARES).items():
        excluded = shares.get("excluded_share")
        missing = "" if excluded is None else f" {excluded:.1%} of the faces have none."
        typer.echo(f"Regions of the face, {split}: {shares['note']}{missing}")
    report(run)


def report(run: EvaluatedRun) -> None:
    """Write report.html of an evaluated run."""
    startup.load_keras_alone()
    from edram_fer.report import write

    typer.echo(f"Report: {write(run)}")


def _draw(run, source, data_dir, **options):
    """Draw the figures of an evaluated run and return their paths."""
    from edram_fer.figures.run import draw
    from edram_fer.run import evaluated_run

    features = evaluated_run.EvaluatedRun(run).features
    return draw(run, functools.partial(features, data=source, data_dir=data_dir), **options)
