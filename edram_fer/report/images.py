"""Figures as data addresses, so that a page needs no other file."""

import base64
import io
import re

from PIL import Image

from edram_fer.errors import UserError
from edram_fer.figures import DPI

PIXELS_PER_INCH = 112


def embedded(path):
    """A figure's file as {"uri": data address, "width": CSS pixels at which its letters are as large as the page's
    small print}.

    Images are stored as WebP: a tenth of the bytes of a PNG, and no visible loss.

    Raises ValueError for a file that is no image.
    """
    content = path.read_bytes()
    if path.suffix == ".svg":
        points = re.search(rb'<svg[^>]* width="([\d.]+)pt"', content)
        inches = float(points[1]) / 72 if points else 6
        return {"uri": _address("svg+xml", content), "width": round(inches * PIXELS_PER_INCH)}
    try:
        image = Image.open(path).convert("RGB")
    except OSError as error:
        raise UserError(f"{path} is not a readable image: {error}") from error
    return {"uri": webp(image), "width": round(image.width / DPI * PIXELS_PER_INCH)}


def webp(image, quality=90):
    """A PIL image as a data address."""
    packed = io.BytesIO()
    image.save(packed, "WEBP", quality=quality)
    return _address("webp", packed.getvalue())


def _address(kind, content):
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
