"""The command that reads recordings of gaze."""

from pathlib import Path
from typing import Annotated

import typer

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
    result.write(out)
    for line in result.report():
        typer.echo(line)
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
