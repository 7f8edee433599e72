"""Commands that turn original files into data sets for training."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edram_fer import startup
from edram_fer.commands.options import DataDir
from edram_fer.errors import UNEXPECTED, UserError
from edram_fer.recipes import settings

if TYPE_CHECKING:  # the other commands do not need it, and importing it takes 50 MB
    import pyarrow

RECIPES = {"fer2013": "fer2013", "drawn_faces": "demo"}  # the recipe to start with; for all other data sets OWN_RECIPE
FAULTY = 3  # exit status if rows raised unexpected errors
OWN_RECIPE, OWN_BATCH_SIZE = "own_data", 32
DATA_SETS = (
    "One of fer2013, ferplus, affectnet, raf_db, ck_plus, jaffe, ferg, kdef, sfew, expw, folder, table, drawn_faces; "
    "NAME/CONFIG as in ferplus/probability, drawn_faces/grey48."
)


def prepare(
    dataset: Annotated[str, typer.Argument(help=DATA_SETS)],
    source: Annotated[Path | None, typer.Option("--source", help="File or folder with the original files.")] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the prepared data set, DATASET/NAME [default: made of its settings, as grey100]."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "--data-dir", help="Folder for prepared data sets [default: $EDRAM_FER_DATA or ./data]."),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="Folder that the image paths of a table are relative to [default: the table's].")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROLE=NAME",
            help="Column of a table: image, emotion, valence, arousal, left, top, width, height, right, bottom, box, "
            "subject, split or landmarks; valence=NAME:1..9 rescales it to [-1, 1]; may be repeated [default: found by "
            "usual names].",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a prepared data set.")] = False,
    published: Annotated[
        str | None,
        typer.Option(help="Crop faces as a paper's code did: forch2019; other options take precedence."),
    ] = None,
    size: Annotated[int | None, typer.Option(help="Side of a face in pixels [default: 100].")] = None,
    colour: Annotated[bool | None, typer.Option("--colour/--grey", help="RGB or grey [default: grey].")] = None,
    detectors: Annotated[
        str | None,
        typer.Option(help="Tried in turn: some of yunet,ssd,dlib,annotation,none [default: the data set's]."),
    ] = None,
    annotated: Annotated[
        bool | None,
        typer.Option("--annotated/--ignore-annotated", help="Use annotated boxes and landmarks, or ignore them."),
    ] = None,
    detector_size: Annotated[
        int | None, typer.Option(help="Longer side of YuNet's input image, in pixels [default: 320].")
    ] = None,
    coarse_size: Annotated[
        int | None, typer.Option(help="Longer side of a second, smaller input image, for large faces [default: none].")
    ] = None,
    min_score: Annotated[
        float | None, typer.Option(help="Least score of yunet and ssd [default: 0.7 and 0.2].")
    ] = None,
    retry: Annotated[
        str | None,
        typer.Option(
            help="Equalisation of a photo for the second try of a detector: histogram, clahe, none; one value, or one "
            "for each detector, such as clahe,histogram [default: histogram]."
        ),
    ] = None,
    faces: Annotated[
        str | None,
        typer.Option(
            help="Which of several faces: largest, surest, centre, all; one value, or one for each "
            "detector, such as surest,largest [default: largest]."
        ),
    ] = None,
    largest_photo: Annotated[
        int | None,
        typer.Option(help="Megapixels of the largest photo [default: 100, which needs up to 600 MB in each process]."),
    ] = None,
    smallest_photo: Annotated[
        int | None, typer.Option(help="Least sum of a photo's width and height in pixels [default: 0].")
    ] = None,
    smallest_inside: Annotated[
        float | None,
        typer.Option(help="Least share of a detected box inside the photo's right and lower borders [default: 0]."),
    ] = None,
    margin: Annotated[
        float | None, typer.Option(help="Share by which the square is larger than the box [default: 0].")
    ] = None,
    smallest_square: Annotated[
        int | None, typer.Option(help="Least side of the cropped square in pixels [default: 0].")
    ] = None,
    rounding: Annotated[
        str | None,
        typer.Option(help="Rounding of boxes and squares to whole pixels: nearest, down [default: nearest]."),
    ] = None,
    landmarks: Annotated[
        bool | None, typer.Option("--landmarks", help="Find 68 landmarks with dlib if none are annotated.")
    ] = None,
    landmark_image: Annotated[
        str | None, typer.Option(help="Where dlib finds them: photo, or face, the cropped face [default: photo].")
    ] = None,
    interpolation: Annotated[
        str | None,
        typer.Option(help="How the square is resized: area (bicubic if enlarged), linear [default: area]."),
    ] = None,
    check: Annotated[str | None, typer.Option(help="Detector to compare with the annotated boxes.")] = None,
    models: Annotated[
        Path | None, typer.Option(help="Folder that is searched for the detectors' files before installed packages.")
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(help="seven or eight emotions, or names: bored,engaged,confused [default: all emotions]."),
    ] = None,
    validation: Annotated[
        float | None,
        typer.Option(
            help="Share of the training split to use as validation if there is none [default: 0.05; 0.1 for folder and "
            "table]."
        ),
    ] = None,
    test: Annotated[
        float | None,
        typer.Option(
            help="Share of the training split to use as test if there is none [default: 0; 0.2 for folder and table "
            "without splits]."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed for selecting validation and test [default: 0].")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Number of processes [default: one per core].")] = None,
    beam: Annotated[
        list[str] | None,
        typer.Option(
            "--beam",
            metavar="FLAG",
            help="Option of an Apache Beam pipeline that crops the faces instead; may be repeated.",
        ),
    ] = None,
    reader_options: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Option of the data set's reader, such as split=published."),
    ] = None,
) -> None:
    """Prepare a data set (TFDS) from original files; the same command resumes a stopped preparation.

    The exit status is 0, or 3 if rows raised unexpected errors; the others are prepared.
    """
    # TensorFlow is loaded only when the data set is written, so that cropping the faces has its time and memory.
    from edram_fer import data
    from edram_fer.preprocessing import datasets

    options = {
        "config_name": name,
        "root": root,
        "column": column,
        "published": published,
        "size": size,
        "colour": colour,
        "detectors": None if detectors is None else tuple(name.strip() for name in detectors.split(",")),
        "annotated": annotated,
        "detector_size": detector_size,
        "coarse_size": coarse_size,
        "min_score": min_score,
        "retry": retry,
        "faces": faces,
        "largest_photo": largest_photo,
        "smallest_photo": smallest_photo,
        "smallest_inside": smallest_inside,
        "margin": margin,
        "smallest_square": smallest_square,
        "rounding": rounding,
        "landmarks": landmarks,
        "landmark_image": landmark_image,
        "interpolation": interpolation,
        "check": check,
        "models": models,
        "classes": classes,
        "validation": validation,
        "test": test,
        "seed": seed,
        "workers": workers,
        "beam": beam,
    }
    options = {name: value for name, value in options.items() if value is not None}
    options |= _parse_reader_options(reader_options or [])
    data_dir = out or data.default_data_dir()
    builder = datasets.prepare(dataset, source, data_dir, force=force, report=typer.echo, **options)
    folder = [] if data_dir == data.default_data_dir() else ["--data-dir", str(data_dir)]
    rows = _rows(builder.info.data_dir)
    typer.echo(_next_step(builder.info.full_name, builder.info.splits, _has_affect(rows), folder))
    unexpected = 0 if rows is None else _count_unexpected(rows)
    if unexpected:
        typer.echo(
            f"{unexpected:,} rows raised unexpected errors, see their status in rows.parquet (exit status {FAULTY})"
        )
        raise typer.Exit(FAULTY)


def _rows(folder: str) -> "pyarrow.Table | None":
    """Valence and status of all rows of a prepared data set of annotated photos; None for other data sets."""
    import pyarrow.parquet

    path = Path(folder) / "rows.parquet"
    return pyarrow.parquet.read_table(path, columns=["valence", "status"], partitioning=None) if path.exists() else None


def _count_unexpected(rows: "pyarrow.Table") -> int:
    import pyarrow.compute

    return pyarrow.compute.sum(pyarrow.compute.starts_with(rows["status"], UNEXPECTED)).as_py() or 0


def _has_affect(rows: "pyarrow.Table | None") -> bool:
    """Whether a prepared data set of annotated photos has valence and arousal."""
    import pyarrow.compute

    from edram_fer.preprocessing.records import UNKNOWN_AFFECT

    return rows is not None and pyarrow.compute.max(rows["valence"]).as_py() != UNKNOWN_AFFECT


def _next_step(full_name: str, splits: Mapping[str, Any], has_affect: bool, folder: Sequence[str]) -> str:
    """A line with the command that trains on a prepared data set.

    Args:
        full_name: name/configuration/version, or name/version.
        splits: split -> its `num_examples`.
        has_affect: whether the data set has valence and arousal.
        folder: the option for the folder of prepared data sets.
    """
    dataset, *config, _ = full_name.split("/")
    recipe = RECIPES.get(dataset, OWN_RECIPE)
    words = ["edram-fer", "train", recipe]
    if dataset != recipe:
        words += ["--set", f"data={'/'.join([dataset, *config])}"]
    training = "train"
    if not {"train", "validation"} <= splits.keys():
        *others, validation = [split for split in splits if split != "test_clean"]
        if not others:
            return "Training needs a second split for validation: prepare again with --validation 0.1"
        training = "+".join(others)
        words += ["--set", f"train_split={training}", "--set", f"validation_split={validation}"]
    images = sum(splits[split].num_examples for split in training.split("+"))
    if recipe == OWN_RECIPE and images < OWN_BATCH_SIZE:
        words += ["--set", f"batch_size={max(images, 2)}"]
    if recipe == OWN_RECIPE and has_affect:
        words += ["--set", "affect=true"]
    return f"Next: {shlex.join([*words, *folder])}"


def _parse_reader_options(texts: list[str]) -> dict[str, object]:
    """{key: value} of texts "key=value"."""
    options = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--set: expected key=value, got {text!r}")
        options[key] = settings.parse_value(value)
    return options


def export_data(
    source: Annotated[str, typer.Argument(help="A prepared data set.")],
    out: Annotated[Path, typer.Argument(help="The .npz archive to write.")],
    data_dir: DataDir = None,
    landmarks: Annotated[
        bool, typer.Option("--landmarks", help="Find landmarks with dlib if the data set has none.")
    ] = False,
    align: Annotated[
        str | None,
        typer.Option(
            help="Bring the eyes of all faces to the same places: mean (their mean places) or arcface (those of "
            "face-recognition backbones).",
            metavar="PLACES",
        ),
    ] = None,
) -> None:
    """Write a prepared data set to one .npz archive, which needs no TensorFlow to be read."""
    startup.load_keras_alone()
    from edram_fer import data

    described = data.write_arrays(source, out, data_dir=data_dir, find_landmarks=landmarks, align=align)
    counts = ", ".join(f"{split} {count}" for split, count in described["splits"].items())
    typer.echo(f"{out}: {counts} images, {out.stat().st_size / 1e6:.1f} MB")
