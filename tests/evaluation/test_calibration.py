"""Calibration against restatements in NumPy, against SciPy and scikit-learn, and on made-up predictions."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.metrics import brier_score_loss, log_loss

from edram_fer import intervals
from edram_fer.errors import UserError
from edram_fer.evaluation import calibration

NAMES = ["neutral", "happy", "sad", "anger"]


def made_up(n=400, steps=3, sharpness=(0.5, 2.0, 3.0), seed=0):
    """Truths that are drawn from the softmax of logits, and the probabilities of logits sharpened at each step."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, 4))
    truth = (softmax(logits, axis=1).cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(max=3)
    return softmax(logits[:, None] * np.reshape(sharpness[:steps], (-1, 1)), axis=-1).astype(np.float32), truth


def test_the_temperature_undoes_a_sharpening():
    probabilities, truth = made_up(20_000)
    fitted = calibration.fit(probabilities, truth)
    np.testing.assert_allclose(fitted["temperature"], (0.5, 2, 3), rtol=0.05)
    logits = np.log(probabilities[:, -1].astype(float))
    alone = minimize_scalar(lambda t: log_loss(truth, softmax(logits / t, axis=1)), bounds=(0.5, 10), method="bounded")
    assert fitted["temperature"][-1] == pytest.approx(alone.x, rel=1e-3)
    assert fitted["nll"]["before"] == pytest.approx(-logits[np.arange(20_000), truth].mean())
    assert fitted["nll"]["after"] == pytest.approx(alone.fun, rel=1e-5)


def test_steps_share_a_temperature_unless_their_own_predict_better():
    same, truth = made_up(2000, sharpness=(2, 2, 2))
    assert len(calibration.fit(np.repeat(same[:, :1], 3, axis=1), truth)["temperature"]) == 1
    assert len(calibration.fit(made_up(2000)[0], truth)["temperature"]) == 3
    assert len(calibration.fit(same[:, :1], truth)["temperature"]) == 1


@pytest.mark.parametrize("temperature", [(1.7,), (0.6, 1.0, 3.0)])
def test_rescaled_probabilities_are_a_softmax_and_can_be_restored(temperature):
    probabilities = made_up()[0]
    rescaled = calibration.rescale(probabilities, temperature)
    expected = softmax(np.log(probabilities.astype(float)) / np.reshape(temperature, (-1, 1)), axis=-1)
    np.testing.assert_allclose(rescaled, expected, rtol=1e-6)
    restored = calibration.rescale(rescaled, [1 / value for value in temperature])
    np.testing.assert_allclose(restored, probabilities, rtol=1e-5)
    np.testing.assert_array_equal(rescaled.argmax(axis=-1), probabilities.argmax(axis=-1))
    assert np.isfinite(calibration.rescale([[[1.0, 0.0]]], [2.0])).all()


@pytest.mark.parametrize("right", [True, False])
def test_extreme_samples_stay_within_the_limits(right):
    probabilities = np.tile([0.9, 0.1], (50, 1, 1))
    temperature = calibration.fit(probabilities, np.full(50, 0 if right else 1))["temperature"]
    assert temperature == pytest.approx([calibration.LIMITS[0 if right else 1]], rel=1e-3)
    with pytest.raises(UserError, match="calibration: expected at least 10 images, got 9"):
        calibration.fit(probabilities[:9], np.zeros(9, int))


def expected_error(confidence, correct, edges):
    """Expected calibration error by its definition, over bins (a, b]."""
    total = 0
    for number, (low, high) in enumerate(zip(edges, edges[1:])):
        inside = (confidence > low) & (confidence <= high) | ((number == 0) & (confidence == low))
        if inside.any():
            total += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    return total


@pytest.mark.parametrize("binning", ["width", "mass"])
def test_calibration_error_by_its_definition(binning):
    probabilities, truth = made_up(seed=1)
    last = probabilities[:, -1].astype(float)
    confidence, correct = last.max(axis=1), last.argmax(axis=1) == truth
    edges = np.arange(16) / 15 if binning == "width" else np.quantile(confidence, np.arange(16) / 15)
    expected = expected_error(confidence, correct, edges)
    assert calibration.calibration_error(last, truth, binning=binning) == pytest.approx(expected)
    assert calibration.calibration_error(np.full((5, 4), 0.25), [0, 1, 2, 3, 0], binning=binning) == pytest.approx(0.15)


def test_calibration_bins_include_their_upper_end():
    probabilities = np.array([[0.6, 0.4], [0.61, 0.39]])  # 0.6 = 9/15 belongs to (8/15, 9/15], 0.61 to the next bin
    assert calibration.calibration_error(probabilities, [0, 1]) == pytest.approx((0.4 + 0.61) / 2)
    assert calibration.calibration_error(np.array([[1.0, 0.0]]), [0]) == 0
    low, high = calibration.reliability(probabilities, [0, 1])
    assert (low["high"], low["accuracy"], low["images"]) == (0.6, 1, 1) and (high["low"], high["accuracy"]) == (0.6, 0)


def test_risk_coverage_against_its_definition():
    probabilities, truth = made_up(seed=2)
    last = probabilities[:, -1]
    order = np.argsort(-last.max(axis=1))
    wrong = (last.argmax(axis=1) != truth)[order]
    coverage, risk = calibration.risk_coverage(last, truth)
    np.testing.assert_allclose(risk, [wrong[: n + 1].mean() for n in range(len(wrong))])
    np.testing.assert_allclose(coverage, np.arange(1, 401) / 400)
    ties = np.tile([0.7, 0.3], (4, 1))
    np.testing.assert_allclose(calibration.risk_coverage(ties, [0, 0, 1, 1])[1], 0.5)  # in whatever order they stand


def test_prediction_sets_keep_their_promise():
    """Over many halvings the mean coverage is that of the theorem: between level and level + 1 / (n + 1)."""
    probabilities, truth = made_up(2000, steps=1, seed=3)
    last, random, coverages = probabilities[:, 0].astype(float), np.random.default_rng(0), []
    for _ in range(200):
        first, second = np.split(random.permutation(2000), 2)
        threshold = calibration.conformal_threshold(last[first], truth[first])
        scores = np.sort([1 - last[row, truth[row]] for row in first])
        assert threshold == scores[int(np.ceil(1001 * 0.9)) - 1]
        sets = calibration.prediction_sets(last[second], threshold)
        coverages.append(np.mean([sets[number, truth[row]] for number, row in enumerate(second)]))
    assert 0.9 - 0.003 <= np.mean(coverages) <= 0.9 + 1 / 1001 + 0.003
    few = calibration.conformal_threshold(last[:5], truth[:5])
    assert few == 1 and calibration.prediction_sets(last, few).all()


def test_all_measures_with_their_intervals():
    probabilities, truth = made_up(600, seed=4)
    fitted = calibration.fit(*made_up(600, seed=5))
    before = probabilities[:, -1].astype(float)
    after = calibration.rescale(probabilities, fitted["temperature"])[:, -1]
    options = {"uncalibrated": before, "conformal": fitted["conformal"], "repeats": 200}
    measured = calibration.measure(after, truth, NAMES, **options)
    assert measured["nll"] == pytest.approx(log_loss(truth, after))
    assert measured["brier"] == pytest.approx(sum(brier_score_loss(truth == k, after[:, k]) for k in range(4)))
    assert measured["ece_adaptive"] == pytest.approx(calibration.calibration_error(after, truth, binning="mass"))
    assert measured["aurc"] == pytest.approx(calibration.risk_coverage(after, truth)[1].mean())
    assert measured["ece"] < measured["uncalibrated"]["ece"] / 3
    for part in (measured, measured["uncalibrated"]):
        for name, (low, high) in part["intervals"].items():
            assert 0 <= low <= part[name] <= high, name
    assert measured["selective"]["error_rate"][-1] == np.mean(after.argmax(axis=1) != truth)
    conformal = measured["conformal"]
    low, high = conformal["interval"]
    assert low <= conformal["coverage"] <= high and conformal["coverage"] == pytest.approx(0.9, abs=0.05)
    sets = calibration.prediction_sets(after, fitted["conformal"]["threshold"])
    assert conformal["mean_size"] == sets.sum() / 600 and conformal["empty"] == np.mean(sets.sum(axis=1) == 0)
    assert conformal["coverage_per_class"]["sad"] == sets[truth == 2, 2].mean()
    bare = calibration.measure(after, truth, NAMES, repeats=2)
    assert bare["uncalibrated"] is bare["conformal"] is None


def test_the_interval_of_a_calibration_error_covers_the_true_one():
    """The predictions are calibrated, so the expected value of the measured error is that of the sampling noise."""
    errors, covered = [], 0
    for seed in range(40):
        probabilities, truth = made_up(300, 1, (1.0,), seed=seed)
        errors.append(calibration.calibration_error(probabilities[:, 0], truth))
    for seed in range(20):
        probabilities, truth = made_up(300, 1, (1.0,), seed=seed)
        low, high = calibration.measure(probabilities[:, 0], truth, NAMES, repeats=100)["intervals"]["ece"]
        covered += low <= np.mean(errors) <= high
    assert covered >= 15


def test_images_of_a_subject_are_resampled_together():
    probabilities, truth = made_up(60, seed=6)
    last, subjects = probabilities[:, -1].astype(float), np.array([f"s{row % 5}" for row in range(60)])
    measured = calibration.measure(last, truth, NAMES, subjects=subjects, repeats=50)["intervals"]["nll"]
    losses = -np.log(last[np.arange(60), truth])
    order = np.argsort(-last.max(axis=1), kind="stable")
    expected = intervals.bootstrap(
        lambda rows: {"nll": losses[order][rows].mean()}, 60, subjects=subjects[order], repeats=50
    )["nll"]
    np.testing.assert_allclose(measured, expected)


@pytest.mark.parametrize("images", [60, 3000])
def test_the_calibration_error_of_perfect_calibration(images):
    """Truths drawn from the probabilities themselves: their mean calibration error is the floor, and not 0."""
    random = np.random.default_rng(0)
    probabilities = random.dirichlet((0.6, 0.6, 0.6), images)
    drawn = (random.random((150, images, 1)) > probabilities.cumsum(axis=1)).sum(axis=2).clip(max=2)
    for binning in ("width", "mass"):
        errors = [calibration.calibration_error(probabilities, truth, binning=binning) for truth in drawn]
        floor = calibration.calibration_floor(probabilities, binning=binning)
        assert floor == pytest.approx(np.mean(errors), rel=0.05) and floor > 0.3 / np.sqrt(images)
