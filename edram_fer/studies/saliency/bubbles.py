"""Bubbles maps of a run: which parts of a face, shown alone, are sufficient for a correct prediction."""

from typing import Any

import numpy as np

from edram_fer.attention.bubbles import (
    SUMS,
    add_trials,
    apertures,
    find_bubble_count,
    no_trials,
    reveal,
    scatter,
    z_map,
)
from edram_fer.errors import UserError
from edram_fer.run import layout
from edram_fer.studies.observer import Observer
from edram_fer.studies.perturbations import grey_level
from edram_fer.studies.resumable import Resumable
from edram_fer.studies.saliency.drawing import draw_bubbles
from edram_fer.studies.saliency.results import write_result

CHUNK = 256  # trials per step
PILOT = 2 * CHUNK  # trials for each number of bubbles during the search


def compute_bubbles_maps(
    observer: Observer,
    *,
    sigma: float | None = None,
    bubbles: int | None = None,
    accuracy: float | None = None,
    trials: int = 14000,
    fill: float | str = "mean",
    tolerance: float = 0,
    restart: bool = False,
) -> dict[str, Any]:
    """Bubbles maps of each class (see `attention.bubbles`).

    The trials cycle through the classes, and through the images of each class. The mean number of bubbles is the same
    in all trials: if it changed, trials with more visible pixels would have more correct answers everywhere.

    The run folder receives saliency_bubbles.npz, with "z" [K, H, W] for each class and "z_all" [H, W] (nan where
    undefined), "emotions" [K], "bubbles" and the sums from which z is computed; saliency_bubbles.json; and
    figures/saliency_bubbles.png.

    Args:
        observer: the model and the images.
        sigma: standard deviation of an aperture, in pixels; None: a sixteenth of the shorter side of the image.
        bubbles: mean number of apertures per trial; None: the smallest number that reaches `accuracy`, determined in
            separate trials.
        accuracy: accuracy to reach, in (0, 1); None: halfway between 1 / K and the accuracy for the original images.
        trials: number of trials.
        fill: grey level 0 to 255 where the image is covered, or "mean", the mean of the images.
        tolerance: tolerance of the pointing game, in pixels.
        restart: start again and replace existing maps.

    Returns:
        The content of saliency_bubbles.json: "method", the settings, "accuracy_original", "bubbles", "accuracy" over
        the trials, "emotions" with "trials", "accuracy" and "largest_z" for each, and "mask_scores", see
        `results.write_result`.

    Raises:
        UserError: sigma, the number of bubbles, the accuracy, the fill or the tolerance is out of range, there are
            fewer than 2 trials, a prediction is not finite, or the run holds maps with other settings.
    """
    shape, classes = observer.images.shape[1:3], len(observer.emotions)
    sigma = float(min(shape) / 16) if sigma is None else sigma
    accuracy = (1 / classes + float(observer.original_correct().mean())) / 2 if accuracy is None else accuracy
    _check(sigma, bubbles, accuracy, trials)
    level = grey_level(fill, observer.images)
    number = {"target_accuracy": accuracy} if bubbles is None else {"bubbles": bubbles}
    settings = {"method": "bubbles", **observer.settings(), "sigma": sigma, "trials": trials, "fill": level, **number}
    state = Resumable(
        observer.run / layout.BUBBLES_MAPS,
        settings,
        lambda: {
            "bubbles": np.array(bubbles or _search_bubble_count(observer, accuracy, sigma, level)),
            **no_trials(classes, shape),
        },
        restart=restart,
    )
    count, sums = int(state.arrays["bubbles"]), {name: state.arrays[name] for name in SUMS}
    for step in state.steps(-(-trials // CHUNK), f"{count} bubbles, {CHUNK} trials per step"):
        rows = _trial_rows(np.arange(step * CHUNK, min((step + 1) * CHUNK, trials)), observer.labels)
        masks = apertures(scatter(len(rows), count, shape, [observer.seed, 0, step]), shape, sigma)
        add_trials(sums, masks, _correct(observer, rows, masks, level), observer.labels[rows])
    z, z_all = z_map(sums), z_map({name: values.sum(axis=0) for name, values in sums.items()})
    state.arrays |= {"z": z, "z_all": z_all, "emotions": np.array(observer.emotions)}
    state.save()
    draw_bubbles(observer, state.arrays)
    numbers = {
        "bubbles": count,
        "accuracy": sums["correct"].sum() / trials,
        "emotions": _emotions(observer.emotions, sums, z),
    }
    return write_result(observer, layout.BUBBLES, settings, numbers, z[observer.labels], tolerance)


def _emotions(names, sums, z):
    """{emotion: its number of trials, their accuracy, the largest z}."""
    return {
        name: {"trials": int(trials), "accuracy": correct / max(trials, 1), "largest_z": z_max}
        for name, trials, correct, z_max in zip(names, sums["trials"], sums["correct"], z.max(axis=(1, 2)), strict=True)
    }


def _search_bubble_count(observer, accuracy, sigma, level):
    """The number of bubbles that reaches the accuracy, in trials that do not contribute to the map."""
    shape, rows = observer.images.shape[1:3], _trial_rows(np.arange(PILOT), observer.labels)
    most = int(np.ceil(np.prod(shape) / sigma**2))  # about six apertures over each pixel: hardly anything is covered

    def pilot_accuracy(count):
        masks = apertures(scatter(PILOT, count, shape, [observer.seed, 1]), shape, sigma)
        return _correct(observer, rows, masks, level).mean()

    return find_bubble_count(pilot_accuracy, accuracy, most)


def _trial_rows(trials, labels):
    """Indices of the images of trials, int [m]: the classes in turn, and the images of each class in turn."""
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    turn, number = np.divmod(trials, len(members))
    return np.array([members[k][t % len(members[k])] for k, t in zip(number, turn, strict=True)])


def _correct(observer, rows, masks, level):
    return observer.correct(reveal(observer.images[rows], masks, level), rows)


def _check(sigma, bubbles, accuracy, trials):
    if not sigma > 0:
        raise UserError(f"sigma: expected a positive number of pixels, got {sigma}")
    if bubbles is not None and bubbles < 1:
        raise UserError(f"bubbles: expected at least 1, got {bubbles}")
    if not 0 < accuracy < 1:
        raise UserError(f"accuracy: expected a share between 0 and 1, got {accuracy}")
    if trials < 2:
        raise UserError(f"trials: expected at least 2, got {trials}")
