"""Agreement in the space of the template: people's fixations and models' windows on faces of different people.

Where the photos that people looked at cannot be had, no model can see them. But people and model can be compared on
faces with the same expression: a similarity transform brings each face, with what was looked at on it, to the template
of 68 landmarks (`template`), as it does for the regions of the face (`regions`).

The frame is a map of SHAPE cells, CELLS to a distance between the eyes. Points in the frame are (x, y) in cells, with
the centres of cells at whole numbers.
"""

import functools
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from edram_fer.attention import regions
from edram_fer.attention.alignment import apply, similarity
from edram_fer.attention.baselines import INNER
from edram_fer.attention.coverage_maps import coverage
from edram_fer.attention.fixations import fixation_map
from edram_fer.attention.template import TEMPLATE
from edram_fer.errors import UserError

CELLS = 20  # per distance between the eyes
LEFT, TOP, RIGHT, BOTTOM = -1.6, -1.3, 1.6, 2.1  # of the frame, in the template's coordinates
SHAPE = (round((BOTTOM - TOP) * CELLS), round((RIGHT - LEFT) * CELLS))
POINTS = {  # of the template, that a layout of photos names
    "left_eye": TEMPLATE[36:42].mean(axis=0),
    "right_eye": TEMPLATE[42:48].mean(axis=0),
    "mouth": TEMPLATE[48:60].mean(axis=0),
}
_CHUNK = 200  # faces at a time


def frame_points(points: ArrayLike) -> np.ndarray:
    """Points [..., 2] of the template as points of the frame.

    >>> frame_points([LEFT, TOP]).tolist()
    [-0.5, -0.5]
    """
    return (np.asarray(points, float) - (LEFT, TOP)) * CELLS - 0.5


def to_frame(landmarks: ArrayLike) -> np.ndarray:
    """The transforms from pixels of faces to the frame.

    Args:
        landmarks: [..., 68, 2] as (x, y) in pixels.

    Returns:
        [..., 2, 3], for `alignment.apply`; nan for a face with a landmark that is nan.
    """
    return similarity(landmarks, frame_points(TEMPLATE))


def from_layout(layout: Mapping[str, ArrayLike]) -> np.ndarray:
    """The transform from pixels of photos to the frame, given only the eyes and the mouth.

    Args:
        layout: {"left_eye", "right_eye", "mouth"} -> (x, y), the centres in pixels; left as seen in the image.

    Returns:
        [2, 3], for `alignment.apply`.

    Raises:
        UserError: a point is missing, or the eyes are in the same place.
    """
    if missing := [name for name in POINTS if name not in layout]:
        raise UserError(f"layout: expected {', '.join(POINTS)}; {', '.join(missing)} missing")
    points = np.array([np.asarray(layout[name], float) for name in POINTS])
    transform = similarity(points, frame_points(list(POINTS.values())))
    if not np.isfinite(transform).all():
        raise UserError(f"layout: expected three different points, got {dict(layout)}")
    return transform


def windows_in_frame(windows: ArrayLike, landmarks: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    """Windows on faces as windows on the frame.

    Args:
        windows: [n, N, 2, 3] in the [-1, 1] of the images.
        landmarks: [n, 68, 2] in pixels of the images.
        shape: (H, W) of the images.

    Returns:
        [n, N, 2, 3] in the [-1, 1] of the frame; nan for a face without landmarks.
    """
    transform = to_frame(landmarks)[:, None]
    sides, frame_sides = np.array(shape[::-1]) - 1.0, np.array(SHAPE[::-1]) - 1.0
    windows = np.asarray(windows, float)
    linear = transform[..., :2] @ (windows[..., :2] * sides[:, None] / 2)
    centre = apply(transform, (windows[..., None, :, 2] + 1) / 2 * sides)[..., 0, :]
    return np.concatenate([linear * 2 / frame_sides[:, None], (centre * 2 / frame_sides - 1)[..., None]], axis=-1)


def densities(
    windows: ArrayLike,
    weights: ArrayLike,
    landmarks: ArrayLike,
    shape: tuple[int, int],
    groups: ArrayLike,
) -> dict[str, np.ndarray]:
    """Density of the attention in the frame, for each group of faces and each step.

    Only what a window covers of its image counts, as elsewhere.

    Args:
        windows: [n, N, 2, 3] in the [-1, 1] of the images.
        weights: [n, N].
        landmarks: [n, 68, 2] in pixels; faces without landmarks are left out.
        shape: (H, W) of the images.
        groups: names [n], such as the emotions.

    Returns:
        {group: [N + 1, H, W]}: the maps of the steps, which sum to 1, and that of all steps by their weights; nan where
        all windows of a step miss their image. Groups without landmarks are absent.
    """
    windows, weights = np.asarray(windows, float), np.asarray(weights, float)
    landmarks, groups = np.asarray(landmarks, float), np.asarray(groups, dtype=object)
    if not len(windows) == len(weights) == len(landmarks) == len(groups):
        raise UserError(
            f"{len(windows)} windows, {len(weights)} weights, {len(landmarks)} faces and {len(groups)} groups do not "
            "match"
        )
    known = np.flatnonzero(np.isfinite(landmarks).all(axis=(1, 2)))
    names = dict.fromkeys(groups[known])
    totals = {name: np.zeros((windows.shape[1], *SHAPE)) for name in names}
    for start in range(0, len(known), _CHUNK):
        rows = known[start : start + _CHUNK]
        whole = np.broadcast_to(np.eye(2, 3), (len(rows), 1, 2, 3))
        image = coverage(windows_in_frame(whole, landmarks[rows], shape), SHAPE)
        covered = coverage(windows_in_frame(windows[rows], landmarks[rows], shape), SHAPE) * image
        for name in names:
            of_group = groups[rows] == name
            totals[name] += (covered[of_group] * weights[rows][of_group][..., None, None]).sum(axis=0)
    result = {}
    for name, total in totals.items():
        maps = np.concatenate([total, total.sum(axis=0, keepdims=True)])
        sums = maps.sum(axis=(1, 2), keepdims=True)
        result[name] = np.divide(maps, sums, out=np.full_like(maps, np.nan), where=sums > 0)
    return result


def whole_faces(landmarks: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    """Density of a model that sees the whole of each image, [H, W], summing to 1; see `densities`."""
    count = len(np.asarray(landmarks))
    windows = np.broadcast_to(np.eye(2, 3), (count, 1, 2, 3))
    return densities(windows, np.ones((count, 1)), landmarks, shape, np.full(count, "all", object))["all"][-1]


def centre_bias(landmarks: ArrayLike, shape: tuple[int, int], share: float = 0.25) -> np.ndarray:
    """A Gaussian in the middle of the images, as `baselines.centre_bias`, in the frame: [H, W], summing to 1.

    Args:
        landmarks: [n, 68, 2] in pixels.
        shape: (H, W) of the images.
        share: standard deviation as a share of the sides.
    """
    whole = np.broadcast_to(np.eye(2, 3), (len(np.asarray(landmarks)), 1, 2, 3))
    middle = np.nanmean(windows_in_frame(whole, landmarks, shape)[:, 0], axis=0)
    sides = np.array(SHAPE[::-1]) - 1.0
    width, height = np.abs(middle[:, :2]).sum(axis=1) * sides  # of a rotated image: of the box around it
    return fixation_map([(middle[:, 2] + 1) / 2 * sides], SHAPE, (share * width, share * height))


def landmark_map(sigma: float) -> np.ndarray:
    """Gaussians of `sigma` cells at the landmarks of the template, without the jaw: [H, W], summing to 1."""
    return fixation_map(frame_points(TEMPLATE[INNER]), SHAPE, sigma)


@functools.cache
def region_map() -> np.ndarray:
    """The region of each cell, uint8 [H, W]: indices into `regions.REGIONS`."""
    return regions.labels(frame_points(TEMPLATE)[None], SHAPE)[0]


def regions_of(points: ArrayLike) -> np.ndarray:
    """The regions [F] that points [F, 2] of the frame lie in: indices into `regions.REGIONS`; outside it, the rest."""
    columns, rows = np.floor(np.asarray(points, float).reshape(-1, 2) + 0.5).astype(int).T
    inside = (columns >= 0) & (rows >= 0) & (columns < SHAPE[1]) & (rows < SHAPE[0])
    return np.where(inside, region_map()[rows * inside, columns * inside], regions.REST)
