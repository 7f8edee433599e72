"""Convert decoded images of every mode and depth to upright arrays: 8-bit RGB of files, checked arrays of users."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from PIL import ExifTags, Image

from edram_fer.errors import UserError

STRIP = 500_000  # pixels that are converted at once
WHITES = (4095, 16383, 65535)  # of 12, 14 and 16 bits, which are all stored as 16 bits
STORED_VIEWS: Mapping[int | None, Callable[[np.ndarray], np.ndarray]] = {  # EXIF orientation: how it is stored
    2: np.fliplr,
    3: lambda upright: np.rot90(upright, 2),
    4: np.flipud,
    5: lambda upright: upright.transpose(1, 0, 2),
    6: np.rot90,
    7: lambda upright: np.rot90(upright, 2).transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}


def from_pillow(image: Image.Image) -> np.ndarray:
    """Convert a Pillow image to what `photos.read` returns: uint8 [H, W, 3], RGB, turned as its EXIF data say.

    Raises:
        UserError: Pillow cannot convert it.

    >>> from_pillow(Image.new("L", (20, 10))).shape
    (10, 20, 3)
    """
    try:
        return upright(image, exif_orientation(image))
    except ValueError as error:  # more transparencies than the palette has colours
        raise UserError(f"cannot be converted: {error}") from None


def exif_orientation(image: Image.Image) -> int | None:
    """The EXIF orientation of a Pillow image that is loaded; None if it has none or its EXIF data are damaged.

    >>> exif_orientation(Image.new("L", (20, 10))) is None
    True
    """
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # of many kinds; the pixels are whole nevertheless
        return None


def from_array(array: np.ndarray, name: str = "image") -> np.ndarray:
    """Check an image that a user passes as an array.

    Args:
        array: [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] (RGBA, on white), uint8 in 0 to 255, uint16 (as in
            `photos.read`) or floats in [0, 1].
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


def upright(image: Image.Image, orientation: int | None) -> np.ndarray:
    """Convert a Pillow image that is stored with an EXIF orientation to uint8 [H, W, 3], RGB, upright.

    >>> upright(Image.new("RGB", (20, 10)), 6).shape
    (20, 10, 3)
    """
    result, stored = empty(image.size[1], image.size[0], orientation)
    top = 0
    for strip in rgb_strips(image):
        stored[top : top + len(strip)] = strip
        top += len(strip)
    return result


def empty(height: int, width: int, orientation: int | None) -> tuple[np.ndarray, np.ndarray]:
    """An empty array for an upright image, and a view of it as the image is stored with an EXIF orientation.

    Args:
        height, width: of the image as it is stored.
        orientation: 1 to 8; anything else means 1.

    Returns:
        uint8 [H, W, 3] or [W, H, 3], and its view [H, W, 3].

    >>> [array.shape for array in empty(10, 20, 6)]
    [(20, 10, 3), (10, 20, 3)]
    """
    result = np.empty((width, height, 3) if orientation in (5, 6, 7, 8) else (height, width, 3), np.uint8)
    return result, STORED_VIEWS.get(orientation, np.asarray)(result)


def rgb_strips(image: Image.Image) -> Iterator[np.ndarray]:
    """Convert an image as it is stored, from the top, in parts of some rows: whole, it would need more memory.

    Yields:
        uint8 [rows, W, 3], RGB; of images of 16 or 32 bits, which are grey, uint8 [rows, W, 1].

    >>> [strip.shape for strip in rgb_strips(Image.new("CMYK", (20, 10)))]
    [(10, 20, 3)]
    """
    white = _white(image)
    return (_rgb(strip, white) for strip in _strips(image))


def from_sixteen_bits(values: np.ndarray, orientation: int | None) -> np.ndarray:
    """Convert an image of 16 bits per channel, as OpenCV decodes it, to uint8 [H, W, 3], RGB, upright.

    Args:
        values: uint16 [H, W, 3], BGR, or [H, W, 4], BGRA, as it is stored.
        orientation: its EXIF orientation.

    >>> from_sixteen_bits(np.full((10, 20, 3), 65535, np.uint16), None)[0, 0].tolist()
    [255, 255, 255]
    """
    white = _white_of(float(values[..., :3].max()), values.dtype)
    result, stored = empty(len(values), values.shape[1], orientation)
    rows = max(STRIP // (8 * values.shape[1]), 1)  # in between there are numbers of eight bytes
    for top in range(0, len(values), rows):
        strip = values[top : top + rows]
        rgb = _scaled(strip[..., 2::-1], white)
        if values.shape[-1] == 4:
            rgb = _on_white(np.dstack([rgb, (strip[..., 3] // 256).astype(np.uint8)]))
        stored[top : top + rows] = rgb
    return result


def _strips(image: Image.Image) -> Iterator[Image.Image]:
    """The image in parts of some rows; in one piece if it is small."""
    width, height = image.size
    rows = max(STRIP // width, 1)
    if rows >= height:
        yield image
    else:
        yield from (image.crop((0, top, width, min(top + rows, height))) for top in range(0, height, rows))


def _white(image: Image.Image) -> float:
    """The value of white of an image of 16 or 32 bits; 0 for others."""
    if not image.mode.startswith(("I", "F")):
        return 0.0
    largest = [(float(_finite(values).max()), values.dtype) for values in map(np.asarray, _strips(image))]
    return _white_of(max(value for value, _ in largest), largest[0][1])


def _rgb(image: Image.Image, white: float) -> np.ndarray:
    """uint8 [H, W, 3] of a strip; `white` is that of the whole image."""
    if image.mode.startswith(("I", "F")):  # 16 or 32 bits, which `convert` would clip at 255
        return _scaled(np.asarray(image), white)[..., None]
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        background = Image.new("RGBA", rgba.size, "white")
        return np.asarray(Image.alpha_composite(background, rgba).convert("RGB"))
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """uint8 of values of 16 or 32 bits. White is the largest value of as many bits as the values need; of floats up to
    1 it is 1."""
    return _scaled(values, _white_of(float(_finite(values).max()), values.dtype))


def _white_of(largest: float, dtype: np.dtype) -> float:
    whites = WHITES if dtype.itemsize == 2 else (255, *WHITES)
    whites = (1, *whites) if np.issubdtype(dtype, np.floating) else whites
    return float(next((white for white in whites if largest <= white), largest))


def _finite(values: np.ndarray) -> np.ndarray:
    is_float = np.issubdtype(values.dtype, np.floating)
    return np.nan_to_num(values, nan=0, posinf=0, neginf=0) if is_float else values


def _scaled(values: np.ndarray, white: float) -> np.ndarray:
    return np.clip(_finite(values) * (255 / white), 0, 255).round().astype(np.uint8)


def _on_white(rgba: np.ndarray) -> np.ndarray:
    """RGB of an image [H, W, 4], uint8 or floats in [0, 1], in front of white."""
    white = 255 if rgba.dtype == np.uint8 else 1
    opaque = rgba[..., 3:] / white
    mixed = rgba[..., :3] * opaque + white * (1 - opaque)
    return mixed.round().astype(np.uint8) if rgba.dtype == np.uint8 else mixed.astype(rgba.dtype)
