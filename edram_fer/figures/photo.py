"""A photo with its faces: the prediction for each face, and the model's windows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle
from matplotlib.patheffects import withStroke

from edram_fer import attention
from edram_fer.figures import DPI
from edram_fer.figures.style import image_axes, show_image, step_colours, styled

LARGEST = 1600  # pixels on the longer side of the figure
SMALLEST = 1000  # pixels, so that small photos have enough space for text
_EDGE = [withStroke(linewidth=2.2, foreground="#000000b0")]


@styled
def annotate(image: np.ndarray, faces: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the squares around the faces, their emotions, and the model's windows inside the squares.

    Args:
        image: uint8 [H, W, 3].
        faces: one dict per face with "left", "top" and "side" in pixels, "emotion", "probability", and "windows"
            [N, 2, 3], drawn from early (violet) to late (yellow); () draws none.

    Returns:
        Figure with the proportions of the image.
    """
    height, width = image.shape[:2]
    scale = np.clip(max(height, width), SMALLEST, LARGEST) / max(height, width) / DPI
    figure = Figure(figsize=(width * scale, height * scale))
    axes = figure.add_axes((0, 0, 1, 1))
    image_axes(axes)
    show_image(axes, image)
    for face in faces:
        left, top, side = face["left"], face["top"], face["side"]
        corner = (left - 0.5, top - 0.5)
        frame = Rectangle(corner, side, side, fill=False, edgecolor="white", linewidth=1.4, path_effects=_EDGE)
        axes.add_patch(frame)
        for window, colour in zip(face["windows"], step_colours(len(face["windows"])), strict=True):
            corners = attention.corner_pixels(window, (side, side)) + (left, top)
            axes.add_patch(Polygon(corners, fill=False, edgecolor=colour, linewidth=1.3, path_effects=_EDGE))
        text, below = f"{face['emotion']} {face['probability']:.0%}", top * scale < 0.16
        size = np.clip(72 * scale * side / (0.6 * len(text)), 5, 8)  # as wide as the square, within legible sizes
        axes.annotate(
            text,
            (left - 0.5, top + side if below else top),
            (0, -2 if below else 2),
            textcoords="offset points",
            va="top" if below else "bottom",
            color="white",
            fontsize=size,
            fontweight="bold",
            path_effects=_EDGE,
        )
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    return figure
