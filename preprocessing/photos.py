"""Decode image files to upright 8-bit RGB arrays, by content and not by name, within limits of pixels and memory."""

import contextlib
import functools
import hashlib
import importlib.util
import io
import math
import os
import stat
import struct
import threading
import warnings
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import cv2
import numpy as np
from PIL import Image

from edram_fer.errors import UserError
from edram_fer.preprocessing import jpeg, pixel_arrays, quiet

MAX_PIXELS = 100_000_000
MAX_BYTES = 285_000_000  # of the 300 MB for an image, without those for strips; 8 for each pixel beyond MAX_PIXELS
MAX_BYTES_JPEG = 585_000_000  # of 600 MB: cameras write JPEG files of 60 million pixels
MAX_SCANS = 100  # of a JPEG file: encoders use at most a few dozen, and each is decoded for all pixels
TRUNCATED = "image file is truncated"
MIN_SIDE = 8  # pixels: smaller images cannot show a face
# Formats of Pillow that are not read: EPS and WMF are programs or need one, and the others hold no pixels that Pillow
# itself can decode.
REFUSED_FORMATS = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "PDF", "WMF"}
UNMARKED_FORMATS = {"IMT", "IPTC", "PCD", "SPIDER", "TGA"}  # files of other kinds can look like these
REDUCIBLE_FORMATS = {"JPEG", "MPO"}
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
# Bytes per pixel in Pillow's memory, those that decoders need in addition, and how many copies of the file are held
# meanwhile. `python -m benchmarks.photo_memory` compares them with what is measured.
STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
STORED_OTHERS = 4
DECODER = {"WEBP": 12, "AVIF": 12, "HEIF": 12, "TIFF": 4}
DECODER_BAND = {"JPEG2000": 5}  # for each band
DECODER_BAND_SIXTEEN_BITS = 3  # OpenCV's, which decodes colours of 16 bits again
COPIES = {"JPEG": 2, "MPO": 2, "WEBP": 1, "AVIF": 1, "HEIF": 1}
# Errors that Pillow raises for a damaged file, which it does not document. `Image.open` expects the errors after
# ValueError from its plugins; that for AVIF raises RuntimeError.
DAMAGE = (OSError, ValueError, SyntaxError, IndexError, TypeError, EOFError, RuntimeError, struct.error)


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
        max_pixels: the largest number of pixels; the size is checked before anything is decoded. Images that would need
            more than 300 MB of memory, and JPEG files that would need more than 600, are refused, too: depending on
            their format and mode, this is so from 12 to 100 million pixels. If `max_pixels` is above MAX_PIXELS, the
            memory may be eight times as many bytes.

    Returns:
        uint8 [H, W, 3], RGB.

    Raises:
        PhotoError: the path is missing or not a file, or the file is empty, not an image, too large or too small.
        DamagedPhotoError: the image cannot be decoded.

    >>> read("face.png").shape
    (48, 48, 3)
    """
    return read_reduced(path, None, max_pixels)[0]


def read_reduced(
    path: Path | str, least: int | None, max_pixels: int = MAX_PIXELS, *, whole: bool = False
) -> tuple[np.ndarray, int]:
    """Like `read`, but a JPEG is decoded at an eighth, a quarter or a half of its size where that suffices.

    Args:
        path, max_pixels: as for `read`.
        least: the longer side needs at least this many pixels; None: full size.
        whole: the file was read before: what takes several decodings to show that pixels were lost is not tested again.

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
        if stat.S_ISDIR(status.st_mode) and not os.access(path, os.R_OK | os.X_OK):
            raise PhotoError("a folder that cannot be read")
        if not stat.S_ISREG(status.st_mode):
            raise PhotoError("not a file")
        if status.st_size == 0:
            raise PhotoError("empty file")
        file = open(path, "rb")
    except OSError as error:
        raise PhotoError(f"cannot be read: {error.strerror}") from None
    with file:
        is_jpeg = file.read(2) == jpeg.START
        most_bytes = MAX_BYTES_JPEG if is_jpeg else MAX_BYTES
        limits = _Limits(max_pixels, most_bytes if max_pixels <= MAX_PIXELS else 8 * max_pixels)
        if is_jpeg:
            return _read_jpeg(file, status.st_size, limits, least, whole)
        photo = _load(file, status.st_size, limits, least)
        if photo.sixteen_bits:
            orientation = photo.orientation
            del photo  # its memory is needed
            if (values := _sixteen_bit_colours(file)) is not None:
                return pixel_arrays.from_sixteen_bits(values, orientation), 1
            photo = _load(file, status.st_size, limits, least)
    return _upright(photo), photo.reduction


def decoded_pixels(path: Path, least: int | None = None) -> int:
    """How many pixels `read_reduced` decodes, from the header of the file; 0 if it cannot be read."""
    if not os.path.isfile(path):  # a pipe would block
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


class _Limits(NamedTuple):
    """The largest number of pixels, and of bytes of memory."""

    pixels: int
    memory: int


class _Photo(NamedTuple):
    """The decoded image, as stored, its EXIF orientation, by how many times it was reduced, and whether the file holds
    colours of 16 bits, of which Pillow decodes 8."""

    image: Image.Image
    orientation: int | None
    reduction: int
    sixteen_bits: bool


def _load(file: BinaryIO, file_size: int, limits: _Limits, least: int | None, coefficient_bytes: float = 0.0) -> _Photo:
    """Decode a file of `file_size` bytes after checking its size; `coefficient_bytes` as in `jpeg.Structure`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of large images, which are rejected here
        file.seek(0)
        try:
            image = Image.open(file, formats=_formats())
            size = image.size
        except Image.DecompressionBombError:  # Pillow's own limit was reached first
            raise PhotoError(f"more than {limits.pixels} pixels") from None
        except Image.UnidentifiedImageError:
            if _is_heif(file):
                raise PhotoError("a HEIC image, which needs pillow-heif: pip install 'edram-fer[heic]'") from None
            raise PhotoError("not an image") from None
        except DAMAGE as error:
            raise _damage_error(error) from None
        if min(size) < MIN_SIDE:
            raise PhotoError(f"{size[0]}x{size[1]} pixels, expected at least {MIN_SIDE} on a side")
        try:
            raw_modes = str([tile[3] for tile in getattr(image, "tile", ())])
            if least is not None and image.format in REDUCIBLE_FORMATS:
                _reduce(image, least)
            if image.size[0] * image.size[1] > limits.pixels:
                raise PhotoError(f"{size[0]}x{size[1]} pixels, more than {limits.pixels}")
            needed = _memory(image, file_size, coefficient_bytes * size[0] * size[1], ";16" in raw_modes)
            if needed > limits.memory:
                raise PhotoError(
                    f"{size[0]}x{size[1]} pixels of the mode {image.mode} need {needed / 1e6:.0f} MB of memory, more "
                    f"than {limits.memory / 1e6:.0f}"
                )
            with _silence() if image.format == "TIFF" else contextlib.nullcontext():
                image.load()
            orientation = pixel_arrays.exif_orientation(image)
            sixteen_bits = "RGB;16" in raw_modes or "RGBA;16" in raw_modes
            # A damaged HEIF or ICO file may hold an image of another size than it declares.
            reduction = round(max(size) / max(image.size)) if image.format in REDUCIBLE_FORMATS else 1
            return _Photo(image, orientation, reduction, sixteen_bits)
        except PhotoError:
            raise
        except DAMAGE as error:
            raise _damage_error(error) from None


def _memory(image: Image.Image, file_size: int, coefficients: float, sixteen_bits: bool) -> float:
    """Bytes that the decoding and conversion of an image need; `coefficients`: those of a JPEG decoder."""
    stored, kind, copies = STORED.get(image.mode, STORED_OTHERS), image.format or "", COPIES.get(image.format or "", 0)
    bands = len(image.getbands())
    decoder = max(DECODER.get(kind, 0), DECODER_BAND.get(kind, 0) * bands)
    if sixteen_bits and image.mode not in STORED:
        decoder, copies = max(decoder, DECODER_BAND_SIXTEEN_BITS * bands), max(copies, 1)
    pixels = image.size[0] * image.size[1]
    return copies * file_size + pixels * stored + max(pixels * max(decoder, 3), coefficients)


_SILENCE = threading.Lock()


@contextlib.contextmanager
def _silence() -> Generator[None, None, None]:
    """Drop what libtiff prints about a damaged file, which also raises an exception."""
    with _SILENCE, quiet.silence(always=True):
        yield


def _damage_error(error: Exception) -> DamagedPhotoError:
    return DamagedPhotoError(f"cannot be decoded: {str(error)[:100] or type(error).__name__}")


def _read_jpeg(file: BinaryIO, size: int, limits: _Limits, least: int | None, whole: bool) -> tuple[np.ndarray, int]:
    """`read_reduced` for a JPEG file. One that lacks only its last bytes is decoded; one that lost pixels is damaged,
    even if it has an end mark.
    """
    if size > limits.memory / 3:
        raise PhotoError(f"a JPEG file of {size / 1e6:.0f} MB, more than {limits.memory / 3e6:.0f}")
    file.seek(0)
    content = file.read()
    structure = jpeg.read(content)
    if structure is None:  # Pillow says what is wrong, or can read it nevertheless
        photo = _load(io.BytesIO(content), size, limits, least)
        return _upright(photo), photo.reduction
    if len(structure.scans) > MAX_SCANS:
        raise PhotoError(f"a JPEG file of {len(structure.scans)} scans, more than {MAX_SCANS}")

    def load(filler: bytes = b"") -> _Photo:
        filled = io.BytesIO(jpeg.with_filler(content, structure, filler))
        return _load(filled, size, limits, least, structure.coefficient_bytes)

    if structure.lacks_data(content) or not (structure.ended or structure.covers_all()):
        raise _damage_error(OSError(TRUNCATED))
    photo = load()
    if structure.arithmetic and not structure.ended:  # an encoder may leave out zeros at the end, as a cut does
        raise _damage_error(OSError(TRUNCATED))
    result, reduction = _upright(photo), photo.reduction
    if whole:
        return result, reduction
    stored = pixel_arrays.STORED_VIEWS.get(photo.orientation, np.asarray)(result)
    del photo  # its memory is needed
    if fillers := _fillers(stored, reduction, structure):
        expected = _digest(_bands(stored))
        del result, stored  # their memory is needed
        *others, last = fillers
        if any(_digest(pixel_arrays.rgb_strips(load(filler).image)) != expected for filler in others):
            raise _damage_error(OSError(TRUNCATED))
        photo = load(last)
        if _digest(pixel_arrays.rgb_strips(photo.image)) != expected:
            raise _damage_error(OSError(TRUNCATED))
        result = _upright(photo)
    return result, reduction


def _bands(stored: np.ndarray) -> Iterator[np.ndarray]:
    """An image in parts of some rows, whose bytes are copied one after the other."""
    return (stored[top : top + MIN_SIDE] for top in range(0, len(stored), MIN_SIDE))


def _digest(strips: Iterable[np.ndarray]) -> bytes:
    """SHA-256 of the pixels of an image, from parts of some rows."""
    digest = hashlib.sha256()
    for strip in strips:
        digest.update(strip.tobytes())
    return digest.digest()


def _fillers(stored: np.ndarray, reduction: int, structure: jpeg.Structure) -> tuple[bytes, ...]:
    """What has to change no pixel behind the data of the last scan; each is decoded. None if the data are complete."""
    if structure.arithmetic:  # an encoder may leave out zeros at the end
        return ()
    if not structure.ended or not structure.covers_all() or _may_be_filled(stored, reduction, structure):
        return jpeg.FILLERS
    return jpeg.FILLERS[-1:] if structure.progressive else ()  # a cut in its last scan shows nowhere else


def _may_be_filled(stored: np.ndarray, reduction: int, structure: jpeg.Structure) -> bool:
    """Whether the last unit of an image has a single colour, as what a decoder fills in has."""
    # Next to another unit its colour is interpolated.
    sides = ((side % unit if side % unit > 3 else unit) - 2 for side, unit in structure.last_unit)
    rows, columns = (max(side // reduction, 2) for side in sides)
    end = stored[-rows:, -columns:]
    return bool((end == end[0, 0]).all())


def _sixteen_bit_colours(file: BinaryIO) -> np.ndarray | None:
    """The image in a PNG or TIFF file of 16 bits per channel, as stored, uint16 [H, W, 3 or 4], BGR or BGRA; None if
    OpenCV cannot decode it."""
    file.seek(0)
    with _silence():
        values = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    return None if values is None or values.dtype != np.uint16 or values.ndim != 3 else values


def _upright(photo: _Photo) -> np.ndarray:
    try:
        return pixel_arrays.upright(photo.image, photo.orientation)
    except ValueError as error:  # a PNG file gives more transparencies than a palette has colours
        raise _damage_error(error) from None
