"""Must a model look six times? Accuracy after each glimpse, and when it may stop as soon as it is sure."""

import numpy as np

from edram_fer.errors import UserError
from edram_fer.intervals import bootstrap

THRESHOLDS = np.append(np.linspace(0, 1, 101), np.inf)  # 0: always after the first glimpse; inf: never early


def curve_from_predictions(predictions, **options):
    """`curve` of a split's predictions, over the rows whose true emotion the model knows.

    Args:
        predictions: rows of one split as `edram_fer.run.predictions.unpack` gives them.
        options: of `curve`.

    Returns: as `curve`, and "excluded", the number of other rows.

    Raises ValueError when no row is left.
    """
    number = {name: index for index, name in enumerate(predictions["emotions"])}
    truth = np.array([number.get(name, -1) for name in predictions["truth"]], int)
    known = np.flatnonzero(truth >= 0)
    subjects = predictions["subjects"][known] if predictions["subjects"] is not None else None
    return {
        **curve(truth[known], predictions["probabilities"][known], subjects=subjects, **options),
        "excluded": len(truth) - len(known),
    }


def curve(truth, probabilities, *, thresholds=THRESHOLDS, subjects=None, repeats=1000, seed=0):
    """Accuracy against the mean number of glimpses, when an image is done as soon as the model is sure enough.

    The prediction is that of the first glimpse after which the top probability is at least the threshold, or else of
    the last glimpse.

    Args:
        truth: int [n], indices of the true classes.
        probabilities: [n, T, K] after each of T glimpses.
        thresholds: [M].
        subjects, repeats, seed: of the intervals, see `intervals.bootstrap`.

    Returns: dict of
        images: n;
        accuracy_after_glimpse: [T] when all stop after that glimpse; accuracy_after_glimpse_interval: [T, 2], 95 %;
        thresholds: [M];
        mean_glimpses: [M] mean number of glimpses, from 1 to T;
        accuracy, accuracy_interval: [M] and [M, 2];
        exit_share: [M, T] share of the images that stop after each glimpse.

    Raises ValueError when there are no images, the shapes do not agree or a probability is not finite.
    """
    truth, probabilities = np.asarray(truth), np.asarray(probabilities)
    if probabilities.ndim != 3 or not probabilities.size or truth.shape != probabilities.shape[:1]:
        raise UserError(
            f"expected probabilities [n > 0, T, K] and n labels, got {list(probabilities.shape)} and {truth.shape}"
        )
    if bad := np.sum(~np.isfinite(probabilities).all(axis=(1, 2))):
        raise UserError(f"probabilities of {bad} of {len(truth)} images are not finite")
    steps = probabilities.shape[1]
    right = probabilities.argmax(axis=-1) == truth[:, None]
    last = stops(probabilities, thresholds)
    exits = np.stack([np.bincount(column, minlength=steps) for column in last.T]) / len(truth)
    early = np.take_along_axis(right, last, axis=1)

    def statistic(rows):
        return {"accuracy_after_glimpse": right[rows].mean(axis=0), "accuracy": early[rows].mean(axis=0)}

    ends = bootstrap(statistic, len(truth), subjects=subjects, repeats=repeats, seed=seed)
    return {
        "images": len(truth),
        **statistic(slice(None)),
        **{f"{name}_interval": values for name, values in ends.items()},
        "thresholds": np.asarray(thresholds, float),
        "mean_glimpses": exits @ np.arange(1, steps + 1),
        "exit_share": exits,
    }


def stops(probabilities, thresholds):
    """Index of the glimpse, 0 to T - 1, after which each image is done: int [n, M] for probabilities [n, T, K] and
    thresholds [M]."""
    sure = np.max(probabilities, axis=-1)[..., None] >= np.asarray(thresholds, float)
    sure[:, -1] = True
    return sure.argmax(axis=1)
