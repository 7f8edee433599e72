"""The command that applies a trained model to new images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edram_fer import files, installation, startup
from edram_fer.errors import MissingFileError, MissingPackageError, UserError
from edram_fer.preprocessing.folder_lock import reserved

if TYPE_CHECKING:
    from edram_fer.prediction.images import Images
    from edram_fer.prediction.output import Output
    from edram_fer.prediction.predictor import Predictor

MAX_PRINTED_ROWS = 20
FAULTY = 3  # exit status if some images could not be used
NOTE = "Each prediction is a guess about an expression, not about a feeling."


def predict(
    model: Annotated[
        str, typer.Argument(help="Run folder, .keras, .onnx or .tflite file, or the name of an included model.")
    ],
    images: Annotated[
        list[str] | None, typer.Argument(help="Images, films, folders of them, and patterns such as '*.jpg'.")
    ] = None,
    camera: Annotated[
        str | None, typer.Option("--camera", metavar="NUMBER", help="A camera, until q or Ctrl-C; 0 is the first one.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the table and images/.")] = Path("predictions"),
    format: Annotated[
        str, typer.Option("--format", help="Of the table: csv, parquet or jsonl, one JSON object per line.")
    ] = "csv",
    detectors: Annotated[
        str | None,
        typer.Option(
            "--detectors",
            help="Tried in turn: yunet, ssd, dlib; none: each image is a face "
            "[default: yunet; images of exactly the model's size are treated as faces].",
        ),
    ] = None,
    detector_size: Annotated[
        int | None,
        typer.Option(
            "--detector-size",
            help="Longer side of yunet's input image in pixels; faces below a thirtieth of it are missed "
            "[default: 1280].",
        ),
    ] = None,
    min_score: Annotated[
        float | None, typer.Option("--min-score", help="Least score of yunet and ssd, 0 to 1 [default: 0.78].")
    ] = None,
    faces: Annotated[
        str, typer.Option("--faces", help="Which of several faces: all, largest, surest, centre.")
    ] = "all",
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Also try each photo sideways and upside down: four times the detection.")
    ] = False,
    clahe: Annotated[
        float | None,
        typer.Option("--clahe", metavar="LIMIT", help="Clip limit of CLAHE; 0: no CLAHE [default: as in training]."),
    ] = None,
    every: Annotated[
        str, typer.Option("--every", help="Which frames of films: each 5th (5), or one in half a second (0.5s).")
    ] = "1",
    steps: Annotated[bool, typer.Option("--steps", help="Also write the probabilities after each step.")] = False,
    draw: Annotated[bool, typer.Option("--draw/--no-draw", help="Draw the faces and glimpses into the images.")] = True,
    overlay: Annotated[
        bool,
        typer.Option(
            "--overlay/--no-overlay",
            help="Draw the faces, glimpses and probabilities into a copy of each film, or into a window with --camera.",
        ),
    ] = True,
    restart: Annotated[bool, typer.Option("--restart", help="Predict all images again instead of resuming.")] = False,
    runtime: Annotated[
        str,
        typer.Option(
            "--runtime",
            help="keras; onnx: without TensorFlow, after a model of an architecture that is not included was exported, "
            "once; auto: onnx where nothing has to be exported.",
        ),
    ] = "auto",
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Threads for images and detectors [default: one per core].")
    ] = None,
) -> None:
    """Detect faces in images, films or a camera, predict their emotions, and draw where the model looked.

    The table grows while the command runs, and the same command resumes a stopped one. The exit status is 0, or 3 if
    some images could not be used; their rows give the reason.
    """
    from edram_fer.prediction import output

    options = {
        "detectors": None if detectors is None else tuple(name.strip() for name in detectors.split(",")),
        "detector_size": detector_size,
        "min_score": min_score,
        "faces": faces,
        "rotate": rotate,
        "clahe": clahe,
        "every": every,
        "steps": steps,
        "runtime": runtime,
        "workers": workers,
    }
    options = {name: value for name, value in options.items() if value is not None}
    with reserved(out, "predicting"):
        written = output.Output(out, format=format, draw=draw, overlay=overlay)
        if camera is not None:
            if images:
                raise UserError(f"--camera: expected no images beside it, got {images[0]}")
            if every != "1":
                raise UserError(
                    f"--every: expected films; of a camera, each frame is used that comes in time, got {every}"
                )
            _watch(model, camera, options, written)
        elif images:
            _predict(model, images, options, written, restart=restart)
        else:
            raise UserError("images: expected some files, folders or patterns, or --camera 0")
    _finish(written)


def _predict(model: str, images: list[str], options: dict[str, Any], written: "Output", *, restart: bool) -> None:
    """Predict files. What an earlier command with the same images and settings has done is not repeated."""
    from edram_fer.exporting import once
    from edram_fer.prediction import folders
    from edram_fer.prediction.images import single_images
    from edram_fer.prediction.video import Every
    from edram_fer.run.model_file import model_path

    listed = single_images(images, Every.parse(options["every"]))
    if listed.passed_over:
        count, names = sum(entry.files for entry in listed.passed_over), folders.summary(listed.passed_over)
        typer.echo(f"Passed over {count:,} files: {names} ({written.folder / folders.PASSED_OVER})")
    options["runtime"] = once.runtime(model, options["runtime"])  # a resumed table has the same
    settings = {name: value for name, value in options.items() if name != "workers"}
    settings |= {**_digests(model_path(model)), "version": installation.version()}
    state = written.state(listed, settings, restart=restart)
    if state == "complete":
        typer.echo(f"{written.table} already holds the predictions of these images; --restart makes them again")
        return
    from edram_fer.evaluation import inference
    from edram_fer.prediction.predictor import Predictor

    if "detectors" not in options:
        _check_default_detector()
    if options["runtime"] == "keras":
        startup.load_keras_alone()
    predictor = Predictor(model, **options)
    typer.echo(inference.describe_calibration(predictor.model.calibration))
    total = "an unknown number" if listed.total is None else f"{listed.total:,}"
    if state == "replaced":
        typer.echo(f"Replacing the predictions in {written.folder}, which are of other images, model or settings")
    elif state == "resumed":
        typer.echo(f"Resuming: {written.counts['images']:,} of {total} images are done")
    written.start(listed.passed_over)
    try:
        _write(predictor, listed, written)
    except KeyboardInterrupt:
        written.finish(complete=False)
        done = f"{written.counts['images']:,} of {total} images, which are in {written.folder}"
        typer.echo(f"Stopped after {done}; the same command resumes", err=True)
        raise
    written.finish()


def _digests(path: Path) -> dict[str, Any]:
    """SHA-256 of the file of a model and, if it is a card, of the files that it describes."""
    from edram_fer.run.model_file import is_exported

    digests: dict[str, Any] = {"model": files.digest(path)}
    if path.suffix.lower() == ".keras" or is_exported(path):  # which need no Keras for this
        return digests
    startup.load_keras_alone()
    from edram_fer import foreign

    if foreign.is_card(path):
        digests["model_files"] = {file.name: files.digest(file) for file in foreign.read_card(path).files()}
    return digests


def _write(predictor: "Predictor", listed: "Images", written: "Output") -> None:
    """Predict the images that are not done yet, print the first rows, and draw the films."""
    printed, face_sized = 0, 0
    for batch in predictor.batches(listed, written.counts["images"], written.film_rows(listed)):
        written.write(batch.images, batch.rows, predictor.workers)
        face_sized += batch.face_sized
        for row in batch.rows[: MAX_PRINTED_ROWS - printed]:
            typer.echo(_sentence(row))
        printed = min(printed + len(batch.rows), MAX_PRINTED_ROWS)
    if written.overlays:
        written.draw_films(listed, predictor.classes)
    if written.counts["rows"] > printed:
        typer.echo(f"... and {written.counts['rows'] - printed:,} more rows")
    if face_sized > written.counts["images"] / 2:
        typer.echo("Most images are as small as a face and no face was detected: are they faces? Try --detectors none")


def _watch(model: str, device: str, options: dict[str, Any], written: "Output") -> None:
    """Predict the frames of a camera until it is stopped. The table holds those of this time only."""
    from edram_fer.prediction import live
    from edram_fer.prediction.images import Images
    from edram_fer.prediction.predictor import Predictor
    from edram_fer.prediction.video import camera

    frames = camera(int(device) if device.isdecimal() else device)
    if written.overlays:
        live.open_window()
    if "detectors" not in options:
        _check_default_detector()
    predictor = Predictor(model, **{**options, "batch_size": 1, "workers": 1})
    written.state(Images([], None, []), {"camera": device}, restart=True)
    written.start()
    try:
        for batch in live.watch(predictor, frames, written.overlays):
            written.write(batch.images, batch.rows, predictor.workers)
            typer.echo("; ".join(map(_sentence, batch.rows)))
    except KeyboardInterrupt:
        pass
    written.finish()


def _check_default_detector() -> None:
    """Report that the default detector is missing before a model is loaded; a Predictor checks those that are named."""
    from edram_fer.prediction.crops import DEFAULT_DETECTORS
    from edram_fer.preprocessing.face_settings import FaceSettings
    from edram_fer.preprocessing.faces import check_detectors

    try:
        check_detectors(FaceSettings(detectors=DEFAULT_DETECTORS))
    except (MissingFileError, MissingPackageError) as error:
        raise type(error)(f"{error}. For images that are faces already: --detectors none") from error


def _sentence(row: dict[str, Any]) -> str:
    answer = f"{row['emotion']} {row['confidence']:.0%}" if row["status"] == "ok" else row["status"]
    face = f", face {row['track'] or row['face']}" if row["status"] == "ok" else ""
    time = "" if row["time"] is None else f", {row['time']:.2f} s"
    return f"{row['source']}{time}{face}: {answer}"


def _finish(written: "Output") -> None:
    counts = written.counts
    typer.echo(
        f"Predictions: {written.table} (images: {counts['images']:,}, faces: {counts['faces']:,}, images without a "
        f"face: {counts['no_face']:,}). {NOTE}"
    )
    if counts["faulty"]:
        typer.echo(
            f"Images or faces that could not be used, see their status: {counts['faulty']:,} (exit status {FAULTY})"
        )
        raise typer.Exit(FAULTY)
