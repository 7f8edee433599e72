"""Decode image files to upright 8-bit RGB arrays, by content and not by name, and only from inside the data set."""

import functools
import importlib.util
import io
import math
import os
import stat
import struct
import warnings
from pathlib import Path
from typing import BinaryIO, NamedTuple

import cv2
import numpy as np
from PIL import ExifTags, Image

from edram_fer.errors import UserError

MAX_PIXELS = 100_000_000  # 300 MB decoded; a 20,000 x 20,000 image would need 1.2 GB
MIN_SIDE = 8  # pixels: smaller images cannot show a face
# Formats of Pillow that are not read: EPS and WMF are programs or need one, and the others hold no pixels that Pillow
# itself can decode.
REFUSED_FORMATS = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "PDF", "WMF"}
UNMARKED_FORMATS = {"IMT", "IPTC", "PCD", "SPIDER", "TGA"}  # files of other kinds can look like these
REDUCIBLE_FORMATS = {"JPEG", "MPO"}
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
WHITES = (4095, 16383, 65535)  # of 12, 14 and 16 bits, which are all stored as 16 bits
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
    """Decode an image of any format that Pillow reads; HEIC needs the extra `heic`.

    The EXIF orientation is applied, transparent parts become white, palettes and CMYK become RGB, and only the first
    frame of an animation is read. 16 bits become 8; if no value exceeds 12 or 14 bits, the image is taken for one of 12
    or 14 bits. A truncated file is rejected, unless it is a JPEG in which the image itself is complete.

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
    return read_reduced(path, None, max_pixels)[0]


def read_reduced(path: Path | str, least: int | None, max_pixels: int = MAX_PIXELS) -> tuple[np.ndarray, int]:
    """Like `read`, but a JPEG is decoded at an eighth, a quarter or a half of its size where that suffices.

    Args:
        path, max_pixels: as for `read`.
        least: the longer side needs at least this many pixels; None: full size.

    Returns:
        the image, and by how many times it was reduced: 1, 2, 4 or 8.

    Raises:
        PhotoError, DamagedPhotoError: as for `read`.

    >>> pixels, reduction = read_reduced("face.png", 24)
    >>> pixels.shape, reduction  # only JPEG can be reduced
    ((48, 48, 3), 1)
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
            photo = _load(file, max_pixels, least)
        except DamagedPhotoError:
            file.seek(0)
            photo = _complete_jpeg(file.read(), max_pixels, least)
            if photo is None:
                raise
        rgb = (_sixteen_bit_colours(file) if photo.sixteen_bits else None) or _rgb(photo.image)
    return _upright(rgb, photo.orientation), photo.reduction


def decoded_pixels(path: Path, least: int | None = None) -> int:
    """How many pixels `read_reduced` decodes, from the header of the file; 0 if it cannot be read."""
    if not path.is_file():  # a pipe would block
        return 0
    try:
        with open(path, "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(file, formats=_formats()) as image:
                if least is not None and image.format in REDUCIBLE_FORMATS:
                    _reduce(image, least)
                return image.size[0] * image.size[1]
    except (Image.DecompressionBombError, *DAMAGE):
        return 0


def _reduce(image: Image.Image, least: int) -> None:
    """Have an image decoded at the smallest size whose longer side has `least` pixels, or more."""
    share = min(least / max(image.size), 1.0)
    image.draft(image.mode, (math.ceil(image.size[0] * share), math.ceil(image.size[1] * share)))


def is_image(path: Path) -> bool:
    """Whether `read` may decode a file, by the end of its name or by the first bytes of its content."""
    if Image.registered_extensions().get(path.suffix.casefold()) in _formats():
        return True
    formats = [name for name in _formats() if name not in UNMARKED_FORMATS]
    try:
        with open(path, "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Image.open(file, formats=formats).close()
    except (Image.UnidentifiedImageError, *DAMAGE):
        return False
    except Image.DecompressionBombError:
        pass
    return True


def from_pillow(image: Image.Image) -> np.ndarray:
    """Convert a Pillow image to the result of `read`: uint8 [H, W, 3], RGB, upright.

    >>> from_pillow(Image.new("L", (20, 10))).shape
    (10, 20, 3)
    """
    return _upright(_rgb(image), image.getexif().get(ExifTags.Base.Orientation))


def from_array(array: np.ndarray, name: str = "image") -> np.ndarray:
    """Check an image that a user passes as an array.

    Args:
        array: [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] (RGBA, on white), uint8 in 0 to 255, uint16 (as in `read`) or
            floats in [0, 1].
        name: name of the argument, for the message.

    Returns:
        uint8, or float32 in [0, 1], [H, W] or [H, W, 3].

    Raises:
        UserError: another shape, dtype or range.

    >>> from_array(np.zeros((4, 6, 1))).shape
    (4, 6)
    """
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] not in (1, 3, 4)) or not array.size:
        raise UserError(f"{name}: expected [H, W], [H, W, 1], [H, W, 3] or [H, W, 4], got {list(array.shape)}")
    if array.dtype == np.uint16:
        array = _eight_bits(array)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    elif array.ndim == 3 and array.shape[-1] == 4:
        array = _on_white(array)
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


def _upright(rgb: Image.Image, orientation: int | None) -> np.ndarray:
    return np.asarray(rgb.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else rgb)


@functools.cache
def _formats() -> tuple[str, ...]:
    """The formats that the installed Pillow reads, and HEIF if its package is installed."""
    if importlib.util.find_spec("pillow_heif"):
        importlib.import_module("pillow_heif").register_heif_opener()
    Image.init()
    return tuple(name for name in Image.ID if name not in REFUSED_FORMATS)


def _is_heif(file: BinaryIO) -> bool:
    file.seek(0)
    start = file.read(12)
    return start[4:8] == b"ftyp" and start[8:12] in HEIF_BRANDS


class _Photo(NamedTuple):
    """The decoded image, as stored, its EXIF orientation, by how many times it was reduced, and whether the file holds
    colours of 16 bits, of which Pillow decodes 8."""

    image: Image.Image
    orientation: int | None
    reduction: int
    sixteen_bits: bool


def _load(file: BinaryIO, max_pixels: int, least: int | None) -> _Photo:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of large images, which are rejected here
        try:
            image = Image.open(file, formats=_formats())
            size = image.size
        except Image.DecompressionBombError:  # Pillow's own limit was reached first
            raise PhotoError(f"more than {max_pixels} pixels") from None
        except Image.UnidentifiedImageError:
            if _is_heif(file):
                raise PhotoError("a HEIC image, which needs pillow-heif: pip install 'edram-fer[heic]'") from None
            raise PhotoError("not an image") from None
        except DAMAGE as error:
            raise _damage_error(error) from None
        if size[0] * size[1] > max_pixels:
            raise PhotoError(f"{size[0]}x{size[1]} pixels, more than {max_pixels}")
        if min(size) < MIN_SIDE:
            raise PhotoError(f"{size[0]}x{size[1]} pixels, expected at least {MIN_SIDE} on a side")
        try:
            raw_modes = str([tile[3] for tile in getattr(image, "tile", ())])
            if least is not None and image.format in REDUCIBLE_FORMATS:
                _reduce(image, least)
            image.load()
            orientation = image.getexif().get(ExifTags.Base.Orientation)
            sixteen_bits = "RGB;16" in raw_modes or "RGBA;16" in raw_modes
            return _Photo(image, orientation, round(max(size) / max(image.size)), sixteen_bits)
        except DAMAGE as error:
            raise _damage_error(error) from None


def _damage_error(error: Exception) -> DamagedPhotoError:
    return DamagedPhotoError(f"cannot be decoded: {str(error)[:100] or type(error).__name__}")


def _complete_jpeg(content: bytes, max_pixels: int, least: int | None) -> _Photo | None:
    """Like `_load`, for a JPEG file that lacks only its last bytes; None if a part of the image itself is lost.

    Two different continuations are appended, which a decoder reads as the lost part: if both give the same image,
    nothing is lost.
    """
    if not content.startswith(JPEG):
        return None
    kept = content.removesuffix(JPEG_END[:1])
    try:
        ended, continued = (
            _load(io.BytesIO(kept + more + JPEG_END), max_pixels, least) for more in (b"", b"\xaa" * 64)
        )
    except DamagedPhotoError:
        return None
    return ended if np.array_equal(np.asarray(ended[0]), np.asarray(continued[0])) else None


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):  # 16 or 32 bits, which `convert` would clip at 255
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """uint8 of values of 16 or 32 bits. White is the largest value of as many bits as the values need; of floats up to
    1 it is 1."""
    whites = WHITES if values.dtype.itemsize == 2 else (255, *WHITES)
    if np.issubdtype(values.dtype, np.floating):
        values, whites = np.nan_to_num(values, nan=0, posinf=0, neginf=0), (1, *whites)
    largest = float(values.max())
    white = next((white for white in whites if largest <= white), largest)
    return np.clip(values * (255 / white), 0, 255).round().astype(np.uint8)


def _sixteen_bit_colours(file: BinaryIO) -> Image.Image | None:
    """The image in a PNG or TIFF file of 16 bits per channel, as RGB of 8 bits; None if OpenCV cannot decode it."""
    file.seek(0)
    values = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 3:
        return None
    rgb = _eight_bits(values[..., 2::-1])
    if values.shape[-1] == 4:
        rgb = _on_white(np.dstack([rgb, (values[..., 3] // 256).astype(np.uint8)]))
    return Image.fromarray(rgb)


def _on_white(rgba: np.ndarray) -> np.ndarray:
    """RGB of an image [H, W, 4], uint8 or floats in [0, 1], in front of white."""
    white = 255 if rgba.dtype == np.uint8 else 1
    opaque = rgba[..., 3:] / white
    mixed = rgba[..., :3] * opaque + white * (1 - opaque)
    return mixed.round().astype(np.uint8) if rgba.dtype == np.uint8 else mixed.astype(rgba.dtype)


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
