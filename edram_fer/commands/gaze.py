"""The command that reads recordings of gaze."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from edram_fer.commands.options import DataDir
from edram_fer.errors import UserError


def fixations(
    sources: Annotated[list[Path], typer.Argument(help="Files of an eye tracker, or folders of such files.")],
    out: Annotated[Path, typer.Option("--out", help="CSV file of fixations to write.")] = Path("fixations.csv"),
    kind: Annotated[
        str | None,
        typer.Option("--kind", help="tobii, eyelink, bids, samples or csv [default: recognised]."),
    ] = None,
    stimuli: Annotated[
        Path | None,
        typer.Option("--stimuli", help="CSV of two columns: name of a stimulus in the recordings, file of its photo."),
    ] = None,
    size: Annotated[
        str | None, typer.Option("--size", help="WIDTHxHEIGHT of the photos [default: as large as displayed].")
    ] = None,
    place: Annotated[
        str | None,
        typer.Option(
            "--place",
            help="Where the photos were on the screen: LEFT,TOP,WIDTH,HEIGHT or centre [default: as recorded].",
        ),
    ] = None,
    screen: Annotated[
        str | None, typer.Option("--screen", help="Leave out fixations on screens of another size than WIDTHxHEIGHT.")
    ] = None,
    message: Annotated[
        str | None,
        typer.Option("--message", help="Regular expression, with a group (?P<name>...), of the stimulus messages."),
    ] = None,
    detect: Annotated[
        str | None, typer.Option("--detect", help="Detect fixations in the samples: idt or ivt (extra gaze).")
    ] = None,
    faces: Annotated[
        str | None,
        typer.Option(
            "--faces", help="Prepared data set: write positions on its faces, named by their ids, instead of on photos."
        ),
    ] = None,
    split: Annotated[str | None, typer.Option("--split", help="Only the faces of this split, with --faces.")] = None,
    data_dir: DataDir = None,
    pixels_per_degree: Annotated[
        float,
        typer.Option("--pixels-per-degree", help="Pixels of the screen per degree of visual angle, for --detect."),
    ] = 35.0,
) -> None:
    """Read recordings of an eye tracker into a CSV file of fixations, and say what was left out."""
    from edram_fer.gaze import recordings

    result = recordings.read(
        sources,
        kind,
        stimuli=stimuli,
        size=None if size is None else _sides(size),
        place=place if place in (None, recordings.CENTRE) else _numbers(place),
        screen=screen,
        message=message,
        detect=detect,
        pixels_per_degree=pixels_per_degree,
    )
    for line in result.report():
        typer.echo(line)
    if faces is not None:
        from edram_fer.data import sources as prepared

        crops = prepared.crops(faces, data_dir=data_dir)
        table, missed = (crops if split is None else crops.of_split(split)).fixations_on_faces(result.table)
        if table.empty:
            raise UserError(f"{faces}: no fixation on any of its faces; its photos are named like {crops.photo[0]}")
        result = dataclasses.replace(result, table=table)
        typer.echo(f"{len(table):,} fixations on {table.image.nunique()} faces of {faces}")
        for what, count in missed.items():
            typer.echo(f"{count:,} {what}")
    result.write(out)
    typer.echo(f"Fixations: {out}")


def _sides(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise UserError(f"--size: expected WIDTHxHEIGHT such as 562x762, got {text!r}")
    return int(width), int(height)


def _numbers(text: str) -> list[float]:
    try:
        return [float(value) for value in text.split(",")]
    except ValueError:
        raise UserError(f"--place: expected LEFT,TOP,WIDTH,HEIGHT or centre, got {text!r}") from None
