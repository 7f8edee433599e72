"""A page of small images in titled rows, which shows the results of a preparation."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

CELL, GAP, TITLE = 96, 6, 18  # pixels


def sheet(rows: Mapping[str, Sequence[np.ndarray]]) -> Image.Image:
    """Draw a contact sheet.

    Args:
        rows: {title: images, uint8 [H, W] or [H, W, 3] RGB, of any size}; larger images are shrunk to CELL pixels.

    Returns:
        the page, RGB, with the images of each row under its title.

    >>> sheet({"happy": [np.zeros((48, 48), np.uint8)] * 5}).size
    (516, 126)
    """
    columns = max([len(images) for images in rows.values()] + [4])
    page = Image.new("RGB", (GAP + columns * (CELL + GAP), GAP + len(rows) * (TITLE + CELL + GAP)), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(13)
    for line, (title, images) in enumerate(rows.items()):
        top = GAP + line * (TITLE + CELL + GAP)
        draw.text((GAP, top), title[: columns * CELL // 7], "black", font)
        for column, image in enumerate(images):
            cell = Image.fromarray(thumbnail(image))
            left = GAP + column * (CELL + GAP)
            page.paste(cell, (left + (CELL - cell.width) // 2, top + TITLE + (CELL - cell.height) // 2))
    return page


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Shrink an image [H, W] or [H, W, 3] to the size of a cell, uint8 [h, w, 3] RGB, to save memory."""
    cell = Image.fromarray(image).convert("RGB")
    cell.thumbnail((CELL, CELL))
    return np.asarray(cell)
