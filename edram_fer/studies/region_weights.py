"""Where the weights of a model's windows go when a part of the face is covered."""

import numpy as np
from tqdm.auto import tqdm

from edram_fer import attention, files, intervals
from edram_fer.attention.maps import mean_face
from edram_fer.attention.windows import is_recurrent
from edram_fer.errors import UserError
from edram_fer.run import layout
from edram_fer.studies.robustness import occluded
from edram_fer.studies.saliency.outcome import grey_level

# (x0, y0, x1, y1) in the face's [-1, 1], left and right as the viewer sees them; of faces that fill the image.
BOXES = {
    "upper half": (-1, -1, 1, 0),
    "lower half": (-1, 0, 1, 1),
    "left eye": (-0.75, -0.6, -0.05, 0),
    "right eye": (0.05, -0.6, 0.75, 0),
    "mouth": (-0.5, 0.25, 0.5, 0.85),
}
SIDES = (0.2, 0.35, 0.5, 0.65, 0.8)
EDGES = (0, 0.25, 0.5, 0.75, 1)
_CHUNK = 256  # images whose coverage maps are held at once


def region_weights(observer, *, boxes=None, sides=SIDES, fill=0):
    """Mean weight of each window on the images and under each cover; write region_weights.json and its figure.

    Args:
        observer: `edram_fer.studies.observer.Observer`; the places of the squares are drawn by its seed, once for each
            image and side.
        boxes: {name: (x0, y0, x1, y1)} in [-1, 1], see `box_mask`; None: BOXES.
        sides: of squares at random places, as shares of the image's shorter side, see `robustness.occluded`.
        fill: grey level 0 to 255 of a cover, or "mean", that of the images.

    Returns: the content of region_weights.json:
        "split", "images", "seed", "fill" (the level), "windows": the N names (`attention.names`);
        "original": "weight" [N] and "weight_interval" [N, 2] on the images as they are, "accuracy", "accuracy_interval";
        "occluders": a list of the same under each cover with its "name", "box" or "side", "occluded_share" [N] (the mean share
        of each window that the cover hides), "weight_change" [N] from the images as they are, and its
        "weight_change_interval" [N, 2], paired;
        "by_occluded_share": how the weight of a window changes with the share of THAT window that a square hides: a list, the
        first of all windows together, then of each, of {"name", "observations", "occluded_share", "weight_change" [5],
        "weight_change_interval" [5, 2]} in the bins 0, (0, .25], (.25, .5], (.5, .75], (.75, 1]; None in a bin without observations.
    Intervals are 95 % bootstraps over the images. The weights of an image sum to 1 and windows overlap: what one
    window loses others gain, and whoever covers one covers parts of others.

    Raises ValueError for a model that does not weigh several windows, a box or side out of its range, a fill that is
    no grey level, or an answer that is not finite.
    """
    from edram_fer.figures.region_weights import region_weights as draw  # Matplotlib only where something is drawn
    from edram_fer.figures.style import save

    whole, shape, count = observer.original, observer.images.shape[1:3], len(observer.images)
    windows = whole["windows"]
    attention.require_weighted_windows(observer.run, windows, is_recurrent(whole))
    level, random = grey_level(fill, observer.images), np.random.default_rng(observer.seed)
    covers = _covers(BOXES if boxes is None else boxes, sides, shape, random, count)
    weights, right, covered = [whole["weights"]], [observer.original_correct()], []
    for _, mask in tqdm(covers, desc="covers", disable=None):
        changed = np.where(mask[..., None], np.uint8(round(level)), observer.images)
        found = observer.outputs(changed, np.arange(count))
        weights.append(found["weights"])
        right.append(found["probabilities"][:, -1].argmax(axis=1) == observer.labels)
        covered.append(hidden(found["windows"], mask))
    weights, covered = np.array(weights, float), np.array(covered).reshape(len(covers), *whole["weights"].shape)
    rows = _rows(weights, np.array(right, float), observer)
    squares = ["side" in about for about, _ in covers]
    names = attention.names(windows.mean(axis=0))
    result = files.plain(
        {
            **{"split": observer.split, "images": count, "seed": observer.seed, "fill": level, "windows": names},
            "original": {
                name: rows[0][name] for name in ("weight", "weight_interval", "accuracy", "accuracy_interval")
            },
            "occluders": [
                {**about, "occluded_share": share.mean(axis=0), **row}
                for (about, _), share, row in zip(covers, covered, rows[1:], strict=True)
            ],
            "by_occluded_share": by_share(
                (weights[1:] - weights[0])[squares],
                covered[squares],
                names,
                subjects=observer.subjects,
                seed=observer.seed,
            )
            if any(squares)
            else [],
        }
    )
    files.write_json(observer.run / layout.REGION_WEIGHTS, result)
    save(
        draw(result, mean_face(observer.images), [mask[0] for _, mask in covers]),
        observer.run / layout.FIGURES / layout.REGION_WEIGHTS_FIGURE,
    )
    return result


def box_mask(name, box, shape):
    """Which pixels have their centre in a box, bool [H, W].

    Args:
        name: of the box, for the error; box: (x0, y0, x1, y1) in [-1, 1], align corners; shape: (H, W).

    Raises ValueError unless -1 <= x0 < x1 <= 1 and -1 <= y0 < y1 <= 1.
    """
    if len(box) != 4 or not (-1 <= box[0] < box[2] <= 1 and -1 <= box[1] < box[3] <= 1):
        raise UserError(f"box {name!r}: expected x0, y0, x1, y1 from -1 to 1 with x0 < x1 and y0 < y1, got {box}")
    y, x = (np.linspace(-1, 1, points) for points in shape)
    return ((y >= box[1]) & (y <= box[3]))[:, None] & ((x >= box[0]) & (x <= box[2]))


def hidden(windows, masks):
    """Share of each window's part of the image that is covered.

    Args:
        windows: [n, N, 2, 3]; masks: bool [n or 1, H, W], where the images are covered.

    Returns: [n, N] in [0, 1]; 0 for a window beside the image.
    """
    found = np.zeros(windows.shape[:2])
    for start in range(0, len(windows), _CHUNK):
        part = slice(start, start + _CHUNK)
        seen = attention.coverage(windows[part], masks.shape[1:])
        mask = masks if len(masks) == 1 else masks[part]
        np.divide(
            (seen * mask[:, None]).sum(axis=(2, 3)), seen.sum(axis=(2, 3)), out=found[part], where=seen.any(axis=(2, 3))
        )
    return found


def by_share(differences, covered, names, *, subjects=None, repeats=1000, seed=0):
    """The change of a window's weight by the share of it that is covered.

    Args:
        differences, covered: [S, n, N] of S covers, n images and N windows.
        names: of the windows; subjects: optional [n], resampled together.

    Returns: list as "by_occluded_share" of `region_weights`, with arrays.
    """
    bins = np.where(covered > 0, np.searchsorted(EDGES, covered, side="left"), 0)
    inside = bins[..., None] == np.arange(len(EDGES))  # [S, n, N, bins]
    per_image = {  # [n, N, bins]: what sums over images are made of
        "observations": inside.sum(axis=0),
        "occluded_share": (inside * covered[..., None]).sum(axis=0),
        "weight_change": (inside * differences[..., None]).sum(axis=0),
    }

    def statistic(rows):
        sums = {name: values[rows].sum(axis=0) for name, values in per_image.items()}
        sums = {name: np.concatenate([value.sum(axis=0, keepdims=True), value]) for name, value in sums.items()}
        number = np.where(sums["observations"], sums["observations"], np.nan)
        return {
            "observations": sums["observations"],
            **{name: sums[name] / number for name in ("occluded_share", "weight_change")},
        }

    found = statistic(slice(None))
    interval = intervals.bootstrap(
        lambda rows: {"interval": statistic(rows)["weight_change"]},
        differences.shape[1],
        subjects=subjects,
        repeats=repeats,
        seed=seed,
    )["interval"]
    return [
        {"name": name, **{key: values[row] for key, values in found.items()}, "weight_change_interval": interval[row]}
        for row, name in enumerate(["all", *names])
    ]


def _covers(boxes, sides, shape, random, count):
    """[({"name", "box" or "side"}, mask bool [1 or count, H, W])] of all boxes and squares."""
    covers = [({"name": name, "box": list(box)}, box_mask(name, box, shape)[None]) for name, box in boxes.items()]
    for side in sorted(sides):
        if not 0 < side <= 1:
            raise UserError(f"side: expected more than 0, at most 1, got {side}")
        blank = np.zeros((count, *shape, 1), np.uint8)
        mask = occluded(blank, side, random.uniform(size=(count, 2)), fill=1)[..., 0] > 0
        covers.append(({"name": f"square {side:.0%}", "side": side}, mask))
    return covers


def _rows(weights, right, observer):
    """Mean weights and accuracies of `weights` [J, n, N] and `right` [J, n], the first of the images as they are, and
    what they differ from it: a dict for each of the J."""

    def statistic(rows):
        weight, accuracy = weights[:, rows].mean(axis=1), right[:, rows].mean(axis=1)
        return {"weight": weight, "weight_change": weight - weight[0], "accuracy": accuracy}

    found = statistic(slice(None))
    ends = intervals.bootstrap(statistic, weights.shape[1], subjects=observer.subjects, seed=observer.seed)
    return [
        {
            **{name: values[row] for name, values in found.items()},
            **{f"{name}_interval": values[row] for name, values in ends.items()},
        }
        for row in range(len(weights))
    ]
