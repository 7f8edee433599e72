"""Scan paths: places in the order in which they were looked at, and how alike two of them are.

A path is [N, 2] as (x, y). Those of a model are `windows.centres`, in the image's [-1, 1]; `scaled` brings fixations in
pixels there. Durations are not used: a model's glimpses have none.
"""

import numpy as np

from edram_fer.errors import MissingPackageError, UserError

INSTALL = 'MultiMatch needs the package multimatch-gaze: pip install "edram-fer[scanpaths]"'
MULTI_MATCH = ("shape", "direction", "length", "position")


def scaled(points, shape):
    """Points (x, y) [..., 2] from pixels of an image of `shape` (H, W) to [-1, 1]; turns `windows.pixels` round."""
    height, width = shape
    return np.asarray(points, float) / (np.array([width, height]) - 1) * 2 - 1


def path_length(points):
    """Sum of the moves of paths [..., N, 2], [...] in their unit; 0 for a single point."""
    return np.linalg.norm(np.diff(np.asarray(points, float), axis=-2), axis=-1).sum(axis=-1)


def scan_match(path, other, *, bins=(8, 8), threshold=3.5, gap=0.0):
    """ScanMatch similarity of paths: aligned as sequences of grid cells (Cristino, Mathot, Theeuwes and Gilchrist
    2010, Behavior Research Methods 42:692).

    Two cells at a distance d, in cells, score `threshold` - d; a cell without a partner scores `gap`. The best
    alignment (Needleman and Wunsch 1970) is divided by what the longer path scores with itself.

    Args:
        path, other: [..., N, 2] and [..., M, 2] in [-1, 1], leading axes broadcast; what lies outside counts in the
            outermost cells.
        bins: (columns, rows) of the grid. The authors' 12 x 8 are for a screen; a face crop is square.
        threshold: above 0, in cells: farther apart, two cells are rather left without partners. The authors advise
            twice the standard deviation of the lengths of the moves; 3.5 is their default.
        gap: at most 0; 0 is their default.

    Returns: [...]; 1 for paths through the same cells, 0 where nothing fits (and gap is 0), below 0 with a negative
    gap; nan where a path has no points.

    Raises ValueError for arguments out of range.
    """
    if not threshold > 0 or gap > 0 or min(bins) < 1:
        raise UserError(f"expected threshold > 0, gap <= 0 and bins >= 1, got {threshold}, {gap} and {tuple(bins)}")
    cells, others = (_cells(points, bins) for points in (path, other))
    longer = max(cells.shape[-2], others.shape[-2])
    shape = np.broadcast_shapes(cells.shape[:-2], others.shape[:-2])
    if not min(cells.shape[-2], others.shape[-2]):
        return np.full(shape, np.nan)[()]
    fit = threshold - np.linalg.norm(cells[..., :, None, :] - others[..., None, :, :], axis=-1)
    return _align(fit, gap) / (threshold * longer)


def multi_match(path, other, shape):
    """MultiMatch similarity of two paths (Dewhurst et al. 2012, Behavior Research Methods 44:1079), without grouping.

    Args:
        path, other: [N, 2] and [M, 2] in pixels; what lies outside the image counts at its border.
        shape: (H, W) of the image; its diagonal is the unit.

    Returns: {"shape", "direction", "length", "position"} in [0, 1], 1 for equal paths: of the moves as vectors, their
    angles and lengths, and the places where they start; nan for paths of fewer than 3 points. The fifth number, the
    similarity of durations, is left out.

    Raises ImportError, with the line that installs it, without the package multimatch-gaze, and ValueError for paths
    that are not finite.
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
    found = docomparison(*tables, screensize=[shape[1], shape[0]])
    return {name: float(np.squeeze(value)) for name, value in zip(MULTI_MATCH, found)}


def _cells(points, bins):
    """Column and row, float [..., N, 2] of whole numbers, of points in [-1, 1]."""
    return np.clip(np.floor((_finite(points) + 1) / 2 * bins), 0, np.array(bins) - 1)


def _finite(points):
    points = np.asarray(points, float)
    if points.ndim < 2 or points.shape[-1] != 2 or not np.isfinite(points).all():
        raise UserError(f"a path must be [..., N, 2] and finite, got {list(points.shape)}")
    return points


def _align(fit, gap):
    """Score of the best global alignment, [...] of the scores [..., N, M] of all pairs, for all pairs of paths at
    once: F[i, j] = max(F[i-1, j-1] + fit[i, j], F[i-1, j] + gap, F[i, j-1] + gap)."""
    *leading, rows, columns = fit.shape
    above = [np.full(leading, column * gap, float) for column in range(columns + 1)]
    for i in range(rows):
        row = [np.full(leading, (i + 1) * gap, float)]
        for j in range(columns):
            skipped = np.maximum(above[j + 1], row[j]) + gap
            row.append(np.maximum(above[j] + fit[..., i, j], skipped))
        above = row
    return above[-1]
