"""Maps of classes and steps compared with loops over single densities."""

import numpy as np
import pytest

from edram_fer import attention

SHAPE, NAMES = (7, 9), ["happy", "sad", "fear"]


def random_attention(count=40, steps=3, seed=0):
    rng = np.random.default_rng(seed)
    windows = rng.normal(0, 0.2, (count, steps, 2, 3)) + 0.4 * np.eye(2, 3)
    return windows, rng.random((count, steps)), rng.choice(["happy", "sad", None, "anger"], count)


def test_densities_are_those_of_each_class_and_step():
    windows, weights, groups = random_attention()
    maps = attention.densities(windows, weights, groups, NAMES, SHAPE)
    assert maps.shape == (3, 3, *SHAPE) and np.isnan(maps[2]).all()  # no image of "fear"
    pooled = attention.densities(windows, weights, groups, NAMES, SHAPE, by_step=False)
    for k, name in enumerate(NAMES[:2]):
        rows = groups == name
        for t in range(3):
            expected = attention.density(windows[rows, t], weights[rows, t], SHAPE)
            np.testing.assert_allclose(maps[k, t], expected, atol=1e-12)
        np.testing.assert_allclose(pooled[k], attention.density(windows[rows], weights[rows], SHAPE), atol=1e-12)


def test_densities_do_not_depend_on_the_chunks(monkeypatch):
    whole = attention.densities(*random_attention(), NAMES, SHAPE)
    monkeypatch.setattr("edram_fer.attention.coverage_maps._CHUNK", 500)
    np.testing.assert_allclose(attention.densities(*random_attention(), NAMES, SHAPE), whole, atol=1e-14)


def test_undefined_densities_are_nan():
    outside = np.array([[0.2, 0, -3], [0, 0.2, 0]])
    windows = np.stack([np.eye(2, 3), outside])[None]
    maps = attention.densities(windows, np.full((1, 2), 0.5), ["sad"], NAMES, SHAPE)
    assert np.isnan(maps[1, 1]).all() and np.isnan(maps[0]).all()
    assert maps[1, 0].sum() == pytest.approx(1)
    none = attention.densities(np.zeros((0, 2, 2, 3)), np.zeros((0, 2)), [], NAMES, SHAPE)
    assert none.shape == (3, 2, *SHAPE) and np.isnan(none).all()


def test_grouped_coverage_is_the_sum_over_each_group():
    windows, weights, _ = random_attention()
    group = np.random.default_rng(1).integers(-1, 5, weights.shape)
    result = attention.grouped_coverage(windows, weights, group, 6, SHAPE)
    for k in range(6):
        rows = group == k
        expected = (weights[rows][:, None, None] * attention.coverage(windows[rows], SHAPE)).sum(axis=0)
        np.testing.assert_allclose(result[k], expected, atol=1e-11)
    assert not result[5].any()


def test_differences():
    windows, weights, groups = random_attention()
    maps = attention.densities(windows, weights, groups, NAMES, SHAPE)
    first = attention.difference(maps, maps[:, :1])
    np.testing.assert_allclose(first[0, 2], maps[0, 2] - maps[0, 0])
    np.testing.assert_allclose(attention.step_differences(maps)[1, 1], maps[1, 2] - maps[1, 1])
    assert attention.step_differences(maps[:, :1]).shape == (3, 0, *SHAPE)  # no step before a single one
    np.testing.assert_allclose(first[:2].sum(axis=(-2, -1)), 0, atol=1e-12)
    share = attention.total_variation(first[0])
    assert share[0] == 0 and share[1] == pytest.approx(1 - np.minimum(maps[0, 1], maps[0, 0]).sum())
    apart = np.zeros((2, 2, 2))
    apart[0, 0, 0] = apart[1, 1, 1] = 1
    assert attention.total_variation(attention.difference(*apart)) == 1


def test_one_vs_rest():
    windows, weights, groups = random_attention(seed=2)
    names = ["happy", "sad", "anger", "fear"]
    maps = attention.densities(windows, weights, groups, names, SHAPE)
    sizes = [(groups == name).sum() for name in names]
    result = attention.one_vs_rest(maps, sizes)
    others = np.average(maps[[0, 2]], axis=0, weights=[sizes[0], sizes[2]])
    np.testing.assert_allclose(result[1], maps[1] - others, atol=1e-12)
    assert np.isnan(result[3]).all()
    assert np.isnan(attention.one_vs_rest(maps[:1], [5])).all()


def test_invalid_maps_are_rejected():
    windows, weights, groups = random_attention(4)
    with pytest.raises(ValueError, match=r"expected weights \[4, 3\] and 4 groups .* got \[4, 3\] and \[3\]"):
        attention.densities(windows, weights, groups[:3], NAMES, SHAPE)
    with pytest.raises(ValueError, match="sum to 1, got sums from 4.0 to 4.0"):
        attention.difference(np.ones((2, 2)), np.full((2, 2), 0.25))
    with pytest.raises(ValueError, match=r"\[2, 2\] and \[1, 1\] pixels"):
        attention.difference(np.full((2, 2), 0.25), np.ones((1, 1)))
    with pytest.raises(ValueError, match="below 2, got 2"):
        attention.grouped_coverage(windows, weights, 2, 2, SHAPE)
