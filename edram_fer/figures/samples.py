"""Single images: where each glimpse lay, what it showed, and what the model said after it."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle
from matplotlib.patheffects import withStroke
from scipy.ndimage import map_coordinates

from edram_fer import attention
from edram_fer.figures.style import GREEN, MUTED, RED, image_axes, step_colours, styled

TILE, GAP, TEXT = 1.12, 0.08, 0.2  # inches; shares of a tile: between tiles, below them for a line of text


def glimpse(image, window, size=26):
    """What a window shows, enlarged: bilinear, align corners, the border pixel repeated outside the image.

    Args:
        image: [H, W, C].
        window: [2, 3], from the window's [-1, 1]^2 onto the image's.
        size: sample points on a side.

    Returns: float [size, size, C] in the image's range.
    """
    line = np.linspace(-1, 1, size)
    own = np.stack([*np.meshgrid(line, line), np.ones((size, size))], axis=-1)
    columns, rows = np.moveaxis(attention.pixels(own @ np.asarray(window, float).T, image.shape[:2]), -1, 0)
    channels = np.moveaxis(np.asarray(image, float), -1, 0)
    return np.stack([map_coordinates(c, (rows, columns), order=1, mode="nearest") for c in channels], axis=-1)


def choose(truth, prediction, order, *, correct, seed=0):
    """Rows of one image of each class, drawn at random among those that were predicted right (or wrong).

    Args:
        truth, prediction: names [n].
        order: class names; a class without such images is left out.

    Returns: list of int.
    """
    random = np.random.default_rng(seed)
    candidates = [np.flatnonzero((truth == name) & ((prediction == truth) == correct)) for name in order]
    return [int(random.choice(rows)) for rows in candidates if len(rows)]


@styled
def samples(images, windows, labels, probabilities, truths, *, glimpse_size=26, weights=None, names=None):
    """One row for each image: the face with its windows, then each window enlarged.

    Args:
        images: uint8 [n, H, W, C].
        windows: [n, N, 2, 3].
        labels, probabilities: names and numbers [n, T] of the prediction after each step; of a model that is not
            recurrent (T = 1, N windows) one for each image.
        truths: names [n].
        glimpse_size: sample points on a side of an enlarged window.
        weights: [n, N], told below the windows when there is no step to tell.
        names: of the windows [N], above them; None: glimpse 1, glimpse 2 ...

    Returns: Figure. A right answer is green with a tick, a wrong one red with a cross.
    """
    count, steps = windows.shape[:2]
    each = len(labels[0]) == steps  # an answer after each window, or one for the image
    text = TEXT if each else 1.7 * TEXT
    pitch = max(1, images.shape[1] / images.shape[2]) + text + GAP
    colours = step_colours(steps)
    figure = Figure(figsize=(TILE * (steps + 1) * (1 + GAP) + 0.1, TILE * (count * pitch + 0.2)), layout="constrained")
    axes = figure.subplots()
    image_axes(axes)
    for row in range(count):
        top, line = row * pitch, (row + 1) * pitch - text - GAP + 0.05
        draw_face(axes, top, images[row], windows[row], colours)
        axes.text(0.5, line, truths[row], ha="center", va="top", fontweight="bold")
        answers = [answer(*said, truths[row]) for said in zip(labels[row], probabilities[row], strict=True)]
        if not each:
            caption(axes, 0.5, line + 0.75 * TEXT, *answers[-1])
            answers = [("" if weights is None else f"weight {weights[row, step]:.2f}", MUTED) for step in range(steps)]
        for step, said in enumerate(answers):
            left = (step + 1) * (1 + GAP)
            tile(axes, left, top, glimpse(images[row], windows[row, step], glimpse_size), colours[step])
            caption(axes, left + 0.5, line, *said)
    names = [f"glimpse {step + 1}" for step in range(steps)] if names is None else names
    size = 8 if max(map(len, names)) < 14 else 6.5  # so that neighbours do not touch
    for column, title in enumerate(["truth", *names]):
        axes.text(column * (1 + GAP) + 0.5, -0.06, title, ha="center", va="bottom", fontweight="bold", fontsize=size)
    axes.set(xlim=(-0.02, (steps + 1) * (1 + GAP) - GAP + 0.02), ylim=(count * pitch - GAP, -0.02), aspect="equal")
    return figure


def draw_face(axes, top, image, windows, colours):
    """The image as a tile of width 1 at (0, top), with the outlines and centres of its windows."""
    height, width = image.shape[:2]
    frame = tile(axes, 0, top, image)
    place = (attention.corner_pixels(windows, (height, width)) + 0.5) / width + (0, top)
    middle = (attention.pixels(attention.centres(windows), (height, width)) + 0.5) / width + (0, top)
    edge = [withStroke(linewidth=2.4, foreground="#00000070")]
    for corner, colour in zip(place, colours, strict=True):
        outline = Polygon(corner, fill=False, edgecolor=colour, linewidth=1.3, path_effects=edge, zorder=2)
        axes.add_patch(outline).set_clip_path(frame)
    axes.scatter(*middle.T, s=8, c=colours, edgecolors="black", linewidths=0.4, zorder=2.5).set_clip_path(frame)


def tile(axes, left, top, image, colour="none"):
    """An image [H, W, C], 0 to 255, of width 1 with its upper left corner at (left, top), in a frame of that colour.

    Returns: the frame.
    """
    image = np.asarray(image)[..., 0] if image.shape[-1] == 1 else np.asarray(image).astype(np.uint8)
    bottom = top + image.shape[0] / image.shape[1]
    axes.imshow(
        image, cmap="gray", vmin=0, vmax=255, interpolation="bicubic", extent=(left, left + 1, bottom, top), zorder=1
    )
    frame = Rectangle((left, top), 1, bottom - top, fill=False, edgecolor=colour, linewidth=2.2, zorder=3)
    return axes.add_patch(frame)


def answer(label, probability, truth):
    """Text and colour of what a model said: its label, with its probability, of an image of that truth."""
    mark, colour = ("✓", GREEN) if label == truth else ("✗", RED)
    return f"{mark} {label} {probability:.0%}", colour


def caption(axes, x, y, text, colour):
    """A line of small text below (x, y)."""
    axes.text(x, y, text, color=colour, ha="center", va="top", fontsize=7.5)
