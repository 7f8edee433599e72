"""Individual images with the position and content of each glimpse, and the prediction after it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Polygon, Rectangle
from matplotlib.patheffects import withStroke
from scipy.ndimage import map_coordinates

from edram_fer import attention
from edram_fer.figures.colours import step_colours
from edram_fer.figures.style import GREEN, MUTED, RED, fitted, image_axes, styled

TILE, GAP, TEXT = 1.12, 0.08, 0.2  # inches; shares of a tile: between tiles, below them for a line of text


def glimpse(image: np.ndarray, window: np.ndarray, size: int = 26) -> np.ndarray:
    """Sample the content of a window: bilinear, with aligned corners and border pixels repeated outside the image.

    Args:
        image: [H, W, C].
        window: [2, 3], maps the window's [-1, 1]^2 onto the image's.
        size: sample points per side.

    Returns:
        float [size, size, C] in the range of the image.
    """
    line = np.linspace(-1, 1, size)
    grid = np.stack([*np.meshgrid(line, line), np.ones((size, size))], axis=-1)
    columns, rows = np.moveaxis(attention.pixels(grid @ np.asarray(window, float).T, image.shape[:2]), -1, 0)
    channels = np.moveaxis(np.asarray(image, float), -1, 0)
    return np.stack([map_coordinates(c, (rows, columns), order=1, mode="nearest") for c in channels], axis=-1)


def choose(
    truth: np.ndarray, prediction: np.ndarray, order: Sequence[str], *, correct: bool, seed: int = 0
) -> list[int]:
    """Choose one image of each class at random among the correctly classified (or the misclassified) ones.

    Args:
        truth: names [n].
        prediction: names [n].
        order: class names; a class without such images is left out.
        correct: choose among correctly classified images, or else among misclassified ones.
        seed: seed of the choice.

    Returns:
        Indices of the images.
    """
    random = np.random.default_rng(seed)
    candidates = [np.flatnonzero((truth == name) & ((prediction == truth) == correct)) for name in order]
    return [int(random.choice(rows)) for rows in candidates if len(rows)]


@styled
def samples(
    images: np.ndarray,
    windows: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    truths: np.ndarray,
    *,
    glimpse_size: int = 26,
    weights: np.ndarray | None = None,
    names: Sequence[str] | None = None,
) -> Figure:
    """Draw one row per image: the face with its windows, then each window enlarged.

    Correct predictions are green with a tick, wrong ones red with a cross.

    Args:
        images: uint8 [n, H, W, C].
        windows: [n, N, 2, 3].
        labels: names [n, T] predicted after each step; T = 1 for a model that is not recurrent.
        probabilities: [n, T], probabilities of the predicted class.
        truths: names [n].
        glimpse_size: sample points per side of an enlarged window.
        weights: [n, N], shown below the windows of a model that is not recurrent.
        names: names of the windows [N], shown above them; None: glimpse 1, glimpse 2, ...
    """
    count, steps = windows.shape[:2]
    stepwise = len(labels[0]) == steps  # a prediction after each window, otherwise one per image
    text = TEXT if stepwise else 1.7 * TEXT
    pitch = max(1, images.shape[1] / images.shape[2]) + text + GAP
    colours = step_colours(steps)
    figure = Figure(figsize=(TILE * (steps + 1) * (1 + GAP) + 0.1, TILE * (count * pitch + 0.2)), layout="constrained")
    axes = figure.subplots()
    image_axes(axes)
    for row in range(count):
        top, line = row * pitch, (row + 1) * pitch - text - GAP + 0.05
        draw_face(axes, top, images[row], windows[row], colours)
        style = {"fontweight": "bold", "fontsize": fitted(truths[row], 8, 16)}
        axes.text(0.5, line, truths[row], ha="center", va="top", **style)
        answers = [answer(*prediction, truths[row]) for prediction in zip(labels[row], probabilities[row], strict=True)]
        if not stepwise:
            caption(axes, 0.5, line + 0.75 * TEXT, *answers[-1])
            answers = [("" if weights is None else f"weight {weights[row, step]:.2f}", MUTED) for step in range(steps)]
        for step, text_and_colour in enumerate(answers):
            left = (step + 1) * (1 + GAP)
            tile(axes, left, top, glimpse(images[row], windows[row, step], glimpse_size), colours[step])
            caption(axes, left + 0.5, line, *text_and_colour)
    names = [f"glimpse {step + 1}" for step in range(steps)] if names is None else names
    size = 8 if max(map(len, names)) < 14 else 6.5  # so that neighbouring titles do not touch
    for column, title in enumerate(["truth", *names]):
        axes.text(column * (1 + GAP) + 0.5, -0.06, title, ha="center", va="bottom", fontweight="bold", fontsize=size)
    axes.set(xlim=(-0.02, (steps + 1) * (1 + GAP) - GAP + 0.02), ylim=(count * pitch - GAP, -0.02), aspect="equal")
    return figure


def draw_face(
    axes: Axes, top: float, image: np.ndarray, windows: np.ndarray, colours: Sequence[Any] | np.ndarray
) -> None:
    """The image as a tile of width 1 at (0, top), with the outlines and centres of its windows."""
    height, width = image.shape[:2]
    frame = tile(axes, 0, top, image)
    corners = (attention.corner_pixels(windows, (height, width)) + 0.5) / width + (0, top)
    middle = (attention.pixels(attention.centres(windows), (height, width)) + 0.5) / width + (0, top)
    edge = [withStroke(linewidth=2.4, foreground="#00000070")]
    for corner, colour in zip(corners, colours, strict=True):
        outline = Polygon(corner, fill=False, edgecolor=colour, linewidth=1.3, path_effects=edge, zorder=2)
        axes.add_patch(outline).set_clip_path(frame)
    axes.scatter(*middle.T, s=8, c=colours, edgecolors="black", linewidths=0.4, zorder=2.5).set_clip_path(frame)


def tile(axes: Axes, left: float, top: float, image: np.ndarray, colour: Any = "none") -> Patch:
    """Draw an image [H, W, C], 0 to 255, with width 1 and its upper left corner at (left, top), in a coloured frame.

    Returns:
        The frame.
    """
    image = np.asarray(image)[..., 0] if image.shape[-1] == 1 else np.asarray(image).astype(np.uint8)
    bottom = top + image.shape[0] / image.shape[1]
    axes.imshow(
        image, cmap="gray", vmin=0, vmax=255, interpolation="bicubic", extent=(left, left + 1, bottom, top), zorder=1
    )
    frame = Rectangle((left, top), 1, bottom - top, fill=False, edgecolor=colour, linewidth=2.2, zorder=3)
    return axes.add_patch(frame)


def answer(label: str, probability: float, truth: str) -> tuple[str, str]:
    """Text and colour of a prediction: green with a tick when it equals the truth, else red with a cross."""
    mark, colour = ("✓", GREEN) if label == truth else ("✗", RED)
    return f"{mark} {label} {probability:.0%}", colour


def caption(axes: Axes, x: float, y: float, text: str, colour: Any, letters: int = 20) -> None:
    """Draw a line of small text below (x, y); smaller, if it has more letters than there is room for."""
    axes.text(x, y, text, color=colour, ha="center", va="top", fontsize=fitted(text, 7.5, letters))
