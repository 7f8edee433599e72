"""Scores compared with scikit-learn, SciPy and the published formulas."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from edram_fer import intervals
from edram_fer.evaluation import scores

NAMES = ("neutral", "happy", "sad", "anger")
FEW = {"repeats": 20}


def made_up(n=400, steps=3, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.choice(classes, n, p=[0.5, 0.3, 0.15, 0.05])
    logits = rng.normal(0, 1, (n, steps, classes))
    logits[np.arange(n), :, truth] += np.linspace(0.5, 2, steps)
    return truth, np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)


def test_classification_agrees_with_scikit_learn():
    truth, probabilities = made_up()
    prediction = probabilities[:, -1].argmax(axis=1)
    actual = scores.classification(truth, probabilities, NAMES, **FEW)
    assert actual["accuracy"] == pytest.approx(metrics.accuracy_score(truth, prediction))
    assert actual["mean_class_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(truth, prediction))
    assert actual["macro_f1"] == pytest.approx(metrics.f1_score(truth, prediction, average="macro"))
    np.testing.assert_array_equal(actual["confusion"]["counts"], metrics.confusion_matrix(truth, prediction))
    shares = metrics.confusion_matrix(truth, prediction, normalize="true")
    np.testing.assert_allclose(actual["confusion"]["row_normalised"], shares)
    for step in range(3):
        accuracy = metrics.accuracy_score(truth, probabilities[:, step].argmax(axis=1))
        assert actual["accuracy_after_glimpse"][step] == pytest.approx(accuracy)
    for k, name in enumerate(NAMES):
        row = actual["per_class"][name]
        assert row["recall"] == pytest.approx(metrics.recall_score(truth == k, prediction == k))
        assert row["precision"] == pytest.approx(metrics.precision_score(truth == k, prediction == k))
        assert row["f1"] == pytest.approx(metrics.f1_score(truth == k, prediction == k))
        assert row["support"] == (truth == k).sum()


def test_classes_without_images():
    truth, prediction = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2])
    probabilities = np.eye(4)[prediction][:, None]
    actual = scores.classification(truth, probabilities, NAMES, **FEW)
    assert actual["mean_class_accuracy"] == pytest.approx(0.5)  # over neutral and happy alone
    assert actual["macro_f1"] == pytest.approx(metrics.f1_score(truth, prediction, average="macro"))
    assert np.isnan(actual["per_class"]["anger"]["recall"]) and actual["per_class"]["anger"]["support"] == 0
    assert actual["per_class"]["sad"]["precision"] == 0 and np.isnan(actual["per_class"]["sad"]["recall"])
    assert np.isnan(actual["confusion"]["row_normalised"][3]).all()


def test_affect_scores_by_the_published_formulas():
    rng = np.random.default_rng(2)
    x = rng.uniform(-1, 1, 300)
    y = 0.5 * x + rng.normal(0.1, 0.2, 300)
    actual = scores.affect_scores(x, y)
    rho = stats.pearsonr(x, y).statistic
    assert actual["pcc"] == pytest.approx(rho)
    assert actual["rmse"] == pytest.approx(metrics.root_mean_squared_error(x, y))
    expected = 2 * rho * x.std() * y.std() / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    assert actual["ccc"] == pytest.approx(expected)
    assert actual["sagr"] == pytest.approx(np.mean([(a > 0) == (b > 0) for a, b in zip(x, y, strict=True)]))
    constant = scores.affect_scores(x, np.full(300, 0.2))
    assert np.isnan(constant["pcc"]) and constant["ccc"] == pytest.approx(0)


def test_affect_leaves_out_unknown_values():
    true = np.array([[0.5, np.nan], [-0.5, np.nan], [np.nan, np.nan], [0.1, np.nan]])
    actual = scores.affect(true, np.array([[0.4, 0], [-0.6, 0], [9, 9], [0.1, 0]]), **FEW)
    assert set(actual) == {"valence"} and actual["valence"]["images"] == 3
    assert actual["valence"]["rmse"] == pytest.approx(np.sqrt(0.02 / 3)) and actual["valence"]["sagr"] == 1
    constant = scores.affect(np.full((5, 2), 0.3), np.linspace(-1, 1, 10).reshape(5, 2), **FEW)["arousal"]
    assert np.isnan(constant["pcc"]) and np.isnan(constant["intervals"]["pcc"]).all()


def test_bootstrap_interval_is_that_of_the_binomial():
    correct = np.arange(1000) < 700
    low, high = intervals.bootstrap(lambda rows: {"a": correct[rows].mean()}, 1000)["a"]
    error = 1.96 * np.sqrt(0.7 * 0.3 / 1000)
    assert low == pytest.approx(0.7 - error, abs=0.004) and high == pytest.approx(0.7 + error, abs=0.004)
    again = intervals.bootstrap(lambda rows: {"a": correct[rows].mean()}, 1000)["a"]
    np.testing.assert_array_equal([low, high], again)


def test_bootstrap_draws_whole_subjects():
    subjects = np.repeat([f"s{i}" for i in range(20)], 50)
    correct = np.repeat(np.arange(20) < 14, 50)  # all images of a person share their fate
    row_counts = []

    def statistic(rows):
        row_counts.append(np.bincount(rows, minlength=1000).reshape(20, 50))
        return {"a": correct[rows].mean()}

    low, high = intervals.bootstrap(statistic, 1000, subjects=subjects, repeats=300)["a"]
    assert all((counts == counts[:, :1]).all() and counts[:, 0].sum() == 20 for counts in row_counts)
    assert high - low > 0.3
    alone = intervals.bootstrap(lambda rows: {"a": correct[rows].mean()}, 1000, subjects=[""] * 1000, repeats=300)["a"]
    assert alone[1] - alone[0] < 0.08


def test_compare_gives_mcnemar_and_the_paired_difference():
    a = np.array([True] * 80 + [False] * 20)
    b = np.array([True] * 65 + [False] * 15 + [True] * 5 + [False] * 15)
    actual = scores.compare(a, b)
    assert (actual["only_a"], actual["only_b"]) == (15, 5) and actual["difference"] == pytest.approx(0.1)
    assert actual["p"] == pytest.approx(min(1, 2 * stats.binom.cdf(5, 20, 0.5)))
    assert actual["interval"][0] < 0.1 < actual["interval"][1]
    assert scores.compare(a, a)["p"] == 1


def test_bad_arguments_are_rejected():
    with pytest.raises(ValueError, match=r"\[3 > 0, T, 4\], got \[3, 1, 5\]"):
        scores.classification([0, 1, 2], np.zeros((3, 1, 5)), NAMES)
    with pytest.raises(ValueError, match="expected 3 subjects, got 2"):
        intervals.bootstrap(lambda rows: {}, 3, subjects=["a", "b"])
    with pytest.raises(ValueError, match="same images"):
        scores.compare([True], [True, False])
