"""Any image file to an upright 8-bit RGB array, by its content and not by its name, and only from inside the tree."""

import io
import stat
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from edram_fer.errors import UserError

MAX_PIXELS = 100_000_000  # decoded that is 300 MB; a 20,000 x 20,000 image would need 1.2 GB
MIN_SIDE = 8  # pixels: less is no photo of a face
FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")  # no programs, as EPS is one
JPEG, JPEG_END = b"\xff\xd8", b"\xff\xd9"  # the first and the last bytes of such a file


def read(path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode an image.

    EXIF orientation is applied, transparency is laid on white, 16 bits become 8, palettes and CMYK become RGB; of an
    animation the first frame is taken. A file that ends early is truncated, but for a JPEG whose image is all there.

    Returns: uint8 [H, W, 3], RGB.

    Raises ValueError saying what is wrong: missing, no file, empty, not an image, truncated, too large or too small.
    The size is looked at before anything is decoded.
    """
    path = Path(path)
    try:
        about = path.stat()
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(about.st_mode):
        raise UserError("not a file")
    if about.st_size == 0:
        raise UserError("empty file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large images; here they are refused
            try:
                return _decoded(path, max_pixels)
            except OSError as error:
                if "truncated" not in str(error):
                    raise
                whole = _whole_but_for_its_end(path.read_bytes(), max_pixels)
                if whole is None:
                    raise
                return whole
    except _Refused as refused:
        raise UserError(str(refused)) from None
    except Image.DecompressionBombError:  # Pillow's own limit came first
        raise UserError(f"more than {max_pixels} pixels") from None
    except Image.UnidentifiedImageError:
        raise UserError("not an image") from None
    except Exception as error:  # whatever the decoders of damaged files raise: OSError, SyntaxError, struct.error, ...
        raise UserError(f"cannot be decoded: {str(error)[:100] or type(error).__name__}") from None


class _Refused(Exception):
    pass


def _decoded(file, max_pixels: int) -> np.ndarray:
    with Image.open(file, formats=FORMATS) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise _Refused(f"{width}x{height} pixels, more than {max_pixels}")
        if min(width, height) < MIN_SIDE:
            raise _Refused(f"{width}x{height} pixels, expected at least {MIN_SIDE} on a side")
        ImageOps.exif_transpose(image, in_place=True)
        return np.asarray(_rgb(image))


def _whole_but_for_its_end(content: bytes, max_pixels: int) -> np.ndarray | None:
    """The image of a JPEG file that lacks its last bytes only; None where a part of the image itself is lost.

    A decoder takes what follows for the lost part. So nothing is lost where the image does not depend on that.
    """
    if not content.startswith(JPEG):
        return None
    kept = content.removesuffix(JPEG_END[:1])
    ended, gone_on = (_decoded(io.BytesIO(kept + more + JPEG_END), max_pixels) for more in (b"", b"\xaa" * 64))
    return ended if np.array_equal(ended, gone_on) else None


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):  # 16 and 32 bits, which `convert` would clip at 255
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


def inside(root: Path, relative: str) -> Path:
    """The path of an image that an annotation names, which must lie in the data set's own folder.

    Raises ValueError for a path as `leads_out` finds it, and a link that leads out of `root` or to itself.
    """
    if leads_out(relative):
        raise UserError("its path leads out of the data set")
    path = root / relative
    try:
        real = path.resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: a link to itself
        raise UserError(f"cannot be read: {str(error)[:100]}") from None
    if not real.is_relative_to(root.resolve()):
        raise UserError("it is a link that leads out of the data set")
    return path


def leads_out(relative: str) -> bool:
    """Whether the path of an image, as an annotation names it, is absolute or goes up ("..")."""
    given = Path(relative)
    return given.is_absolute() or ".." in given.parts or "\\" in relative
