"""The command line: prepare, arrays, train, evaluate, report, inspect, doctor."""

import datetime
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from edram_fer import startup

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain text: an error ends in a sentence, not in the rim of a box
    help="Train and compare FER models that choose where to look, and study what they look at.",
)
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Where prepared data sets lie [default: $EDRAM_FER_DATA or ./data]."),
]
Run = Annotated[Path, typer.Argument(help="Run folder.")]


@app.command()
def prepare(
    dataset: Annotated[str, typer.Argument(help="fer2013, affectnet, drawn_faces/grey48, ...")],
    source: Annotated[Path | None, typer.Option("--source", help="File or folder of the original files.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "--data-dir", help="Where to [default: $EDRAM_FER_DATA or ./data].")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Prepare again what is there.")] = False,
    size: Annotated[int | None, typer.Option(help="Side of a face in pixels [default: 100].")] = None,
    colour: Annotated[bool | None, typer.Option("--colour/--grey", help="RGB or grey [default: grey].")] = None,
    detectors: Annotated[
        str | None, typer.Option(help="Asked in turn: some of yunet,ssd,dlib,given,none [default: the data set's].")
    ] = None,
    detector_size: Annotated[int | None, typer.Option(help="Longer side that YuNet sees [default: 320].")] = None,
    faces: Annotated[str | None, typer.Option(help="Of several: largest, centre, all [default: largest].")] = None,
    margin: Annotated[float | None, typer.Option(help="Share by which a crop is larger [default: 0].")] = None,
    landmarks: Annotated[bool | None, typer.Option("--landmarks", help="Find 68 landmarks with dlib.")] = None,
    check: Annotated[str | None, typer.Option(help="A detector to compare given boxes with.")] = None,
    classes: Annotated[str | None, typer.Option(help="seven or eight [default: all that there are].")] = None,
    validation: Annotated[
        float | None, typer.Option(help="Share drawn from training where there is no validation [default: 0.05].")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of that choice [default: 0].")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes [default: one per core].")] = None,
    beam: Annotated[
        list[str] | None,
        typer.Option("--beam", metavar="FLAG", help="A flag of an Apache Beam pipeline that makes the faces instead."),
    ] = None,
    reading: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An option of this data set's reader.")
    ] = None,
):
    """Original files to a prepared data set (TFDS); a run that was stopped is gone on with by the same command."""
    startup.load_keras()
    from edram_fer import data
    from edram_fer.recipe import value_of
    from preprocessing import datasets

    options = {
        "size": size,
        "colour": colour,
        "detectors": None if detectors is None else tuple(detectors.split(",")),
        "detector_size": detector_size,
        "faces": faces,
        "margin": margin,
        "landmarks": landmarks,
        "check": check,
        "classes": classes,
        "validation": validation,
        "seed": seed,
        "workers": workers,
        "beam": beam,
    }
    options = {name: value for name, value in options.items() if value is not None}
    for setting in reading or []:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ValueError(f"--set: expected key=value, got {setting!r}")
        options[key] = value_of(text)
    datasets.prepare(dataset, source, out or data.default_data_dir(), force=force, report=typer.echo, **options)


@app.command()
def arrays(
    source: Annotated[str, typer.Argument(help="A prepared data set.")],
    out: Annotated[Path, typer.Argument(help="The .npz file to write.")],
    data_dir: DataDir = None,
):
    """A prepared data set to one file, for environments without TensorFlow."""
    startup.load_keras()
    from edram_fer import data

    described = data.write_arrays(source, out, data_dir=data_dir)
    counts = ", ".join(f"{split} {count}" for split, count in described["splits"].items())
    typer.echo(f"{out}: {counts} pictures, {out.stat().st_size / 1e6:.1f} MB")


@app.command()
def train(
    recipe: Annotated[str | None, typer.Argument(help="A recipe: fer2013, ran_ferplus, demo, ...")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe; may be repeated.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Run folder [default: runs/RECIPE-MODEL-TIME].")] = None,
    resume: Annotated[Path | None, typer.Option("--resume", metavar="RUN", help="Go on with this run.")] = None,
    data_dir: DataDir = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="One line per epoch, no progress bar.")] = False,
):
    """Train by a recipe, or go on with a run that was stopped."""
    startup.load_keras()
    from edram_fer import checkpoints, training
    from edram_fer import recipe as recipes

    if (recipe is None) == (resume is None):
        raise typer.BadParameter(f"expected a recipe ({', '.join(recipes.names())}) or --resume RUN, not both or none")
    verbose = 2 if quiet else "auto"
    try:
        if resume is not None:
            if settings or out:
                raise typer.BadParameter("--resume takes the run's own recipe: it goes without --set and --out")
            out = resume
            training.resume(resume, data_dir=data_dir, verbose=verbose)
        else:
            resolved = recipes.override(recipes.get(recipe), settings or [])
            stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
            out = out or Path("runs") / f"{resolved.name}-{resolved.model}-{stamp}"
            training.train(resolved, out, data_dir=data_dir, verbose=verbose)
    except checkpoints.Interrupted as stop:
        typer.echo(f"Stopped and saved {stop}. Go on with: python train.py --resume {out}", err=True)
        raise typer.Exit(128 + signal.SIGTERM) from None
    typer.echo(f"Trained: {out}. Next: python evaluate.py {out}")


@app.command()
def evaluate(
    run: Run,
    split: Annotated[list[str] | None, typer.Option("--split", help="May be repeated [default: test].")] = None,
    source: Annotated[str | None, typer.Option("--data", help="Another data set than the run's own.")] = None,
    data_dir: DataDir = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1)] = 128,
    flip: Annotated[bool, typer.Option("--flip", help="Also the average with the mirror images.")] = False,
    figures: Annotated[bool, typer.Option("--figures/--no-figures", help="Draw figures and the report.")] = True,
):
    """Predictions, scores, figures and the report of a run."""
    startup.load_keras()
    from edram_fer import evaluation

    metrics = evaluation.evaluate(
        run,
        splits=tuple(split or ("test",)),
        data=source,
        data_dir=data_dir,
        batch_size=batch_size,
        figures=figures,
        flip=flip,
    )
    for name, scores in metrics["splits"].items():
        typer.echo(
            f"{name}: accuracy {scores['accuracy']:.2%}, mean class accuracy {scores['mean_class_accuracy']:.2%}, "
            f"{scores['pictures']} pictures"
        )
    if figures:
        report(run)


@app.command()
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
    from edram_fer.looking import FIGURE, look

    result = look(run, split=split, data=source, data_dir=data_dir, draws=draws, seed=seed)
    for name, found in {**result["accuracy"], **result["contrasts"]}.items():
        low, high = found["interval"]
        typer.echo(f"{name:18}{100 * found['value']:7.2f} %   ({100 * low:.2f} to {100 * high:.2f})")
    typer.echo(f"Figure: {run / 'figures' / FIGURE}")


@app.command()
def report(run: Run):
    """Write report.html of an evaluated run."""
    from edram_fer.report import write

    typer.echo(f"Report: {write(run)}")


@app.command()
def inspect(
    source: Annotated[
        str, typer.Argument(help="A prepared data set, an arrays file, a run folder, or a folder of original files.")
    ],
    data_dir: DataDir = None,
):
    """What a data set or a run holds. A name is that of a prepared data set; a folder of the same name is ./NAME."""
    startup.load_keras()
    from rich.console import Console
    from rich.pretty import pprint

    from edram_fer import checkpoints, data, environment

    console = Console()
    named = _names_a_data_set(source)
    if named and Path(source).exists():
        typer.echo(f"{source} is taken for the prepared data set; the folder of that name is ./{source}", err=True)
    if not named and (Path(source) / "recipe.json").exists():
        pprint(checkpoints.read_recipe(source).to_json(), console=console, expand_all=True)
        pprint(environment.read(source), console=console, expand_all=True)
        return
    if not named and (Path(source).is_dir() or Path(source).suffix == ".csv"):
        from preprocessing.datasets import inspection

        for line in inspection.inspect(source):
            typer.echo(line)
        return
    described = data.describe(source, data_dir=data_dir)
    pprint(described, console=console, expand_all=True)
    for split in described["splits"]:
        counts = data.class_counts(source, split, data_dir=data_dir)
        typer.echo(f"{split}: " + ", ".join(f"{name} {count}" for name, count in counts.items()))


def _names_a_data_set(source: str) -> bool:
    """Whether a text is a name such as "fer2013" or "drawn_faces/grey48", whatever else lies in the current folder."""
    from preprocessing import datasets

    name, *config = source.split("/")
    return name in datasets.NAMES and len(config) <= 1 and config != [""]


@app.command()
def doctor():
    """Versions, backend, devices, and which extras are missing."""
    from edram_fer import environment

    for name, version in environment.versions().items():
        typer.echo(f"{name:24}{version or 'not installed'}")
    for name, value in environment.machine().items():
        typer.echo(f"{name:24}{', '.join(value) if isinstance(value, list) else value}")
    for extra, missing in environment.missing_extras().items():
        hint = f"missing {', '.join(missing)}: pip install 'edram-fer[{extra}]'" if missing else "complete"
        typer.echo(f"{'extra ' + extra:24}{hint}")


def main(arguments=None):
    """Run a command. Errors end in one sentence and status 1; EDRAM_FER_TRACEBACK=1 shows their traceback instead."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("absl").setLevel(logging.ERROR)
    try:
        app(arguments, prog_name="edram-fer")
    except KeyboardInterrupt:
        sys.exit("stopped")
    except Exception as error:
        if os.environ.get("EDRAM_FER_TRACEBACK"):
            raise
        known = isinstance(error, (ValueError, OSError, FloatingPointError, ImportError))
        kind = "" if known else f"{type(error).__name__}: "
        hint = "" if known else " (set EDRAM_FER_TRACEBACK=1 to see where)"
        sys.exit(f"error: {kind}{_text(error)}{hint}")


def _text(error):
    """An OSError's own words name the place; others speak for themselves."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)
