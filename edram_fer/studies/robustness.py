"""How much change of an image a run's answers bear: a growing occluder, a growing turn."""

import cv2
import numpy as np
from tqdm.auto import tqdm

from edram_fer import files, intervals
from edram_fer.errors import UserError
from edram_fer.run import layout

SIDES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
ANGLES = (0.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0)
PERTURBATIONS = ("occlusion", "rotation")


def robustness(observer, *, sides=SIDES, angles=ANGLES):
    """Accuracy under each size of the square and each angle; write robustness.json and figures/robustness.svg.

    Args:
        observer: `edram_fer.studies.observer.Observer`; places and directions are drawn by its seed, once for each
            image, so that the square grows at its place and the turn goes on in its direction.
        sides: of the black square, see `occluded`; angles: of the turn, in degrees, see `rotated`.

    Returns: the content of robustness.json: "split", "images", "seed", "majority_accuracy" (the accuracy of always saying
    the most frequent class), and "occlusion" and "rotation", lists of {"level", "accuracy", "accuracy_interval", "drop",
    "drop_interval"}: the drop is from the unchanged images. Intervals are 95 % bootstraps over the images.

    Raises ValueError for a side outside [0, 1], an angle outside [-180, 180], or an answer that is not finite.
    """
    from edram_fer.figures.multi_run import robustness_curves  # Matplotlib only where something is drawn
    from edram_fer.figures.style import save

    for name, values, low, high in (("side", sides, 0, 1), ("angle", angles, -180, 180)):
        for value in values:
            if not low <= value <= high:
                raise UserError(f"{name}: expected {low} to {high}, got {value}")
    count = len(observer.images)
    random = np.random.default_rng(observer.seed)
    places, ways = random.uniform(size=(count, 2)), random.choice((-1, 1), count)
    jobs = [("occlusion", side) for side in sorted(sides)] + [("rotation", angle) for angle in sorted(angles)]
    right = {("whole", 0): observer.original_correct()}
    for kind, level in tqdm(jobs, desc="changes", disable=None):
        if kind == "occlusion":
            right[kind, level] = observer.correct(occluded(observer.images, level, places), np.arange(count))
        else:
            points = observer.landmarks
            points = None if points is None else turned(points, level * ways, observer.images.shape[1:3])
            right[kind, level] = observer.correct(rotated(observer.images, level * ways), np.arange(count), points)
    rows = _rows(right, observer)
    result = {
        "split": observer.split,
        "images": count,
        "seed": observer.seed,
        "majority_accuracy": float(np.bincount(observer.labels).max() / count),
        **{kind: [{"level": level, **rows[kind, level]} for k, level in jobs if k == kind] for kind in PERTURBATIONS},
    }
    files.write_json(observer.run / layout.ROBUSTNESS, result)
    save(
        robustness_curves(table_rows(result, observer.run.name), [observer.run.name]),
        observer.run / layout.FIGURES / layout.ROBUSTNESS_FIGURE,
    )
    return result


def table_rows(result, run):
    """A row for each change and level of what `robustness` gives of a run.

    Returns: dicts of run, its name; perturbation, of `PERTURBATIONS`, and level; accuracy and drop, its fall from the unchanged
    images, with 95 % intervals (low, high, drop_low, drop_high); images and seed, of their choice; majority_accuracy,
    the accuracy of always saying their most frequent class.
    """
    about, rows = {name: result[name] for name in ("images", "seed", "majority_accuracy")}, []
    for change in PERTURBATIONS:
        for found in result[change]:
            (low, high), (drop_low, drop_high) = found["accuracy_interval"], found["drop_interval"]
            row = {"run": run, "perturbation": change, "level": found["level"], "accuracy": found["accuracy"]}
            row |= {"low": low, "high": high, "drop": found["drop"], "drop_low": drop_low, "drop_high": drop_high}
            rows.append(row | about)
    return rows


def occluded(images, share, places, fill=0):
    """Images with a square in each.

    Args:
        images: uint8 [n, H, W, C].
        share: side of the square as a share of the shorter side, in [0, 1]; rounded to whole pixels.
        places: [n, 2] in [0, 1]: how far down and to the right of where it fits.
        fill: grey level 0 to 255, or one for each channel.

    Returns: uint8 [n, H, W, C].
    """
    side = round(share * min(images.shape[1:3]))
    room = np.array(images.shape[1:3]) - side
    changed = np.array(images)
    for image, (top, left) in zip(changed, np.rint(places * room).astype(int), strict=True):
        image[top : top + side, left : left + side] = fill
    return changed


def rotated(images, angles):
    """Images uint8 [n, H, W, C], each turned about its middle by `angles` [n] in degrees, counter-clockwise:
    bilinear, the border repeated outward."""
    height, width = images.shape[1:3]
    changed = np.empty_like(images)
    for index, (image, angle) in enumerate(zip(images, angles, strict=True)):
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), float(angle), 1)
        options = {"flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REPLICATE}
        changed[index] = cv2.warpAffine(image, matrix, (width, height), **options).reshape(image.shape)
    return changed


def turned(points, angles, shape):
    """Points (x, y) [n, m, 2] in pixels of images of `shape` (H, W), turned with them as by `rotated`."""
    middle = (np.array(shape[::-1]) - 1) / 2
    c, s = np.cos(np.radians(angles)), np.sin(np.radians(angles))
    matrices = np.stack([np.stack([c, s], axis=-1), np.stack([-s, c], axis=-1)], axis=-2)
    return np.einsum("nij,nmj->nmi", matrices, points - middle) + middle


def _rows(right, observer):
    """{key: accuracy, its fall from the whole images, and both intervals} of {key: bool [n]}."""
    names, values = list(right), np.array(list(right.values()), float)

    def statistic(rows):
        accuracy = values[:, rows].mean(axis=1)
        return {"accuracy": accuracy, "drop": accuracy[0] - accuracy}

    found = statistic(slice(None))
    ends = intervals.bootstrap(statistic, values.shape[1], subjects=observer.subjects, seed=observer.seed)
    return {
        name: {
            "accuracy": float(found["accuracy"][row]),
            "accuracy_interval": ends["accuracy"][row].tolist(),
            "drop": float(found["drop"][row]),
            "drop_interval": ends["drop"][row].tolist(),
        }
        for row, name in enumerate(names)
    }
