"""A photo with its faces: the prediction for each face, and the model's windows. Drawn in a few milliseconds."""

import functools
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from edram_fer import attention
from edram_fer.figures.colours import step_colours
from edram_fer.preprocessing.detection import LEAST_INTERPOLATED

LARGEST = 2000  # pixels on the longer side of the drawing
SMALLEST = 1000  # pixels, so that small photos have enough space for text
FRAME, WINDOW, EDGE = 3, 3, 1  # width of lines, and of the dark edge on both their sides, in pixels
TEXT_EDGE = 2
SMALL_TEXT, LARGE_TEXT = 15, 24  # pixels
DARK, WHITE = (18, 18, 18), (255, 255, 255)
SHIFT = 4  # OpenCV takes coordinates in sixteenths of a pixel


def annotate(image: np.ndarray, faces: Sequence[Mapping[str, Any]]) -> Image.Image:
    """Draw the squares around the faces, their emotions, and the model's windows inside the squares.

    Args:
        image: uint8 [H, W, 3].
        faces: one dict per face with "left", "top" and "side" in pixels, "emotion", "probability", and "windows"
            [N, 2, 3], drawn from early (violet) to late (yellow); () draws none.

    Returns:
        Image with the proportions of `image`; its longer side has SMALLEST to LARGEST pixels.
    """
    longest = max(image.shape[:2])
    scale = float(np.clip(longest, SMALLEST, LARGEST) / longest)
    size = [max(round(side * scale), 1) for side in image.shape[1::-1]]
    shrunk = cv2.INTER_AREA if scale < LEAST_INTERPOLATED else cv2.INTER_LINEAR
    canvas = cv2.resize(image, size, interpolation=shrunk if scale < 1 else cv2.INTER_CUBIC)
    for face in faces:
        corner, side = np.array([face["left"], face["top"]]), face["side"]
        outline(canvas, (corner + np.array([[0, 0], [side, 0], [side, side], [0, side]]) - 0.5) * scale, WHITE, FRAME)
        for window, colour in zip(face["windows"], step_colours(len(face["windows"])), strict=True):
            corners = attention.corner_pixels(window, (side, side)) + corner
            outline(canvas, corners * scale, (colour * 255).round().tolist(), WINDOW)
    drawing = Image.fromarray(canvas)
    draw = ImageDraw.Draw(drawing)
    for face in faces:
        _label(draw, face, scale)
    return drawing


def fixed_point(points: np.ndarray) -> np.ndarray:
    """Points [n, 2] in pixels as OpenCV takes them with `shift=SHIFT`, int32 [n, 2]."""
    return (points * (1 << SHIFT)).round().astype(np.int32)


def outline(canvas: np.ndarray, corners: np.ndarray, colour: Sequence[float], width: int) -> None:
    """Draw a closed polygon with corners [n, 2] and a dark edge on the canvas."""
    points = [fixed_point(corners)]
    for line_colour, line_width in ((DARK, width + 2 * EDGE), (colour, width)):
        cv2.polylines(canvas, points, True, line_colour, line_width, cv2.LINE_AA, SHIFT)


def _label(draw: ImageDraw.ImageDraw, face: Mapping[str, Any], scale: float) -> None:
    """Write the emotion above the square or, where there is no space, inside it below its upper edge."""
    text, side = f"{face['emotion']} {face['probability']:.0%}", face["side"] * scale
    font = label_font(int(np.clip(side / (0.68 * len(text)), SMALL_TEXT, LARGE_TEXT)))  # as wide as the square
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font, stroke_width=TEXT_EDGE)
    x = min(max(face["left"] * scale, 0), max(draw.im.size[0] - (right - left), 0))
    y = face["top"] * scale - FRAME - bottom
    if y + top < 0:
        y = face["top"] * scale + FRAME - top
    draw.text((x, y), text, font=font, fill=WHITE, stroke_width=TEXT_EDGE, stroke_fill=DARK)


@functools.cache
def label_font(size: int) -> ImageFont.FreeTypeFont:
    """The font of labels, DejaVu Sans Bold, whose letters are about `size` pixels high."""
    matplotlib = importlib.util.find_spec(
        "matplotlib"
    )  # which has the font; importing it would take longer than drawing
    assert matplotlib is not None and matplotlib.submodule_search_locations
    folder = Path(matplotlib.submodule_search_locations[0])
    return ImageFont.truetype(folder / "mpl-data/fonts/ttf/DejaVuSans-Bold.ttf", size)
