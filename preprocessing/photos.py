"""Decode image files to upright 8-bit RGB arrays, by content and not by name, and only from inside the data set."""

import io
import os
import stat
import struct
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image

from edram_fer.errors import UserError

MAX_PIXELS = 100_000_000  # 300 MB decoded; a 20,000 x 20,000 image would need 1.2 GB
MIN_SIDE = 8  # pixels: smaller images cannot show a face
FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")  # unlike EPS, these cannot contain programs
JPEG, JPEG_END = b"\xff\xd8", b"\xff\xd9"  # the first and the last bytes of a JPEG file
# Errors that Pillow raises for a damaged file, which it does not document. `Image.open` expects the errors after
# ValueError from its plugins.
DAMAGE = (OSError, ValueError, SyntaxError, IndexError, TypeError, EOFError, struct.error)
UPRIGHT = {  # EXIF orientation: how to transform the stored image
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class PhotoError(UserError):
    """An image file cannot be used, or must not be read; the message says why and becomes the status of its row."""


class DamagedPhotoError(PhotoError):
    """The content of an image file cannot be decoded."""


def read(path: Path | str, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode an image.

    The EXIF orientation is applied, transparent parts become white, 16 bits become 8, palettes and CMYK become RGB, and
    only the first frame of an animation is read. A truncated file is rejected, unless it is a JPEG in which the image
    itself is complete.

    Args:
        path: the file; its name does not matter.
        max_pixels: the largest number of pixels; the size is checked before anything is decoded.

    Returns:
        uint8 [H, W, 3], RGB.

    Raises:
        PhotoError: the path is missing or not a file, or the file is empty, not an image, too large or too small.
        DamagedPhotoError: the image cannot be decoded.

    >>> read("face.png").shape
    (48, 48, 3)
    """
    path = Path(path)
    try:
        status = path.stat()  # before opening it, because a pipe would block
        if not stat.S_ISREG(status.st_mode):
            raise PhotoError("not a file")
        if status.st_size == 0:
            raise PhotoError("empty file")
        file = open(path, "rb")
    except OSError as error:
        raise PhotoError(f"cannot be read: {error.strerror}") from None
    with file:
        try:
            image, orientation = _load(file, max_pixels)
        except DamagedPhotoError:
            file.seek(0)
            completed = _complete_jpeg(file.read(), max_pixels)
            if completed is None:
                raise
            image, orientation = completed
    return _upright(image, orientation)


def from_pillow(image: Image.Image) -> np.ndarray:
    """Convert a Pillow image to the result of `read`: uint8 [H, W, 3], RGB, upright.

    >>> from_pillow(Image.new("L", (20, 10))).shape
    (10, 20, 3)
    """
    return _upright(image, image.getexif().get(ExifTags.Base.Orientation))


def from_array(array: np.ndarray, name: str = "image") -> np.ndarray:
    """Check an image that a user passes as an array.

    Args:
        array: [H, W], [H, W, 1] or [H, W, 3], uint8 in 0 to 255 or floats in [0, 1].
        name: name of the argument, for the message.

    Returns:
        uint8, or float32 in [0, 1], [H, W] or [H, W, 3].

    Raises:
        UserError: another shape, dtype or range.

    >>> from_array(np.zeros((4, 6, 1))).shape
    (4, 6)
    """
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] not in (1, 3)) or not array.size:
        raise UserError(f"{name}: expected [H, W], [H, W, 1] or [H, W, 3], got {list(array.shape)}")
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.floating):
        raise UserError(f"{name}: expected uint8 in 0 to 255 or floats in [0, 1], got {array.dtype}")
    lowest, highest = float(array.min()), float(array.max())
    if not 0 <= lowest <= highest <= 1:
        raise UserError(
            f"{name}: expected floats in [0, 1], or uint8 in 0 to 255; got {array.dtype} with values from {lowest:.4g} "
            f"to {highest:.4g}"
        )
    return array.astype(np.float32)


def _upright(image: Image.Image, orientation: int | None) -> np.ndarray:
    rgb = _rgb(image)
    return np.asarray(rgb.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else rgb)


def _load(file: BinaryIO, max_pixels: int) -> tuple[Image.Image, int | None]:
    """The decoded image, as stored, and its EXIF orientation."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of large images, which are rejected here
        try:
            image = Image.open(file, formats=FORMATS)
            size = image.size
        except Image.DecompressionBombError:  # Pillow's own limit was reached first
            raise PhotoError(f"more than {max_pixels} pixels") from None
        except Image.UnidentifiedImageError:
            raise PhotoError("not an image") from None
        except DAMAGE as error:
            raise _damage_error(error) from None
        if size[0] * size[1] > max_pixels:
            raise PhotoError(f"{size[0]}x{size[1]} pixels, more than {max_pixels}")
        if min(size) < MIN_SIDE:
            raise PhotoError(f"{size[0]}x{size[1]} pixels, expected at least {MIN_SIDE} on a side")
        try:
            image.load()
            return image, image.getexif().get(ExifTags.Base.Orientation)
        except DAMAGE as error:
            raise _damage_error(error) from None


def _damage_error(error: Exception) -> DamagedPhotoError:
    return DamagedPhotoError(f"cannot be decoded: {str(error)[:100] or type(error).__name__}")


def _complete_jpeg(content: bytes, max_pixels: int) -> tuple[Image.Image, int | None] | None:
    """Like `_load`, for a JPEG file that lacks only its last bytes; None if a part of the image itself is lost.

    Two different continuations are appended, which a decoder reads as the lost part: if both give the same image,
    nothing is lost.
    """
    if not content.startswith(JPEG):
        return None
    kept = content.removesuffix(JPEG_END[:1])
    try:
        ended, continued = (_load(io.BytesIO(kept + more + JPEG_END), max_pixels) for more in (b"", b"\xaa" * 64))
    except DamagedPhotoError:
        return None
    return ended if np.array_equal(np.asarray(ended[0]), np.asarray(continued[0])) else None


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):  # 16 or 32 bits, which `convert` would clip at 255
        values = np.asarray(image, np.float64)
        if image.mode == "F" and values.max() <= 1:
            white = 1
        else:
            white = 65535 if image.mode.startswith("I;16") or values.max() > 255 else 255
        return Image.fromarray(np.clip(values * (255 / white), 0, 255).round().astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def path_inside(root: Path, relative: str) -> Path:
    """The path of an image that an annotation names, which must lie in the folder of its data set.

    Args:
        root: the folder of the data set.
        relative: the path of the image relative to it, with "/".

    Returns:
        the path, which need not exist.

    Raises:
        PhotoError: the path `leads_out`, or it is a link that leads out of `root`.
    """
    if leads_out(relative):
        raise PhotoError("its path leads out of the data set")
    if "\0" in relative:
        raise PhotoError("its path contains a null character")
    path = root / relative
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise PhotoError("it is a link that leads out of the data set")
    return path


def leads_out(relative: str) -> bool:
    """Whether the path of an image in an annotation is absolute or contains "..".

    >>> leads_out("train/1.jpg"), leads_out("../1.jpg"), leads_out("/1.jpg")
    (False, True, True)
    """
    path = Path(relative)
    return path.is_absolute() or ".." in path.parts or "\\" in relative
