"""Scores of predicted emotions, valence and arousal.

All scores are computed over a whole split at once: averages of per-batch correlations, as in Keras' metrics, can be far
off. Truth and predictions are indices into the class names; an undefined score (the recall of a class without images,
the correlation of a constant) is nan, never 0.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
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
        2 rho s_x s_y / (s_x^2 + s_y^2 + (m_x - m_y)^2) with population variances, nan if all values are equal; "sagr":
        sign agreement, the share of images whose sign is correct. As in the literature (Mollahosseini, Hasani, Mahoor
        2019, eq. 5), 0 is a sign of its own. A prediction is practically never exactly 0, so that every true 0 counts
        as wrong: the most that can be reached is "sagr_limit", the share of images whose true value is not 0.
        "sagr_nonzero" is the sign agreement of these images alone (nan without any).

    >>> affect_scores([0, 0.5, -0.5, 1], [0.1, 0.2, -0.1, -0.3])["sagr"]
    0.5
    """
    true, predicted = np.asarray(true, float), np.asarray(predicted, float)
    x, y = true - true.mean(), predicted - predicted.mean()
    covariance, variances = np.mean(x * y), (np.mean(x * x), np.mean(y * y))
    same_sign = np.sign(true) == np.sign(predicted)
    # Rounding can give a constant a variance of 1e-33.
    constant, equal = not (np.ptp(true) and np.ptp(predicted)), not np.ptp([true, predicted])
    distance = sum(variances) + (true.mean() - predicted.mean()) ** 2
    return {
        "rmse": float(np.sqrt(np.mean((true - predicted) ** 2))),
        "pcc": np.nan if constant else float(covariance / np.sqrt(variances[0] * variances[1])),
        "ccc": np.nan if equal else float(2 * covariance / distance),
        "sagr": float(np.mean(same_sign)),
        "sagr_nonzero": float(same_sign[true != 0].mean()) if true.any() else np.nan,
        "sagr_limit": float(np.mean(true != 0)),
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
        "row_normalised"; "calibration", see `calibration.measure`, and its "ece"; "intervals" (95 %) of the headline
        scores, of accuracy_after_glimpse and of ece; and "intervals_note", what the number of subjects means for them.

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
            **intervals.bootstrap(resampled, len(truth), shares=("accuracy", "accuracy_after_glimpse"), **options),
            "ece": confidence["intervals"]["ece"],
        },
        "intervals_note": intervals.note(subjects),
    }


def affect(
    true: ArrayLike, predicted: ArrayLike, *, subjects: Sequence[Any] | None = None, repeats: int = 1000, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """All scores of valence and arousal over the images for which they are known.

    Args:
        true, predicted: [n, 2] as (valence, arousal); nan in `true` where unknown.
        subjects, repeats, seed: See `intervals.bootstrap`.

    Returns:
        {"valence": {...}, "arousal": {...}}, each with the `affect_scores`, the number of "images" and of "zeros" (true
        values of exactly 0), and "intervals" (95 %); a dimension that is known for no image is absent.
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
        counts = {"images": len(known), "zeros": int((x == 0).sum())}
        result[name] = {**affect_scores(x, y), **counts, "intervals": ends}
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
        "only_b": numbers of images that only one of them classified correctly; "p": `p_value` of the difference.

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
    p = p_value(correct_a, correct_b, subjects)
    return {"difference": float(gain.mean()), **interval, "only_a": only_a, "only_b": only_b, "p": p}


def p_value(correct_a: ArrayLike, correct_b: ArrayLike, subjects: Sequence[Any] | np.ndarray | None = None) -> float:
    """Two-sided p-value of the difference in accuracy of two models: an exact permutation test.

    If the models did not differ, their answers for all images of a subject could be exchanged. Without subjects, or
    with one image of each, this is McNemar's exact test, which rejects four of ten true null hypotheses if it ignores
    that the images of a subject resemble each other (`python -m benchmarks.interval_coverage`).

    Args:
        correct_a, correct_b: bool [n].
        subjects: [n] names or None, see `intervals.bootstrap`.

    Returns:
        In (0, 1]; with S subjects at least 2 / 2^S.

    >>> p_value([True, True, True, False], [False, False, False, True])
    0.625
    """
    gain = np.asarray(correct_a, int) - np.asarray(correct_b, int)
    sums = np.bincount(intervals.groups(subjects, len(gain)), gain).astype(int)
    limit = np.abs(sums).sum()
    probability = np.zeros(2 * limit + 1)  # of each total of the sums with random signs, from -limit to limit
    probability[limit] = 1
    for change in np.abs(sums[sums != 0]):
        probability = (np.roll(probability, change) + np.roll(probability, -change)) / 2
    totals = np.abs(np.arange(-limit, limit + 1))
    return float(min(1, probability[totals >= abs(sums.sum())].sum()))


def holm(p: ArrayLike) -> np.ndarray:
    """P-values adjusted for the number of tests (Holm 1979): below 0.05, all such differences hold together at 95 %.

    Args:
        p: [M].

    Returns:
        [M], in the same order, at most 1.

    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p, float)
    order = np.argsort(p)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return adjusted
