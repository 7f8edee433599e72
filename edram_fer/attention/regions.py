"""Which parts of the face are looked at: left eye and brow, right eye and brow, nose, mouth, and the rest.

LEFT AND RIGHT ARE THOSE OF THE IMAGE, as the viewer sees them: the left eye is the one with the smaller x,
landmarks 36 to 41, the person's own right eye.

A face's 68 landmarks give the similarity transform to a template; the template's regions are brought back to the
image by its inverse. So a region has the same shape on every face, wherever and however large the face is, and does
not move with the expression. The rest is all else of the image, background too.
"""

import functools

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import ConvexHull

from edram_fer.attention.alignment import apply, similarity
from edram_fer.attention.template import TEMPLATE
from edram_fer.attention.windows import coverage
from edram_fer.errors import UserError
from edram_fer.intervals import bootstrap

REGION_LANDMARKS = {
    "left eye": [*range(17, 22), *range(36, 42)],
    "right eye": [*range(22, 27), *range(42, 48)],
    "nose": [*range(27, 36)],
    "mouth": [*range(48, 60)],
}
REGIONS = (*REGION_LANDMARKS, "rest")
REST = len(REGION_LANDMARKS)
MISSING = 255  # in label maps, all over a face without landmarks
MARGIN = 0.15  # around the landmarks of a region, in distances between the eyes
_CELL = 0.01  # side of a cell of the template's map, in the same unit
_CHUNK = 4_000_000  # numbers held at once


def labels(landmarks, shape, *, template=TEMPLATE, margin=MARGIN):
    """The region of each pixel.

    A pixel belongs to the region whose convex hull, drawn around its landmarks of the template, is nearest and at most
    `margin` away, else to the rest.

    Args:
        landmarks: [n, 68, 2] as (x, y) in pixels; a face with one that is nan has no regions.
        shape: (H, W) of the images.
        template: [68, 2], eyes' centres 1 apart; `alignment.mean_shape` gives that of a data set.
        margin: in distances between the template's eyes.

    Returns: uint8 [n, H, W], indices into REGIONS; the mask of a region is `labels == index`. MISSING for faces
    without landmarks.
    """
    landmarks = _checked(landmarks)
    table, origin = _template_map(np.asarray(template, float).tobytes(), margin)
    rows, columns = np.indices(shape)
    pixels = np.stack([columns.ravel(), rows.ravel()], axis=-1)
    result = np.full((len(landmarks), *shape), MISSING, np.uint8)
    for face, transform in zip(result, similarity(landmarks, template)):
        if np.isfinite(transform).all():
            column, row = np.rint((apply(transform, pixels) - origin) / _CELL).astype(int).T
            inside = (column >= 0) & (row >= 0) & (row < table.shape[0]) & (column < table.shape[1])
            face[...] = np.where(inside, table[row * inside, column * inside], REST).reshape(shape)
    return result


def region_mass(windows, weights, landmarks, shape, **options):
    """How much of each image's attention falls into each region.

    Args:
        windows, weights: [n, N, 2, 3] and [n, N].
        landmarks, shape, options: as in `labels`.

    Returns: (mass [n, N, 5], area [n, 5]): pixels covered times weight, and the region's share of the image's
    pixels; nan for a face without landmarks. The window of the whole image reaches from centre to centre of the
    outermost pixels, so that by it an inner region gets W H / ((W - 1) (H - 1)) of its share of the area: 1.04 at 48
    pixels, 1.02 at 100.

    Raises ValueError when the numbers of images differ.
    """
    landmarks = _checked(landmarks)
    windows, weights = np.asarray(windows, float), np.asarray(weights, float)
    if not len(windows) == len(weights) == len(landmarks):
        raise UserError(f"{len(windows)} windows, {len(weights)} weights and {len(landmarks)} faces do not match")
    count, steps = windows.shape[:2]
    mass, area = np.empty((count, steps, len(REGIONS))), np.empty((count, len(REGIONS)))
    size = max(1, _CHUNK // (max(steps, len(REGIONS)) * shape[0] * shape[1]))
    for start in range(0, count, size):
        part = slice(start, start + size)
        number = labels(landmarks[part], shape, **options).reshape(-1, shape[0] * shape[1], 1)
        masks = (number == np.arange(len(REGIONS))).astype(float)
        missing = number[:, 0, 0] == MISSING
        covered = coverage(windows[part], shape).reshape(*weights[part].shape, -1)
        mass[part] = covered @ masks * weights[part, :, None]
        area[part] = masks.mean(axis=1)
        mass[part][missing] = area[part][missing] = np.nan
    return mass, area


def region_shares(mass, area, groups, order, *, subjects=None, repeats=1000, seed=0):
    """Shares of the regions in the attention of each class.

    Args:
        mass, area: of `region_mass`.
        groups: names [n] of classes; order: the G names wanted.
        subjects: optional [n]; the intervals are by image, or by subject where they are known.
        repeats, seed: of the bootstrap.

    Returns: dict of
        groups, regions: names [G] and [5];
        images: int [G] faces with landmarks; excluded_share: share of the classes' faces without;
        area: [G, 5] mean share of the images that a region takes;
        share: [G, N + 1, 5] of the class's density at each of the N steps, and last at all together; sums to 1;
        preference: [G, N + 1, 5] share / area; 1 is none;
        share_interval, preference_interval: [G, N + 1, 5, 2], 95 %.
        What is not defined, for a class without images or a step that looks beside them, is nan.
    """
    mass = np.concatenate([mass, mass.sum(axis=1, keepdims=True)], axis=1)
    groups, known = np.asarray(groups, dtype=object), np.isfinite(area).all(axis=1)
    members = [np.flatnonzero((groups == name) & known) for name in order]
    wanted = np.isin(groups, list(order))
    found = [
        _of_class(mass[m], area[m], None if subjects is None else [subjects[row] for row in m], repeats, seed)
        for m in members
    ]
    return {
        "groups": list(order),
        "regions": list(REGIONS),
        "images": np.array([len(rows) for rows in members]),
        "excluded_share": float(np.mean(~known[wanted])) if wanted.any() else np.nan,
        **{name: np.stack([one[name] for one in found]) for name in found[0]},
    }


def shares_from_predictions(found, landmarks, shape, emotions, **options):
    """`region_shares` of all images of these true emotions together, and of each emotion.

    Args:
        found: rows as `predictions.unpack` gives them; landmarks, shape: as in `region_mass`.
        emotions: names; options: repeats and seed.

    Returns: as `region_shares`, the groups being "all" and the emotions.
    """
    known = np.isin(found["truth"].astype(str), list(emotions))
    mass, area = region_mass(found["windows"][known], found["weights"][known], landmarks[known], shape)
    truth = found["truth"][known]
    subjects = None if found["subjects"] is None else np.tile(found["subjects"][known], 2)
    groups = np.concatenate([truth, np.full(len(truth), "all", object)])  # each image counts in both
    twice = {"mass": np.tile(mass, (2, 1, 1)), "area": np.tile(area, (2, 1))}
    return region_shares(**twice, groups=groups, order=["all", *emotions], subjects=subjects, **options)


def _of_class(mass, area, subjects, repeats, seed):
    def statistic(rows):
        total, mean = mass[rows].sum(axis=0), area[rows].sum(axis=0) / max(len(rows), 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            sums = total.sum(axis=-1, keepdims=True)
            share = total / np.where(sums > 0, sums, np.nan)
            return {"share": share, "preference": np.where(mean > 0, share / mean, np.nan), "area": mean}

    found = statistic(np.arange(len(mass)))
    if len(mass):
        ends = bootstrap(statistic, len(mass), subjects=subjects, repeats=repeats, seed=seed)
    else:
        found["area"] = np.full(len(REGIONS), np.nan)
        ends = {name: np.full((*values.shape, 2), np.nan) for name, values in found.items()}
    return {**found, **{f"{name}_interval": ends[name] for name in ("share", "preference")}}


@functools.lru_cache(maxsize=4)  # asked for with every chunk of images
def _template_map(template, margin):
    """Region of each cell of a grid over the template (float64 [68, 2] as bytes), uint8 [h, w], and the place (x, y)
    of its first cell."""
    template = np.frombuffer(template).reshape(68, 2)
    inner = template[np.concatenate(list(REGION_LANDMARKS.values()))]
    low, high = inner.min(axis=0) - margin - _CELL, inner.max(axis=0) + margin + _CELL
    x, y = (np.arange(low[axis], high[axis] + _CELL, _CELL) for axis in (0, 1))
    cells = np.stack(np.meshgrid(x, y), axis=-1)
    distances = []
    for chosen in REGION_LANDMARKS.values():
        sides = ConvexHull(template[chosen]).equations
        outside = (cells @ sides[:, :2].T + sides[:, 2] > 0).any(axis=-1)
        distances.append(distance_transform_edt(outside, sampling=_CELL))
    nearest = np.argmin(distances, axis=0)
    return np.where(np.min(distances, axis=0) <= margin, nearest, REST).astype(np.uint8), low


def _checked(landmarks):
    landmarks = np.asarray(landmarks, float)
    if landmarks.ndim != 3 or landmarks.shape[1:] != (68, 2):
        raise UserError(f"landmarks must be [n, 68, 2], not {list(landmarks.shape)}")
    return landmarks
