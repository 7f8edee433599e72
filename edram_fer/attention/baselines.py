"""Baselines for attention maps and scan paths: maps that do not depend on the image, and other people.

`compare_maps` computes the measures of `agreement` for a model and for

- the centre bias: a Gaussian in the middle of the image;
- the mean landmarks: Gaussians at the eyes, nose and mouth of the mean face;
- the model's maps of other images (shuffled);
- the people: the map of all other people, on images that several people looked at.

Each of them predicts the fixations of one person at a time, so that they can be compared. The people are no upper
bound: a map of few people's fixations is noisy, and a good model can predict a person better.

`compare_paths` does the same for scan paths: the model's paths, its paths on other images, random paths (the chance
level) and other people's paths.

The images and the people are both samples of those that could have been used: intervals allow for both
(`intervals.crossed`).
"""

import importlib.util
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from edram_fer.attention.agreement import all_measures
from edram_fer.attention.coverage_maps import weighted_coverage
from edram_fer.attention.fixations import Fixations, fixation_map, smooth
from edram_fer.attention.scan_paths import multi_match, scale_points, scan_match
from edram_fer.attention.windows import centres, has_windows, is_recurrent, pixels
from edram_fer.errors import UserError
from edram_fer.intervals import crossed, crossed_mean

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


def leave_one_out(
    points: ArrayLike, subjects: ArrayLike, shape: tuple[int, int], sigma: float, others: ArrayLike | None = None
) -> dict[str, dict[str, float]]:
    """How well the other people's fixations on an image predict those of each person.

    Args:
        points: fixations [F, 2] as (x, y) in pixels.
        subjects: [F] names.
        shape: (H, W) of the image.
        sigma: standard deviation of the Gaussians, in pixels.
        others: [G, 2] fixations on other images, for the shuffled AUC.

    Returns:
        {person: the dict of `agreement.all_measures`}; empty with fewer than 2 people.
    """
    points, subjects = np.asarray(points, float), np.asarray(subjects, dtype=object)
    people, result = dict.fromkeys(subjects), {}
    for person in people if len(people) > 1 else ():
        fixated = points[subjects == person]
        predicted = fixation_map(points[subjects != person], shape, sigma)
        result[person] = all_measures(predicted, fixated, fixation_map(fixated, shape, sigma), others)
    return result


def compare_maps(
    maps: Mapping[str, np.ndarray],
    fixations: Fixations,
    shape: tuple[int, int],
    sigma: float,
    *,
    landmarks: ArrayLike | None = None,
    seed: int = 0,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Measure the agreement of a model's maps, and of all baselines, with human fixations.

    Args:
        maps: {image: map [H, W] of the model}, as smooth as the fixation maps (`fixations.smooth`); images without
            fixations are not used.
        fixations: the fixations, in pixels of the maps.
        shape: (H, W) of the maps.
        sigma: standard deviation of the Gaussians in the fixation maps, in pixels.
        landmarks: [n, 68, 2] in pixels, of any faces, for the map of the mean landmarks.
        seed: seed of the shuffling.

    Returns:
        {"model", "centre_bias", "mean_landmarks", "shuffled", "people"} -> {measure: {"mean", "interval", "images",
        "people", "pooled"}}. "mean" is the mean over the people who looked at an image of the measure for this person's
        fixations, then over the images on which it is defined; "interval" its 95 % interval for other images and other
        people, nan with a single image or person; "images" and "people" the numbers of both; and "pooled" the mean over
        the images of the measure for all people's fixations together, which benchmarks report ("people", who would
        predict themselves, have none). "mean_landmarks" is absent without landmarks, "shuffled" with a single image.

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
    single = {name: [] for name in (*candidates, "people")}  # for each image {person: measures}
    pooled = {name: [] for name in candidates}  # for each image measures
    for image in images:
        on_image = fixations.image == image
        points, people, elsewhere = fixations.points[on_image], fixations.subject[on_image], fixations.points[~on_image]
        humans = {name: fixation_map(points[people == name], shape, sigma) for name in dict.fromkeys(people)}
        everyone = fixation_map(points, shape, sigma)
        for name, candidate in candidates.items():
            single[name].append(
                {
                    person: all_measures(candidate[image], points[people == person], human, elsewhere)
                    for person, human in humans.items()
                }
            )
            pooled[name].append(all_measures(candidate[image], points, everyone, elsewhere))
        single["people"].append(leave_one_out(points, people, shape, sigma, elsewhere))
    result = {name: _summary(rows) for name, rows in single.items()}
    for name, rows in pooled.items():
        for measure, summary in result[name].items():
            summary["pooled"] = float(crossed_mean([[row[measure]] for row in rows]))
    return result


def compare_paths(
    paths: Mapping[str, np.ndarray], fixations: Fixations, shape: tuple[int, int], *, seed: int = 0
) -> dict[str, dict[str, dict[str, Any]]]:
    """Measure the similarity of a model's scan paths to human scan paths.

    Args:
        paths: {image: [N, 2]}: the model's positions in time order, in pixels; images without fixations are not used.
        fixations: the fixations, in pixels of the same images.
        shape: (H, W) of the images.
        seed: seed of the shuffling and of the random paths.

    Returns:
        {"model", "shuffled", "random", "people"} -> {measure: {"mean", "interval", "images", "people"}}, as returned by
        `compare_maps`. The measures are "scan_match" (`scan_paths.scan_match`) and, if its package is installed, the
        four of `scan_paths.multi_match` as "multi_match_shape", .... "random" are paths as long as the model's, each
        point anywhere in the image, the chance level of a measure; for "people" the value of a person is the mean over
        the others on the same image. "shuffled" is absent with a single image, "people" if no image has two people.

    Raises:
        UserError: no image has both a path and fixations.
    """
    people = {}
    for (person, image), points in fixations.paths().items():
        people.setdefault(image, {})[person] = points
    images = [image for image in paths if image in people]
    if not images:
        raise UserError(f"none of {len(paths)} scan paths has fixations")
    random, size = np.random.default_rng(seed), np.array(shape[::-1])
    candidates = {"model": paths}
    if len(images) > 1:
        others = [images[number] for number in other_images(len(images), seed)]
        candidates["shuffled"] = {image: paths[other] for image, other in zip(images, others, strict=True)}
    rows = {
        name: [
            {person: _path_similarity(candidate[image], path, shape) for person, path in people[image].items()}
            for image in images
        ]
        for name, candidate in candidates.items()
    }
    rows["random"] = [
        {
            person: _path_similarity(random.uniform(-0.5, size - 0.5, np.shape(paths[image])), path, shape)
            for person, path in people[image].items()
        }
        for image in images
    ]
    if any(len(people[image]) > 1 for image in images):
        rows["people"] = [_similarity_to_others(people[image], shape) for image in images]
    return {name: _summary(part) for name, part in rows.items()}


def compare_with_fixations(
    predictions: Mapping[str, Any],
    fixations: Fixations,
    shape: tuple[int, int],
    sigma: float | None = None,
    *,
    landmarks: np.ndarray | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare the windows of a model's predictions with human fixations.

    The edges of windows are sharp and human maps are smooth, so the density of the windows is smoothed in the same way.

    Args:
        predictions: rows as returned by `edram_fer.run.predictions.unpack`.
        fixations: fixations on images that are named by the ids of the rows.
        shape: (H, W) of all images.
        sigma: standard deviation of the Gaussians in the fixation maps and of the smoothing, in pixels; None: a tenth
            of the shorter side.
        landmarks: see `compare_maps`; ignored if no face has all its landmarks.
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
    maps = {name: weighted_coverage(windows[row], weights[row], shape) for row, name in enumerate(names)}
    attended = {name: values for name, values in maps.items() if values.sum() > 0}
    if maps and not attended:
        raise UserError(f"the windows miss all {len(maps)} images with fixations")
    if landmarks is not None and not np.isfinite(landmarks).all(axis=(1, 2)).any():
        landmarks = None
    sigma = DEGREE * min(shape) if sigma is None else sigma
    result = {"images_missed_by_windows": len(maps) - len(attended), "paths": None}
    attended = {name: smooth(values, sigma) for name, values in attended.items()}
    result["maps"] = compare_maps(attended, fixations, shape, sigma, landmarks=landmarks, seed=seed)
    if is_recurrent(predictions):
        places = pixels(centres(windows), shape)
        result["paths"] = compare_paths(dict(zip(maps, places, strict=True)), fixations, shape, seed=seed)
    return result


def _path_similarity(path, other, shape):
    """{measure: value} of two paths in pixels; nan if a path is not long enough for a measure."""
    result = {"scan_match": float(scan_match(scale_points(path, shape), scale_points(other, shape)))}
    if importlib.util.find_spec("multimatch_gaze") is not None:
        result |= {f"multi_match_{name}": value for name, value in multi_match(path, other, shape).items()}
    return result


def _similarity_to_others(paths, shape):
    """{person: {measure: mean over the other people}} from {person: path} of an image; empty with a single person."""
    pairs = {
        frozenset((one, other)): _path_similarity(paths[one], paths[other], shape)
        for one, other in combinations(paths, 2)
    }
    result = {}
    for person in paths if pairs else ():
        similarities = [similarity for pair, similarity in pairs.items() if person in pair]
        result[person] = {
            measure: float(crossed_mean([[similarity[measure]] for similarity in similarities]))
            for measure in similarities[0]
        }
    return result


def _summary(rows):
    """{measure: {"mean", "interval", "images", "people"}} from {person: measures} of each image."""
    people = list(dict.fromkeys(person for row in rows for person in row))
    undefined = dict.fromkeys(all_measures(np.ones((1, 1)), [], np.ones((1, 1))), np.nan)
    first = next((measures for row in rows for measures in row.values()), undefined)
    result = {}
    for measure in first:
        values = np.array([[row.get(person, {}).get(measure, np.nan) for person in people] for row in rows])
        values = values.reshape(len(rows), len(people))
        finite = np.isfinite(values)
        result[measure] = {
            "mean": float(crossed_mean(values)),
            "interval": crossed(values),
            "images": int(finite.any(axis=1).sum()),
            "people": int(finite.any(axis=0).sum()),
        }
    return result
