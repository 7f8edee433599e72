"""Scan paths (fixated positions in time order) and their similarity.

A path is [N, 2] as (x, y). A model's paths are `windows.centres`, in the image's [-1, 1]; `scale_points` converts
fixations from pixels to these coordinates. Durations are not used, because a model's glimpses have none.
"""

import numpy as np
from numpy.typing import ArrayLike

from edram_fer.errors import MissingPackageError, UserError

INSTALL = 'MultiMatch needs the package multimatch-gaze: pip install "edram-fer[scanpaths]"'
MULTI_MATCH = ("shape", "direction", "length", "position")


def scale_points(points: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    """Convert points from pixels to [-1, 1]; the inverse of `windows.pixels`.

    Args:
        points: [..., 2] as (x, y) in pixels.
        shape: (H, W) of the image.

    Returns:
        [..., 2].

    >>> scale_points([10, 20], (21, 21)).tolist()
    [0.0, 1.0]
    """
    height, width = shape
    return np.asarray(points, float) / (np.array([width, height]) - 1) * 2 - 1


def path_length(points: ArrayLike) -> np.ndarray:
    """Sum of the lengths of all moves.

    Args:
        points: [..., N, 2].

    Returns:
        [...] in the unit of the points; 0 for a single point.

    >>> float(path_length([[0, 0], [3, 4], [3, 3]]))
    6.0
    """
    return np.linalg.norm(np.diff(np.asarray(points, float), axis=-2), axis=-1).sum(axis=-1)


def scan_match(
    path: ArrayLike, other: ArrayLike, *, bins: tuple[int, int] = (8, 8), threshold: float = 3.5, gap: float = 0.0
) -> np.ndarray:
    """ScanMatch similarity of paths, aligned as sequences of grid cells.

    Cristino, Mathot, Theeuwes and Gilchrist 2010, Behavior Research Methods 42:692. Two cells at a distance of d cells
    score `threshold` - d; an unaligned cell scores `gap`. The score of the best alignment (Needleman and Wunsch 1970)
    is divided by the score of the longer path aligned with itself.

    Args:
        path: [..., N, 2] in [-1, 1]; points outside belong to the outermost cells.
        other: [..., M, 2], leading axes broadcast.
        bins: (columns, rows) of the grid. The authors' 12 x 8 are for a screen; a face crop is square.
        threshold: above 0, in cells; two cells farther apart are better left unaligned. The authors recommend twice
            the standard deviation of the lengths of the moves; 3.5 is their default.
        gap: at most 0; 0 is the authors' default.

    Returns:
        [...]: 1 for paths through the same cells, 0 if nothing matches (and gap is 0), negative only with a negative
        gap; nan if a path has no points.

    Raises:
        UserError: an argument is out of range, or a path is not [..., N, 2] or not finite.

    >>> float(scan_match([[-0.9, 0], [0.9, 0]], [[0.9, 0], [-0.9, 0]]))
    0.5
    """
    if not threshold > 0 or gap > 0 or min(bins) < 1:
        raise UserError(f"expected threshold > 0, gap <= 0 and bins >= 1, got {threshold}, {gap} and {tuple(bins)}")
    cells, other_cells = (_cells(points, bins) for points in (path, other))
    longer = max(cells.shape[-2], other_cells.shape[-2])
    shape = np.broadcast_shapes(cells.shape[:-2], other_cells.shape[:-2])
    if not min(cells.shape[-2], other_cells.shape[-2]):
        return np.full(shape, np.nan)[()]
    scores = threshold - np.linalg.norm(cells[..., :, None, :] - other_cells[..., None, :, :], axis=-1)
    return _align(scores, gap) / (threshold * longer)


def multi_match(path: ArrayLike, other: ArrayLike, shape: tuple[int, int]) -> dict[str, float]:
    """MultiMatch similarity of two paths (Dewhurst et al. 2012, Behavior Research Methods 44:1079), without grouping.

    Args:
        path: [N, 2] in pixels; points outside the image are moved to its border.
        other: [M, 2].
        shape: (H, W) of the image; its diagonal is the unit.

    Returns:
        {"shape", "direction", "length", "position"} in [0, 1], 1 for equal paths: the similarity of the moves as
        vectors, of their angles and lengths, and of their starting points; nan for paths of fewer than 3 points.
        MultiMatch's fifth value, the similarity of durations, is omitted.

    Raises:
        MissingPackageError: the package multimatch-gaze is not installed.
        UserError: a path is not finite.
    """
    try:
        from multimatch_gaze import docomparison
    except ImportError as error:
        raise MissingPackageError(INSTALL) from error
    border = np.array(shape[::-1]) - 0.5
    paths = [np.clip(_finite(points), -0.5, border).reshape(-1, 2) for points in (path, other)]
    if min(map(len, paths)) < 3:
        return dict.fromkeys(MULTI_MATCH, np.nan)
    tables = []
    for points in paths:
        table = np.ones(len(points), dtype=[(name, float) for name in ("start_x", "start_y", "duration")])
        table["start_x"], table["start_y"] = points.T
        tables.append(table)
    similarities = docomparison(*tables, screensize=[shape[1], shape[0]])
    # the last of the five values, for durations, has no name here
    return {name: float(np.squeeze(value)) for name, value in zip(MULTI_MATCH, similarities, strict=False)}


def _cells(points, bins):
    """(column, row) of the cells of points in [-1, 1]: whole numbers as float [..., N, 2]."""
    return np.clip(np.floor((_finite(points) + 1) / 2 * bins), 0, np.array(bins) - 1)


def _finite(points):
    points = np.asarray(points, float)
    if points.ndim < 2 or points.shape[-1] != 2 or not np.isfinite(points).all():
        raise UserError(f"a path must be [..., N, 2] and finite, got {list(points.shape)}")
    return points


def _align(scores, gap):
    """Score [...] of the best global alignment from the scores [..., N, M] of all pairs of cells.

    F[i, j] = max(F[i-1, j-1] + scores[i, j], F[i-1, j] + gap, F[i, j-1] + gap), for all pairs of paths at once.
    """
    *leading, rows, columns = scores.shape
    above = [np.full(leading, column * gap, float) for column in range(columns + 1)]
    for i in range(rows):
        row = [np.full(leading, (i + 1) * gap, float)]
        for j in range(columns):
            skipped = np.maximum(above[j + 1], row[j]) + gap
            row.append(np.maximum(above[j] + scores[..., i, j], skipped))
        above = row
    return above[-1]
