"""Frames of films, animations and cameras, one at a time, with their times."""

import contextlib
import dataclasses
import functools
import itertools
import math
import os
import re
import time
import warnings
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import cv2
import numpy as np
from PIL import Image

from edram_fer.errors import MissingPackageError, UserError, as_status
from edram_fer.preprocessing import photos, pixel_arrays

# FFmpeg's demuxers that read films from one file. Playlists (HLS, DASH, concat) are left out, because they can name any
# other file or address.
CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,flv,asf,ogg,mxf,dv,ivf,nut,rm"
)
# The first bytes of such a file, after a number of any bytes.
SIGNATURES = (
    (4, rb"ftyp(?!avif|avis|hei[cxms]|hev[cxms]|mif1|msf1)"),  # the others are AVIF and HEIC images
    (4, rb"moov|mdat|wide|skip|free|pnot"),  # older QuickTime
    (0, rb"\x1a\x45\xdf\xa3"),  # Matroska, WebM
    (0, rb"RIFF.{4}AVI "),
    (0, rb"\x47.{187}\x47.{187}\x47"),  # MPEG transport stream
    (0, rb"\x00\x00\x01[\xba\xb3]"),  # MPEG program stream, MPEG-1 and MPEG-2 video
    (0, rb"\x00{2,3}\x01[\x67\x27\x09\x40\x42]"),  # H.264 and H.265 without a container
    (0, rb"FLV\x01"),
    (0, rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),  # ASF, WMV
    (0, rb"OggS"),
    (0, rb"DKIF"),
    (0, rb"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02"),  # MXF
    (0, rb"\.RMF"),
    (0, rb"\x1f\x07\x00"),  # DV
)
ENDINGS = {
    *(".3g2", ".3gp", ".asf", ".avi", ".dv", ".flv", ".ivf", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg"),
    *(".mts", ".mxf", ".nut", ".ogv", ".rm", ".vob", ".webm", ".wmv"),
}
ANIMATIONS = ("GIF", "WEBP", "PNG", "AVIF")  # formats of Pillow; the pages of a TIFF are no animation
SHORTEST = 0.011  # seconds: browsers show frames of animations with a shorter duration for a tenth of a second
LEAST_MISSING = 1.0  # seconds of a film that end early before it counts as cut off


class Every(NamedTuple):
    """Which frames of a film to use: each `frames`-th, or the first of each interval of `seconds`; see `parse`."""

    frames: int = 1
    seconds: float | None = None

    @classmethod
    def parse(cls, value: int | str) -> "Every":
        """From a number of frames, such as 5 or "5", or of seconds, such as "0.5s".

        Raises:
            UserError: neither of them.

        >>> Every.parse(5), Every.parse("0.5s")
        (Every(frames=5, seconds=None), Every(frames=1, seconds=0.5))
        """
        text = str(value).strip().casefold()
        if re.fullmatch(r"\d{1,9}", text) and int(text) > 0 and not isinstance(value, bool):
            return cls(int(text))
        if re.fullmatch(r"(\d+\.?\d*|\.\d+)s", text) and 0.001 <= float(text[:-1]) < 1e6:
            return cls(1, float(text[:-1]))
        raise UserError(f"every: expected a number of frames (5) or of seconds (0.5s), got {value!r}")

    def interval(self, seconds: float) -> int:
        """The number of the interval in which a time lies."""
        return math.floor(seconds / self.seconds + 1e-6) if self.seconds else 0


@dataclasses.dataclass(frozen=True)
class Frame:
    """One frame of a film, or the reason why there is none.

    Attributes:
        source: path of the film, or name of the camera.
        pixels: returns uint8 [H, W, 3] RGB, upright, or raises the reason why there is no frame.
        frame: its number in the film, from 0; None without a frame.
        time: seconds since the start of the film; None without a frame.
        area: number of its pixels; 0 without a frame, or if it is not known.
    """

    source: str
    pixels: Callable[[], np.ndarray]
    frame: int | None = None
    time: float | None = None
    area: int = 0


@dataclasses.dataclass(frozen=True)
class Film:
    """A file with a film of any format that FFmpeg reads, or an animated GIF, PNG, WebP or AVIF.

    Attributes:
        path: the file.
        every: which frames to use.
        most_pixels: of a frame; a film ends before a larger one.
    """

    path: Path
    every: Every = Every()
    most_pixels: int = photos.MAX_PIXELS

    def frames(self) -> Iterator[Frame]:
        """Decode the frames in the order in which they are shown, one at a time.

        The film's rotation and the shape of its pixels are applied, transparent parts become white, and deeper colours
        become 8 bits. Times are those of the frames' own time stamps. What cannot be decoded is left out, and a last
        Frame without pixels gives the reason.
        """
        chosen, last, faults = 0, None, list[str]()
        try:
            for number, (seconds, pixels, area) in enumerate(_decode(self.path, self.most_pixels, faults)):
                interval = self.every.interval(seconds)
                if number % self.every.frames or (self.every.seconds is not None and interval == last):
                    continue
                last = interval
                chosen += 1
                yield Frame(str(self.path), pixels, number, seconds, area)
            if not chosen and not faults:
                faults.append("a film without a frame that can be decoded")
        except UserError as error:
            faults.append(str(error))
        except Exception as error:  # one film must not stop all others
            reason = getattr(error, "strerror", None)  # of FFmpeg's errors, too, which have no base class of Python's
            if reason is None and isinstance(error, photos.DAMAGE):
                reason = str(error)[:100]
            faults.append(as_status(error) if reason is None else f"cannot be decoded: {reason}")
        if faults:
            yield Frame(str(self.path), functools.partial(_raise, photos.PhotoError("; ".join(faults))))

    def count(self) -> int | None:
        """About how many frames there are, from the header of the film; None if it does not say."""
        seconds, number = self._length()
        if self.every.seconds is not None:
            return None if seconds is None else max(math.ceil(seconds / self.every.seconds - 1e-6), 1)
        return None if number is None else -(-number // self.every.frames)

    def sparse(self, count: int) -> Every:
        """Which frames to use for about `count` of the whole film; two a second if its header does not say its length.

        They are chosen by their times where the header says how long the film is: it may say only the mean frame rate.
        """
        seconds, number = self._length()
        if seconds:
            return Every(seconds=seconds / count)
        return Every(seconds=0.5) if number is None else Every(max(round(number / count), 1))

    def _length(self) -> tuple[float | None, int | None]:
        """Seconds and number of all frames, as far as the header says."""
        try:
            if _is_animated(self.path):
                with _without_warnings(), Image.open(self.path) as image:
                    return None, getattr(image, "n_frames", 1)
            with _open(self.path) as container:
                stream = _video_stream(container)
                seconds, rate = _duration(container, stream), stream.average_rate
                return seconds, stream.frames or (round(seconds * rate) if seconds and rate else None)
        except Exception:  # `frames` gives the reason
            return None, None


def is_film(path: Path) -> bool:
    """Whether a file is a film or an animation: by its first bytes or, if these are of no known kind, its ending."""
    if not os.path.isfile(path):  # a pipe would block
        return False
    try:
        with open(path, "rb") as file:
            start = file.read(1024)
    except OSError:
        return False
    if any(re.match(signature, start[skip:], re.DOTALL) for skip, signature in SIGNATURES):
        return True
    return _is_animated(path) or (path.suffix.casefold() in ENDINGS and not photos.is_image(path))


def camera(device: int | str = 0) -> Iterator[Frame]:
    """The frames of a camera, as they come.

    Args:
        device: number of the camera, or the name of a device or stream that OpenCV opens.

    Returns:
        an iterator, whose times are in seconds since the first frame. It ends when the camera is switched off.

    Raises:
        UserError: the camera cannot be opened.

    >>> for row in Predictor("fer2013-edram", batch_size=1, workers=1).stream(edram_fer.camera(0)):  # doctest: +SKIP
    ...     print(row["time"], row["track"], row["emotion"])
    """
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        capture = cv2.VideoCapture(device)
    except cv2.error:  # a number of more than 32 bits
        capture = cv2.VideoCapture()
    cv2.utils.logging.setLogLevel(level)
    if not capture.isOpened():
        raise UserError(f"camera {device}: cannot be opened; is it connected, free and permitted to this user?")
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest frame, not one that has waited
    return _camera_frames(capture, f"camera {device}")


def _camera_frames(capture: cv2.VideoCapture, source: str) -> Iterator[Frame]:
    first = None  # a camera may take seconds before its first frame
    try:
        for number in itertools.count():
            read, bgr = capture.read()
            if not read:
                return
            now = time.monotonic()
            first = now if first is None else first
            yield Frame(source, functools.partial(cv2.cvtColor, bgr, cv2.COLOR_BGR2RGB), number, now - first)
    finally:
        capture.release()


def _raise(error: Exception) -> np.ndarray:
    raise error


# Time in seconds, a function that gives the pixels, and their number.
Decoded: TypeAlias = tuple[float, Callable[[], np.ndarray], int]


def _decode(path: Path, most_pixels: int, faults: list[str]) -> Iterator[Decoded]:
    """All frames of a film or an animation.

    Args:
        path: the file.
        most_pixels: of a frame.
        faults: receives what is wrong with a film of which frames were decoded.

    Raises:
        UserError: the film cannot be used; the message says why.
        OSError, photos.DAMAGE: the file cannot be read or decoded.
    """
    if path.stat().st_size == 0:
        raise photos.PhotoError("empty file")
    return _animation(path, most_pixels) if _is_animated(path) else _film(path, most_pixels, faults)


def _is_animated(path: Path) -> bool:
    try:
        with _without_warnings(), Image.open(path, formats=ANIMATIONS) as image:
            return bool(getattr(image, "is_animated", False))
    except (Image.DecompressionBombError, *photos.DAMAGE):
        return False


@contextlib.contextmanager
def _without_warnings() -> Generator[None, None, None]:
    """Without those of Pillow of large images."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _animation(path: Path, most_pixels: int) -> Iterator[Decoded]:
    """The frames of an animated image; Pillow places them on each other."""
    seconds = 0.0
    with _without_warnings():
        image = Image.open(path, formats=ANIMATIONS)
        count = getattr(image, "n_frames", 1)
    with image:
        for number in range(count):
            try:
                with _without_warnings():
                    image.seek(number)
            except Image.DecompressionBombError:  # Pillow's own limit was reached first
                raise photos.PhotoError(f"a frame of more than {most_pixels} pixels") from None
            area = _check_size(*image.size, most_pixels)  # a frame can be larger than those before it
            image.load()
            yield seconds, functools.partial(pixel_arrays.from_pillow, image.copy()), area
            duration = float(image.info.get("duration") or 0) / 1000
            seconds += duration if duration >= SHORTEST else 0.1


def _film(path: Path, most_pixels: int, faults: list[str]) -> Iterator[Decoded]:
    import av
    from av.error import FFmpegError

    with _open(path) as container:
        stream = _video_stream(container)
        if stream.codec_context is None:
            raise photos.PhotoError("a film in a format that this FFmpeg cannot decode")
        stream.thread_type = "AUTO"
        aspect = float(stream.sample_aspect_ratio or 1)
        step = float(1 / stream.average_rate) if stream.average_rate else 0.04
        start = None if container.start_time is None else container.start_time / av.time_base
        seconds, damaged, read = -step, 0, 0.0
        for packet in _packets(container, stream, faults):
            is_shown = packet.stream.index == stream.index
            # The duration of a container is that of its longest stream, such as the sound.
            if packet.pts is not None and (is_shown or stream.duration is None):
                read = max(read, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if not is_shown:
                continue
            try:
                decoded = packet.decode()
            except FFmpegError:
                damaged += 1
                continue
            for frame in decoded:
                area = _check_size(round(frame.width * max(aspect, 1)), frame.height, most_pixels)
                damaged += frame.is_corrupt
                if frame.time is None:
                    seconds += step
                else:
                    start = frame.time if start is None else start
                    seconds = frame.time - start
                yield seconds, functools.partial(_pixels, frame, aspect), area
        if damaged:
            faults.append(f"{damaged} damaged packets or frames")
        duration, end = _duration(container, stream), max(read - (start or 0.0), seconds + step, 0.0)
        if duration and duration - end > max(LEAST_MISSING, 0.05 * duration):
            faults.append(f"the film ends after {end:.1f} of {duration:.1f} seconds")


def _packets(container: Any, stream: Any, faults: list[str]) -> Iterator[Any]:
    """The packets of a film and its sound, up to the place at which it cannot be read further; at last an empty one of
    the `stream`, for which the decoder gives the frames that it still holds."""
    import av
    from av.error import FFmpegError

    try:
        yield from container.demux()
    except (FFmpegError, OSError) as error:
        faults.append(f"cannot be read further: {error.strerror}")
        last = av.Packet()
        last.stream, last.time_base = stream, stream.time_base
        yield last


@contextlib.contextmanager
def _open(path: Path) -> Generator[Any, None, None]:
    """Open a film with PyAV.

    Raises:
        MissingPackageError: PyAV is not installed.
        OSError: the file cannot be opened.
        ValueError: it holds no film.
    """
    try:
        import av
    except ImportError:
        raise MissingPackageError("films need PyAV: pip install 'edram-fer[video]'") from None
    # A Python file, because FFmpeg takes some names for addresses, and a file in it cannot open another one. Titles and
    # the like, which are not read, need not be UTF-8.
    options = {"format_whitelist": CONTAINERS}
    with open(path, "rb") as file, av.open(file, options=options, metadata_errors="replace") as container:
        yield container


def _video_stream(container: Any) -> Any:
    from av.stream import Disposition

    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:  # the cover of an album
            return stream
    raise photos.PhotoError("a file without a video stream")


def _duration(container: Any, stream: Any) -> float | None:
    """Seconds; None if the header does not say it."""
    import av

    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / av.time_base


def _check_size(width: int, height: int, most_pixels: int) -> int:
    """The number of pixels of a frame, unless it is too large."""
    if width * height > most_pixels:
        raise photos.PhotoError(f"{width}x{height} pixels, more than {most_pixels}")
    return width * height


def _pixels(frame: Any, aspect: float) -> np.ndarray:
    """A frame as uint8 [H, W, 3] RGB, upright, with square pixels.

    Args:
        frame: an av.VideoFrame.
        aspect: width of its pixels divided by their height.
    """
    transparent = any(component.is_alpha for component in frame.format.components)
    width = max(round(frame.width * aspect), 1)
    form = "rgba" if transparent else "rgb24"
    # Each frame has a converter, whose threads would live as long as the frame.
    pixels = frame.to_ndarray(format=form, width=width, height=frame.height, threads=1)
    return _upright(pixel_arrays.from_array(pixels) if transparent else pixels, frame)


def _upright(pixels: np.ndarray, frame: Any) -> np.ndarray:
    """Turn and mirror a frame by its display matrix, which maps (x, y) to (a x + c y, b x + d y)."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return pixels
    (a, b), (c, d) = np.frombuffer(bytes(matrix), np.int32).reshape(3, 3)[:2, :2].tolist()
    if abs(b) > abs(a):
        pixels, a, d = pixels.swapaxes(0, 1), c, b
    return np.ascontiguousarray(pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
