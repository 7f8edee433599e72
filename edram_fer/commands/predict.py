"""A trained model on new photos."""

from pathlib import Path
from typing import Annotated

import typer

from edram_fer import startup

MAX_PRINTED_ROWS = 20  # rows on the screen


def predict(
    model: Annotated[str, typer.Argument(help="Run folder, .keras file, or fer2013-edram, which is included.")],
    photos: Annotated[list[Path], typer.Argument(help="Photos, and folders of photos.")],
    out: Annotated[Path, typer.Option("--out", help="Where predictions.csv and images/ are written.")] = Path(
        "predictions"
    ),
    detectors: Annotated[
        str, typer.Option("--detectors", help="Asked in turn: yunet, ssd, dlib; none: the photos are faces already.")
    ] = "yunet,dlib",
    faces: Annotated[str, typer.Option("--faces", help="Of several: all, largest, centre.")] = "all",
    clahe: Annotated[
        float | None,
        typer.Option("--clahe", metavar="LIMIT", help="Equalise the contrast, 0: not [default: as in training]."),
    ] = None,
    draw: Annotated[bool, typer.Option("--draw/--no-draw", help="Draw the photos with faces and windows.")] = True,
):
    """Faces in new photos: their emotion, and where the model looked."""
    startup.load_keras()
    from edram_fer.prediction import photos as recognition

    chosen = tuple(name.strip() for name in detectors.split(","))
    rows = recognition.predict(model, photos, out, detectors=chosen, which=faces, clahe=clahe, draw=draw)
    for row in rows[:MAX_PRINTED_ROWS]:
        said = f"{row['emotion']} {row['probability']:.0%}" if "emotion" in row else row["status"]
        place = f", face {row['face']}" if row["face"] else ""
        typer.echo(f"{row['photo']}{place}: {said}")
    if len(rows) > MAX_PRINTED_ROWS:
        typer.echo(f"... and {len(rows) - MAX_PRINTED_ROWS} more")
    typer.echo(f"Predictions: {out / recognition.TABLE}")
