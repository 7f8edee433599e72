"""Heat maps of the glimpse areas over mean faces, by emotion and step (after Forch et al. 2019, with exact areas)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from edram_fer.attention.maps import mean_face, shares
from edram_fer.errors import UserError
from edram_fer.figures.mosaic import label_bar, mosaic
from edram_fer.figures.style import HEAT, styled

OPACITY = 0.6  # at the top of the scale


@styled
def heatmaps(
    images: np.ndarray,
    windows: np.ndarray,
    weights: np.ndarray,
    groups: np.ndarray,
    order: Sequence[str],
    *,
    by_step: bool = True,
    top: float | None = None,
) -> Figure:
    """Draw where the model looked, over the mean face of each group of images.

    The first row shows all images (if there are several groups), then each group has a row; columns are the steps and
    their mean. All maps share one scale.

    Args:
        images: uint8 [n, H, W, C].
        windows: [n, N, 2, 3].
        weights: [n, N].
        groups: names [n], for example the true or the predicted emotions.
        order: names of the rows from the top; names without images are left out.
        by_step: draw one column per window (in time order) beside the column for all windows. False: only the latter,
            the windows weighted by their weights.
        top: top of the scale, a fraction; None: the largest value.

    Raises:
        UserError: no group has an image.
    """
    members = {name: np.flatnonzero(groups == name) for name in order}
    members = {name: rows for name, rows in members.items() if len(rows)}
    if not members:
        raise UserError(f"no image belongs to any of {', '.join(order)}")
    maps = [shares(windows[rows], weights[rows], images.shape[1:3], by_step) for rows in members.values()]
    faces = [mean_face(images[rows]) for rows in members.values()]
    labels = [(name, len(rows)) for name, rows in members.items()]
    if len(members) > 1:
        all_rows, sizes = np.concatenate(list(members.values())), [len(rows) for rows in members.values()]
        maps.insert(0, np.average(maps, axis=0, weights=sizes))
        faces.insert(0, mean_face(images[all_rows]))
        labels.insert(0, ("all", len(all_rows)))
    steps = [f"glimpse {step + 1}" for step in range(len(maps[0]) - 1)]
    weighted = not by_step and windows.shape[1] > 1
    meaning = "mean weight of the windows" if weighted else "share of images in which the model looks"
    return _mosaic(faces, np.stack(maps), labels, [*steps, "mean"] if steps else [], top, f"{meaning} here")


def blend(face: np.ndarray, share: np.ndarray, top: float) -> np.ndarray:
    """Colour image [H, W, 3] of a map (0 to `top`) over a face in [0, 1]; larger values are more opaque."""
    face = np.broadcast_to(face.reshape(*share.shape, -1), (*share.shape, 3))
    level = np.clip(share / top, 0, 1)
    opacity = OPACITY * np.sqrt(level)[..., None]
    return (1 - opacity) * face + opacity * HEAT(0.12 + 0.85 * level)[..., :3]


def scale(maps: Sequence[float] | np.ndarray) -> float:
    """Top of a scale for fractions: the next tenth above the largest value, at least 0.1."""
    return max(0.1, np.ceil(np.max(maps) * 10 - 1e-6) / 10)


def _mosaic(faces, maps, labels, titles, top, meaning):
    top = scale(maps) if top is None else top
    tiles = [[blend(face, share, top) for share in row] for face, row in zip(faces, maps, strict=True)]
    figure, axes = mosaic(np.array(tiles), labels, titles)
    _colour_bar(figure, axes, top, meaning, shrink=min(1, 3 / (1 if len(tiles[0]) == 1 else len(tiles))))
    return figure


def _colour_bar(figure, axes, top, meaning, shrink):
    """Add a colour bar whose colours are blended with medium grey, as they appear on the faces."""
    levels = np.linspace(0, top, 256)[None]
    colours = ListedColormap(blend(np.full(levels.shape, 0.55), levels, top)[0])
    bar = figure.colorbar(ScalarMappable(Normalize(0, top), colours), ax=axes, shrink=shrink, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    label_bar(figure, bar, meaning)
