"""Measures of agreement against scikit-learn, SciPy and the published formulas in a few lines."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from edram_fer.attention import agreement, coverage, density, weighted_coverage

SHAPE = (12, 9)


def made_up(seed=0, count=15, levels=None):
    """A map with many ties where `levels` is small, another map, and fixations with a fraction of a pixel."""
    rng = np.random.default_rng(seed)
    map = rng.random(SHAPE) if levels is None else rng.integers(0, levels, SHAPE).astype(float)
    fixations = rng.uniform(-0.49, np.array(SHAPE[::-1]) - 0.51, (count, 2))
    return map, rng.random(SHAPE), fixations


def looked_up(map, fixations):
    return [map[round(y), round(x)] for x, y in fixations]


def test_nss_is_the_mean_z_score():
    map, _, fixations = made_up()
    z = stats.zscore(map, axis=None)
    assert agreement.nss(map, fixations) == pytest.approx(np.mean(looked_up(z, fixations)))
    assert agreement.nss(7 * map + 3, fixations) == pytest.approx(agreement.nss(map, fixations))
    assert agreement.nss(map, fixations[:1]) == pytest.approx(looked_up(z, fixations[:1])[0])
    assert agreement.nss(np.full(SHAPE, 0.1), fixations) == 0
    assert math.isnan(agreement.nss(map, []))


def test_cc_is_pearsons_correlation():
    p, q, _ = made_up()
    assert agreement.cc(p, q) == pytest.approx(stats.pearsonr(p.ravel(), q.ravel()).statistic)
    assert agreement.cc(p, 3 * p + 1) == pytest.approx(1)
    assert math.isnan(agreement.cc(p, np.full(SHAPE, 0.1)))


def test_sim_and_kl_by_their_formulas():
    p, q, _ = made_up()
    q[:4] = 0
    p[2:6] = 0
    pairs = list(zip((p / p.sum()).flat, (q / q.sum()).flat))
    assert agreement.sim(p, q) == pytest.approx(sum(min(pair) for pair in pairs))
    e = 2.22e-16
    assert agreement.kl(p, q) == pytest.approx(sum(b * math.log(e + b / (a + e)) for a, b in pairs))
    assert agreement.sim(p, 5 * p) == pytest.approx(1) and agreement.kl(p, 5 * p) == pytest.approx(0, abs=1e-12)
    assert agreement.sim(np.eye(2), 1 - np.eye(2)) == 0
    positive = np.maximum(p, 0.01)
    expected = stats.entropy(q.ravel(), positive.ravel())  # where P > 0 the e do not matter
    assert agreement.kl(positive, q) == pytest.approx(expected)


@pytest.mark.parametrize("levels", [None, 4])
def test_auc_judd_is_the_area_under_the_roc_curve(levels):
    map, _, fixations = made_up(levels=levels)
    seen = {(round(y), round(x)) for x, y in fixations}
    negative = [map[cell] for cell in np.ndindex(SHAPE) if cell not in seen]
    values = looked_up(map, fixations)
    expected = roc_auc_score([1] * len(values) + [0] * len(negative), values + negative)
    assert agreement.auc_judd(map, fixations) == pytest.approx(expected)


@pytest.mark.parametrize("levels", [None, 4])
def test_auc_shuffled_compares_with_the_fixations_of_other_images(levels):
    map, _, fixations = made_up(levels=levels)
    others = made_up(seed=1, count=40)[2]
    values, negative = looked_up(map, fixations), looked_up(map, others)
    wins = sum((a > b) + (a == b) / 2 for a in values for b in negative)
    assert agreement.auc_shuffled(map, fixations, others) == pytest.approx(wins / len(values) / len(negative))


def test_aucs_without_anything_to_rank():
    map, _, fixations = made_up()
    assert agreement.auc_judd(np.ones(SHAPE), fixations) == 0.5
    assert agreement.auc_judd(np.arange(4.0).reshape(2, 2), [[1, 1]]) == 1
    assert math.isnan(agreement.auc_judd(map, np.empty((0, 2))))
    assert math.isnan(agreement.auc_judd(np.ones((1, 1)), [[0, 0]]))  # no pixel is left
    assert math.isnan(agreement.auc_shuffled(map, fixations, []))


def test_a_blob_in_the_middle_wins_all_but_the_shuffled_auc():
    rng = np.random.default_rng(3)
    people = np.clip(rng.normal(10, 3, (400, 2)), 0, 20)
    blob = np.exp(-((np.mgrid[:21, :21] - 10) ** 2).sum(axis=0) / 18)
    assert agreement.auc_judd(blob, people[:50]) > 0.8
    assert agreement.auc_shuffled(blob, people[:50], people[50:]) == pytest.approx(0.5, abs=0.07)


def test_all_measures():
    map, human, fixations = made_up()
    found = agreement.all_measures(map, fixations, human, fixations[:3])
    assert found["auc_shuffled"] == agreement.auc_shuffled(map, fixations, fixations[:3])
    assert found["kl"] == agreement.kl(map, human) and found["nss"] == agreement.nss(map, fixations)
    assert math.isnan(agreement.all_measures(map, fixations, human)["auc_shuffled"])


def test_the_level_and_the_unit_of_a_map_say_nothing():
    map, other, fixations = made_up()
    for changed in (map * 1e-200, 5 * map - 3):
        assert agreement.nss(changed, fixations) == pytest.approx(agreement.nss(map, fixations))
        assert agreement.cc(changed, other) == pytest.approx(agreement.cc(map, other))
        assert agreement.auc_judd(changed, fixations) == pytest.approx(agreement.auc_judd(map, fixations))


def test_pixels_that_are_looked_at_as_much_are_equal():
    """What rounding leaves of the area of windows must not order them."""
    rng = np.random.default_rng(5)
    fixations = rng.uniform(0, 23, (12, 2))
    everywhere = 2 * np.eye(2, 3) + rng.normal(0, 0.1, (6, 2, 3))
    map = density(everywhere, 1 / 6, (24, 24))
    assert agreement.nss(map, fixations) == 0 and agreement.auc_judd(map, fixations) == 0.5
    assert np.isnan(agreement.cc(map, rng.uniform(size=(24, 24))))
    for seed in range(20):
        windows = np.random.default_rng(seed).normal(0, 0.5, (3, 2, 3))
        map, each = weighted_coverage(windows, 1 / 3, (24, 24)), coverage(windows, (24, 24))
        assert agreement.auc_judd(map, fixations) == agreement.auc_judd(np.round(each.mean(axis=0), 9), fixations)
        assert (map == 0).sum() == (each.max(axis=0) == 0).sum()


def test_bad_maps_and_fixations_are_refused():
    map, other, fixations = made_up()
    with pytest.raises(ValueError, match="1 of 15 fixations lie outside a map of 9 x 12 pixels, such as"):
        agreement.nss(map, np.concatenate([fixations[1:], [[8.6, 3]]]))
    with pytest.raises(ValueError, match=r"\[F, 2\] as \(x, y\), not \[15, 1\]"):
        agreement.nss(map, fixations[:, :1])
    with pytest.raises(ValueError, match="below 0 is not a distribution"):
        agreement.sim(map - 1, other)
    with pytest.raises(ValueError, match="finite; got .*, 108 values not finite"):
        agreement.nss(np.full(SHAPE, np.nan), fixations)
    with pytest.raises(ValueError, match="0 everywhere"):
        agreement.kl(np.zeros(SHAPE), other)
    with pytest.raises(ValueError, match=r"\[12, 9\] and \[9, 12\]"):
        agreement.cc(map, other.T)
