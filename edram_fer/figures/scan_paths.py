"""Scan paths over faces: the positions of the glimpses in time order."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from edram_fer import attention
from edram_fer.figures.colours import step_colours
from edram_fer.figures.style import fitted, image_axes, styled

TILE, GAP, TEXT = 1.7, 0.06, 0.16  # inches; shares of a tile: between tiles, above them for a line of text
DOT = 0.065  # diameter, share of a tile
_NUMBER = {"fontsize": 6, "fontweight": "bold", "zorder": 5}
_EDGE = [withStroke(linewidth=2.6, foreground="#000000a0")]


@styled
def scan_paths(
    images: Sequence[np.ndarray] | np.ndarray,
    windows: Sequence[np.ndarray | None] | np.ndarray,
    titles: Sequence[str],
    *,
    others: Sequence[Sequence[np.ndarray]] | None = None,
    columns: int = 4,
    rows: Sequence[str] = (),
) -> Figure:
    """Draw a scan path over each face: numbered dots from early (violet) to late (yellow).

    If dots overlap, their numbers are beside them. The line to the next dot is solid for a saccade, which leaves
    the window, and otherwise dotted (`attention.saccades`).

    Args:
        images: [n, H, W, C], uint8 or float in [0, 1].
        windows: for each face [N, 2, 3] in time order (for a class, its mean windows); N may differ; None: no path.
        titles: text above each face.
        others: for each face further paths [M, 2] in [-1, 1], drawn thin below the main path: human scan paths, or
            paths of individual images; None: no further paths.
        columns: faces per row.
        rows: labels of the rows, on the left.
    """
    images = np.asarray(images)
    across, down = min(columns, len(images)), -(-len(images) // columns)
    pitch = images.shape[1] / images.shape[2] + TEXT + GAP
    figure = Figure(figsize=(TILE * across * (1 + GAP) + 0.1, TILE * down * pitch + 0.1), layout="constrained")
    axes = figure.subplots()
    image_axes(axes)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        corner = np.array([column * (1 + GAP), row * pitch + TEXT])
        frame = _draw_face(axes, corner, image)
        style = {"fontweight": "bold", "fontsize": fitted(titles[index], 8, 24)}
        axes.text(corner[0] + 0.5, corner[1] - 0.03, titles[index], ha="center", va="bottom", **style)
        for path in [] if others is None else others[index]:
            place = _tile_points(path, image.shape, corner)
            axes.plot(*place.T, color="white", linewidth=0.7, alpha=0.45, zorder=2)[0].set_clip_path(frame)
        path_windows = windows[index]
        if path_windows is not None:
            # A centre outside the image is drawn at the image's border, not on the next tile.
            centres = np.clip(attention.centres(path_windows), -1, 1)
            _draw_path(axes, _tile_points(centres, image.shape, corner), path_windows)
    for row, name in enumerate(rows):
        middle = row * pitch + TEXT + images.shape[1] / images.shape[2] / 2
        lines = textwrap.fill(name, int(12 * pitch * TILE))  # letters of the height of a row
        axes.text(-0.05, middle, lines, ha="right", va="center", rotation=90, fontweight="bold")
    axes.set(xlim=(-0.02, across * (1 + GAP) - GAP + 0.02), ylim=(down * pitch - GAP + 0.02, -0.02), aspect="equal")
    return figure


def _draw_face(axes, corner, image):
    """Draw the image as a tile of width 1; return its frame, which clips what is drawn on it."""
    height, top = image.shape[0] / image.shape[1], 255 if image.dtype == np.uint8 else 1
    extent = (corner[0], corner[0] + 1, corner[1] + height, corner[1])
    axes.imshow(np.squeeze(image), cmap="gray", vmin=0, vmax=top, interpolation="bicubic", extent=extent, zorder=1)
    return axes.add_patch(Rectangle(corner, 1, height, fill=False, edgecolor="none"))


def _tile_points(points, shape, corner):
    """Points in [-1, 1] on a tile of width 1."""
    return (attention.pixels(points, shape[:2]) + 0.5) / shape[1] + corner


def _draw_path(axes, points, windows):
    colours, jumps = step_colours(len(points)), attention.saccades(windows)
    for step, jump in enumerate(jumps):
        axes.plot(
            *points[step : step + 2].T,
            color=colours[step + 1],
            linewidth=1.6,
            linestyle="-" if jump else (0, (1, 1)),
            path_effects=_EDGE if jump else None,
            zorder=3,
        )
    axes.scatter(*points.T, s=58, c=colours, edgecolors="black", linewidths=0.7, zorder=4)
    for steps in _group_nearby(points, DOT):
        text, (x, y) = ", ".join(str(step + 1) for step in steps), points[steps[-1]]
        if len(steps) == 1:
            bright = colours[steps[0], :3] @ (0.3, 0.59, 0.11) > 0.5
            axes.text(x, y, text, ha="center", va="center_baseline", color="black" if bright else "white", **_NUMBER)
        else:  # the last dot hides the others, so the numbers are beside it
            axes.text(x + 0.6 * DOT, y, text, va="center_baseline", color="white", path_effects=_EDGE, **_NUMBER)


def _group_nearby(points, distance):
    """Group the steps: each group holds the steps within `distance` of its first one."""
    groups = []
    for step, point in enumerate(points):
        near = [group for group in groups if np.linalg.norm(points[group[0]] - point) < distance]
        if near:
            near[0].append(step)
        else:
            groups.append([step])
    return groups
