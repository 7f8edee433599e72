"""A page of small images in titled rows, to see at a glance what a preparation made."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

CELL, GAP, TITLE = 96, 6, 18  # pixels


def sheet(rows: Mapping[str, Sequence[np.ndarray]]) -> Image.Image:
    """Draw the images of each row, uint8 [H, W] or [H, W, 3], fitted into cells, under the row's title."""
    columns = max([len(images) for images in rows.values()] + [4])
    page = Image.new("RGB", (GAP + columns * (CELL + GAP), GAP + len(rows) * (TITLE + CELL + GAP)), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(13)
    for line, (title, images) in enumerate(rows.items()):
        top = GAP + line * (TITLE + CELL + GAP)
        draw.text((GAP, top), title[: columns * CELL // 7], "black", font)
        for column, image in enumerate(images):
            cell = Image.fromarray(fitted(image))
            left = GAP + column * (CELL + GAP)
            page.paste(cell, (left + (CELL - cell.width) // 2, top + TITLE + (CELL - cell.height) // 2))
    return page


def fitted(image: np.ndarray) -> np.ndarray:
    """An image as a cell shows it, RGB; whoever gathers photos for a sheet need not hold them in their whole size."""
    cell = Image.fromarray(image).convert("RGB")
    cell.thumbnail((CELL, CELL))
    return np.asarray(cell)
