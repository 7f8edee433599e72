"""Groups of runs compared: intervals that allow for other images and for other seeds."""

import numpy as np
import pytest
from scipy import stats

from edram_fer.evaluation import seeds


def simulated(random, accuracies, images=300):
    """Runs of these accuracies on the same images, some of which are hard for all."""
    hard = random.normal(0, 1, (images, 1))
    noise = random.normal(0, 1, (images, len(accuracies)))
    return (hard + noise) / np.sqrt(2) < stats.norm.ppf(accuracies)


def test_accuracies_and_differences():
    random = np.random.default_rng(0)
    a, b = simulated(random, [0.7, 0.72, 0.74]), simulated(random, [0.8, 0.9])
    first, second, alone = seeds.compare_groups({"a": a, "b": b, "alone": a[:, :1]})
    assert [first["runs"], second["runs"], alone["runs"]] == [3, 2, 1]
    assert first["accuracy"] == pytest.approx(a.mean()) and first["sd"] == pytest.approx(a.mean(axis=0).std(ddof=1))
    assert second["difference"] == pytest.approx(b.mean() - a.mean()) and first["difference"] is None
    assert second["difference_low"] < second["difference"] < second["difference_high"]
    assert [alone[key] for key in ("sd", "low", "high", "difference_low")] == [
        None
    ] * 4  # one seed says nothing of others
    assert alone["difference"] is not None


def test_an_interval_over_seeds_is_at_least_that_of_the_seeds_and_that_of_the_images():
    random = np.random.default_rng(1)
    runs = simulated(random, [0.5, 0.6, 0.7, 0.8, 0.9], images=400)
    [row] = seeds.compare_groups({"a": runs})
    over_seeds = stats.ttest_1samp(runs.mean(axis=0), 0).confidence_interval()
    assert row["high"] - row["low"] > 0.95 * (over_seeds.high - over_seeds.low)
    equal = np.tile(runs[:, :1], 4)  # four seeds that give the same model: only the images are left
    [row] = seeds.compare_groups({"a": equal})
    over_images = stats.ttest_1samp(equal[:, 0].astype(float), 0).confidence_interval()
    np.testing.assert_allclose([row["low"], row["high"]], over_images, rtol=1e-2)


def test_two_ways_of_training_that_are_equally_good_seldom_differ():
    """True null hypotheses: the seeds vary by 3 points. A paired comparison of one seed each rejects most of them."""
    random, rejected, one_seed = np.random.default_rng(2), 0, 0
    for _ in range(60):
        a, b = (simulated(random, np.clip(random.normal(0.75, 0.03, 4), 0.6, 0.9), images=800) for _ in range(2))
        row = seeds.compare_groups({"a": a, "b": b})[1]
        rejected += not row["difference_low"] <= 0 <= row["difference_high"]
        gain = a[:, 0].astype(float) - b[:, 0]
        one_seed += abs(gain.mean()) > 1.96 * gain.std() / np.sqrt(800)
    assert rejected / 60 < 0.09 and one_seed / 60 > 0.2
