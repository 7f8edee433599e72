"""Early exit: accuracy after each glimpse, and accuracy when a model stops as soon as it is confident."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from edram_fer.errors import UserError
from edram_fer.intervals import bootstrap_means

THRESHOLDS = np.append(np.linspace(0, 1, 101), np.inf)  # 0: always stop after the first glimpse; inf: never stop early


def curve_from_predictions(
    predictions: Mapping[str, Any], *, thresholds: ArrayLike = THRESHOLDS, repeats: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """`curve` for the predictions of a split, over the rows whose true emotion the model knows.

    Args:
        predictions: rows of one split as returned by `edram_fer.run.predictions.unpack`.
        thresholds: see `curve`.
        repeats: see `curve`.
        seed: see `curve`.

    Returns:
        The dict of `curve` and "excluded", the number of excluded rows.

    Raises:
        UserError: no row has an emotion that the model knows.
    """
    number = {name: index for index, name in enumerate(predictions["emotions"])}
    truth = np.array([number.get(name, -1) for name in predictions["truth"]], int)
    labelled = np.flatnonzero(truth >= 0)
    subjects = predictions["subjects"][labelled] if predictions["subjects"] is not None else None
    options = {"thresholds": thresholds, "subjects": subjects, "repeats": repeats, "seed": seed}
    return {
        **curve(truth[labelled], predictions["probabilities"][labelled], **options),
        "excluded": len(truth) - len(labelled),
    }


def curve(
    truth: ArrayLike,
    probabilities: ArrayLike,
    *,
    thresholds: ArrayLike = THRESHOLDS,
    subjects: Sequence[str] | np.ndarray | None = None,
    repeats: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Accuracy against the mean number of glimpses for a model that stops as soon as it is confident.

    The model stops after the first glimpse at which the top probability reaches the threshold, or after the last one.

    Args:
        truth: int [n], indices of the true classes.
        probabilities: [n, T, K] after each of T glimpses.
        thresholds: [M].
        subjects: subjects to resample, see `intervals.bootstrap`.
        repeats: number of bootstrap samples.
        seed: seed of the bootstrap.

    Returns:
        dict with
            images: n;
            accuracy_after_glimpse: [T], if every image stops after that glimpse;
            accuracy_after_glimpse_interval: [T, 2], 95 %;
            thresholds: [M];
            mean_glimpses: [M], from 1 to T;
            accuracy, accuracy_interval: [M] and [M, 2];
            exit_share: [M, T], share of the images that stop after each glimpse.

    Raises:
        UserError: there are no images, the shapes do not agree, or a probability is not finite.
    """
    truth, probabilities = np.asarray(truth), np.asarray(probabilities)
    if probabilities.ndim != 3 or not probabilities.size or truth.shape != probabilities.shape[:1]:
        raise UserError(
            f"expected probabilities [n > 0, T, K] and n labels, got {list(probabilities.shape)} and {truth.shape}"
        )
    if bad := np.sum(~np.isfinite(probabilities).all(axis=(1, 2))):
        raise UserError(f"probabilities of {bad} of {len(truth)} images are not finite")
    steps = probabilities.shape[1]
    correct = probabilities.argmax(axis=-1) == truth[:, None]
    last = stops(probabilities, thresholds)
    exit_share = np.stack([np.bincount(column, minlength=steps) for column in last.T]) / len(truth)
    correct_at_exit = np.take_along_axis(correct, last, axis=1)

    shares = {"accuracy_after_glimpse": correct, "accuracy": correct_at_exit}
    intervals = bootstrap_means(
        lambda means: means, shares, shares=tuple(shares), subjects=subjects, repeats=repeats, seed=seed
    )
    return {
        "images": len(truth),
        **{name: values.mean(axis=0) for name, values in shares.items()},
        **{f"{name}_interval": values for name, values in intervals.items()},
        "thresholds": np.asarray(thresholds, float),
        "mean_glimpses": exit_share @ np.arange(1, steps + 1),
        "exit_share": exit_share,
    }


def stops(probabilities: ArrayLike, thresholds: ArrayLike) -> np.ndarray:
    """The glimpse after which the model stops.

    Args:
        probabilities: [n, T, K].
        thresholds: [M].

    Returns:
        int [n, M], from 0 to T - 1.

    >>> stops([[[0.5, 0.5], [0.2, 0.8]]], [0.5, 0.7]).tolist()
    [[0, 1]]
    """
    confident = np.max(probabilities, axis=-1)[..., None] >= np.asarray(thresholds, float)
    confident[:, -1] = True
    return confident.argmax(axis=1)
