"""Split inputs (arrays, Pillow images, files, folders) into single images, and decode them one at a time."""

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edram_fer.errors import MissingFileError, UserError
from edram_fer.preprocessing import photos, readers

Item: TypeAlias = NDArray[Any] | Image.Image | str | Path  # one or several images
MOST_CHANNELS = 3


@dataclasses.dataclass(frozen=True)
class InputImage:
    """One image.

    Attributes:
        source: path of the file, or the image's position among those that were passed.
        pixels: uint8, or float32 in [0, 1], [H, W] or [H, W, 3] RGB; None where the image cannot be used.
        fault: why it cannot be used.
    """

    source: str | int
    pixels: np.ndarray | None
    fault: str = ""


def single_images(images: Item | Iterable[Item]) -> list[Path | tuple[int, Any]]:
    """Split a user's input into single images, without decoding any file.

    Args:
        images: an array ([H, W], [H, W, C], or a batch [B, H, W] or [B, H, W, C]), a Pillow image, the path of a file
            or of a folder (images at any depth, except hidden files), or a list of these, in which each array is one
            image.

    Returns:
        Paths, and (position, array or Pillow image). A file that is named twice is listed once.

    Raises:
        MissingFileError: a path that does not exist, or a folder without images.
        UserError: an item that is not an image.
    """
    if isinstance(images, (str, Path)):
        return list(_files(Path(images)))
    if isinstance(images, Image.Image):
        return [(0, images)]
    if _is_array(images):
        array = np.asarray(images)
        batch = array.ndim == 4 or array.ndim == 3 and array.shape[-1] not in (1, MOST_CHANNELS)
        return list(enumerate(array)) if batch else [(0, array)]
    if not isinstance(images, Iterable):
        raise UserError(f"images: expected arrays, Pillow images or paths, got {type(images).__name__}")
    singles: list[Path | tuple[int, Any]] = []
    listed: set[Path] = set()
    for position, item in enumerate(images):
        if isinstance(item, (str, Path)):
            files = [file for file in _files(Path(item)) if file not in listed]
            singles += files
            listed.update(files)
        elif isinstance(item, Image.Image) or _is_array(item):
            singles.append((position, item))
        else:
            raise UserError(f"images[{position}]: expected an array, a Pillow image or a path, got {item!r:.80}")
    return singles


def decode(item: Path | tuple[int, Any]) -> InputImage:
    """Decode one entry of `single_images`. A file that cannot be read is an InputImage with a fault.

    Raises:
        UserError: an array of an unsupported shape, dtype or range.
    """
    if isinstance(item, Path):
        try:
            return InputImage(str(item), photos.read(item))
        except UserError as error:
            return InputImage(str(item), None, str(error))
    position, image = item
    if isinstance(image, Image.Image):
        return InputImage(position, photos.from_pillow(image))
    return InputImage(position, photos.from_array(np.asarray(image), f"images[{position}]"))


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _files(path: Path) -> Iterator[Path]:
    """A file, or the images of a folder in the order of their names."""
    if not path.exists():
        raise MissingFileError(f"{path} is missing; expected an image or a folder of images")
    if not path.is_dir():
        yield path
        return
    inside, _ = readers.select_images(sorted(path.rglob("*.*")))
    inside = [file for file in inside if file.is_file() and not file.name.startswith(".")]
    if not inside:
        raise MissingFileError(f"{path} holds no image ({', '.join(sorted(readers.EXTENSIONS))})")
    yield from inside
