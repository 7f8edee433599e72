"""Windows that replace a model's own."""

import numpy as np
import pytest
from scipy import stats
from support.random_windows import rotated

from edram_fer import attention
from edram_fer.attention.alternatives import KINDS, alternative, mean_window


def random_windows(count=200, steps=3, seed=0):
    rng = np.random.default_rng(seed)
    linear = rng.uniform(0.2, 0.6, (count, steps, 1, 1)) * np.eye(2) + rng.normal(0, 0.05, (count, steps, 2, 2))
    return np.concatenate([linear, rng.uniform(-0.3, 0.3, (count, steps, 2, 1))], axis=-1)


def test_each_alternative_is_as_documented():
    windows = random_windows()
    alternatives = {kind: alternative(kind, windows, seed=3) for kind in KINDS}
    assert all(value.shape == windows.shape for value in alternatives.values())
    np.testing.assert_allclose(alternatives["mean"][7], mean_window(windows))
    np.testing.assert_allclose(alternatives["place"][..., 2], windows[..., 2])
    np.testing.assert_allclose(alternatives["place"][7, ..., :2], mean_window(windows)[..., :2])
    np.testing.assert_allclose(alternatives["size"][..., :2], windows[..., :2])
    np.testing.assert_allclose(alternatives["size"][7, ..., 2], windows[..., 2].mean(axis=0))
    rows = [np.flatnonzero((windows == other).all(axis=(1, 2, 3))).item() for other in alternatives["shuffled"]]
    assert sorted(rows) == list(range(len(windows))) and all(row != place for place, row in enumerate(rows))
    np.testing.assert_array_equal(alternatives["random"][..., :2], windows[..., :2])
    corners = attention.corners(alternatives["random"])
    assert np.abs(corners).max() <= 1 + 1e-12 and attention.centres(alternatives["random"]).std() > 0.25
    np.testing.assert_array_equal(alternatives["whole"], np.broadcast_to(np.eye(2, 3), windows.shape))
    np.testing.assert_array_equal(alternative("random", windows, 3), alternatives["random"])
    assert (alternative("random", windows, 4) != alternatives["random"]).any()


def test_turns_do_not_shrink_the_mean_window():
    angles = np.random.default_rng(0).normal(np.radians(20), np.radians(45), 4000)
    windows = np.array([rotated(0.3, angle, 0.1, -0.2) for angle in np.degrees(angles)])
    assert attention.zoom(windows.mean(axis=0)) == pytest.approx(0.22, abs=0.005)  # of the matrices
    expected = np.degrees(stats.circmean(angles, high=np.pi, low=-np.pi))
    np.testing.assert_allclose(mean_window(windows), rotated(0.3, expected, 0.1, -0.2), atol=1e-12)


def test_the_mean_of_equal_windows_is_that_window():
    for window in random_windows(5, 1)[:, 0]:
        window[:, 1] *= -1 if window[0, 0] > 0.4 else 1  # also a mirrored one
        np.testing.assert_allclose(mean_window(np.tile(window, (3, 1, 1))), window, atol=1e-15)
    sizes = np.array([np.diag(size) @ np.eye(2, 3) for size in ((0.2, 0.6), (0.4, 0.2))])
    np.testing.assert_allclose(mean_window(sizes), np.diag((0.3, 0.4)) @ np.eye(2, 3), atol=1e-15)


def test_a_window_larger_than_the_image_stays_in_the_middle():
    large = np.array([[[[1.2, 0, 0.5], [0, 0.5, 0.5]]]])
    x, y = alternative("random", large)[0, 0, :, 2]
    assert x == 0 and abs(y) <= 0.5


def test_invalid_arguments_are_rejected():
    with pytest.raises(ValueError, match="expected one of mean, place, size, shuffled, random, whole, got 'model'"):
        alternative("model", random_windows())
    with pytest.raises(ValueError, match="at least 2 images, got 1"):
        alternative("shuffled", random_windows(1))
