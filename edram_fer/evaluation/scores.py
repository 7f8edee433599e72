"""Scores of predicted emotions, valence and arousal.

All scores are computed over a whole split at once: averages of per-batch correlations, as in Keras' metrics, can be far
off. Truth and predictions are indices into the class names; an undefined score (the recall of a class without images,
the correlation of a constant) is nan, never 0.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest
from sklearn.metrics import precision_recall_fscore_support

from edram_fer import intervals
from edram_fer.errors import UserError
from edram_fer.evaluation import calibration

DIMENSIONS = ("valence", "arousal")


def confusion(truth: ArrayLike, prediction: ArrayLike, classes: int) -> np.ndarray:
    """Confusion matrix: counts int64 [K, K] of truth (rows) and prediction (columns), both int [n] in 0 .. K - 1.

    >>> confusion([0, 0, 1], [0, 1, 1], 2).tolist()
    [[1, 1], [0, 1]]
    """
    pairs = np.asarray(truth, np.int64) * classes + np.asarray(prediction, np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def row_normalised(counts: np.ndarray) -> np.ndarray:
    """Rows of a confusion matrix [K, K] divided by their sums; nan where a class has no images."""
    with np.errstate(invalid="ignore"):
        return counts / counts.sum(axis=1, keepdims=True)


def headline(counts: np.ndarray) -> dict[str, float]:
    """The three scores that sum up a confusion matrix [K, K], in [0, 1].

    Returns:
        "accuracy": share of correct predictions;
        "mean_class_accuracy": mean recall over the classes PRESENT in the truth (scikit-learn's balanced accuracy);
        "macro_f1": mean F1 over the classes that occur as truth or as prediction (scikit-learn's default).

    >>> headline(np.array([[8, 2], [1, 1]]))["mean_class_accuracy"]
    0.65
    """
    correct, actual, predicted = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    present, occurring = actual > 0, actual + predicted > 0
    return {
        "accuracy": float(correct.sum() / counts.sum()),
        "mean_class_accuracy": float(np.mean(correct[present] / actual[present])),
        "macro_f1": float(np.mean(2 * correct[occurring] / (actual + predicted)[occurring])),
    }


def per_class(truth: ArrayLike, prediction: ArrayLike, emotions: Sequence[str]) -> dict[str, dict[str, Any]]:
    """{name: {"precision", "recall", "f1", "support"}} in the order of `emotions`; nan where undefined."""
    columns = precision_recall_fscore_support(truth, prediction, labels=range(len(emotions)), zero_division=np.nan)
    names = ("precision", "recall", "f1", "support")
    rows: dict[str, dict[str, Any]] = {
        name: dict(zip(names, map(float, row), strict=True)) for name, row in zip(emotions, zip(*columns))
    }
    for row in rows.values():
        row["support"] = int(row["support"])
    return rows


def affect_scores(true: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """Scores of predicted valence or arousal, both [n] in [-1, 1].

    Returns:
        "rmse"; "pcc": Pearson's correlation; "ccc": Lin's concordance correlation,
        2 rho s_x s_y / (s_x^2 + s_y^2 + (m_x - m_y)^2) with population variances; "sagr": sign agreement, the share of
        images whose sign is correct.
    """
    true, predicted = np.asarray(true, float), np.asarray(predicted, float)
    x, y = true - true.mean(), predicted - predicted.mean()
    covariance, variances = np.mean(x * y), (np.mean(x * x), np.mean(y * y))
    constant = not (np.ptp(true) and np.ptp(predicted))  # rounding can give a constant a variance of 1e-33
    distance = sum(variances) + (true.mean() - predicted.mean()) ** 2
    return {
        "rmse": float(np.sqrt(np.mean((true - predicted) ** 2))),
        "pcc": np.nan if constant else float(covariance / np.sqrt(variances[0] * variances[1])),
        "ccc": float(2 * covariance / distance) if distance else np.nan,
        "sagr": float(np.mean(np.sign(true) == np.sign(predicted))),
    }


def classification(
    truth: ArrayLike,
    probabilities: ArrayLike,
    emotions: Sequence[str],
    *,
    uncalibrated: ArrayLike | None = None,
    conformal: Mapping[str, float] | None = None,
    subjects: Sequence[Any] | None = None,
    repeats: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """All scores of predicted emotions. The prediction is the most probable class after the last step.

    Args:
        truth: int [n], indices into `emotions`.
        probabilities: [n, T, K], after each step.
        emotions: The K class names in order.
        uncalibrated, conformal: See `calibration.measure`.
        subjects: [n] or None, see `intervals.bootstrap`.
        repeats, seed: Samples and seed of the bootstrap intervals.

    Returns:
        The `headline` scores; "accuracy_after_glimpse" [T]; "per_class"; "confusion" with "emotions", "counts" and
        "row_normalised"; "calibration", see `calibration.measure`, and its "ece"; and "intervals" (95 %) of the
        headline scores, of accuracy_after_glimpse and of ece.

    Raises:
        UserError: There are no images, or the shapes do not agree.
    """
    truth, probabilities = np.asarray(truth), np.asarray(probabilities)
    if not len(truth) or probabilities.shape[::2] != (len(truth), len(emotions)):
        expected = f"[{len(truth)} > 0, T, {len(emotions)}]"
        raise UserError(f"scores need probabilities of shape {expected}, got {list(probabilities.shape)}")
    steps, classes = probabilities.argmax(axis=-1), len(emotions)
    prediction, correct = steps[:, -1], steps == truth[:, None]
    counts = confusion(truth, prediction, classes)

    def resampled(rows):
        return {
            **headline(confusion(truth[rows], prediction[rows], classes)),
            "accuracy_after_glimpse": correct[rows].mean(axis=0),
        }

    options: dict[str, Any] = {"subjects": subjects, "repeats": repeats, "seed": seed}
    confidence = calibration.measure(
        probabilities[:, -1], truth, emotions, uncalibrated=uncalibrated, conformal=conformal, **options
    )
    return {
        **headline(counts),
        "ece": confidence["ece"],
        "accuracy_after_glimpse": correct.mean(axis=0),
        "per_class": per_class(truth, prediction, emotions),
        "confusion": {"emotions": list(emotions), "counts": counts, "row_normalised": row_normalised(counts)},
        "calibration": confidence,
        "intervals": {
            **intervals.bootstrap(resampled, len(truth), **options),
            "ece": confidence["intervals"]["ece"],
        },
    }


def affect(
    true: ArrayLike, predicted: ArrayLike, *, subjects: Sequence[Any] | None = None, repeats: int = 1000, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """All scores of valence and arousal over the images for which they are known.

    Args:
        true, predicted: [n, 2] as (valence, arousal); nan in `true` where unknown.
        subjects, repeats, seed: See `intervals.bootstrap`.

    Returns:
        {"valence": {...}, "arousal": {...}}, each with the `affect_scores`, the number of "images" and "intervals"
        (95 %); a dimension that is known for no image is absent.
    """
    result = {}
    for column, name in enumerate(DIMENSIONS):
        known = np.flatnonzero(np.isfinite(np.asarray(true, float)[:, column]))
        if not len(known):
            continue
        x, y = np.asarray(true, float)[known, column], np.asarray(predicted, float)[known, column]
        names = None if subjects is None else [subjects[row] for row in known.tolist()]
        ends = intervals.bootstrap(
            lambda rows, x=x, y=y: affect_scores(x[rows], y[rows]),
            len(known),
            subjects=names,
            repeats=repeats,
            seed=seed,
        )
        result[name] = {**affect_scores(x, y), "images": len(known), "intervals": ends}
    return result


def compare(
    correct_a: ArrayLike,
    correct_b: ArrayLike,
    *,
    subjects: Sequence[Any] | np.ndarray | None = None,
    repeats: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare two models on the same images.

    Args:
        correct_a, correct_b: bool [n], which images each of them classified correctly.
        subjects, repeats, seed: See `intervals.bootstrap`.

    Returns:
        "difference": accuracy of a minus accuracy of b; "interval": its paired bootstrap interval; "only_a" and
        "only_b": numbers of images that only one of them classified correctly; "p": p-value of McNemar's exact
        two-sided test.

    Raises:
        UserError: The two have different numbers of images, or no images.
    """
    correct_a, correct_b = np.asarray(correct_a, bool), np.asarray(correct_b, bool)
    if correct_a.shape != correct_b.shape or not correct_a.size:
        raise UserError(f"expected predictions of the same images, got {correct_a.shape} and {correct_b.shape}")
    gain = correct_a.astype(float) - correct_b
    only_a, only_b = int((gain > 0).sum()), int((gain < 0).sum())
    interval = intervals.bootstrap(
        lambda rows: {"interval": gain[rows].mean()}, len(gain), subjects=subjects, repeats=repeats, seed=seed
    )
    p = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    return {"difference": float(gain.mean()), **interval, "only_a": only_a, "only_b": only_b, "p": float(p)}
