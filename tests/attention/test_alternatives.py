"""Windows that replace a model's own."""

import numpy as np
import pytest

from edram_fer import attention
from edram_fer.attention.alternatives import KINDS, alternative


def random_windows(count=200, steps=3, seed=0):
    rng = np.random.default_rng(seed)
    linear = rng.uniform(0.2, 0.6, (count, steps, 1, 1)) * np.eye(2) + rng.normal(0, 0.05, (count, steps, 2, 2))
    return np.concatenate([linear, rng.uniform(-0.3, 0.3, (count, steps, 2, 1))], axis=-1)


def test_each_alternative_is_as_documented():
    windows = random_windows()
    alternatives = {kind: alternative(kind, windows, seed=3) for kind in KINDS}
    assert all(value.shape == windows.shape for value in alternatives.values())
    np.testing.assert_allclose(alternatives["mean"][7], windows.sum(axis=0) / len(windows))
    rows = [np.flatnonzero((windows == other).all(axis=(1, 2, 3))).item() for other in alternatives["shuffled"]]
    assert sorted(rows) == list(range(len(windows))) and all(row != place for place, row in enumerate(rows))
    np.testing.assert_array_equal(alternatives["random"][..., :2], windows[..., :2])
    corners = attention.corners(alternatives["random"])
    assert np.abs(corners).max() <= 1 + 1e-12 and attention.centres(alternatives["random"]).std() > 0.25
    np.testing.assert_array_equal(alternatives["whole"], np.broadcast_to(np.eye(2, 3), windows.shape))
    np.testing.assert_array_equal(alternative("random", windows, 3), alternatives["random"])
    assert (alternative("random", windows, 4) != alternatives["random"]).any()


def test_a_window_larger_than_the_image_stays_in_the_middle():
    large = np.array([[[[1.2, 0, 0.5], [0, 0.5, 0.5]]]])
    x, y = alternative("random", large)[0, 0, :, 2]
    assert x == 0 and abs(y) <= 0.5


def test_invalid_arguments_are_rejected():
    with pytest.raises(ValueError, match="expected one of mean, shuffled, random, whole, got 'model'"):
        alternative("model", random_windows())
    with pytest.raises(ValueError, match="at least 2 images, got 1"):
        alternative("shuffled", random_windows(1))
