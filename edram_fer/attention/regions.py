"""Attention to the regions of the face: left eye and brow, right eye and brow, nose, mouth, and the rest.

LEFT AND RIGHT REFER TO THE IMAGE, as the viewer sees it: the left eye has the smaller x and landmarks 36 to 41; it is
the person's right eye.

The 68 landmarks of a face determine a similarity transform to a template, and its inverse maps the regions of the
template to the image. So a region has the same shape on every face, whatever the position and size of the face, and
does not move with the expression. The rest is everything else in the image, including the background.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import ConvexHull

from edram_fer.attention.alignment import apply, similarity
from edram_fer.attention.coverage_maps import coverage
from edram_fer.attention.template import TEMPLATE
from edram_fer.errors import UserError
from edram_fer.intervals import bootstrap_means

REGION_LANDMARKS = {  # indices of the 68 landmarks
    "left eye": [*range(17, 22), *range(36, 42)],
    "right eye": [*range(22, 27), *range(42, 48)],
    "nose": [*range(27, 36)],
    "mouth": [*range(48, 60)],
}
REGIONS = (*REGION_LANDMARKS, "rest")
REST = len(REGION_LANDMARKS)
MISSING = 255  # in label maps: every pixel of a face without landmarks
MARGIN = 0.15  # around the landmarks of a region, as a multiple of the distance between the eyes
_CELL = 0.005  # side of a cell of the template's map, in the same unit
_CHUNK = 4_000_000  # largest number of elements in an array


def labels(
    landmarks: ArrayLike, shape: tuple[int, int], *, template: ArrayLike = TEMPLATE, margin: float = MARGIN
) -> np.ndarray:
    """The region of each pixel.

    A pixel belongs to the region whose landmarks in the template have the nearest convex hull, if that is at most
    `margin` away, and otherwise to the rest.

    Args:
        landmarks: [n, 68, 2] as (x, y) in pixels; a face with a landmark that is nan has no regions.
        shape: (H, W) of the images.
        template: [68, 2], the eyes' centres 1 apart; `alignment.mean_shape` computes the template of a data set.
        margin: margin around the landmarks, as a multiple of the distance between the template's eyes.

    Returns:
        uint8 [n, H, W]: indices into REGIONS, so that `labels == index` is the mask of a region; MISSING for faces
        without landmarks.

    Raises:
        UserError: the landmarks are not [n, 68, 2].
    """
    landmarks = _checked(landmarks)
    table, origin = _template_map(np.asarray(template, float).tobytes(), margin)
    rows, columns = np.indices(shape)
    pixels = np.stack([columns.ravel(), rows.ravel()], axis=-1)
    result = np.full((len(landmarks), *shape), MISSING, np.uint8)
    for face, transform in zip(result, similarity(landmarks, template), strict=True):
        if np.isfinite(transform).all():
            column, row = np.rint((apply(transform, pixels) - origin) / _CELL).astype(int).T
            inside = (column >= 0) & (row >= 0) & (row < table.shape[0]) & (column < table.shape[1])
            face[...] = np.where(inside, table[row * inside, column * inside], REST).reshape(shape)
    return result


def region_mass(
    windows: ArrayLike,
    weights: ArrayLike,
    landmarks: ArrayLike,
    shape: tuple[int, int],
    *,
    template: ArrayLike = TEMPLATE,
    margin: float = MARGIN,
) -> tuple[np.ndarray, np.ndarray]:
    """How much of each image's attention falls on each region.

    The image counts as the window of the whole image does: from centre to centre of the outermost pixels, so that
    pixels at the border count half. A window that covers all of it has no preference for any region.

    Args:
        windows: [n, N, 2, 3].
        weights: [n, N].
        landmarks: see `labels`.
        shape: (H, W) of the images.
        template: see `labels`.
        margin: see `labels`.

    Returns:
        mass: [n, N, 5], area covered in pixels times weight; nan for a face without landmarks.
        area: [n, 5], the region's share of the image; nan for a face without landmarks.

    Raises:
        UserError: the numbers of images differ; see also `labels`.
    """
    landmarks = _checked(landmarks)
    windows, weights = np.asarray(windows, float), np.asarray(weights, float)
    if not len(windows) == len(weights) == len(landmarks):
        raise UserError(f"{len(windows)} windows, {len(weights)} weights and {len(landmarks)} faces do not match")
    count, steps = windows.shape[:2]
    mass, area = np.empty((count, steps, len(REGIONS))), np.empty((count, len(REGIONS)))
    whole = coverage(np.eye(2, 3), shape)
    size = max(1, _CHUNK // (max(steps, len(REGIONS)) * shape[0] * shape[1]))
    for start in range(0, count, size):
        part = slice(start, start + size)
        region = labels(landmarks[part], shape, template=template, margin=margin)
        region = region.reshape(-1, shape[0] * shape[1], 1)
        masks = (region == np.arange(len(REGIONS))).astype(float)
        missing = region[:, 0, 0] == MISSING
        covered = np.minimum(coverage(windows[part], shape), whole).reshape(*weights[part].shape, -1)
        mass[part] = covered @ masks * weights[part, :, None]
        area[part] = whole.ravel() @ masks / whole.sum()
        mass[part][missing] = area[part][missing] = np.nan
    return mass, area


def region_shares(
    mass: np.ndarray,
    area: np.ndarray,
    groups: ArrayLike,
    order: Sequence[str],
    *,
    subjects: Sequence[str] | np.ndarray | None = None,
    repeats: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Shares of the regions in the attention of each class.

    Args:
        mass: [n, N, 5], from `region_mass`.
        area: [n, 5], from `region_mass`.
        groups: class names [n].
        order: G class names, in the order of the result.
        subjects: [n] names, resampled together for the intervals; None: the images are resampled.
        repeats: number of bootstrap samples.
        seed: seed of the bootstrap.

    Returns:
        dict with
            groups, regions: names [G] and [5];
            images: int [G], faces with landmarks; excluded_share: share of these classes' faces without landmarks;
            area: [G, 5], mean share of the image that a region covers;
            share: [G, N + 1, 5], the region's share of the class's density at each of the N steps, and finally over
                all steps; sums to 1;
            preference: [G, N + 1, 5], share / area; 1 means no preference;
            share_interval, preference_interval: [G, N + 1, 5, 2], 95 %.
        Values are nan for a class without images, and for a step whose windows miss all of its images.
    """
    mass = np.concatenate([mass, mass.sum(axis=1, keepdims=True)], axis=1)
    groups, has_landmarks = np.asarray(groups, dtype=object), np.all(np.isfinite(area), axis=1)
    subjects = None if subjects is None else np.asarray(subjects, dtype=object)
    members = [np.flatnonzero((groups == name) & has_landmarks) for name in order]
    in_order = np.isin(groups, list(order))
    classes = [
        _class_shares(mass[rows], area[rows], None if subjects is None else subjects[rows], repeats, seed)
        for rows in members
    ]
    return {
        "groups": list(order),
        "regions": list(REGIONS),
        "images": np.array([len(rows) for rows in members]),
        "excluded_share": float(np.mean(~has_landmarks[in_order])) if in_order.any() else np.nan,
        **{name: np.stack([values[name] for values in classes]) for name in classes[0]},
    }


def shares_from_predictions(
    predictions: Mapping[str, Any],
    landmarks: np.ndarray,
    shape: tuple[int, int],
    emotions: Sequence[str],
    *,
    repeats: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """`region_shares` of each true emotion, and of all images of these emotions together.

    Args:
        predictions: rows as returned by `edram_fer.run.predictions.unpack`.
        landmarks: [n, 68, 2], see `labels`.
        shape: (H, W) of the images.
        emotions: names.
        repeats: see `region_shares`.
        seed: see `region_shares`.

    Returns:
        The dict of `region_shares`; its groups are "all" and the emotions.
    """
    has_emotion = np.isin(predictions["truth"], list(emotions))
    windows, weights, truth = (predictions[key][has_emotion] for key in ("windows", "weights", "truth"))
    mass, area = region_mass(windows, weights, landmarks[has_emotion], shape)
    subjects = None if predictions["subjects"] is None else np.tile(predictions["subjects"][has_emotion], 2)
    return region_shares(  # each image counts in two groups
        np.tile(mass, (2, 1, 1)),
        np.tile(area, (2, 1)),
        np.concatenate([truth, np.full(len(truth), "all", object)]),
        ["all", *emotions],
        subjects=subjects,
        repeats=repeats,
        seed=seed,
    )


def _class_shares(mass, area, subjects, repeats, seed):
    """The numbers of `region_shares` for the images of one class."""

    values = _shares({"mass": mass.sum(axis=0) / max(len(mass), 1), "area": area.sum(axis=0) / max(len(area), 1)})
    if len(mass):
        means = {"mass": mass, "area": area}
        intervals = bootstrap_means(_shares, means, subjects=subjects, repeats=repeats, seed=seed)
    else:
        values["area"] = np.full(len(REGIONS), np.nan)
        intervals = {name: np.full((*samples.shape, 2), np.nan) for name, samples in values.items()}
    return {**values, **{f"{name}_interval": intervals[name] for name in ("share", "preference")}}


def _shares(means):
    """Share [..., N + 1, 5], preference and area [..., 5] from the mean mass and area of images."""
    mass, area = means["mass"], means["area"]
    with np.errstate(divide="ignore", invalid="ignore"):
        sums = mass.sum(axis=-1, keepdims=True)
        share = mass / np.where(sums > 0, sums, np.nan)
        preference = np.where(area[..., None, :] > 0, share / area[..., None, :], np.nan)
    return {"share": share, "preference": preference, "area": area}


@functools.lru_cache(maxsize=4)  # used for every chunk of images
def _template_map(template, margin):
    """The region of each cell of a grid over the template.

    Args:
        template: float64 [68, 2] as bytes, which are hashable.
        margin: see `labels`.

    Returns:
        uint8 [h, w], and the position (x, y) of the first cell.
    """
    template = np.frombuffer(template).reshape(68, 2)
    inner = template[np.concatenate(list(REGION_LANDMARKS.values()))]
    low, high = inner.min(axis=0) - margin - _CELL, inner.max(axis=0) + margin + _CELL
    x, y = (np.arange(low[axis], high[axis] + _CELL, _CELL) for axis in (0, 1))
    cells = np.stack(np.meshgrid(x, y), axis=-1)
    distances = [_distance(cells, template[indices]) for indices in REGION_LANDMARKS.values()]
    nearest = np.argmin(distances, axis=0)
    return np.where(np.min(distances, axis=0) <= margin, nearest, REST).astype(np.uint8), low


def _distance(points, corners):
    """Distance of points [..., 2] from the convex hull of `corners` [m, 2]; 0 inside."""
    hull = ConvexHull(corners)
    outside = (points @ hull.equations[:, :2].T + hull.equations[:, 2] > 0).any(axis=-1)
    nearest = np.full(points.shape[:-1], np.inf)
    for start, end in corners[hull.simplices]:
        side = end - start
        along = np.clip((points - start) @ side / (side @ side), 0, 1)[..., None]
        nearest = np.minimum(nearest, np.linalg.norm(points - start - along * side, axis=-1))
    return np.where(outside, nearest, 0)


def _checked(landmarks):
    landmarks = np.asarray(landmarks, float)
    if landmarks.ndim != 3 or landmarks.shape[1:] != (68, 2):
        raise UserError(f"landmarks must be [n, 68, 2], not {list(landmarks.shape)}")
    return landmarks
