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

    Pictures are stored as WebP: a tenth of the bytes of a PNG, and no visible loss.

    Raises ValueError for a file that is no picture.
    """
    content = path.read_bytes()
    if path.suffix == ".svg":
        points = re.search(rb'<svg[^>]* width="([\d.]+)pt"', content)
        inches = float(points[1]) / 72 if points else 6
        return {"uri": _address("svg+xml", content), "width": round(inches * PIXELS_PER_INCH)}
    try:
        picture = Image.open(path).convert("RGB")
    except OSError as error:
        raise UserError(f"{path} is not a readable picture: {error}") from error
    return {"uri": webp(picture), "width": round(picture.width / DPI * PIXELS_PER_INCH)}


def webp(picture, quality=90):
    """A PIL picture as a data address."""
    packed = io.BytesIO()
    picture.save(packed, "WEBP", quality=quality)
    return _address("webp", packed.getvalue())


def _address(kind, content):
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
