"""Information maps: what was worth something to the model, in orange, and what misled it, in blue."""

import numpy as np
from scipy.stats import norm

from edram_fer.figures.differences import round_up, signed_bar, tinted
from edram_fer.figures.mosaic import GAP, mosaic
from edram_fer.figures.style import INK, styled

PERCENT = "{:+.0%}"
LABEL = (
    "probability: fall of the true class's;\nanswer: share of squares that turn it wrong,\n"
    "the face alone where it is wrong without"
)


@styled
def sample_maps(rows, names):
    """Faces and their occlusion maps, as the figure of Minaee and Abdolrashidi 2019: a row for each emotion.

    Args:
        rows: for each emotion (images uint8 [n, H, W, C], drop, error_rate [n, H, W]): fall of the true class's
            probability, and share of squares that turn the answer wrong, nan where it is wrong without; n may differ.
        names: of the emotions.

    Returns: Figure, one scale for all maps.
    """
    top = round_up(max(np.abs(np.nan_to_num(maps)).max() for _, *both in rows for maps in both))
    most, tiles = max(len(images) for images, *_ in rows), []
    for images, drop, error_rate in rows:
        tiles.append([])
        for face, *both in zip(images / 255, drop, np.nan_to_num(error_rate), strict=True):
            tiles[-1] += [tinted(face, values, top) for values in (0 * both[0], *both)]
        tiles[-1] += [np.ones_like(tiles[-1][0])] * (3 * (most - len(images)))
    figure, axes = mosaic(np.array(tiles), [(name, None) for name in names], ["face", "probability", "answer"] * most)
    signed_bar(figure, axes, top, LABEL, _shrink(tiles), PERCENT)
    return figure


@styled
def mean_maps(faces, drop, error_rate, labels):
    """Mean occlusion maps over mean faces: a row for each emotion, fall of the probability beside wrong answers.

    Args:
        faces: [R, H, W, C] in [0, 1], as `heatmaps.mean_face` makes them.
        drop, error_rate: [R, H, W]; one that is nan shows the face alone.
        labels: (name, number of images) of the rows.

    Returns: Figure, one scale for both.
    """
    values = np.nan_to_num(np.stack([drop, error_rate], axis=1))
    top = round_up(np.abs(values).max())
    tiles = [[tinted(face, value, top) for value in row] for face, row in zip(faces, values, strict=True)]
    figure, axes = mosaic(np.array(tiles), labels, ["probability", "answer"])
    signed_bar(figure, axes, top, LABEL, _shrink(tiles), PERCENT)
    return figure


@styled
def run_maps(faces, maps, labels, titles):
    """Mean occlusion maps of several runs over mean faces: a row for each run, a column for each emotion.

    Args:
        faces: [C, H, W, channels] in [0, 1], of the columns.
        maps: [R, C, H, W], fall of the true class's probability; one that is nan shows the face alone.
        labels: (name, number of images) of the rows; titles: of the columns.

    Returns: Figure, one scale for all.
    """
    values = np.nan_to_num(maps)
    top = round_up(np.abs(values).max())
    tiles = np.array([[tinted(face, value, top) for face, value in zip(faces, row, strict=True)] for row in values])
    figure, axes = mosaic(tiles, labels, titles)
    signed_bar(figure, axes, top, "fall of the true\nclass's probability", _shrink(tiles), PERCENT)
    return figure


@styled
def z_maps(faces, maps, labels):
    """Bubbles maps over mean faces, in a row. A line encloses what is beyond chance at 5 % over all pixels of the map.

    Args:
        faces: [R, H, W, C] in [0, 1]; maps: z scores [R, H, W]; one that is nan shows the face alone.
        labels: (name, number of trials).

    Returns: Figure, one scale for all. The line is Bonferroni's limit, two-sided.
    """
    values = np.nan_to_num(maps)
    top, limit = max(1.0, np.ceil(np.abs(values).max())), norm.isf(0.025 / values[0].size)
    tiles = np.array([[tinted(face, value, top)] for face, value in zip(faces, values, strict=True)])
    figure, axes = mosaic(tiles, labels, [])
    height, width = values.shape[1:]
    x, y = (np.arange(width) + 0.5) / width * (1 - GAP), (np.arange(height) + 0.5) / height * (1 - GAP)
    for index, value in enumerate(values):
        for level, style in ((limit, "solid"), (-limit, "dashed")):
            if (value > level).any() and (value < level).any():
                axes.contour(index + x, y, value, [level], colors=INK, linewidths=0.7, linestyles=style)
    signed_bar(figure, axes, top, f"z score\n(lines: ±{limit:.1f})")
    return figure


def _shrink(tiles):
    return min(1, 3 / len(tiles))
