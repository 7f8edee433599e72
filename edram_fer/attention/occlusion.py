"""Occlusion maps: where a covered square costs a model its answer.

Source: Minaee and Abdolrashidi 2019 (arXiv 1902.01019), the figure of important regions; the idea is that of Zeiler and
Fergus 2014 (arXiv 1311.2901, section 4.2). A square slides over the image; where the answer turns wrong under it, or
the true class's probability falls, the image matters.
"""

import numpy as np

from edram_fer.errors import UserError

_AT_ONCE = 512  # images that are held and asked about at a time


def corners(shape, window, stride):
    """Upper left corners (row, column) of all squares, int [S, 2].

    Squares begin every `stride` pixels from the top and left and lie inside the image; where the last would leave a
    rest at the bottom or right, one more lies flush with that border. So every pixel is covered, near a border by
    fewer squares than elsewhere, in the corner of the image by one.

    Args:
        shape: (H, W) of the image; window: side of a square; stride: from one square to the next; all in pixels.

    Raises ValueError for a window that is larger than the image, and for a stride below 1 or above the window,
    which would leave pixels uncovered.
    """
    if not 1 <= window <= min(shape):
        height, width = shape
        raise UserError(f"window: expected 1 to {min(shape)} pixels for images of {height} x {width}, got {window}")
    if not 1 <= stride <= window:
        raise UserError(f"stride: expected 1 to {window} pixels, else some stay uncovered; got {stride}")
    rows, columns = (np.unique([*range(0, side - window, stride), side - window]) for side in shape)
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)


def occluded(image, places, window, fill=0):
    """The image uint8 [H, W, C] under each square: uint8 [S, H, W, C].

    places: int [S, 2] as `corners` gives them; window: pixels; fill: grey level 0 to 255 of the square, or one for
    each channel.
    """
    covered = np.repeat(np.asarray(image)[None], len(places), axis=0)
    for changed, (row, column) in zip(covered, places, strict=True):
        changed[row : row + window, column : column + window] = np.rint(fill)
    return covered


def occlusion_maps(answer, image, label, *, window, stride, fill=0):
    """What each part of one image is worth to a model.

    Args:
        answer: function of images uint8 [n, H, W, C] to probabilities [n, K].
        image: uint8 [H, W, C]; label: index of its true class.
        window, stride, fill: see `corners` and `occluded`.

    Returns: dict of maps [H, W], each pixel the mean over the squares that cover it:
        drop: true class's probability of the whole image minus that of the covered one, in [-1, 1];
        error_rate: share of the squares under which the answer is wrong, in [0, 1]; nan where it is wrong already for the
            whole image.

    Raises ValueError as `corners`.
    """
    places = corners(image.shape[:2], window, stride)
    parts = [places[start : start + _AT_ONCE] for start in range(0, len(places), _AT_ONCE)]
    said = [answer(np.concatenate([image[None], occluded(image, part, window, fill)])) for part in parts]
    whole, found = said[0][0], np.concatenate([rows[1:] for rows in said])
    wrong = (found.argmax(axis=1) != label).astype(float)
    if whole.argmax() != label:
        wrong[:] = np.nan
    values = np.stack([whole[label] - found[:, label], wrong])
    drop, error_rate = spread_over(values, places, window, image.shape[:2])
    return {"drop": drop, "error_rate": error_rate}


def spread_over(values, places, window, shape):
    """Values [..., S] of squares to pixels [..., H, W]: the mean over the squares that cover each."""
    total, squares = np.zeros((*np.shape(values)[:-1], *shape)), np.zeros(shape)
    for index, (row, column) in enumerate(places):
        inside = (..., slice(row, row + window), slice(column, column + window))
        total[inside] += np.asarray(values)[..., index, None, None]
        squares[inside] += 1
    return total / squares
