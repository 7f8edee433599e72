"""Calibration: how far probabilities can be trusted, and the temperature that makes them more trustworthy.

Temperature scaling divides the logits by a number, which is fitted on validation images and never changes the most
probable class (Guo et al. 2017, arXiv 1706.04599). All functions take probabilities after the softmax: their logarithms
are the logits up to a constant for each image, which the softmax removes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from edram_fer import intervals
from edram_fer.errors import UserError

BINS = 15
LEVEL = 0.9  # promised coverage of the prediction sets
LIMITS = (0.1, 10.0)  # of a temperature; it is outside if nearly every or hardly any validation image is correct
SMALLEST_SAMPLE = 10
_TINY = np.finfo(np.float32).tiny


def fit(probabilities: ArrayLike, truth: ArrayLike, *, level: float = LEVEL) -> dict[str, Any]:
    """Fit temperatures and the thresholds of prediction sets to images that a model was not trained on.

    The last step determines a single temperature. If temperatures for each step predict held-out images better (the
    mean negative log-likelihood over all steps, in a cross-validation with five parts), there is one for each step; the
    one of the last step is the same.

    Args:
        probabilities: [n, T, K], after each step, not calibrated.
        truth: int [n], the true classes.
        level: share of the images whose prediction set is to contain the true class.

    Returns:
        JSON values: "temperature", a list of one number or of T; "images", n; "nll" with the negative log-likelihood
        after the last step "before" and "after"; and "conformal" with "level" and "threshold", see `prediction_sets`.

    Raises:
        UserError: There are fewer than 10 images.

    >>> probabilities = np.full((20, 1, 2), (0.99, 0.01))  # confident, and wrong for every fifth image
    >>> round(fit(probabilities, np.arange(20) % 5 == 0)["temperature"][0], 2)  # log(99) / log(4)
    3.31
    """
    steps, truth = np.asarray(probabilities, float), np.asarray(truth, int)
    if len(truth) < SMALLEST_SAMPLE:
        raise UserError(f"calibration: expected at least {SMALLEST_SAMPLE} images, got {len(truth)}")
    temperature = _temperatures(steps, truth)
    if not _is_better_per_step(steps, truth):
        temperature = temperature[-1:]
    calibrated = rescale(steps, temperature)[:, -1]
    return {
        "temperature": temperature,
        "images": len(truth),
        "nll": {"before": nll(steps[:, -1], truth), "after": nll(calibrated, truth)},
        "conformal": {"level": level, "threshold": conformal_threshold(calibrated, truth, level)},
    }


def rescale(probabilities: ArrayLike, temperature: Sequence[float]) -> np.ndarray:
    """Divide the logits of probabilities [n, T, K] by one temperature or by one for each step.

    >>> rescale([[[0.9, 0.1]]], [2.0]).round(3).tolist()
    [[[0.75, 0.25]]]
    """
    logits = np.log(np.maximum(probabilities, _TINY)) / np.reshape(temperature, (-1, 1))
    values = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return values / values.sum(axis=-1, keepdims=True)


def nll(probabilities: ArrayLike, truth: ArrayLike) -> float:
    """Mean negative log-likelihood of the true classes int [n] under probabilities [n, K], in nats."""
    of_truth = np.take_along_axis(np.asarray(probabilities), np.asarray(truth)[:, None], axis=1)
    return float(-np.log(np.maximum(of_truth, _TINY)).mean())


def calibration_error(
    probabilities: ArrayLike, truth: ArrayLike, bins: int = BINS, *, binning: Literal["width", "mass"] = "width"
) -> float:
    """Expected calibration error in [0, 1] (Guo et al. 2017, eq. 3).

    The mean, weighted by the number of images, of |accuracy - mean confidence| over bins of the confidence, which is
    the largest of an image's probabilities.

    Args:
        probabilities: [n, K].
        truth: int [n].
        bins: number of bins.
        binning: "width": bins (a, b] of equal width; "mass": the edges are quantiles of the confidence, so that all
            bins hold about as many images (equal confidences share a bin).
    """
    confidence, correct = _confidence(probabilities, truth)
    return _error(_bin(confidence, bins, binning), correct - confidence)


def calibration_floor(
    probabilities: ArrayLike,
    bins: int = BINS,
    *,
    binning: Literal["width", "mass"] = "width",
    repeats: int = 200,
    seed: int = 0,
) -> float:
    """The `calibration_error` to expect of these probabilities if they were perfectly calibrated.

    It is above 0, since the accuracy in a bin of finitely many images differs from its confidence by chance. An error
    at this level is no sign of miscalibration.

    Args:
        probabilities: [n, K].
        bins, binning: see `calibration_error`.
        repeats: number of simulated truths, in each of which an image is correct with the probability of its class.
        seed: seed of the simulation.
    """
    confidence = np.asarray(probabilities, float).max(axis=1)
    index, random = _bin(confidence, bins, binning), np.random.default_rng(seed)
    return float(
        np.mean([_error(index, (random.random(len(index)) < confidence) - confidence) for _ in range(repeats)])
    )


def reliability(probabilities: ArrayLike, truth: ArrayLike, bins: int = BINS) -> list[dict[str, float]]:
    """The bins of equal width that hold images: "low", "high", "images", mean "confidence" and "accuracy"."""
    confidence, correct = _confidence(probabilities, truth)
    index = _bin(confidence, bins, "width")
    return [
        {
            "low": number / bins,
            "high": (number + 1) / bins,
            "images": int((index == number).sum()),
            "confidence": float(confidence[index == number].mean()),
            "accuracy": float(correct[index == number].mean()),
        }
        for number in np.unique(index).tolist()
    ]


def risk_coverage(probabilities: ArrayLike, truth: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Selective classification (Geifman, El-Yaniv 2017): what share of the answers is wrong if only the surest count?

    Args:
        probabilities: [n, K].
        truth: int [n].

    Returns:
        (coverage [n], risk [n]): the share 1/n, 2/n, ..., 1 of the most confident images, and their error rate. Images
        of equal confidence count with their mean error, so that their order does not matter. The mean of the risk is
        AURC, the area under the curve: 0 is best.
    """
    errors = _errors_by_confidence(*_confidence(probabilities, truth))[1]
    return np.arange(1, len(errors) + 1) / len(errors), _risk(errors)


def conformal_threshold(probabilities: ArrayLike, truth: ArrayLike, level: float = LEVEL) -> float:
    """Threshold of split-conformal prediction sets (Angelopoulos, Bates 2023, arXiv 2107.07511, section 1).

    Args:
        probabilities: [n, K] of images that the model was not trained on.
        truth: int [n].
        level: promised coverage.

    Returns:
        The ceil((n + 1) * level)-th smallest of the scores 1 - probability of the true class; 1, so that sets hold all
        classes, if there are too few images.
    """
    labels = np.asarray(truth, int)
    scores = 1 - np.asarray(probabilities, float)[np.arange(len(labels)), labels]
    rank = int(np.ceil((len(scores) + 1) * level))
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else 1.0


def prediction_sets(probabilities: ArrayLike, threshold: float) -> np.ndarray:
    """The classes that cannot be ruled out, bool [n, K]: those with a probability of at least 1 - threshold.

    Of all prediction sets with their coverage these are the smallest on average (LAC: Sadinle, Lei, Wasserman 2019). On
    new images from the same source as the images of the threshold, a set holds the true class with at least the
    promised probability. That holds on average: rare or hard classes are covered less often. A set may be empty.

    >>> prediction_sets([[0.5, 0.3, 0.2]], 0.75).tolist()
    [[True, True, False]]
    """
    return 1 - np.asarray(probabilities, float) <= threshold


def measure(
    probabilities: ArrayLike,
    truth: ArrayLike,
    emotions: Sequence[str],
    *,
    uncalibrated: ArrayLike | None = None,
    conformal: Mapping[str, float] | None = None,
    subjects: Sequence[Any] | np.ndarray | None = None,
    repeats: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """All measures of the calibration of predictions.

    Args:
        probabilities: [n, K], the reported probabilities.
        truth: int [n].
        emotions: The K class names.
        uncalibrated: [n, K], before the temperature; None: the model is not calibrated.
        conformal: Entry "conformal" of `fit`, or None.
        subjects, repeats, seed: See `intervals.bootstrap`.

    Returns:
        "ece" and "ece_adaptive" (`calibration_error` with bins of equal width and of equal mass), "ece_floor" and
        "ece_adaptive_floor" (`calibration_floor`), "nll", "brier" (the
        mean squared distance of the probabilities from the truth, 0 to 2) and "aurc" (`risk_coverage`), with
        "intervals" (95 %). Resampling adds noise to the bins, which increases a calibration error; its interval is
        shifted by the mean increase. "bins" (`reliability`); "selective", the "error_rate" of the most confident share
        "coverage" of the images (0.1, 0.2, ..., 1); "uncalibrated", the same measures of the uncalibrated
        probabilities, or None; and "conformal", or None: the promised "level", "threshold", "coverage" with its
        "interval", "coverage_per_class", "mean_size" and the share "empty" of the sets.
    """
    arrays = {"": probabilities} if uncalibrated is None else {"": probabilities, "uncalibrated": uncalibrated}
    truth = np.asarray(truth, int)
    options: dict[str, Any] = {"subjects": subjects, "repeats": repeats, "seed": seed}
    results = {name: _measure(np.asarray(values, float), truth, options) for name, values in arrays.items()}
    coverage, risk = risk_coverage(probabilities, truth)
    rows = np.ceil(np.arange(1, 11) * len(truth) / 10).astype(int) - 1
    return {
        **results[""],
        "selective": {"coverage": coverage[rows], "error_rate": risk[rows]},
        "uncalibrated": results.get("uncalibrated"),
        "conformal": None if conformal is None else _coverage(probabilities, truth, emotions, conformal, options),
    }


def _measure(probabilities, truth, options):
    confidence, correct = _confidence(probabilities, truth)
    order, errors = _errors_by_confidence(confidence, correct)  # resampled rows stay in this order
    gap = (correct - confidence)[order]
    of_truth = np.maximum(probabilities[np.arange(len(truth)), truth], _TINY)[order]
    distance = (np.square(probabilities - np.eye(probabilities.shape[1])[truth]).sum(axis=1))[order]
    bins = {"ece": _bin(confidence, BINS, "width")[order], "ece_adaptive": _bin(confidence, BINS, "mass")[order]}

    def statistics(rows):
        return {
            **{name: _error(index[rows], gap[rows]) for name, index in bins.items()},
            "nll": -np.log(of_truth[rows]).mean(),
            "brier": distance[rows].mean(),
            "aurc": _risk(errors[rows]).mean(),
        }

    subjects = None if options["subjects"] is None else np.asarray(options["subjects"], object)[order]
    ends = intervals.bootstrap(statistics, len(truth), **{**options, "subjects": subjects}, centred=tuple(bins))
    floors = {
        "ece_floor": calibration_floor(probabilities, binning="width", seed=options["seed"]),
        "ece_adaptive_floor": calibration_floor(probabilities, binning="mass", seed=options["seed"]),
    }
    rows = np.arange(len(truth))
    return {**statistics(rows), **floors, "intervals": ends, "bins": reliability(probabilities, truth)}


def _coverage(probabilities, truth, emotions, conformal, options):
    sets = prediction_sets(probabilities, conformal["threshold"])
    covered = sets[np.arange(len(truth)), truth].astype(float)
    return {
        **conformal,
        "coverage": covered.mean(),
        **intervals.bootstrap(
            lambda rows: {"interval": covered[rows].mean()}, len(truth), shares=("interval",), **options
        ),
        "coverage_per_class": {
            name: covered[truth == label].mean() if (truth == label).any() else np.nan
            for label, name in enumerate(emotions)
        },
        "mean_size": sets.sum(axis=1).mean(),
        "empty": (~sets.any(axis=1)).mean(),
    }


def _temperatures(steps, truth) -> list[float]:
    """The temperature of each step with the smallest negative log-likelihood, which is convex in 1 / temperature."""
    temperatures = []
    for probabilities in steps.swapaxes(0, 1):
        logits = np.log(np.maximum(probabilities, _TINY))

        def loss(exponent, logits=logits):
            scaled = logits / np.exp(exponent)
            return np.mean(np.logaddexp.reduce(scaled, axis=1) - scaled[np.arange(len(truth)), truth])

        fitted = minimize_scalar(loss, bounds=np.log(LIMITS), method="bounded", options={"xatol": 1e-6})
        temperatures.append(float(np.exp(fitted.x)))
    return temperatures


def _is_better_per_step(steps, truth, folds=5):
    """Whether temperatures for each step predict held-out images better than the one of the last step."""
    if steps.shape[1] == 1:
        return False
    fold, gain = np.random.default_rng(0).permutation(len(truth)) % folds, 0.0
    for number in range(folds):
        held_out = fold == number
        temperature = _temperatures(steps[~held_out], truth[~held_out])
        for sign, values in ((1, temperature[-1:]), (-1, temperature)):
            rescaled = rescale(steps[held_out], values)
            gain += sign * sum(nll(step, truth[held_out]) for step in rescaled.swapaxes(0, 1))
    return gain > 0


def _confidence(probabilities, truth):
    """(largest probability [n], whether its class is the true one, float [n])."""
    probabilities = np.asarray(probabilities)
    return probabilities.max(axis=1), (probabilities.argmax(axis=1) == truth).astype(float)


def _bin(confidence, bins, binning):
    """Index int [n] of each confidence's bin; a confidence on an edge belongs to the lower bin."""
    shares = np.linspace(0, 1, bins + 1)
    edges = shares if binning == "width" else np.quantile(confidence, shares)
    return np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)


def _error(index, gap):
    return float(np.abs(np.bincount(index, gap)).sum() / len(gap))


def _errors_by_confidence(confidence, correct):
    """(rows from the most to the least confident image, errors in this order, averaged over equal confidences)."""
    order = np.argsort(-confidence, kind="stable")
    _, group = np.unique(confidence, return_inverse=True)
    mean = np.bincount(group, 1 - correct) / np.bincount(group)
    return order, mean[group][order]


def _risk(errors):
    return np.cumsum(errors) / np.arange(1, len(errors) + 1)
