"""Original files to data sets that models train on."""

from pathlib import Path
from typing import Annotated

import typer

from edram_fer import startup
from edram_fer.commands.options import DataDir
from edram_fer.errors import UserError
from edram_fer.recipes import settings

DATA_SETS = (
    "One of fer2013, ferplus, affectnet, raf_db, ck_plus, jaffe, ferg, kdef, sfew, expw, folder, drawn_faces; "
    "NAME/CONFIG as in ferplus/probability, drawn_faces/grey48."
)


def prepare(
    dataset: Annotated[str, typer.Argument(help=DATA_SETS)],
    source: Annotated[Path | None, typer.Option("--source", help="File or folder of the original files.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "--data-dir", help="Where to [default: $EDRAM_FER_DATA or ./data].")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Prepare again what is there.")] = False,
    size: Annotated[int | None, typer.Option(help="Side of a face in pixels [default: 100].")] = None,
    colour: Annotated[bool | None, typer.Option("--colour/--grey", help="RGB or grey [default: grey].")] = None,
    detectors: Annotated[
        str | None,
        typer.Option(help="Asked in turn: some of yunet,ssd,dlib,annotation,none [default: the data set's]."),
    ] = None,
    detector_size: Annotated[int | None, typer.Option(help="Longer side that YuNet sees [default: 320].")] = None,
    faces: Annotated[str | None, typer.Option(help="Of several: largest, centre, all [default: largest].")] = None,
    margin: Annotated[float | None, typer.Option(help="Share by which a crop is larger [default: 0].")] = None,
    landmarks: Annotated[bool | None, typer.Option("--landmarks", help="Find 68 landmarks with dlib.")] = None,
    check: Annotated[str | None, typer.Option(help="A detector to compare given boxes with.")] = None,
    models: Annotated[
        Path | None, typer.Option(help="Folder of the detectors' files [default: the packages that carry them].")
    ] = None,
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
    reader_options: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="An option of the data set's reader, as split=published."),
    ] = None,
):
    """Original files to a prepared data set (TFDS); a run that was stopped is resumed by the same command."""
    given = {**locals()}  # only the parameters so far
    # TensorFlow is not loaded before a data set is written: until then its seconds and its memory are the faces'.
    from edram_fer import data
    from edram_fer.preprocessing import datasets

    own = ("dataset", "source", "out", "force", "reader_options")
    options = {name: value for name, value in given.items() if name not in own and value is not None}
    if detectors is not None:
        options["detectors"] = tuple(name.strip() for name in detectors.split(","))
    options |= _settings(reader_options or [])
    datasets.prepare(dataset, source, out or data.default_data_dir(), force=force, report=typer.echo, **options)


def _settings(given):
    """{key: value} of texts "key=value"."""
    pairs = [text.partition("=") for text in given]
    for text, (_, equals, _) in zip(given, pairs):
        if not equals:
            raise UserError(f"--set: expected key=value, got {text!r}")
    return {key: settings.parse_value(value) for key, _, value in pairs}


def arrays(
    source: Annotated[str, typer.Argument(help="A prepared data set.")],
    out: Annotated[Path, typer.Argument(help="The .npz file to write.")],
    data_dir: DataDir = None,
    landmarks: Annotated[
        bool, typer.Option("--landmarks", help="Let dlib find the faces' landmarks where the data set has none.")
    ] = False,
):
    """A prepared data set to one file, for environments without TensorFlow."""
    startup.load_keras()
    from edram_fer import data

    described = data.write_arrays(source, out, data_dir=data_dir, find_landmarks=landmarks)
    counts = ", ".join(f"{split} {count}" for split, count in described["splits"].items())
    typer.echo(f"{out}: {counts} images, {out.stat().st_size / 1e6:.1f} MB")
