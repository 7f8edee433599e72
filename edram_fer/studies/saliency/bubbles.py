"""Bubbles maps of a run: which parts of a face, shown alone, let its model answer right."""

import numpy as np

from edram_fer.attention.bubbles import (
    SUMS,
    add_trials,
    apertures,
    enough_bubbles,
    no_trials,
    revealed,
    scatter,
    z_map,
)
from edram_fer.errors import UserError
from edram_fer.run import layout
from edram_fer.studies.resumable import Resumable
from edram_fer.studies.saliency.drawing import draw_bubbles
from edram_fer.studies.saliency.outcome import finish, grey_level

CHUNK = 256  # trials of a step
PILOT = 2 * CHUNK  # trials for each number of bubbles that is tried


def bubbles(observer, *, sigma=None, number=None, accuracy=None, trials=14000, fill="mean", tolerance=0, restart=False):
    """Bubbles maps of each class (see `attention.bubbles`).

    The classes come up in turns, and in each its images. The mean number of bubbles is the same in all trials: were
    it changed on the way, more open masks would go with more right answers everywhere.

    Args:
        observer: `edram_fer.studies.observer.Observer`.
        sigma: of an aperture, in pixels; None: a sixteenth of the shorter side.
        number: mean number of apertures in a trial; None: the least that reach the wanted `accuracy`, found in trials
            of their own.
        accuracy: wanted, in (0, 1); None: half way from 1 / K to that of the whole images.
        trials: in all.
        fill: grey level 0 to 255 where the image is covered, or "mean", that of the images.
        tolerance: of the pointing game, in pixels.
        restart: begin again in place of what was begun with other settings.

    Writes, into the run folder, saliency_bubbles.npz with "z" [K, H, W] of each class and "z_all" [H, W] (nan where not
    defined), "emotions" [K], "bubbles" and the sums that z is made from; saliency_bubbles.json; and
    figures/saliency_bubbles.png.

    Returns: the content of the JSON file.

    Raises ValueError for a sigma, number, accuracy, fill or tolerance out of range, fewer than 2 trials, for an answer
    that is not finite, and where maps with other settings lie in the run.
    """
    shape, classes = observer.images.shape[1:3], len(observer.emotions)
    sigma = min(shape) / 16 if sigma is None else sigma
    accuracy = (1 / classes + float(observer.original_correct().mean())) / 2 if accuracy is None else accuracy
    _check(sigma, number, accuracy, trials)
    level = grey_level(fill, observer.images)
    aim = {"target_accuracy": accuracy} if number is None else {"bubbles": number}
    settings = {"method": "bubbles", **observer.settings(), "sigma": sigma, "trials": trials, "fill": level, **aim}
    state = Resumable(
        observer.run / layout.BUBBLES_MAPS,
        settings,
        lambda: {
            "bubbles": np.array(number or _enough(observer, accuracy, sigma, level)),
            **no_trials(classes, shape),
        },
        restart=restart,
    )
    count, sums = int(state.arrays["bubbles"]), {name: state.arrays[name] for name in SUMS}
    for step in state.steps(-(-trials // CHUNK), f"{count} bubbles, {CHUNK} trials a step"):
        rows = _in_turns(np.arange(step * CHUNK, min((step + 1) * CHUNK, trials)), observer.labels)
        masks = apertures(scatter(len(rows), count, shape, [observer.seed, 0, step]), shape, sigma)
        add_trials(sums, masks, _right(observer, rows, masks, level), observer.labels[rows])
    z, z_all = z_map(sums), z_map({name: values.sum(axis=0) for name, values in sums.items()})
    state.arrays |= {"z": z, "z_all": z_all, "emotions": np.array(observer.emotions)}
    state.save()
    draw_bubbles(observer, state.arrays)
    emotions = _of_emotions(observer.emotions, sums, z)
    found = {"bubbles": count, "accuracy": sums["correct"].sum() / trials, "emotions": emotions}
    return finish(observer, settings, found, z[observer.labels], tolerance, layout.BUBBLES)


def _of_emotions(names, sums, z):
    """{emotion: its trials, the share of right answers, the largest z}."""
    return {
        name: {"trials": int(seen), "accuracy": right / max(seen, 1), "largest_z": largest}
        for name, seen, right, largest in zip(names, sums["trials"], sums["correct"], z.max(axis=(1, 2)), strict=True)
    }


def _enough(observer, accuracy, sigma, level):
    """Number of bubbles with which the accuracy is as wanted, in trials that the map does not count."""
    shape, rows = observer.images.shape[1:3], _in_turns(np.arange(PILOT), observer.labels)
    most = int(np.ceil(np.prod(shape) / sigma**2))  # six apertures over each pixel: next to nothing is covered

    def reached(count):
        masks = apertures(scatter(PILOT, count, shape, [observer.seed, 1]), shape, sigma)
        return _right(observer, rows, masks, level).mean()

    return enough_bubbles(reached, accuracy, most)


def _in_turns(trials, labels):
    """Rows of the images of trials, int [m]: the classes in turns, and the images of each in turns."""
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    turn, number = np.divmod(trials, len(members))
    return np.array([members[k][t % len(members[k])] for k, t in zip(number, turn)])


def _right(observer, rows, masks, level):
    return observer.correct(revealed(observer.images[rows], masks, level), rows)


def _check(sigma, number, accuracy, trials):
    if not sigma > 0:
        raise UserError(f"sigma: expected a positive number of pixels, got {sigma}")
    if number is not None and number < 1:
        raise UserError(f"bubbles: expected at least 1, got {number}")
    if not 0 < accuracy < 1:
        raise UserError(f"accuracy: expected a share between 0 and 1, got {accuracy}")
    if trials < 2:
        raise UserError(f"trials: expected at least 2, got {trials}")
