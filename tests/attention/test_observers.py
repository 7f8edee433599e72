"""Measures over observers: information gain, leave-one-out, split halves, mixed models, orders of regions."""

import math

import numpy as np
import pandas as pd
import pytest

from edram_fer.attention import agreement, information, mixed_models, observers, region_sequences
from edram_fer.attention.fixations import fixation_map
from edram_fer.attention.regions import REGIONS
from edram_fer.attention.template_space import SHAPE
from edram_fer.errors import MissingPackageError, UserError


def test_information_gain_is_the_difference_of_log_likelihoods():
    rng = np.random.default_rng(0)
    p, b = rng.random((2, 5, 7))
    points = rng.integers(0, 5, (20, 2))
    p_mixed, b_mixed = (0.9 * values / values.sum() + 0.1 / 35 for values in (p, b))
    bits = [math.log2(p_mixed[y, x]) - math.log2(b_mixed[y, x]) for x, y in points]
    assert information.information_gain(p, b, points, uniform=0.1) == pytest.approx(sum(bits) / 20)
    assert information.information_gain(p, p, points) == 0
    assert math.isnan(information.information_gain(p, b, []))
    # fixations drawn from P gain the Kullback-Leibler divergence of P from B
    rows, columns = np.unravel_index(rng.choice(35, 40_000, p=p_mixed.ravel()), (5, 7))
    gain = information.information_gain(p, b, np.stack([columns, rows], axis=1), uniform=0.1)
    assert gain == pytest.approx(agreement.kl(b_mixed, p_mixed) / math.log(2), abs=0.02)


@pytest.mark.parametrize(
    ("maps", "uniform", "message"),
    [
        ([np.ones((2, 2)), np.ones((2, 3))], 0.01, r"maps of \[2, 2\] and \[2, 3\] pixels cannot be compared"),
        ([np.zeros((2, 2)), np.ones((2, 2))], 0.01, "expected distributions"),
        ([np.ones((2, 2)), np.ones((2, 2))], 0, "uniform: expected a share between 0 and 1, got 0"),
    ],
)
def test_information_gain_of_unusable_maps(maps, uniform, message):
    with pytest.raises(UserError, match=message):
        information.information_gain(*maps, [], uniform=uniform)


def looks(people=4, count=30, apart=8.0, seed=0):
    """Fixations of people around (30, 30) on sad and (30 + apart, 30) on happy faces, each with a bias of their own."""
    rng = np.random.default_rng(seed)
    rows = []
    for person in range(people):
        bias = rng.normal(0, 2, 2)
        for emotion, x in (("sad", 30), ("happy", 30 + apart)):
            points = rng.normal((x, 30), 4, (count, 2)) + bias
            rows += [(f"p{person}", emotion, *point) for point in points.clip(0, 60)]
    return pd.DataFrame(rows, columns=["subject", "emotion", "x", "y"])


def test_each_observer_is_predicted_by_all_others():
    table, emotions, centre = looks(), ["sad", "happy"], fixation_map([(32, 34)], SHAPE, 15)
    model = {name: fixation_map([(30 if name == "sad" else 38, 30)], SHAPE, 6) for name in emotions}
    rows = observers.compare({"model": model, "lost": {"sad": np.full(SHAPE, np.nan)}}, table, emotions, centre, 5.0)
    assert len(rows) == 3 * 2 * 4 and set(rows.candidate) == {
        "model",
        "other people",
        "other people, other emotions",
    }
    own = table[(table.subject == "p1") & (table.emotion == "sad")][["x", "y"]].to_numpy()
    others = table[(table.subject != "p1") & (table.emotion == "sad")][["x", "y"]].to_numpy()
    row = rows[(rows.subject == "p1") & (rows.emotion == "sad") & (rows.candidate == "other people")].iloc[0]
    predicted = fixation_map(others, SHAPE, 5)
    assert row.nss == pytest.approx(agreement.nss(predicted, own))
    assert row.cc == pytest.approx(agreement.cc(predicted, fixation_map(own, SHAPE, 5)))
    assert row.information_gain == pytest.approx(information.information_gain(predicted, centre, own))
    summary = observers.summarise(rows, repeats=50).set_index(["candidate", "emotion", "measure"])
    of_model = rows[rows.candidate == "model"].groupby("subject").nss.mean()
    total = summary.loc[("model", "all", "nss")]
    assert total["mean"] == pytest.approx(of_model.mean()) and total.observers == 4
    assert total.low < total["mean"] < total.high
    for measure in ("auc_shuffled", "information_gain_emotions"):  # what is specific to the emotion
        specific, general = (
            summary.loc[(name, "all", measure)]["mean"] for name in ("model", "other people, other emotions")
        )
        assert specific > general + 0.1
    with pytest.raises(UserError, match="at least two observers on at least two emotions, got 1 and 2"):
        observers.compare({}, table[table.subject == "p0"], emotions, centre, 5.0)
    alone = table[
        (table.subject == "p0") & (table.emotion == "sad") | (table.subject == "p1") & (table.emotion != "sad")
    ]
    with pytest.raises(UserError, match="expected an emotion of which two observers have fixations"):
        observers.compare({}, alone, emotions, centre, 5.0)


def test_split_halves():
    same = pd.concat([looks(people=1).assign(subject=name) for name in "abcd"])
    result = observers.split_half(same, ["sad"], 4.0, repeats=5).set_index("measure")
    np.testing.assert_allclose(result["mean"], [1, 1, 0], atol=1e-9)
    noisy = {count: observers.split_half(looks(8, count), ["sad"], 4.0, repeats=20) for count in (3, 60)}
    assert noisy[60]["mean"][0] > noisy[3]["mean"][0]  # more fixations, less noise
    with pytest.raises(UserError, match="at least two observers, got 1"):
        observers.split_half(looks(people=1), ["sad"], 4.0)


def simulated_shares(effect=0.1, people=12, rows=3):
    """Shares of three regions; on happy faces `effect` more mouth. Observers differ by more than the effect."""
    rng = np.random.default_rng(1)
    result = []
    for person in range(people):
        for region, base in (("left eye", 0.3), ("nose", 0.2), ("mouth", 0.2)):
            own = base + rng.normal(0, 0.2)
            for emotion in ("neutral", "happy"):
                added = effect if (region, emotion) == ("mouth", "happy") else 0
                result += [(f"p{person}", emotion, region, own + added + rng.normal(0, 0.03)) for _ in range(rows)]
    return pd.DataFrame(result, columns=["subject", "emotion", "region", "share"])


def test_a_mixed_model_recovers_a_simulated_effect():
    pytest.importorskip("statsmodels", reason="needs the extra statistics")
    table = simulated_shares()
    result = mixed_models.fit_shares(table, emotion="neutral").set_index("region")
    assert result.low["mouth"] < 0.1 < result.high["mouth"] and result.p["mouth"] < 1e-6
    for region in ("left eye", "nose"):
        assert result.low[region] < 0 < result.high[region]
    # in a balanced design: the difference of the means, with the error within the regions of an observer
    means = table.groupby(["region", "emotion"]).share.mean().unstack()
    np.testing.assert_allclose(result.effect, (means.happy - means.neutral)[result.index], atol=1e-9)
    widths = (result.high - result.low) / 2 / 1.96
    np.testing.assert_allclose(widths, 0.03 * math.sqrt(2 / (12 * 3)), rtol=0.2)


def test_what_a_mixed_model_needs(monkeypatch):
    table = simulated_shares(people=2, rows=1)
    monkeypatch.setitem(__import__("sys").modules, "statsmodels.regression.mixed_linear_model", None)
    with pytest.raises(MissingPackageError, match=r'pip install "edram-fer\[statistics\]"'):
        mixed_models.fit_shares(table)
    monkeypatch.undo()
    pytest.importorskip("statsmodels", reason="needs the extra statistics")
    with pytest.raises(UserError, match="emotion: expected one of neutral, happy, got 'fear'"):
        mixed_models.fit_shares(table, emotion="fear")
    with pytest.raises(UserError, match="expected at least two observers, emotions and regions, got 1, 2 and 3"):
        mixed_models.fit_shares(table[table.subject == "p0"])


def sequence():
    """Two viewings, in the order eye, mouth, mouth, nose and mouth, eye."""
    rows = [
        ("ann", "a", 100, 0, "left eye", "sad"),
        ("ann", "a", 200, 150, "mouth", "sad"),
        ("ann", "a", 50, 400, "mouth", "sad"),
        ("ann", "a", 50, 500, "nose", "sad"),
        ("bob", "a", 300, 1000, "mouth", "sad"),
        ("bob", "a", 100, 1350, "left eye", "sad"),
    ]
    return pd.DataFrame(rows, columns=["subject", "image", "duration", "timestamp", "region", "emotion"])


def test_viewings():
    ann, bob = (row for _, row in region_sequences.viewings(sequence()).iterrows())
    assert (ann["first"], ann["second"], ann["fixations"], ann["emotion"]) == ("left eye", "mouth", 4, "sad")
    assert ann["dwell mouth"] == 250 / 400 and ann["count mouth"] == 0.5 and ann["dwell rest"] == 0
    assert (ann["entry mouth"], ann["entry nose"], bob["entry left eye"]) == (150, 500, 350)
    assert math.isnan(ann["entry right eye"])
    without = region_sequences.viewings(sequence().drop(columns="timestamp"))
    assert without["entry nose"][0] == 350 and without["entry left eye"][1] == 300


def test_transitions_and_entropy():
    counts = region_sequences.transitions(sequence(), ["emotion"])
    positive = counts[counts["count"] > 0]
    assert sorted(positive[["from", "to", "count"]].values.tolist()) == [
        ["left eye", "mouth", 1],
        ["mouth", "left eye", 1],
        ["mouth", "mouth", 1],
        ["mouth", "nose", 1],
    ]
    mixed = sequence().iloc[[0, 4, 1, 5, 2, 3]]  # a file may be sorted by time
    pd.testing.assert_frame_equal(region_sequences.transitions(mixed, ["emotion"]), counts)
    matrix = counts["count"].to_numpy().reshape(len(REGIONS), len(REGIONS))
    regions, transitions = region_sequences.entropy(matrix)
    assert regions == pytest.approx(-(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75)))
    assert transitions == pytest.approx(0.75 * math.log2(3))
    assert region_sequences.entropy(np.ones((4, 4))) == pytest.approx((2, 2))
    assert all(map(math.isnan, region_sequences.entropy(np.zeros((2, 2)))))
    with pytest.raises(UserError, match="region: expected one of left eye, .*, got 'ear'"):
        region_sequences.viewings(sequence().assign(region="ear"))
    with pytest.raises(UserError, match="expected a table with the columns .*; region missing"):
        region_sequences.transitions(sequence().drop(columns="region"))
