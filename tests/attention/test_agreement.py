"""Measures of agreement compared with scikit-learn, SciPy and the published formulas."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from edram_fer.attention import agreement, coverage, density, weighted_coverage

SHAPE = (12, 9)


def random_data(seed=0, count=15, levels=None):
    """A map (of few `levels`, with many ties), another map, and fixations that are not at pixel centres."""
    rng = np.random.default_rng(seed)
    saliency = rng.random(SHAPE) if levels is None else rng.integers(0, levels, SHAPE).astype(float)
    fixations = rng.uniform(-0.49, np.array(SHAPE[::-1]) - 0.51, (count, 2))
    return saliency, rng.random(SHAPE), fixations


def values_at(saliency, fixations):
    return [saliency[round(y), round(x)] for x, y in fixations]


def test_nss_is_the_mean_z_score():
    saliency, _, fixations = random_data()
    z = stats.zscore(saliency, axis=None)
    assert agreement.nss(saliency, fixations) == pytest.approx(np.mean(values_at(z, fixations)))
    assert agreement.nss(7 * saliency + 3, fixations) == pytest.approx(agreement.nss(saliency, fixations))
    assert agreement.nss(saliency, fixations[:1]) == pytest.approx(values_at(z, fixations[:1])[0])
    assert agreement.nss(np.full(SHAPE, 0.1), fixations) == 0
    assert math.isnan(agreement.nss(saliency, []))


def test_cc_is_pearson_correlation():
    p, q, _ = random_data()
    assert agreement.cc(p, q) == pytest.approx(stats.pearsonr(p.ravel(), q.ravel()).statistic)
    assert agreement.cc(p, 3 * p + 1) == pytest.approx(1)
    assert math.isnan(agreement.cc(p, np.full(SHAPE, 0.1)))


def test_sim_and_kl_follow_their_formulas():
    p, q, _ = random_data()
    q[:4] = 0
    p[2:6] = 0
    pairs = list(zip((p / p.sum()).flat, (q / q.sum()).flat))
    assert agreement.sim(p, q) == pytest.approx(sum(min(pair) for pair in pairs))
    e = 2.2204e-16
    assert agreement.kl(p, q) == pytest.approx(sum(b * math.log(e + b / (a + e)) for a, b in pairs))
    assert agreement.sim(p, 5 * p) == pytest.approx(1) and agreement.kl(p, 5 * p) == pytest.approx(0, abs=1e-12)
    assert agreement.sim(np.eye(2), 1 - np.eye(2)) == 0
    positive = np.maximum(p, 0.01)
    expected = stats.entropy(q.ravel(), positive.ravel())  # where P > 0, e makes no difference
    assert agreement.kl(positive, q) == pytest.approx(expected)


@pytest.mark.parametrize("levels", [None, 4])
def test_auc_judd_is_the_area_under_the_roc_curve(levels):
    saliency, _, fixations = random_data(levels=levels)
    fixated = {(round(y), round(x)) for x, y in fixations}
    negative = [saliency[cell] for cell in np.ndindex(SHAPE) if cell not in fixated]
    values = values_at(saliency, fixations)
    expected = roc_auc_score([1] * len(values) + [0] * len(negative), values + negative)
    assert agreement.auc_judd(saliency, fixations) == pytest.approx(expected)


@pytest.mark.parametrize("levels", [None, 4])
def test_auc_shuffled_compares_with_the_fixations_of_other_images(levels):
    saliency, _, fixations = random_data(levels=levels)
    others = random_data(seed=1, count=40)[2]
    values, negative = values_at(saliency, fixations), values_at(saliency, others)
    wins = sum((a > b) + (a == b) / 2 for a in values for b in negative)
    assert agreement.auc_shuffled(saliency, fixations, others) == pytest.approx(wins / len(values) / len(negative))


def test_aucs_with_nothing_to_rank():
    saliency, _, fixations = random_data()
    assert agreement.auc_judd(np.ones(SHAPE), fixations) == 0.5
    assert agreement.auc_judd(np.arange(4.0).reshape(2, 2), [[1, 1]]) == 1
    assert math.isnan(agreement.auc_judd(saliency, np.empty((0, 2))))
    assert math.isnan(agreement.auc_judd(np.ones((1, 1)), [[0, 0]]))  # no pixel without a fixation
    assert math.isnan(agreement.auc_shuffled(saliency, fixations, []))


def test_a_central_blob_scores_well_except_in_the_shuffled_auc():
    rng = np.random.default_rng(3)
    people = np.clip(rng.normal(10, 3, (400, 2)), 0, 20)
    blob = np.exp(-((np.mgrid[:21, :21] - 10) ** 2).sum(axis=0) / 18)
    assert agreement.auc_judd(blob, people[:50]) > 0.8
    assert agreement.auc_shuffled(blob, people[:50], people[50:]) == pytest.approx(0.5, abs=0.07)


def test_all_measures():
    saliency, human, fixations = random_data()
    measures = agreement.all_measures(saliency, fixations, human, fixations[:3])
    assert measures["auc_shuffled"] == agreement.auc_shuffled(saliency, fixations, fixations[:3])
    assert measures["kl"] == agreement.kl(saliency, human) and measures["nss"] == agreement.nss(saliency, fixations)
    assert math.isnan(agreement.all_measures(saliency, fixations, human)["auc_shuffled"])


def test_measures_ignore_offset_and_scale_of_a_map():
    saliency, other, fixations = random_data()
    for changed in (saliency * 1e-200, 5 * saliency - 3):
        assert agreement.nss(changed, fixations) == pytest.approx(agreement.nss(saliency, fixations))
        assert agreement.cc(changed, other) == pytest.approx(agreement.cc(saliency, other))
        assert agreement.auc_judd(changed, fixations) == pytest.approx(agreement.auc_judd(saliency, fixations))


def test_pixels_with_the_same_coverage_are_equal():
    """Rounding errors of the coverage must not rank them."""
    rng = np.random.default_rng(5)
    fixations = rng.uniform(0, 23, (12, 2))
    everywhere = 2 * np.eye(2, 3) + rng.normal(0, 0.1, (6, 2, 3))
    saliency = density(everywhere, 1 / 6, (24, 24))
    assert agreement.nss(saliency, fixations) == 0 and agreement.auc_judd(saliency, fixations) == 0.5
    assert np.isnan(agreement.cc(saliency, rng.uniform(size=(24, 24))))
    for seed in range(20):
        windows = np.random.default_rng(seed).normal(0, 0.5, (3, 2, 3))
        saliency, coverages = weighted_coverage(windows, 1 / 3, (24, 24)), coverage(windows, (24, 24))
        assert agreement.auc_judd(saliency, fixations) == agreement.auc_judd(
            np.round(coverages.mean(axis=0), 9), fixations
        )
        assert (saliency == 0).sum() == (coverages.max(axis=0) == 0).sum()


def test_invalid_maps_and_fixations_are_rejected():
    saliency, other, fixations = random_data()
    with pytest.raises(ValueError, match="1 of 15 fixations lie outside a map of 9 x 12 pixels, such as"):
        agreement.nss(saliency, np.concatenate([fixations[1:], [[8.6, 3]]]))
    with pytest.raises(ValueError, match=r"\[F, 2\] as \(x, y\), not \[15, 1\]"):
        agreement.nss(saliency, fixations[:, :1])
    with pytest.raises(ValueError, match="below 0 is not a distribution"):
        agreement.sim(saliency - 1, other)
    with pytest.raises(ValueError, match="finite; got .*, 108 values not finite"):
        agreement.nss(np.full(SHAPE, np.nan), fixations)
    with pytest.raises(ValueError, match="0 everywhere"):
        agreement.kl(np.zeros(SHAPE), other)
    with pytest.raises(ValueError, match=r"\[12, 9\] and \[9, 12\]"):
        agreement.cc(saliency, other.T)
