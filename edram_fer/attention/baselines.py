"""Baselines for attention maps and scan paths: maps that do not depend on the image, and other people.

`compare_maps` computes the measures of `agreement` for a model and for

- the centre bias: a Gaussian in the middle of the image;
- the mean landmarks: Gaussians at the eyes, nose and mouth of the mean face;
- the model's maps of other images (shuffled);
- the ceiling: half of the people compared with the other half, on images that several people looked at.

`compare_paths` does the same for scan paths: the model's paths, its paths on other images, and other people's paths.
"""

import importlib.util
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from edram_fer.attention.agreement import all_measures
from edram_fer.attention.coverage_maps import weighted_coverage
from edram_fer.attention.fixations import Fixations, fixation_map
from edram_fer.attention.scan_paths import multi_match, scale_points, scan_match
from edram_fer.attention.windows import centres, has_windows, is_recurrent, pixels
from edram_fer.errors import UserError
from edram_fer.intervals import bootstrap

DEGREE = 0.1  # share of the shorter side: a face that fills its crop spans about ten degrees at conversational distance
INNER = slice(17, 68)  # of the 68 landmarks: all but the jaw


def centre_bias(shape: tuple[int, int], sigma: float = 0.5) -> np.ndarray:
    """A Gaussian in the middle of an image.

    Args:
        shape: (H, W) of the image.
        sigma: standard deviation in the image's [-1, 1], so that the Gaussian has the proportions of the image; 0.5 is
            a quarter of the side.

    Returns:
        [H, W], summing to 1.
    """
    middle = (np.array(shape[::-1]) - 1) / 2
    return fixation_map([middle], shape, sigma * np.maximum(middle, 0.5))


def landmark_map(landmarks: ArrayLike, shape: tuple[int, int], sigma: float) -> np.ndarray:
    """A Gaussian at each of the mean landmarks of brows, eyes, nose and mouth.

    Args:
        landmarks: [n, 68, 2] as (x, y) in pixels; faces with a landmark that is nan are left out.
        shape: (H, W) of the image.
        sigma: standard deviation in pixels.

    Returns:
        [H, W], summing to 1.

    Raises:
        UserError: no face has all its landmarks.
    """
    landmarks = np.asarray(landmarks, float)
    complete = np.isfinite(landmarks).all(axis=(1, 2))
    if not complete.any():
        raise UserError(f"none of {len(landmarks)} faces has all 68 landmarks")
    return fixation_map(landmarks[complete].mean(axis=0)[INNER], shape, sigma)


def other_images(count: int, seed: int = 0) -> np.ndarray:
    """Assign another image to each image: a random cyclic order.

    Args:
        count: number of images.
        seed: seed of the random order.

    Returns:
        int [count]: for each image the index of another image.

    Raises:
        UserError: there are fewer than 2 images.

    >>> other_images(2).tolist()
    [1, 0]
    """
    if count < 2:
        raise UserError(f"shuffling needs at least 2 images, got {count}")
    order = np.random.default_rng(seed).permutation(count)
    result = np.empty(count, int)
    result[order] = np.roll(order, 1)
    return result


def split_half(
    points: ArrayLike,
    subjects: ArrayLike,
    shape: tuple[int, int],
    sigma: float,
    others: ArrayLike | None = None,
    *,
    repeats: int = 10,
    seed: int | Sequence[int] = 0,
) -> dict[str, float]:
    """How well one half of the people predicts the other half on one image: the ceiling for any map.

    Args:
        points: fixations [F, 2] as (x, y) in pixels.
        subjects: [F] names.
        shape: (H, W) of the image.
        sigma: standard deviation of the Gaussians, in pixels.
        others: [G, 2] fixations on other images, for the shuffled AUC.
        repeats: number of random halvings; the mean includes both directions of each.
        seed: seed of the halvings.

    Returns:
        The dict of `agreement.all_measures`; all values are nan with fewer than 2 people.
    """
    points, subjects = np.asarray(points, float), np.asarray(subjects, dtype=object)
    people, random, rows = sorted(set(subjects)), np.random.default_rng(seed), []
    for _ in range(repeats if len(people) > 1 else 0):
        chosen = random.permutation(len(people))[: len(people) // 2]
        in_first = np.isin(subjects, [people[index] for index in chosen])
        halves = [(points[part], fixation_map(points[part], shape, sigma)) for part in (in_first, ~in_first)]
        for (_, predicted), (fixated, human) in (halves, halves[::-1]):
            rows.append(all_measures(predicted, fixated, human, others))
    if not rows:
        return dict.fromkeys(all_measures(np.ones((1, 1)), [], np.ones((1, 1))), np.nan)
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def compare_maps(
    maps: Mapping[str, np.ndarray],
    fixations: Fixations,
    shape: tuple[int, int],
    sigma: float,
    *,
    landmarks: ArrayLike | None = None,
    repeats: int = 1000,
    seed: int = 0,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Measure the agreement of a model's maps, and of all baselines, with human fixations.

    Args:
        maps: {image: map [H, W] of the model}; images without fixations are not used.
        fixations: the fixations, in pixels of the maps.
        shape: (H, W) of the maps.
        sigma: standard deviation of the Gaussians in the fixation maps, in pixels.
        landmarks: [n, 68, 2] in pixels, of any faces, for the map of the mean landmarks.
        repeats: number of bootstrap samples of the images.
        seed: seed of the shuffling, the halving and the bootstrap.

    Returns:
        {"model", "centre_bias", "mean_landmarks", "shuffled", "ceiling"} -> {measure: {"mean", "interval", "images"}}:
        the mean over the images on which the measure is defined, its 95 % interval, and the number of these images.
        "mean_landmarks" is absent without landmarks, "shuffled" with a single image.

    Raises:
        UserError: no image has both a map and fixations.
    """
    images = [image for image in maps if (fixations.image == image).any()]
    if not images:
        raise UserError(f"none of {len(maps)} maps has fixations")
    candidates = {"model": maps, "centre_bias": dict.fromkeys(images, centre_bias(shape))}
    if landmarks is not None:
        candidates["mean_landmarks"] = dict.fromkeys(images, landmark_map(landmarks, shape, sigma))
    if len(images) > 1:
        others = [images[number] for number in other_images(len(images), seed)]
        candidates["shuffled"] = {image: maps[other] for image, other in zip(images, others, strict=True)}
    rows = {name: [] for name in (*candidates, "ceiling")}
    for number, image in enumerate(images):
        on_image = fixations.image == image
        points, points_elsewhere = fixations.points[on_image], fixations.points[~on_image]
        human = fixation_map(points, shape, sigma)
        for name, candidate in candidates.items():
            rows[name].append(all_measures(candidate[image], points, human, points_elsewhere))
        people = fixations.subject[on_image]
        rows["ceiling"].append(split_half(points, people, shape, sigma, points_elsewhere, seed=[seed, number]))
    return {name: _summary(measures, repeats, seed) for name, measures in rows.items()}


def compare_paths(
    paths: Mapping[str, np.ndarray],
    fixations: Fixations,
    shape: tuple[int, int],
    *,
    repeats: int = 1000,
    seed: int = 0,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Measure the similarity of a model's scan paths to human scan paths.

    Args:
        paths: {image: [N, 2]}: the model's positions in time order, in pixels; images without fixations are not used.
        fixations: the fixations, in pixels of the same images.
        shape: (H, W) of the images.
        repeats: number of bootstrap samples of the images.
        seed: seed of the shuffling and the bootstrap.

    Returns:
        {"model", "shuffled", "ceiling"} -> {measure: {"mean", "interval", "images"}}. The measures are "scan_match"
        (`scan_paths.scan_match`) and, if its package is installed, the four of `scan_paths.multi_match` as
        "multi_match_shape", ...: the mean over the people (for the ceiling, the pairs of people) of an image, then over
        the images on which it is defined. "shuffled" is absent with a single image, "ceiling" if no image has two
        people.

    Raises:
        UserError: no image has both a path and fixations.
    """
    people = {}
    for (_, image), points in fixations.paths().items():
        people.setdefault(image, []).append(points)
    images = [image for image in paths if image in people]
    if not images:
        raise UserError(f"none of {len(paths)} scan paths has fixations")
    pairs = {"model": [[(paths[image], person) for person in people[image]] for image in images]}
    if len(images) > 1:
        others = [images[number] for number in other_images(len(images), seed)]
        pairs["shuffled"] = [
            [(paths[other], person) for person in people[image]] for image, other in zip(images, others, strict=True)
        ]
    if several := [image for image in images if len(people[image]) > 1]:
        pairs["ceiling"] = [list(itertools.combinations(people[image], 2)) for image in several]
    rows = {name: [_path_similarity(image_pairs, shape) for image_pairs in part] for name, part in pairs.items()}
    return {name: _summary(measures, repeats, seed) for name, measures in rows.items()}


def compare_with_fixations(
    predictions: Mapping[str, Any],
    fixations: Fixations,
    shape: tuple[int, int],
    sigma: float | None = None,
    *,
    landmarks: np.ndarray | None = None,
    repeats: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare the windows of a model's predictions with human fixations.

    Args:
        predictions: rows as returned by `edram_fer.run.predictions.unpack`.
        fixations: fixations on images that are named by the ids of the rows.
        shape: (H, W) of all images.
        sigma: standard deviation of the Gaussians in the fixation maps, in pixels; None: a tenth of the shorter side.
        landmarks: see `compare_maps`; ignored if no face has all its landmarks.
        repeats: see `compare_maps`.
        seed: see `compare_maps`.

    Returns:
        dict with
            maps: the result of `compare_maps`;
            paths: the result of `compare_paths`, None for a model without windows in time order;
            images_missed_by_windows: number of images that all windows miss; "maps" excludes them.

    Raises:
        UserError: the model sees the whole of every image, or its windows miss all images.
    """
    if not has_windows(predictions["windows"]):
        raise UserError("the model sees the whole of every image: it has no windows to compare with fixations")
    rows = np.flatnonzero(np.isin(predictions["id"].astype(str), fixations.image.astype(str)))
    names, windows, weights = (predictions[key][rows] for key in ("id", "windows", "weights"))
    names = names.astype(str)
    options = {"repeats": repeats, "seed": seed}
    maps = {name: weighted_coverage(windows[row], weights[row], shape) for row, name in enumerate(names)}
    attended = {name: values for name, values in maps.items() if values.sum() > 0}
    if maps and not attended:
        raise UserError(f"the windows miss all {len(maps)} images with fixations")
    if landmarks is not None and not np.isfinite(landmarks).all(axis=(1, 2)).any():
        landmarks = None
    sigma = DEGREE * min(shape) if sigma is None else sigma
    result = {"images_missed_by_windows": len(maps) - len(attended), "paths": None}
    result["maps"] = compare_maps(attended, fixations, shape, sigma, landmarks=landmarks, **options)
    if is_recurrent(predictions):
        places = pixels(centres(windows), shape)
        result["paths"] = compare_paths(dict(zip(maps, places, strict=True)), fixations, shape, **options)
    return result


def _path_similarity(pairs, shape):
    """{measure: mean} over pairs of paths in pixels; nan if no path is long enough."""
    rows, installed = [], importlib.util.find_spec("multimatch_gaze") is not None
    for path, other in pairs:
        row = {"scan_match": float(scan_match(scale_points(path, shape), scale_points(other, shape)))}
        if installed:
            row |= {f"multi_match_{name}": value for name, value in multi_match(path, other, shape).items()}
        rows.append(row)
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    finite = {name: values[np.isfinite(values)] for name, values in columns.items()}
    return {name: float(values.mean()) if len(values) else np.nan for name, values in finite.items()}


def _summary(rows, repeats, seed):
    """{measure: {"mean", "interval", "images"}} from dicts of measures, one for each image."""
    return {name: _mean([row[name] for row in rows], repeats, seed) for name in rows[0]}


def _mean(values, repeats, seed):
    """Mean of the finite values, its 95 % interval and their number."""
    values = np.array(values)
    values = values[np.isfinite(values)]
    if not len(values):
        return {"mean": np.nan, "interval": np.full(2, np.nan), "images": 0}
    interval = bootstrap(lambda rows: {"mean": values[rows].mean()}, len(values), repeats=repeats, seed=seed)["mean"]
    return {"mean": float(values.mean()), "interval": interval, "images": len(values)}
