"""Saliency maps: regions that the model needs in orange, regions that mislead it in blue."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import norm

from edram_fer.figures.differences import round_up, signed_bar, tint
from edram_fer.figures.mosaic import GAP, mosaic
from edram_fer.figures.style import INK, styled

PERCENT = "{:+.0%}"
LABEL = (
    "probability: drop for the true class;\nprediction: share of squares that make it wrong\n"
    "(face alone: wrong without a square)"
)


@styled
def sample_maps(rows: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], names: Sequence[str]) -> Figure:
    """Draw faces and their occlusion maps, one row per emotion, after the figure of Minaee and Abdolrashidi 2019.

    All maps share one scale.

    Args:
        rows: for each emotion (images uint8 [n, H, W, C], probability_drop [n, H, W], error_rate [n, H, W]): the drop
            of the true class's probability, and the share of squares that make the prediction wrong (nan where it is
            wrong without a square); n may differ between emotions.
        names: names of the emotions.
    """
    top = round_up(max(np.abs(np.nan_to_num(maps)).max() for _, *both in rows for maps in both))
    longest, tiles = max(len(images) for images, *_ in rows), []
    for images, probability_drop, error_rate in rows:
        tiles.append([])
        for face, *both in zip(images / 255, probability_drop, np.nan_to_num(error_rate), strict=True):
            tiles[-1] += [tint(face, values, top) for values in (0 * both[0], *both)]
        tiles[-1] += [np.ones_like(tiles[-1][0])] * (3 * (longest - len(images)))
    figure, axes = mosaic(
        np.array(tiles), [(name, None) for name in names], ["face", "probability", "prediction"] * longest
    )
    signed_bar(figure, axes, top, LABEL, _shrink(tiles), PERCENT)
    return figure


@styled
def mean_maps(
    faces: Sequence[np.ndarray],
    probability_drop: Sequence[np.ndarray],
    error_rate: Sequence[np.ndarray],
    labels: Sequence[tuple[str, int]],
) -> Figure:
    """Draw mean occlusion maps over mean faces, one row per emotion: drop of the probability and share of errors.

    Both share one scale.

    Args:
        faces: [R, H, W, C] in [0, 1] (see `attention.maps.mean_face`).
        probability_drop: [R, H, W]; a map of nan shows the face alone.
        error_rate: [R, H, W]; likewise.
        labels: (name, number of images) of each row.
    """
    values = np.nan_to_num(np.stack([probability_drop, error_rate], axis=1))
    top = round_up(np.abs(values).max())
    tiles = [[tint(face, value, top) for value in row] for face, row in zip(faces, values, strict=True)]
    figure, axes = mosaic(np.array(tiles), labels, ["probability", "prediction"])
    signed_bar(figure, axes, top, LABEL, _shrink(tiles), PERCENT)
    return figure


@styled
def run_maps(
    faces: Sequence[np.ndarray],
    maps: Sequence[Sequence[np.ndarray]],
    labels: Sequence[tuple[str, int]],
    titles: Sequence[str],
) -> Figure:
    """Draw mean occlusion maps of several runs over mean faces: rows are runs, columns are emotions.

    All maps share one scale.

    Args:
        faces: [C, H, W, channels] in [0, 1], one per column.
        maps: [R, C, H, W], drop of the true class's probability; a map of nan shows the face alone.
        labels: (name, number of images) of each row.
        titles: titles of the columns.
    """
    values = np.nan_to_num(maps)
    top = round_up(np.abs(values).max())
    tiles = np.array([[tint(face, value, top) for face, value in zip(faces, row, strict=True)] for row in values])
    figure, axes = mosaic(tiles, labels, titles)
    signed_bar(figure, axes, top, "drop of the true\nclass's probability", _shrink(tiles), PERCENT)
    return figure


@styled
def z_maps(faces: Sequence[np.ndarray], maps: Sequence[np.ndarray], labels: Sequence[tuple[str, int]]) -> Figure:
    """Draw Bubbles maps over mean faces in a row.

    Lines enclose values that are significant at 5 % over all pixels of the map (two-sided, Bonferroni). All maps share
    one scale.

    Args:
        faces: [R, H, W, C] in [0, 1].
        maps: z scores [R, H, W]; a map of nan shows the face alone.
        labels: (name, number of trials) of each map.
    """
    values = np.nan_to_num(maps)
    top, limit = max(1.0, np.ceil(np.abs(values).max())), norm.isf(0.025 / values[0].size)
    tiles = np.array([[tint(face, value, top)] for face, value in zip(faces, values, strict=True)])
    figure, axes = mosaic(tiles, labels, [])
    height, width = values.shape[1:]
    x, y = (np.arange(width) + 0.5) / width * (1 - GAP), (np.arange(height) + 0.5) / height * (1 - GAP)
    for index, value in enumerate(values):
        for level, style in ((limit, "solid"), (-limit, "dashed")):
            if (value > level).any() and (value < level).any():
                axes.contour(index + x, y, value, [level], colors=INK, linewidths=0.7, linestyles=style)
    signed_bar(figure, axes, top, f"z score\n(lines: ±{limit:.1f})")
    return figure


@styled
def attribution_maps(rows: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray, np.ndarray]]) -> Figure:
    """Draw sample faces with their attribution maps, and the mean map over the mean face, one row per emotion.

    Each map has its own scale, to the 99.5th percentile of its sizes, because only the order of pixels is comparable.

    Args:
        rows: for each emotion (name, images uint8 [n, H, W, C], maps [n, H, W], mean face [H, W, C] in [0, 1], mean map
            [H, W]); n may differ between emotions.
    """
    longest, tiles = max(len(images) for _, images, *_ in rows), []
    for _, images, maps, mean_image, mean_map in rows:
        faces = [*(images / 255), mean_image]
        tiles.append([])
        for face, values in zip(faces, [*maps, mean_map], strict=True):
            tiles[-1] += [tint(face, 0 * values, 1), tint(face, values, float(np.quantile(np.abs(values), 0.995)) or 1)]
        blank = [np.ones_like(tiles[-1][0])] * (2 * (longest - len(images)))
        tiles[-1][-2:-2] = blank
    titles = [*["face", "map"] * longest, "mean face", "mean map"]
    figure, axes = mosaic(np.array(tiles), [(name, None) for name, *_ in rows], titles)
    signed_bar(figure, axes, 1, "against (-) and for (+)\nthe true class,\nshare of the map's largest", _shrink(tiles))
    return figure


def _shrink(tiles):
    return min(1, 3 / len(tiles))
