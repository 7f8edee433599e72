"""Where windows would have to move to raise the probability of the true class."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from matplotlib.patheffects import withStroke

from edram_fer import attention
from edram_fer.attention.windows import SLOPES
from edram_fer.figures.mosaic import GAP, mosaic
from edram_fer.figures.style import styled
from edram_fer.intervals import excludes_zero

LONGEST = 0.4  # length of the longest arrow, share of a tile
CLEAR, UNCLEAR = "#ffb35c", "#c8ccd2"  # on faces: a mean whose interval excludes 0, and any other
_EDGE = [withStroke(linewidth=2.6, foreground="#000000a0")]


@styled
def window_gradients(
    faces: Sequence[np.ndarray],
    windows: Sequence[np.ndarray],
    names: Sequence[str],
    numbers: Sequence[Mapping[str, Any]],
) -> Figure:
    """Draw the mean windows over mean faces, with an arrow where moving them raises the probability of the true class.

    Rows are groups of images, columns are windows. All arrows share one scale. Below stands how much a
    window larger by a tenth adds, in points. Orange: the interval excludes 0, for an arrow that of one component.

    Args:
        faces: [R, H, W, C] in [0, 1], one for each group.
        windows: [R, N, 2, 3], mean windows.
        names: N names of the windows.
        numbers: R groups, from `studies.window_gradients.summarise`.
    """
    count, shape = len(windows[0]), np.shape(faces[0])[:2]
    tiles = [[np.broadcast_to(face, (*shape, 3))] * count for face in faces]
    titles = names if count > 1 else []
    figure, axes = mosaic(np.array(tiles), [(group["name"], group["images"]) for group in numbers], titles)
    arrows = np.stack([[group[move]["mean"] for move in ("right", "down")] for group in numbers], axis=-1)
    longest = np.linalg.norm(arrows, axis=0).max() or 1.0
    for row, (group_windows, group) in enumerate(zip(windows, numbers, strict=True)):
        for step, window in enumerate(group_windows):
            corner = np.array([row, 0] if count == 1 else [step, row], float)
            colours = {move: CLEAR if excludes_zero(group[move]["interval"][step]) else UNCLEAR for move in SLOPES}
            _draw_window(axes, corner, window, shape)
            centre = _place(attention.pixels(attention.centres(window), shape), shape, corner)
            arrow_colour = CLEAR if CLEAR in (colours["right"], colours["down"]) else UNCLEAR
            _draw_arrow(axes, centre, LONGEST * arrows[:, step, row] / longest, arrow_colour)
            x, y = corner + (0.03, 0.93)
            points, style = f"{100 * group['larger']['mean'][step]:+.1f}", {"fontsize": 7, "fontweight": "bold"}
            axes.text(x, y, points, color=colours["larger"], path_effects=_EDGE, **style)
    axes.set_xlabel(
        f"arrows: where a window would have to move (longest: {100 * longest:.2g} points per pixel)\n"
        "numbers: points that a window larger by a tenth adds; grey: the interval includes 0",
        fontsize=7,
    )
    return figure


def _draw_window(axes, corner, window, shape):
    height, width = shape
    border = np.array([[0, 0], [width, 0], [width, height], [0, height]]) - 0.5
    frame = axes.add_patch(Polygon(_place(border, shape, corner), fill=False, linewidth=0))
    outline = _place(attention.corner_pixels(window, shape), shape, corner)
    axes.add_patch(Polygon(outline, fill=False, edgecolor="white", linewidth=1, path_effects=_EDGE)).set_clip_path(
        frame
    )


def _draw_arrow(axes, start, change, colour):
    style = {"arrowstyle": "-|>", "mutation_scale": 7, "linewidth": 1.6, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", start + change, start, arrowprops={**style, "color": colour, "path_effects": _EDGE})


def _place(points, shape, corner):
    """Points in pixels (column, row) on the tile whose upper left corner is `corner`."""
    return corner + (points + 0.5) / shape[::-1] * (1 - GAP)
