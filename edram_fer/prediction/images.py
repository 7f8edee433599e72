"""Turn what a user passes (arrays, Pillow images, files, folders, patterns, films, generators) into single images."""

import contextlib
import dataclasses
import glob
import itertools
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edram_fer.errors import MissingFileError, UserError, as_status
from edram_fer.prediction import folders, video
from edram_fer.preprocessing import photos, pixel_arrays

EVERY_FRAME = video.Every()
LARGE = 16_000_000  # pixels: larger photos are decoded one at a time, in several times their size of memory
_LARGE_FILES = threading.Lock()
COLLECTIONS = (list, tuple, set, frozenset, dict, np.ndarray)  # that are in memory; others may load their items lazily
CHANNELS = (1, 3, 4)  # of an array [H, W, C]; otherwise it is a batch [B, H, W]


@dataclasses.dataclass(frozen=True)
class InputImage:
    """One decoded image, or one frame of a video.

    Attributes:
        source: path of the file, or the image's position among those that were passed.
        pixels: uint8, or float32 in [0, 1], [H, W] or [H, W, 3] RGB; None where the image cannot be used.
        frame: number of the frame in its video, from 0; None for a still image.
        time: of the frame, in seconds; None for a still image.
        fault: why the image cannot be used.
        reduction: by how many times `pixels` was reduced when it was decoded.
    """

    source: str | int
    pixels: np.ndarray | None
    frame: int | None = None
    time: float | None = None
    fault: str = ""
    reduction: int = 1


Item: TypeAlias = NDArray[Any] | Image.Image | str | Path | InputImage | video.Frame  # one or several images
# A file, a decoded image, a frame of a film, or (position, array or Pillow image).
Single: TypeAlias = Path | InputImage | video.Frame | tuple[int, Any]


@dataclasses.dataclass
class Images:
    """The single images of a user's input, in order.

    Attributes:
        singles: yields them, and films; they are not decoded yet. A generator's items are taken from it one by one, and
            so are those of an iterable that may load them lazily.
        total: their number, in which a film counts by its frames; None if it is not known beforehand.
        passed_over: files in folders that are not predicted, with the reason.
    """

    singles: Iterable[Single | video.Film]
    total: int | None
    passed_over: list[folders.PassedOver]

    def __iter__(self) -> Iterator[Single]:
        """The single images and the frames of the films."""
        for single in self.singles:
            if isinstance(single, video.Film):
                yield from single.frames()
            else:
                yield single


def single_images(images: Item | Iterable[Item], every: video.Every = EVERY_FRAME) -> Images:
    """Split a user's input into single images, without decoding any file.

    Args:
        images: an array ([H, W], [H, W, C], or a batch [B, H, W] or [B, H, W, C]), a Pillow image, an InputImage, the
            path of a file, a pattern ("photos/*.jpg"), the path of a folder (images at any depth), or an iterable of
            these, in which each array is one image. A file that is named twice is listed once. Films are files, too.
            Items of a generator, or of another iterable that is none of COLLECTIONS, are taken one by one.
        every: which frames of films to use.

    Raises:
        MissingFileError: no path of a collection exists, or its folders hold no image.
        UserError: an argument that is not an image, or an array of an unsupported shape or dtype.
    """
    passed_over: list[folders.PassedOver] = []
    if isinstance(images, (str, os.PathLike, Image.Image, InputImage, video.Frame)):
        images = [images]
    elif _is_array(images):
        images = _rows(np.asarray(images))
    if not isinstance(images, Iterable) or isinstance(images, (bytes, bytearray, memoryview)):
        hint = "; PIL.Image.open(io.BytesIO(...)) decodes a file's bytes" if isinstance(images, Iterable) else ""
        raise UserError(f"images: expected arrays, Pillow images or paths, got {type(images).__name__}{hint}")
    singles = _singles(images, every, passed_over)
    if not isinstance(images, COLLECTIONS):
        return Images(singles, None, passed_over)
    listed = list(singles)
    names = [str(item) for item in images if isinstance(item, (str, os.PathLike))]
    if names and not listed:
        reason = f"; passed over: {folders.summary(passed_over)}" if passed_over else ""
        raise MissingFileError(f"no image in {', '.join(names[:3])}{reason}")
    missing = [item for item in listed if isinstance(item, Path) and not os.path.lexists(item)]
    if listed and len(missing) == len(listed):
        raise MissingFileError(f"{names[0]} is missing; expected an image, a folder of images or a pattern")
    counts = [item.count() if isinstance(item, video.Film) else 1 for item in listed]
    return Images(listed, None if None in counts else sum(filter(None, counts)), passed_over)


def decode(single: Single, least: int | None = None) -> InputImage:
    """Decode one of the `singles`. Whatever it raises is the fault of the InputImage.

    Args:
        single: the file, frame, array or Pillow image.
        least: the longer side of a photo needs at least this many pixels, see `photos.read_reduced`; None: full size.
    """
    if isinstance(single, InputImage):
        return single
    if isinstance(single, video.Frame):
        try:
            return InputImage(single.source, single.pixels(), single.frame, single.time)
        except Exception as error:  # one frame must not stop all others
            return InputImage(single.source, None, single.frame, single.time, as_status(error))
    source = str(single) if isinstance(single, Path) else single[0]
    try:
        if isinstance(single, Path):
            with _LARGE_FILES if photos.decoded_pixels(single, least) > LARGE else contextlib.nullcontext():
                pixels, reduction = photos.read_reduced(single, least)
            return InputImage(source, pixels, reduction=reduction)
        image = single[1]
        if isinstance(image, Image.Image):
            return InputImage(source, pixel_arrays.from_pillow(image))
        if not _is_array(image):
            raise UserError(f"images[{source}]: expected an array, a Pillow image or a path, got {image!r:.80}")
        return InputImage(source, pixel_arrays.from_array(np.asarray(image), f"images[{source}]"))
    except Exception as error:  # one image must not stop all others
        return InputImage(source, None, fault=as_status(error))


def _singles(
    images: Iterable[Any], every: video.Every, passed_over: list[folders.PassedOver]
) -> Iterator[Single | video.Film]:
    listed: set[str] = set()
    for position, item in enumerate(images):
        if isinstance(item, (InputImage, video.Frame)):
            yield item
        elif isinstance(item, (str, os.PathLike)):
            for file in _files(os.fspath(item), passed_over):
                if (absolute := os.path.abspath(file)) not in listed:
                    listed.add(absolute)
                    yield video.Film(file, every) if video.is_film(file) else file
        else:
            yield position, item


def _files(name: str, passed_over: list[folders.PassedOver]) -> Iterator[Path]:
    """The files of a path or pattern; a path that does not exist is yielded, too, and becomes a row with a status."""
    if not os.path.lexists(name):
        name = os.path.expanduser(name)
    paths = [Path(name)]
    if not os.path.lexists(name) and glob.has_magic(name):
        paths = [Path(match) for match in sorted(glob.glob(name, recursive=True))] or paths
    return itertools.chain.from_iterable(
        folders.images(path, passed_over) if os.path.isdir(path) else [path] for path in paths
    )


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _rows(array: np.ndarray) -> Iterable[Any]:
    """The images of an array, or the paths in it.

    Raises:
        UserError: no image has this shape or dtype.
    """
    if array.dtype.kind in "OUT":
        return array.ravel().tolist()
    is_batch = array.ndim == 4 or (array.ndim == 3 and array.shape[-1] not in CHANNELS)
    images = array if is_batch else [array]
    for first in images[:1]:  # its shape and dtype; the values of each image are checked when it is decoded
        pixel_arrays.from_array(np.zeros_like(first[:1, :1]) if first.ndim in (2, 3) else first, "images[0]")
    return images
