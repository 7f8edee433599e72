"""A film with its faces, glimpses and probabilities drawn in, with the times of the original."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from edram_fer import files
from edram_fer.errors import MissingPackageError
from edram_fer.figures.film import FilmDrawing
from edram_fer.prediction.images import decode
from edram_fer.prediction.video import Film

TIME_BASE = Fraction(1, 90_000)  # of MPEG
QUALITY = {"libx264": {"preset": "veryfast", "crf": "23"}, "mpeg4": {"qscale": "4"}}  # the first that PyAV has is used


def write(film: Film, rows: Iterable[Mapping[str, Any]], target: Path, classes: Sequence[str]) -> None:
    """Write an MP4 file, without sound, at once in its place.

    Args:
        film: its chosen frames are drawn.
        rows: of all its frames, in order, as of `Predictor.stream`.
        target: the file, with the ending .mp4.
        classes: names of the model's classes.

    Raises:
        MissingPackageError: PyAV is not installed.
    """
    try:
        import av
    except ImportError:
        raise MissingPackageError("films are drawn with PyAV: pip install 'edram-fer[video]'") from None
    drawn = iter(tqdm(_draw(film, rows, classes), desc=f"drawing {film.path.name}", total=film.count(), disable=None))
    first = next(drawn, None)
    if first is None:
        return
    with (
        files.replace(target) as temporary,
        # FFmpeg takes a relative path that begins with "10:" for an address.
        av.open(str(temporary.absolute()), "w", options={"movflags": "faststart"}) as container,
    ):
        codec = next(name for name in QUALITY if name in av.codecs_available)
        stream: Any = container.add_stream(codec, options=QUALITY[codec])
        stream.height, stream.width = first[1].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = TIME_BASE
        stamp = -1
        for time, pixels in itertools.chain([first], drawn):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            stamp = max(round(time / TIME_BASE), stamp + 1)
            frame.pts, frame.time_base = stamp, TIME_BASE
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _draw(film: Film, rows: Iterable[Mapping[str, Any]], classes: Sequence[str]) -> Iterator[tuple[float, np.ndarray]]:
    """Times and drawings of the frames of a film."""
    drawing = None
    groups = itertools.groupby(rows, key=lambda row: row["frame"])
    for frame, (_, faces) in zip(film.frames(), groups, strict=False):  # the rows may be of a part of the film
        image = decode(frame)
        if image.pixels is None or image.time is None:
            continue
        drawing = drawing or FilmDrawing(classes, image.pixels.shape[:2])
        yield image.time, drawing.draw(image.pixels, list(faces), image.time)
