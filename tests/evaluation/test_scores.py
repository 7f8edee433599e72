"""Scores compared with scikit-learn, SciPy and the published formulas."""

import itertools

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
    same = np.full(3, 0.1)  # whose mean differs from 0.1 by rounding
    assert np.isnan(scores.affect_scores(same, same)["ccc"]) and scores.affect_scores(same, -same)[
        "ccc"
    ] == pytest.approx(0)


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


@pytest.mark.parametrize("subjects", [None, ["a"] * 5 + ["b", "c", "", "d", "e", None, "f"], ["a"] * 12])
def test_bootstrap_means_are_the_bootstrap_of_means(subjects, monkeypatch):
    monkeypatch.setattr(intervals, "_CHUNK", 50)  # several samples at once, but not all
    random = np.random.default_rng(2)
    values, correct = random.normal(5, 1, (12, 2, 3)), random.random(12) < 0.5
    means = intervals.bootstrap_means(
        lambda of: {"ratio": of["values"][..., 0, :] / of["values"][..., 1, :], "share": of["correct"]},
        {"values": values, "correct": correct},
        subjects=subjects,
        repeats=50,
        shares=["share"],
    )

    def statistic(rows):
        first, second = values[rows].mean(axis=0)
        return {"ratio": first / second, "share": correct[rows].mean()}

    expected = intervals.bootstrap(statistic, 12, subjects=subjects, repeats=50, shares=["share"])
    assert means["ratio"].shape == (3, 2)
    for name in ("ratio", "share"):
        np.testing.assert_allclose(means[name], expected[name], rtol=1e-12)


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


def test_images_of_one_subject_have_no_intervals():
    truth, probabilities = made_up(60)
    actual = scores.classification(truth, probabilities, NAMES, subjects=["KA"] * 60, **FEW)
    assert np.isnan(actual["intervals"]["accuracy"]).all() and np.isnan(actual["intervals"]["ece"]).all()
    assert actual["intervals"]["accuracy_after_glimpse"].shape == (3, 2)
    assert actual["intervals_note"].startswith("Intervals are undefined: the images of a single person")
    few = scores.classification(truth, probabilities, NAMES, subjects=["KA", "KL"] * 30, **FEW)
    assert few["intervals_note"].startswith("Intervals are too narrow: there are 2 subjects")
    assert np.isfinite(few["intervals"]["accuracy"]).all()
    many = scores.classification(truth, probabilities, NAMES, subjects=[f"s{i % 20}" for i in range(60)], **FEW)
    assert many["intervals_note"] == "" == scores.classification(truth, probabilities, NAMES, **FEW)["intervals_note"]


def test_a_single_image_says_nothing_about_others_but_a_share():
    one = np.ones(1)
    for subjects in (None, [""]):
        ends = intervals.bootstrap(
            lambda rows: {"a": one[rows].mean(), "b": one[rows]}, 1, subjects=subjects, shares="a"
        )
        np.testing.assert_allclose(ends["a"], intervals.wilson(1.0, 1))
        assert ends["b"].shape == (1, 2) and not intervals.excludes_zero(ends["b"][0])
    actual = scores.classification([1], np.eye(4)[[[1]]], NAMES, **FEW)["intervals"]
    assert actual["accuracy"][0] < 0.3 and np.isnan(actual["mean_class_accuracy"]).all()


@pytest.mark.parametrize(("share", "count"), [(1.0, 16), (0.0, 3), (0.25, 16), (0.9, 200)])
def test_wilson_agrees_with_scipy(share, count):
    ends = stats.binomtest(round(share * count), count).proportion_ci(method="wilson")
    np.testing.assert_allclose(intervals.wilson(share, count), [ends.low, ends.high], atol=1e-12)


def test_intervals_of_few_images_cover_the_true_accuracy():
    """The coverage of an accuracy of .9 over 16 images, exactly: the sum over all numbers of correct images."""
    covered = {"share": 0.0, "bootstrap": 0.0}
    for count in range(17):
        correct = np.arange(16) < count
        for kind, shares in (("share", ["a"]), ("bootstrap", [])):
            ends = intervals.bootstrap(lambda rows, c=correct: {"a": c[rows].mean()}, 16, repeats=200, shares=shares)
            low, high = ends["a"]
            covered[kind] += stats.binom.pmf(count, 16, 0.9) * (low <= 0.9 <= high)
    assert covered["share"] > 0.93 and covered["bootstrap"] < 0.82


def test_twenty_subjects_without_a_mistake_have_an_interval():
    subjects = [f"s{i % 20}" for i in range(400)]
    ends = intervals.bootstrap(lambda rows: {"a": 1.0}, 400, subjects=subjects, shares=("a",), repeats=20)["a"]
    np.testing.assert_allclose(ends, intervals.wilson(1.0, 20))


def test_crossed_interval_of_one_column_group_is_students():
    """With columns that differ and rows that do not, it is the t interval of the column means, and Welch's."""
    a, b = np.array([0.5, 0.6, 0.7]), np.array([0.2, 0.5, 0.4, 0.9, 0.1])
    expected = stats.ttest_1samp(a, 0).confidence_interval()
    np.testing.assert_allclose(intervals.crossed(np.tile(a, (500, 1))), expected, rtol=1e-2)
    welch = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    np.testing.assert_allclose(intervals.crossed(np.tile(a, (500, 1)), np.tile(b, (500, 1))), welch, rtol=2e-2)
    rows = np.random.default_rng(0).normal(0, 1, (80, 1))  # and the other way round: two equal columns
    expected = stats.ttest_1samp(rows[:, 0], 0).confidence_interval()
    np.testing.assert_allclose(intervals.crossed(np.tile(rows, 2)), expected, rtol=2e-2)
    assert np.isnan(intervals.crossed(rows)).all() and np.isnan(intervals.crossed(np.tile(rows[:1], 2))).all()


def test_crossed_intervals_cover():
    """Six people and 40 images, both of which differ; resampling the images alone covers a third."""
    random, covered, images_alone = np.random.default_rng(0), 0, 0
    for _ in range(300):
        values = random.normal(0, 1, (40, 1)) + random.normal(0, 1, 6) + random.normal(0, 1, (40, 6))
        values[random.random(values.shape) < 0.1] = np.nan
        low, high = intervals.crossed(values)
        covered += low <= 0 <= high
        means = np.nanmean(values, axis=1)
        images_alone += abs(means.mean()) < 1.96 * means.std() / np.sqrt(40)
    assert covered / 300 > 0.91 and images_alone / 300 < 0.65


def test_p_value_exchanges_the_answers_of_whole_subjects():
    random = np.random.default_rng(0)
    a, b = random.random((2, 40)) < 0.7
    subjects = [f"s{i % 8}" for i in range(40)]
    sums = [sum(int(a[i]) - int(b[i]) for i in range(k, 40, 8)) for k in range(8)]
    totals = [sum(sign * value for sign, value in zip(signs, sums)) for signs in itertools.product((1, -1), repeat=8)]
    expected = np.mean([abs(total) >= abs(sum(sums)) for total in totals])
    assert scores.p_value(a, b, subjects) == pytest.approx(expected)
    assert scores.p_value(a, b) == pytest.approx(stats.binomtest((a & ~b).sum(), (a ^ b).sum()).pvalue)
    assert scores.p_value(a, b, ["s"] * 40) == 1  # a single subject says nothing


def test_p_value_keeps_its_level_with_clustered_images():
    """Two models that are equally good for the population, each right or wrong for all images of a person."""
    random, rejected = np.random.default_rng(1), {"by subject": 0, "ignoring subjects": 0}
    subjects = np.repeat([f"s{i}" for i in range(12)], 8).tolist()
    for _ in range(150):
        a, b = (np.repeat(random.random(12) < 0.7, 8) for _ in range(2))
        rejected["by subject"] += scores.p_value(a, b, subjects) < 0.05
        rejected["ignoring subjects"] += scores.p_value(a, b) < 0.05
    assert rejected["by subject"] / 150 < 0.08 and rejected["ignoring subjects"] / 150 > 0.4


def test_sign_agreement_states_its_zeros():
    """A model that knows every sign, for images of which one in seven is neutral: at most 6 of 7 can be reached."""
    true = np.tile([0, 0.1, 0.5, 0.9, -0.1, -0.5, -0.9], 20)
    actual = scores.affect(np.stack([true, true], 1), np.stack([true + 1e-9, true], 1), **FEW)["valence"]
    assert actual["sagr"] == pytest.approx(6 / 7) == actual["sagr_limit"] and actual["sagr_nonzero"] == 1
    assert (actual["zeros"], actual["images"]) == (20, 140)
    assert np.isnan(scores.affect_scores([0, 0], [0.1, 0.2])["sagr_nonzero"])


def test_holm_by_hand():
    np.testing.assert_allclose(scores.holm([0.02, 0.001, 0.5, 0.012]), [0.04, 0.004, 0.5, 0.036])
    assert scores.holm([]).size == 0


def test_bad_arguments_are_rejected():
    with pytest.raises(ValueError, match=r"\[3 > 0, T, 4\], got \[3, 1, 5\]"):
        scores.classification([0, 1, 2], np.zeros((3, 1, 5)), NAMES)
    with pytest.raises(ValueError, match="expected 3 subjects, got 2"):
        intervals.bootstrap(lambda rows: {}, 3, subjects=["a", "b"])
    with pytest.raises(ValueError, match="same images"):
        scores.compare([True], [True, False])
