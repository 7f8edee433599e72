"""The weights of a model's windows, and how they change when a part of the face is covered."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from edram_fer import attention, files, intervals
from edram_fer.attention.maps import mean_face
from edram_fer.attention.windows import is_recurrent
from edram_fer.errors import UserError
from edram_fer.run import layout
from edram_fer.studies.observer import Observer
from edram_fer.studies.perturbations import cover_with_squares, grey_level

# (x0, y0, x1, y1) in the image's [-1, 1], left and right as the viewer sees them, for faces that fill the image.
BOXES = {
    "upper half": (-1, -1, 1, 0),
    "lower half": (-1, 0, 1, 1),
    "left eye": (-0.75, -0.6, -0.05, 0),
    "right eye": (0.05, -0.6, 0.75, 0),
    "mouth": (-0.5, 0.25, 0.5, 0.85),
}
SIDES = (0.2, 0.35, 0.5, 0.65, 0.8)
EDGES = (0, 0.25, 0.5, 0.75, 1)  # upper edges of the bins for the occluded share
_CHUNK = 256  # number of images whose coverage maps are in memory at a time


def region_weights(
    observer: Observer,
    *,
    boxes: Mapping[str, Sequence[float]] | None = None,
    sides: Sequence[float] = SIDES,
    fill: float | str = 0,
) -> dict[str, Any]:
    """Measure the mean weight of each window, without and with occluders; write region_weights.json and its figure.

    The weights of an image sum to 1 and windows overlap: if one window loses weight, others gain it, and an occluder of
    one window also covers parts of others.

    Args:
        observer: its seed determines the positions of the squares, one for each image and side.
        boxes: {name: (x0, y0, x1, y1)} in [-1, 1], see `box_mask`; None: BOXES.
        sides: sides of squares at random positions, as shares of the image's shorter side, see
            `perturbations.cover_with_squares`.
        fill: grey level 0 to 255 of an occluder, or "mean", the mean of the images.

    Returns:
        The content of region_weights.json:
            "split", "images", "seed", "fill" (the level), "windows": the N names (`attention.names`);
            "original": "weight" [N], "weight_interval" [N, 2], "accuracy" and "accuracy_interval" for the original
                images;
            "occluders": a list with the same entries for each occluder; also its "name", its "box" or "side",
                "occluded_share" [N], the mean share of each window that it covers, and "weight_change" [N], the change
                from the original images, with its paired "weight_change_interval" [N, 2];
            "by_occluded_share": the change of a window's weight by the share of THAT window that a square covers. A
                list with an entry for all windows together and one for each window: {"name", "observations",
                "occluded_share" [5], "weight_change" [5], "weight_change_interval" [5, 2]} in the bins 0, (0, .25],
                (.25, .5], (.5, .75], (.75, 1]; None in a bin without observations.
        Intervals are those of `intervals.bootstrap`, 95 %; "intervals_note" says what the number of subjects means for
        them.

    Raises:
        UserError: the model does not weigh several windows, a box or side is out of range, the fill is not a grey
            level, or a prediction is not finite.
    """
    from edram_fer.figures.region_weights import region_weights as draw  # imports Matplotlib
    from edram_fer.figures.style import save

    original, shape, count = observer.original, observer.images.shape[1:3], len(observer.images)
    attention.require_weighted_windows(observer.run, original["windows"], is_recurrent(original))
    level, random = grey_level(fill, observer.images), np.random.default_rng(observer.seed)
    occluders = _occluders(BOXES if boxes is None else boxes, sides, shape, random, count)
    weights, correct, shares = [original["weights"]], [observer.original_correct()], []
    for _, mask in tqdm(occluders, desc="occluders", disable=None):
        images = np.where(mask[..., None], np.uint8(round(level)), observer.images)
        outputs = observer.outputs(images, np.arange(count))
        weights.append(outputs["weights"])
        correct.append(outputs["probabilities"][:, -1].argmax(axis=1) == observer.labels)
        shares.append(occluded_share(outputs["windows"], mask))
    weights = np.array(weights, float)
    shares = np.array(shares).reshape(len(occluders), *original["weights"].shape)
    rows = _rows(weights, np.array(correct, float), observer)
    squares = ["side" in settings for settings, _ in occluders]
    names = attention.names(original["windows"].mean(axis=0))
    curves = []
    if any(squares):
        changes, options = weights[1:] - weights[0], {"subjects": observer.subjects, "seed": observer.seed}
        curves = change_by_occluded_share(changes[squares], shares[squares], names, **options)
    result = {
        "split": observer.split,
        "images": count,
        "seed": observer.seed,
        "fill": level,
        "windows": names,
        "original": {name: rows[0][name] for name in ("weight", "weight_interval", "accuracy", "accuracy_interval")},
        "occluders": [
            {**settings, "occluded_share": share.mean(axis=0), **row}
            for (settings, _), share, row in zip(occluders, shares, rows[1:], strict=True)
        ],
        "by_occluded_share": curves,
        "intervals_note": intervals.note(observer.subjects),
    }
    result = files.plain(result)
    figure = draw(result, mean_face(observer.images), [mask[0] for _, mask in occluders])
    save(figure, observer.run / layout.FIGURES / layout.REGION_WEIGHTS_FIGURE)
    files.write_json(observer.run / layout.REGION_WEIGHTS, result)  # last: whoever finds it needs not repeat this
    return result


def box_mask(name: str, box: Sequence[float], shape: tuple[int, int]) -> np.ndarray:
    """Which pixels have their centre in a box.

    Args:
        name: name of the box, for the message.
        box: (x0, y0, x1, y1) in [-1, 1], with aligned corners.
        shape: (H, W) of the image.

    Returns:
        bool [H, W].

    Raises:
        UserError: not -1 <= x0 < x1 <= 1 and -1 <= y0 < y1 <= 1.

    >>> box_mask("left", (-1, -1, 0, 1), (1, 3)).tolist()
    [[True, True, False]]
    """
    if len(box) != 4 or not (-1 <= box[0] < box[2] <= 1 and -1 <= box[1] < box[3] <= 1):
        raise UserError(f"box {name!r}: expected x0, y0, x1, y1 from -1 to 1 with x0 < x1 and y0 < y1, got {box}")
    y, x = (np.linspace(-1, 1, points) for points in shape)
    return ((y >= box[1]) & (y <= box[3]))[:, None] & ((x >= box[0]) & (x <= box[2]))


def occluded_share(windows: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Occluded share of each window, relative to the part of the window inside the image.

    Args:
        windows: [n, N, 2, 3].
        masks: bool [n or 1, H, W], where the images are covered.

    Returns:
        [n, N] in [0, 1]; 0 for a window outside the image.
    """
    result = np.zeros(windows.shape[:2])
    for start in range(0, len(windows), _CHUNK):
        part = slice(start, start + _CHUNK)
        coverage = attention.coverage(windows[part], masks.shape[1:])
        mask = masks if len(masks) == 1 else masks[part]
        hidden, visible = (coverage * mask[:, None]).sum(axis=(2, 3)), coverage.sum(axis=(2, 3))
        np.divide(hidden, visible, out=result[part], where=coverage.any(axis=(2, 3)))
    return result


def change_by_occluded_share(
    changes: np.ndarray,
    shares: np.ndarray,
    names: Sequence[str],
    *,
    subjects: Sequence[str] | np.ndarray | None = None,
    repeats: int = 1000,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """The change of a window's weight by the share of the window that is occluded.

    Args:
        changes: changes of the weights [S, n, N], for S occluders, n images and N windows.
        shares: occluded shares [S, n, N].
        names: names of the N windows.
        subjects: [n] names, resampled together; None: the images are resampled.
        repeats: number of bootstrap samples.
        seed: seed of the bootstrap.

    Returns:
        The list "by_occluded_share" of `region_weights`, with arrays.
    """
    bins = np.where(shares > 0, np.searchsorted(EDGES, shares, side="left"), 0)
    inside = bins[..., None] == np.arange(len(EDGES))  # [S, n, N, bins]
    image_sums = {  # [n, N, bins]
        "observations": inside.sum(axis=0),
        "occluded_share": (inside * shares[..., None]).sum(axis=0),
        "weight_change": (inside * changes[..., None]).sum(axis=0),
    }

    def statistic(rows):
        sums = {name: values[rows].sum(axis=0) for name, values in image_sums.items()}
        sums = {name: np.concatenate([values.sum(axis=0, keepdims=True), values]) for name, values in sums.items()}
        observations = sums["observations"]
        count = np.where(observations, observations, np.nan)
        means = {name: sums[name] / count for name in ("occluded_share", "weight_change")}
        return {"observations": observations, **means}

    numbers = statistic(slice(None))
    numbers["weight_change_interval"] = intervals.bootstrap(
        lambda rows: {"interval": statistic(rows)["weight_change"]},
        changes.shape[1],
        subjects=subjects,
        repeats=repeats,
        seed=seed,
    )["interval"]
    return [
        {"name": name, **{key: values[row] for key, values in numbers.items()}}
        for row, name in enumerate(["all", *names])
    ]


def _occluders(boxes, sides, shape, random, count):
    """[({"name", "box" or "side"}, mask bool [1 or count, H, W])] of all boxes and squares."""
    occluders = [({"name": name, "box": list(box)}, box_mask(name, box, shape)[None]) for name, box in boxes.items()]
    for side in sorted(sides):
        if not 0 < side <= 1:
            raise UserError(f"side: expected more than 0, at most 1, got {side}")
        blank = np.zeros((count, *shape, 1), np.uint8)
        mask = cover_with_squares(blank, side, random.uniform(size=(count, 2)), fill=1)[..., 0] > 0
        occluders.append(({"name": f"square {side:.0%}", "side": side}, mask))
    return occluders


def _rows(weights, correct, observer):
    """Mean weights, their changes and accuracies, with intervals: a dict for each of J variants of the images.

    Args:
        weights: [J, n, N], the original images first.
        correct: [J, n].
        observer: its subjects and seed are used for the intervals.
    """

    def statistic(rows):
        weight, accuracy = weights[:, rows].mean(axis=1), correct[:, rows].mean(axis=1)
        return {"weight": weight, "weight_change": weight - weight[0], "accuracy": accuracy}

    numbers = statistic(slice(None))
    ends = intervals.bootstrap(
        statistic, weights.shape[1], shares=("accuracy",), subjects=observer.subjects, seed=observer.seed
    )
    numbers |= {f"{name}_interval": values for name, values in ends.items()}
    return [{name: values[row] for name, values in numbers.items()} for row in range(len(weights))]
