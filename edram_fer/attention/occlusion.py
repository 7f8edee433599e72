"""Occlusion maps: where a square that covers the image changes a model's prediction.

Source: Minaee and Abdolrashidi 2019 (arXiv 1902.01019), the figure of important regions, after Zeiler and Fergus 2014
(arXiv 1311.2901, section 4.2). A square slides over the image. A region matters if covering it makes the prediction
wrong, or lowers the probability of the true class.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from edram_fer.errors import UserError

_BATCH = 512  # largest number of images in memory, and per batch


def corners(shape: tuple[int, int], window: int, stride: int) -> np.ndarray:
    """Upper left corners of all squares.

    Squares start every `stride` pixels from the top and left and lie inside the image. If they would leave pixels
    uncovered at the bottom or right, another square is flush with that border. So every pixel is covered, but near a
    border by fewer squares than elsewhere, and in a corner of the image by one.

    Args:
        shape: (H, W) of the image.
        window: side of a square in pixels.
        stride: distance from one square to the next in pixels.

    Returns:
        int [S, 2] as (row, column).

    Raises:
        UserError: the window is larger than the image, or the stride is below 1 or above the window, which would leave
            pixels uncovered.

    >>> corners((3, 4), 2, 2).tolist()
    [[0, 0], [0, 2], [1, 0], [1, 2]]
    """
    if not 1 <= window <= min(shape):
        height, width = shape
        raise UserError(f"window: expected 1 to {min(shape)} pixels for images of {height} x {width}, got {window}")
    if not 1 <= stride <= window:
        raise UserError(f"stride: expected 1 to {window} pixels, or some stay uncovered; got {stride}")
    rows, columns = (np.unique([*range(0, side - window, stride), side - window]) for side in shape)
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)


def occlude(image: np.ndarray, places: np.ndarray, window: int, fill: ArrayLike = 0) -> np.ndarray:
    """An image covered by each of several squares.

    Args:
        image: uint8 [H, W, C].
        places: int [S, 2], as returned by `corners`.
        window: side of a square in pixels.
        fill: grey level 0 to 255 of the square, or one for each channel.

    Returns:
        uint8 [S, H, W, C].
    """
    covered = np.repeat(image[None], len(places), axis=0)
    for changed, (row, column) in zip(covered, places, strict=True):
        changed[row : row + window, column : column + window] = np.rint(fill)
    return covered


def occlusion_maps(
    answer: Callable[[np.ndarray], np.ndarray],
    image: np.ndarray,
    label: int,
    *,
    window: int,
    stride: int,
    fill: ArrayLike = 0,
) -> dict[str, np.ndarray]:
    """How much each part of one image matters to a model.

    Args:
        answer: function from images uint8 [n, H, W, C] to probabilities [n, K].
        image: uint8 [H, W, C].
        label: index of the true class.
        window: see `corners`.
        stride: see `corners`.
        fill: see `occlude`.

    Returns:
        dict of maps [H, W], in which each pixel is the mean over the squares that cover it:
            probability_drop: decrease of the true class's probability from the original image to the covered one, in
                [-1, 1];
            error_rate: share of the squares that make the prediction wrong, in [0, 1]; nan if the prediction for the
                original image is wrong.

    Raises:
        UserError: see `corners`.
    """
    places = corners(image.shape[:2], window, stride)
    parts = [places[start : start + _BATCH] for start in range(0, len(places), _BATCH)]
    answers = [answer(np.concatenate([image[None], occlude(image, part, window, fill)])) for part in parts]
    original, covered = answers[0][0], np.concatenate([rows[1:] for rows in answers])
    wrong = (covered.argmax(axis=1) != label).astype(float)
    if original.argmax() != label:
        wrong[:] = np.nan
    values = np.stack([original[label] - covered[:, label], wrong])
    probability_drop, error_rate = spread_over(values, places, window, image.shape[:2])
    return {"probability_drop": probability_drop, "error_rate": error_rate}


def spread_over(values: np.ndarray, places: np.ndarray, window: int, shape: tuple[int, int]) -> np.ndarray:
    """Distribute values of squares to pixels: each pixel is the mean over the squares that cover it.

    Args:
        values: [..., S].
        places: int [S, 2], as returned by `corners`.
        window: side of a square in pixels.
        shape: (H, W) of the image.

    Returns:
        [..., H, W].
    """
    total, squares = np.zeros((*values.shape[:-1], *shape)), np.zeros(shape)
    for index, (row, column) in enumerate(places):
        inside = (..., slice(row, row + window), slice(column, column + window))
        total[inside] += values[..., index, None, None]
        squares[inside] += 1
    return total / squares
