"""Difference maps over mean faces: where one class, step, model or labelling attracts more attention than another."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, ListedColormap, Normalize
from matplotlib.figure import Figure

from edram_fer.errors import UserError
from edram_fer.figures.mosaic import label_bar, mosaic
from edram_fer.figures.style import styled

OPACITY = 0.85  # at both ends of the scale
# Blue to orange: distinguishable with all common kinds of colour blindness. The middle is light, on faces transparent.
SIDES = LinearSegmentedColormap.from_list("sides", ["#0b4a9e", "#5aa0e0", "#e8e8e8", "#f2a052", "#b84700"])


@styled
def difference_maps(
    faces: Sequence[np.ndarray] | np.ndarray,
    differences: Sequence[Sequence[np.ndarray]] | np.ndarray,
    labels: Sequence[tuple[str, int | None]],
    titles: Sequence[str] = (),
    *,
    meaning: str = "more or less attention",
) -> Figure:
    """Draw differences of densities over faces: orange for more attention, blue for less.

    All maps share one scale, symmetric about 0, in units of the uniform density: +1 means that the difference equals
    the value of a uniform density.

    Args:
        faces: [R, H, W, C] in [0, 1], one per row (see `attention.maps.mean_face`).
        differences: [R, C, H, W] (see `attention.difference`); for a map of nan, only the face is drawn.
        labels: (name, number of images or None) of each row.
        titles: titles of the columns.
        meaning: meaning of the colours, shown at the colour bar.

    Raises:
        UserError: the numbers of faces, maps and labels differ.
    """
    maps = np.asarray(differences, float)
    if not len(faces) == len(maps) == len(labels):
        raise UserError(f"{len(faces)} faces, {len(maps)} rows of maps and {len(labels)} labels do not match")
    values = np.nan_to_num(maps * maps.shape[-2] * maps.shape[-1])
    top = round_up(np.abs(values).max(initial=0))
    tiles = [[tint(face, value, top) for value in row] for face, row in zip(faces, values)]
    figure, axes = mosaic(np.array(tiles), labels, titles)
    shrink = min(1, 3 / (1 if maps.shape[1] == 1 else len(tiles)))
    signed_bar(figure, axes, top, f"{meaning}\n(1: a uniform density)", shrink)
    return figure


def tint(face: np.ndarray, values: np.ndarray, top: float) -> np.ndarray:
    """Colour image [H, W, 3] of values in [-top, top] over a face in [0, 1]; larger values are more opaque."""
    face = np.broadcast_to(np.asarray(face).reshape(*values.shape, -1), (*values.shape, 3))
    level = np.clip(values / top, -1, 1)
    opacity = OPACITY * np.sqrt(np.abs(level))[..., None]
    return (1 - opacity) * face + opacity * SIDES((level + 1) / 2)[..., :3]


def signed_bar(
    figure: Figure, axes: Axes, top: float, label: str, shrink: float = 1.0, tick_format: str = "{:+.3g}"
) -> None:
    """Add a colour bar from -top to top with five ticks; `tint` blends its colours with medium grey."""
    levels = np.linspace(-top, top, 256)[None]
    colours = ListedColormap(tint(np.full(levels.shape, 0.55), levels, top)[0])
    bar = figure.colorbar(ScalarMappable(Normalize(-top, top), colours), ax=axes, shrink=shrink, pad=0.02)
    bar.outline.set_visible(False)
    ticks = np.linspace(-top, top, 5).tolist()
    bar.set_ticks(ticks, labels=[tick_format.format(value) if value else "0" for value in ticks])
    label_bar(figure, bar, label)


def round_up(value: float) -> float:
    """Top of a scale: the next larger of 1, 2, 3, 4, 6, 8, 10 times a power of ten; 1 for 0."""
    if not value:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step for step in (1, 2, 3, 4, 6, 8, 10) if step * power >= value * (1 - 1e-9)) * power)
