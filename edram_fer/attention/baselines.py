"""What a map of attention must be compared with: maps that know nothing of the image, and other people.

`compare_maps` tells the measures of `agreement` for a model and for

- the centre bias: a blob in the middle;
- the mean landmarks: where eyes, nose and mouth of the average face lie;
- the model's maps of other images, shuffled;
- the ceiling: half of the people against the other half, where there are several on an image.

`compare_paths` does the same for scan paths: the model's, its paths on other images, and people among each other.
"""

import importlib.util
import itertools

import numpy as np

from edram_fer.attention.agreement import all_measures
from edram_fer.attention.fixations import fixation_map
from edram_fer.attention.scan_paths import multi_match, scaled, scan_match
from edram_fer.attention.windows import centres, has_windows, is_recurrent, pixels, weighted_coverage
from edram_fer.errors import UserError
from edram_fer.intervals import bootstrap

DEGREE = 0.1  # of the shorter side: a face that fills its crop is about ten degrees wide from where one speaks
INNER = slice(17, 68)  # of the 68 landmarks, without the jaw


def centre_bias(shape, sigma=0.5):
    """A Gaussian in the middle of an image of `shape` (H, W), [H, W], summing to 1.

    sigma: standard deviation in the image's [-1, 1], so that it takes the image's proportions; 0.5 is a quarter of
    the side.
    """
    middle, scale = (np.array(shape[::-1]) - 1) / 2, (np.array(shape[::-1]) - 1) / 2
    return fixation_map([middle], shape, sigma * np.maximum(scale, 0.5))


def landmark_map(landmarks, shape, sigma):
    """A Gaussian around each of the mean landmarks of brows, eyes, nose and mouth, [H, W], summing to 1.

    Args:
        landmarks: [n, 68, 2] as (x, y) in pixels; faces with a landmark that is nan are left out.
        shape: (H, W); sigma: standard deviation in pixels.

    Raises ValueError when no face has all its landmarks.
    """
    landmarks = np.asarray(landmarks, float)
    known = np.isfinite(landmarks).all(axis=(1, 2))
    if not known.any():
        raise UserError(f"none of {len(landmarks)} faces has all 68 landmarks")
    return fixation_map(landmarks[known].mean(axis=0)[INNER], shape, sigma)


def other_images(count, seed=0):
    """For each of `count` images the number of another one, int [count]: a random cyclic order, none its own.

    Raises ValueError for fewer than 2 images.
    """
    if count < 2:
        raise UserError(f"shuffling needs at least 2 images, got {count}")
    order = np.random.default_rng(seed).permutation(count)
    result = np.empty(count, int)
    result[order] = np.roll(order, 1)
    return result


def split_half(points, subjects, shape, sigma, others=None, *, repeats=10, seed=0):
    """How well half of the people predict the other half on one image: the ceiling for any map.

    Args:
        points: [F, 2] as (x, y) in pixels; subjects: [F] names.
        shape: (H, W); sigma: of the Gaussians, in pixels.
        others: [G, 2] fixations on other images, for the shuffled AUC.
        repeats: random halvings; both directions of each are averaged.

    Returns: dict of `agreement.all_measures`; nan with fewer than 2 people.
    """
    points, subjects = np.asarray(points, float), np.asarray(subjects, dtype=object)
    people, random, found = sorted(set(subjects)), np.random.default_rng(seed), []
    for _ in range(repeats if len(people) > 1 else 0):
        chosen = random.permutation(len(people))[: len(people) // 2]
        first = np.isin(subjects, [people[index] for index in chosen])
        halves = [(points[part], fixation_map(points[part], shape, sigma)) for part in (first, ~first)]
        for (_, said), (seen, human) in (halves, halves[::-1]):
            found.append(all_measures(said, seen, human, others))
    if not found:
        return dict.fromkeys(all_measures(np.ones((1, 1)), [], np.ones((1, 1))), np.nan)
    return {name: float(np.mean([one[name] for one in found])) for name in found[0]}


def compare_maps(maps, fixations, shape, sigma, *, landmarks=None, repeats=1000, seed=0):
    """The model and all baselines against people.

    Args:
        maps: {image: [H, W]} of the model; images without fixations are not used.
        fixations: `fixations.Fixations`, in pixels of the maps.
        shape: (H, W) of the maps; sigma: of the people's Gaussians, in pixels.
        landmarks: optional [n, 68, 2] in pixels, of any faces, for the map of the mean landmarks.
        repeats: of the bootstrap over images.
        seed: of the shuffling, the halving and the bootstrap.

    Returns: {"model", "centre_bias", "mean_landmarks", "shuffled", "ceiling"} -> {measure: {"mean", "interval", "images"}}: the
    mean over the images where it is defined, its 95 % interval, and their number. Absent: "mean_landmarks" without
    landmarks, "shuffled" with a single image.

    Raises ValueError when no image has both a map and fixations.
    """
    images = [image for image in maps if (fixations.image == image).any()]
    if not images:
        raise UserError(f"none of {len(maps)} maps has fixations")
    candidates = {"model": maps, "centre_bias": dict.fromkeys(images, centre_bias(shape))}
    if landmarks is not None:
        candidates["mean_landmarks"] = dict.fromkeys(images, landmark_map(landmarks, shape, sigma))
    if len(images) > 1:
        turns = other_images(len(images), seed)
        candidates["shuffled"] = {image: maps[images[turn]] for image, turn in zip(images, turns)}
    found = {name: [] for name in (*candidates, "ceiling")}
    for number, image in enumerate(images):
        own = fixations.image == image
        seen, others = fixations.points[own], fixations.points[~own]
        human = fixation_map(seen, shape, sigma)
        for name, candidate in candidates.items():
            found[name].append(all_measures(candidate[image], seen, human, others))
        halves = {"seed": [seed, number]}
        found["ceiling"].append(split_half(seen, fixations.subject[own], shape, sigma, others, **halves))
    return {name: _summary(rows, repeats, seed) for name, rows in found.items()}


def compare_paths(paths, fixations, shape, *, repeats=1000, seed=0):
    """A model's scan paths against those of people.

    Args:
        paths: {image: [N, 2]}, the model's places in time order, in pixels; images without fixations are not used.
        fixations: `fixations.Fixations`, in pixels of the same images.
        shape: (H, W) of the images.
        repeats: of the bootstrap over images; seed: of the shuffling and the bootstrap.

    Returns: {"model", "shuffled", "ceiling"} -> {measure: {"mean", "interval", "images"}} of `scan_paths.scan_match`
    and, where its package is installed, the four of `scan_paths.multi_match` as "multi_match_shape", ...: the mean over
    the people (for the ceiling the pairs of people) of an image, then over the images where it is defined. Absent:
    "shuffled" with a single image, "ceiling" where no image has two people.

    Raises ValueError when no image has both a path and fixations.
    """
    people = {}
    for (_, image), points in fixations.paths().items():
        people.setdefault(image, []).append(points)
    images = [image for image in paths if image in people]
    if not images:
        raise UserError(f"none of {len(paths)} scan paths has fixations")
    pairs = {"model": [[(paths[image], other) for other in people[image]] for image in images]}
    if len(images) > 1:
        turns = [images[turn] for turn in other_images(len(images), seed)]
        turned = zip(images, turns, strict=True)
        pairs["shuffled"] = [[(paths[turn], other) for other in people[image]] for image, turn in turned]
    if several := [image for image in images if len(people[image]) > 1]:
        pairs["ceiling"] = [list(itertools.combinations(people[image], 2)) for image in several]
    found = {name: [_paths_alike(each, shape) for each in one] for name, one in pairs.items()}
    return {name: _summary(rows, repeats, seed) for name, rows in found.items()}


def compare_with_fixations(found, read, shape, sigma=None, *, landmarks=None, repeats=1000, seed=0):
    """What a model said of images, compared with people.

    Args:
        found: rows as `edram_fer.run.predictions.unpack` gives them.
        read: `fixations.Fixations`, the images named by the ids of the rows; shape: (H, W) of all images.
        sigma: of the people's maps, in pixels; None: a tenth of the shorter side.
        landmarks, repeats, seed: see `compare_maps`; landmarks of which no face has all are as none.

    Returns: {"maps": of `compare_maps`, "paths": of `compare_paths`, None for a model without windows in time order,
    "images_missed_by_windows": number of images whose windows all miss them and which "maps" leave out}.

    Raises ValueError for rows without windows of their own, or whose windows miss all images.
    """
    if not has_windows(found["windows"]):
        raise UserError("the model sees the whole of every image: there is no place to compare with people's")
    looked = np.flatnonzero(np.isin(found["id"].astype(str), read.image.astype(str)))
    names, windows, weights = found["id"][looked].astype(str), found["windows"][looked], found["weights"][looked]
    options = {"repeats": repeats, "seed": seed}
    maps = {name: weighted_coverage(*pair, shape) for name, *pair in zip(names, windows, weights)}
    seen = {name: each for name, each in maps.items() if each.sum() > 0}
    if maps and not seen:
        raise UserError(f"the windows lie beside all {len(maps)} images that have fixations")
    if landmarks is not None and not np.isfinite(landmarks).all(axis=(1, 2)).any():
        landmarks = None
    sigma = DEGREE * min(shape) if sigma is None else sigma
    result = {"images_missed_by_windows": len(maps) - len(seen), "paths": None}
    result["maps"] = compare_maps(seen, read, shape, sigma, landmarks=landmarks, **options)
    if is_recurrent(found):
        places = pixels(centres(windows), shape)
        result["paths"] = compare_paths(dict(zip(maps, places, strict=True)), read, shape, **options)
    return result


def _paths_alike(pairs, shape):
    """{measure: mean} over pairs of paths in pixels; nan where none of them is long enough."""
    rows, installed = [], importlib.util.find_spec("multimatch_gaze") is not None
    for path, other in pairs:
        row = {"scan_match": float(scan_match(scaled(path, shape), scaled(other, shape)))}
        if installed:
            row |= {f"multi_match_{name}": value for name, value in multi_match(path, other, shape).items()}
        rows.append(row)
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    known = {name: values[np.isfinite(values)] for name, values in columns.items()}
    return {name: float(values.mean()) if len(values) else np.nan for name, values in known.items()}


def _summary(rows, repeats, seed):
    """{measure: mean, interval and number} of dicts of measures, one for each image."""
    result = {}
    for name in rows[0]:
        values = np.array([row[name] for row in rows])
        values = values[np.isfinite(values)]
        mean, interval = np.nan, np.full(2, np.nan)
        if len(values):
            draw = {"repeats": repeats, "seed": seed}
            interval = bootstrap(lambda chosen, v=values: {"mean": v[chosen].mean()}, len(values), **draw)["mean"]
            mean = float(values.mean())
        result[name] = {"mean": mean, "interval": interval, "images": len(values)}
    return result
