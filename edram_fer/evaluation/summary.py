"""From a predictions table to the scores in metrics.json."""

from typing import Any

import numpy as np
import pyarrow as pa

from edram_fer import attention
from edram_fer.errors import UserError
from edram_fer.evaluation import scores as measures
from edram_fer.evaluation.calibration import rescale
from edram_fer.preprocessing.emotions import ordered
from edram_fer.run import predictions


def scores(rows: pa.Table, *, repeats: int = 1000, seed: int = 0) -> dict[str, Any]:
    """All scores of the predictions for one split. Images whose emotion the model does not know are excluded.

    Args:
        rows: The rows of one split, as returned by `predictions.table`.
        repeats, seed: Samples and seed of the bootstrap intervals.

    Returns:
        "images": number of scored images.
        "excluded": {emotion or "unknown": number of excluded images}.
        All entries of `scores.classification`, with the classes in the order of `emotions.ordered`. An average over
        views is not compared with uncalibrated probabilities, and its prediction sets are not checked.
        "valence" and "arousal" from `scores.affect`, if the model predicts them.
        "glimpses": lists with an entry for each of N windows: "x", "y" and "zoom" with "x_sd", "y_sd" and "zoom_sd"
        (`attention.glimpse_statistics`); mean "area" and "extents"; "variance" of the centres, split into
        "variance_within" and "variance_between" the classes, "spread" and "collapsed" (`attention.spread`);
        and for each of N - 1 moves the mean "move_length" and the "saccade_share" (`attention.saccades`).

    Raises:
        UserError: No image has an emotion that the model knows.
    """
    unpacked = predictions.unpack(rows)
    emotions = list(ordered(unpacked["emotions"]))
    order = [unpacked["emotions"].index(name) for name in emotions]
    has_emotion = np.isin(unpacked["truth"], emotions)
    excluded, counts = np.unique([name or "unknown" for name in unpacked["truth"][~has_emotion]], return_counts=True)
    if not has_emotion.any():
        raise UserError(f"no image has an emotion that the model knows ({', '.join(emotions)})")
    truth = np.array([emotions.index(name) for name in unpacked["truth"][has_emotion]])
    options: dict[str, Any] = {"repeats": repeats, "seed": seed}
    options["subjects"] = None if unpacked["subjects"] is None else unpacked["subjects"][has_emotion]
    probabilities = unpacked["probabilities"][has_emotion][:, :, order]
    calibration, calibrated = unpacked["calibration"], {}
    if calibration is not None and predictions.average(rows["split"][0].as_py())[1] is None:
        inverse = [1 / temperature for temperature in np.atleast_1d(calibration["temperature"])]
        calibrated["uncalibrated"] = rescale(probabilities, inverse)[:, -1]
        calibrated["conformal"] = calibration.get("conformal")
    result = {
        "images": int(has_emotion.sum()),
        "excluded": dict(zip(excluded.tolist(), counts.tolist(), strict=True)),
        **measures.classification(truth, probabilities, emotions, **calibrated, **options),
    }
    if np.isfinite(unpacked["affect"]).all():
        result |= measures.affect(unpacked["true_affect"][has_emotion], unpacked["affect"][has_emotion], **options)
    return {**result, "glimpses": _glimpses(unpacked["windows"][has_emotion], truth)}


def _glimpses(windows, classes):
    """Statistics of windows [n, N, 2, 3] of images of `classes` int [n], for each window or each move between two."""
    spread = attention.spread(windows, classes)
    return {
        **attention.glimpse_statistics(windows),
        "area": attention.area(windows).mean(axis=0),
        "extents": attention.extents(windows).mean(axis=0),
        "move_length": attention.moves(windows).mean(axis=0),
        "saccade_share": attention.saccades(windows).mean(axis=0),
        **spread,
    }
