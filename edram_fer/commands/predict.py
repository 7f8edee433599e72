"""The command that applies a trained model to new images."""

from pathlib import Path
from typing import Annotated

import typer

from edram_fer import startup

MAX_PRINTED_ROWS = 20


def predict(
    model: Annotated[str, typer.Argument(help="Run folder, .keras file, or fer2013-edram, which is included.")],
    images: Annotated[list[Path], typer.Argument(help="Images, and folders of images.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for predictions.csv and images/.")] = Path("predictions"),
    detectors: Annotated[
        str | None,
        typer.Option(
            "--detectors",
            help="Tried in turn: yunet, ssd, dlib; none: each image is a face "
            "[default: yunet,dlib; images of exactly the model's size are treated as faces].",
        ),
    ] = None,
    faces: Annotated[
        str, typer.Option("--faces", help="Which of several faces: all, largest, surest, centre.")
    ] = "all",
    clahe: Annotated[
        float | None,
        typer.Option("--clahe", metavar="LIMIT", help="Clip limit of CLAHE; 0: no CLAHE [default: as in training]."),
    ] = None,
    draw: Annotated[bool, typer.Option("--draw/--no-draw", help="Draw the faces and glimpses into the images.")] = True,
) -> None:
    """Detect faces in new images, predict their emotions, and draw where the model looked."""
    startup.load_keras()
    from edram_fer import prediction
    from edram_fer.prediction import files

    names = None if detectors is None else tuple(name.strip() for name in detectors.split(","))
    table = prediction.predict(model, images, detectors=names, faces=faces, clahe=clahe)
    files.write(table, out, draw=draw)
    for row in table.head(MAX_PRINTED_ROWS).itertuples():
        answer = f"{row.emotion} {row.confidence:.0%}" if row.status == "ok" else row.status
        face = f", face {row.face}" if row.status == "ok" else ""
        typer.echo(f"{row.source}{face}: {answer}")
    if len(table) > MAX_PRINTED_ROWS:
        typer.echo(f"... and {len(table) - MAX_PRINTED_ROWS} more")
    typer.echo(f"Predictions: {out / files.TABLE}")
