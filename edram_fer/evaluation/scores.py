"""The scores of a classifier of emotions and of valence and arousal, from saved predictions.

All scores are computed over a whole split at once: averages of per-batch correlations (such as those of Keras'
metrics) are wrong by large amounts. Truth and predictions are indices into the class names; an undefined score (the
recall of a class without images, the correlation of a constant) is nan, never 0.
"""

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import precision_recall_fscore_support

from edram_fer import intervals
from edram_fer.errors import UserError

DIMENSIONS = ("valence", "arousal")


def confusion(truth, prediction, classes):
    """Counts int64 [K, K] of truth (rows) and prediction (columns), both int [n] in 0 .. `classes` - 1."""
    pairs = np.asarray(truth, np.int64) * classes + np.asarray(prediction, np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def row_shares(counts):
    """Rows of a confusion matrix divided by their sums, [K, K]; nan where a class has no images."""
    with np.errstate(invalid="ignore"):
        return counts / counts.sum(axis=1, keepdims=True)


def headline(counts):
    """The three single numbers of a confusion matrix [K, K], in [0, 1].

    accuracy: share of right predictions;
    mean_class_accuracy: mean recall over the classes PRESENT in the truth (scikit-learn's balanced accuracy);
    macro_f1: mean F1 over the classes that occur as truth or as prediction (scikit-learn's default).
    """
    right, actual, predicted = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    present, occurring = actual > 0, actual + predicted > 0
    return {
        "accuracy": float(right.sum() / counts.sum()),
        "mean_class_accuracy": float(np.mean(right[present] / actual[present])),
        "macro_f1": float(np.mean(2 * right[occurring] / (actual + predicted)[occurring])),
    }


def per_class(truth, prediction, emotions):
    """{name: {"precision", "recall", "f1", "support"}} in the order of `emotions`; nan where undefined."""
    columns = precision_recall_fscore_support(truth, prediction, labels=range(len(emotions)), zero_division=np.nan)
    names = ("precision", "recall", "f1", "support")
    rows = {name: dict(zip(names, map(float, row), strict=True)) for name, row in zip(emotions, zip(*columns))}
    for row in rows.values():
        row["support"] = int(row["support"])
    return rows


def calibration_error(probabilities, truth, bins=15):
    """Expected calibration error in [0, 1] (Guo et al. 2017, arXiv 1706.04599, eq. 3).

    The mean, weighted by the number of images, of |accuracy - mean confidence| over `bins` bins of equal width (a,
    b]; confidence is the largest of the `probabilities` [n, K].
    """
    confidence = np.max(probabilities, axis=1)
    right = np.argmax(probabilities, axis=1) == truth
    edge = np.linspace(0, 1, bins + 1)
    index = np.clip(np.searchsorted(edge, confidence, side="left") - 1, 0, bins - 1)
    gaps = np.bincount(index, right, minlength=bins) - np.bincount(index, confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(right))


def agreement(true, predicted):
    """How well a number in [-1, 1] (valence or arousal), [n], is predicted: {"rmse", "pcc", "ccc", "sagr"}.

    pcc: Pearson's correlation. ccc: Lin's concordance 2 rho s_x s_y / (s_x^2 + s_y^2 + (m_x - m_y)^2) with population
    variances. sagr: share of images whose sign is right.
    """
    true, predicted = np.asarray(true, float), np.asarray(predicted, float)
    x, y = true - true.mean(), predicted - predicted.mean()
    covariance, variances = np.mean(x * y), (np.mean(x * x), np.mean(y * y))
    constant = not (np.ptp(true) and np.ptp(predicted))  # rounding can leave a constant with a variance of 1e-33
    distance = sum(variances) + (true.mean() - predicted.mean()) ** 2
    return {
        "rmse": float(np.sqrt(np.mean((true - predicted) ** 2))),
        "pcc": np.nan if constant else float(covariance / np.sqrt(variances[0] * variances[1])),
        "ccc": float(2 * covariance / distance) if distance else np.nan,
        "sagr": float(np.mean(np.sign(true) == np.sign(predicted))),
    }


def classification(truth, probabilities, emotions, *, subjects=None, repeats=1000, seed=0):
    """All scores of emotion predictions. The prediction is the last step's most probable class.

    Args:
        truth: int [n], indices into `emotions`.
        probabilities: [n, T, K], of each step.
        emotions: the K class names in order.
        subjects: optional [n], see `intervals.bootstrap`.

    Returns: dict with the `headline` scores, "ece", "accuracy_after_glimpse" [T], "per_class", "confusion" (counts
    and row shares) and "intervals" (95 %) of the headline scores and of accuracy_after_glimpse. The calibration error
    has none: resampling adds noise to its bins, which moves it upwards.

    Raises ValueError when there are no images or the shapes do not agree.
    """
    truth, probabilities = np.asarray(truth), np.asarray(probabilities)
    if not len(truth) or probabilities.shape[::2] != (len(truth), len(emotions)):
        expected = f"[{len(truth)} > 0, T, {len(emotions)}]"
        raise UserError(f"scores need probabilities of shape {expected}, got {list(probabilities.shape)}")
    steps, classes = probabilities.argmax(axis=-1), len(emotions)
    prediction, right = steps[:, -1], steps == truth[:, None]
    counts = confusion(truth, prediction, classes)

    def resampled(rows):
        return {
            **headline(confusion(truth[rows], prediction[rows], classes)),
            "accuracy_after_glimpse": right[rows].mean(axis=0),
        }

    return {
        **headline(counts),
        "ece": calibration_error(probabilities[:, -1], truth),
        "accuracy_after_glimpse": right.mean(axis=0),
        "per_class": per_class(truth, prediction, emotions),
        "confusion": {"emotions": list(emotions), "counts": counts, "row_shares": row_shares(counts)},
        "intervals": intervals.bootstrap(resampled, len(truth), subjects=subjects, repeats=repeats, seed=seed),
    }


def affect(true, predicted, *, subjects=None, repeats=1000, seed=0):
    """All scores of valence and arousal over the images where they are known.

    Args:
        true, predicted: [n, 2] as (valence, arousal); nan in `true` where unknown.

    Returns: {"valence": {...}, "arousal": {...}}, each with the scores of `agreement`, "images" (their number) and
    "intervals" (95 %); a dimension that is known for no image is absent.
    """
    result = {}
    for column, name in enumerate(DIMENSIONS):
        known = np.flatnonzero(np.isfinite(np.asarray(true, float)[:, column]))
        if not len(known):
            continue
        x, y = np.asarray(true, float)[known, column], np.asarray(predicted, float)[known, column]
        names = None if subjects is None else [subjects[row] for row in known]
        ends = intervals.bootstrap(
            lambda rows, x=x, y=y: agreement(x[rows], y[rows]), len(known), subjects=names, repeats=repeats, seed=seed
        )
        result[name] = {**agreement(x, y), "images": len(known), "intervals": ends}
    return result


def compare(correct_a, correct_b, *, subjects=None, repeats=1000, seed=0):
    """Two models on the same images: which were predicted right, bool [n] each.

    Returns: {"difference": accuracy of a minus that of b, "interval": its paired bootstrap interval, "only_a",
    "only_b": images that only one gets right, "p": of McNemar's exact two-sided test}.
    """
    correct_a, correct_b = np.asarray(correct_a, bool), np.asarray(correct_b, bool)
    if correct_a.shape != correct_b.shape or not correct_a.size:
        raise UserError(f"expected answers to the same images, got {correct_a.shape} and {correct_b.shape}")
    gain = correct_a.astype(float) - correct_b
    only_a, only_b = int((gain > 0).sum()), int((gain < 0).sum())
    interval = intervals.bootstrap(
        lambda rows: {"interval": gain[rows].mean()}, len(gain), subjects=subjects, repeats=repeats, seed=seed
    )
    p = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    return {"difference": float(gain.mean()), **interval, "only_a": only_a, "only_b": only_b, "p": float(p)}
