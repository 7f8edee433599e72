"""The geometry of windows compared with closed forms."""

import numpy as np
import pytest
from matplotlib.path import Path as Polygon
from support.random_windows import random_windows, rotated

from edram_fer import attention


def test_size_does_not_depend_on_rotation():
    quarter_turn = rotated(0.5, 90)
    assert abs(quarter_turn[0, 0]) < 1e-12  # the entry alone would mean a window without width
    assert attention.area(quarter_turn) == pytest.approx(0.25) and attention.zoom(quarter_turn) == pytest.approx(0.5)
    np.testing.assert_allclose(attention.extents(rotated(0.5, 45)), 0.5 * np.sqrt(2))
    escape = np.array([[0.35, 0.79, 0], [-0.82, 0.35, 0]])
    assert attention.area(escape) == pytest.approx(0.77, abs=0.01)
    np.testing.assert_allclose(attention.extents(escape), [1.14, 1.17])


def test_corners_and_pixels():
    window = np.array([[0.5, 0, 0.25], [0, 0.25, -0.5]])
    expected = [[-0.25, -0.75], [0.75, -0.75], [0.75, -0.25], [-0.25, -0.25]]
    np.testing.assert_allclose(attention.corners(window), expected)
    np.testing.assert_allclose(attention.pixels([[-1, -1], [1, 1], [0, 0]], (11, 21)), [[0, 0], [20, 10], [10, 5]])
    assert attention.corners(random_windows(2, 3)).shape == (2, 3, 4, 2)
    assert attention.centres(random_windows(2, 3)).shape == (2, 3, 2)


def test_path():
    path = np.stack([rotated(0.3, 0, 0, 0), rotated(0.3, 0, 0.2, 0), rotated(0.3, 0, 0.2, 0.4)])
    np.testing.assert_allclose(attention.moves(path), [0.2, 0.4])
    assert attention.saccades(path).tolist() == [False, True]


def test_a_saccade_leaves_the_window_itself():
    """A flat window, a move down: out of it, though the move is shorter than half its width. And turned by 45 degrees:
    towards a corner the window reaches farther, but not as far as its bounding box."""
    flat = np.array([[0.8, 0, 0], [0, 0.1, 0]])
    assert attention.saccades(np.stack([flat, flat + [[0, 0, 0], [0, 0, 0.2]]])).tolist() == [True]
    assert attention.saccades(np.stack([flat, flat + [[0, 0, 0.7], [0, 0, 0]]])).tolist() == [False]
    turned = rotated(0.5, 45)
    for move, leaves in (((0.65, 0), False), ((0.4, 0.4), True), ((0.3, 0.3), False), ((0.75, 0), True)):
        path = np.stack([turned, turned + np.pad(np.reshape(move, (2, 1)), ((0, 0), (2, 0)))])
        inside = Polygon(attention.corners(turned)).contains_point(move)
        assert attention.saccades(path).tolist() == [leaves] == [not inside]
    point = np.zeros((2, 2, 3))  # a window without an area
    point[1, 0, 2] = 0.3
    assert attention.saccades(np.stack([np.diag([0.2, 0.0]) @ np.eye(2, 3), point[0] + [[0, 0, 0], [0, 0, 0.1]]])).all()


def test_classes_that_do_not_differ_have_the_chance_level_between_them():
    random, shares = np.random.default_rng(0), []
    for _ in range(300):
        windows = np.tile(np.eye(2, 3), (30, 1, 1, 1))
        windows[:, 0, :, 2] = random.normal(0, 0.2, (30, 2))
        spread = attention.spread(windows, random.permutation(np.arange(30) % 5))
        shares.append(spread["variance_between"].sum() / spread["variance"].sum())
    assert spread["chance_between"] == 4 / 29 == pytest.approx(np.mean(shares), rel=0.06)


def test_spread_splits_into_within_and_between_classes():
    rng = np.random.default_rng(3)
    windows, classes = random_windows(60, 2), rng.choice(["sad", "happy", "fear"], 60)
    windows[:, 1, :, 2] = [0.1, 0.2] + rng.normal(0, 0.005, (60, 2))
    spread = attention.spread(windows, classes)
    np.testing.assert_allclose(spread["variance_within"] + spread["variance_between"], spread["variance"])
    np.testing.assert_allclose(spread["variance"], windows[..., 2].var(axis=0))
    inside = sum(windows[classes == c, 0, 0, 2].var() * (classes == c).mean() for c in ("sad", "happy", "fear"))
    assert spread["variance_within"][0, 0] == pytest.approx(inside)
    assert spread["collapsed"].tolist() == [False, True]
    assert "variance_within" not in attention.spread(windows)


def test_spread_of_classes_leaves_out_images_without_a_class():
    windows, classes = random_windows(9, 2), np.array(["a", None, "b"] * 3, object)
    spread, known = attention.spread(windows, classes), classes != None  # noqa: E711
    known_only = attention.spread(windows[known], classes[known])
    np.testing.assert_allclose(spread["variance_within"], known_only["variance_within"])
    np.testing.assert_allclose(spread["variance_between"], known_only["variance_between"])
    np.testing.assert_allclose(spread["variance"], attention.spread(windows)["variance"])


def test_glimpse_statistics():
    windows = np.stack([rotated(0.5, 30, 0.1, 0.3), rotated(0.3, 80, 0.3, -0.1)])[:, None]
    statistics = attention.glimpse_statistics(windows)
    expected = {"x": 0.2, "x_sd": 0.1, "y": 0.1, "y_sd": 0.2, "zoom": 0.4, "zoom_sd": 0.1}
    assert {name: values.item() for name, values in statistics.items()} == pytest.approx(expected)


def test_invalid_windows_are_rejected():
    with pytest.raises(ValueError, match=r"\[\.\.\., 2, 3\], not \[4, 6\]"):
        attention.area(np.zeros((4, 6)))
    with pytest.raises(ValueError, match="1 windows have entries that are not finite"):
        attention.extents(np.array([np.eye(2, 3), np.full((2, 3), np.nan)]))
