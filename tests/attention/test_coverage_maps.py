"""The area that windows cover, compared with polygon clipping and dense sampling."""

import numpy as np
import pytest
from support.random_windows import random_windows, rotated

from edram_fer import attention

SHAPE = (7, 9)


def clip(polygon, axis, bound, sign):
    """Sutherland-Hodgman: the part of a polygon (list of points) with sign * (p[axis] - bound) >= 0."""
    kept = []
    for p, q in zip(polygon, polygon[1:] + polygon[:1]):
        inside_p, inside_q = sign * (p[axis] - bound) >= 0, sign * (q[axis] - bound) >= 0
        if inside_p:
            kept.append(p)
        if inside_p != inside_q:
            kept.append(p + (q - p) * (bound - p[axis]) / (q[axis] - p[axis]))
    return kept


def clipped_area(polygon, row, column):
    for axis, middle in ((0, column), (1, row)):
        for sign in (1, -1):
            polygon = clip(polygon, axis, middle - sign * 0.5, sign)
    if len(polygon) < 3:
        return 0.0
    x, y = np.transpose(polygon)
    return abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


@pytest.mark.parametrize("scale", [0.2, 0.6, 3.0])
def test_coverage_is_the_area_of_the_clipped_polygon(scale):
    windows = random_windows(12, scale=scale)
    maps = attention.coverage(windows, SHAPE)
    for window, coverage in zip(windows, maps):
        polygon = list(attention.corner_pixels(window, SHAPE))
        expected = [[clipped_area(polygon, r, c) for c in range(SHAPE[1])] for r in range(SHAPE[0])]
        np.testing.assert_allclose(coverage, expected, atol=1e-10)


def test_coverage_is_the_share_of_points_that_map_into_the_window():
    side = 50
    rows, columns = ((np.arange(n * side) + 0.5) / side - 0.5 for n in SHAPE)
    x, y = np.meshgrid(columns / (SHAPE[1] - 1) * 2 - 1, rows / (SHAPE[0] - 1) * 2 - 1)
    for window in random_windows(5, seed=1):
        inner = np.linalg.solve(window[:, :2], np.stack([x.ravel() - window[0, 2], y.ravel() - window[1, 2]]))
        inside = (np.abs(inner) <= 1).all(axis=0).reshape(SHAPE[0], side, SHAPE[1], side).mean(axis=(1, 3))
        np.testing.assert_allclose(attention.coverage(window, SHAPE), inside, atol=0.02)


def test_special_windows():
    whole = attention.coverage(np.eye(2, 3), (3, 3))  # the corners of the window are centres of pixels
    np.testing.assert_allclose(whole, [[0.25, 0.5, 0.25], [0.5, 1, 0.5], [0.25, 0.5, 0.25]])
    np.testing.assert_allclose(attention.coverage(2 * np.eye(2, 3), (3, 4)), 1)
    assert attention.coverage(np.zeros((2, 3)), SHAPE).sum() == 0
    assert attention.coverage(rotated(0.2, 0, x=3), SHAPE).sum() == 0
    assert attention.coverage(rotated(0.2, 0, x=-3), SHAPE).sum() == pytest.approx(0, abs=1e-12)
    mirror = np.array([[-0.3, 0.1, 0.2], [0.2, 0.5, -0.1]])
    np.testing.assert_allclose(
        attention.coverage(mirror, SHAPE), attention.coverage(mirror * [[-1, 1, 1], [-1, 1, 1]], SHAPE), atol=1e-12
    )


def test_density_is_the_normalised_sum_of_weighted_coverages():
    windows, weights = random_windows(40, 3), np.random.default_rng(2).random((40, 3))
    total = (attention.coverage(windows, SHAPE) * weights[..., None, None]).sum(axis=(0, 1))
    np.testing.assert_allclose(attention.weighted_coverage(windows, weights, SHAPE), total, atol=1e-10)
    density = attention.density(windows, weights, SHAPE)
    np.testing.assert_allclose(density, total / total.sum(), atol=1e-12)
    assert density.sum() == pytest.approx(1)


def test_density_does_not_depend_on_the_chunks(monkeypatch):
    windows = random_windows(50, 2)
    whole = attention.density(windows, 0.5, SHAPE)
    monkeypatch.setattr("edram_fer.attention.coverage_maps._CHUNK", 500)
    np.testing.assert_allclose(attention.density(windows, 0.5, SHAPE), whole, atol=1e-14)
    assert attention.coverage(windows, SHAPE).shape == (50, 2, *SHAPE)


def test_windows_that_touch_no_pixel_have_no_density():
    window = np.array(
        [
            [0.04880472645163536, -0.07830126583576202, -1.2251336574554443],
            [0.268374502658844, -0.14086440205574036, -0.602186381816864],
        ]
    )
    with pytest.raises(ValueError, match="none of 1 does"):
        attention.density(window, 1.0, (48, 48))


def test_invalid_windows_and_weights_are_rejected():
    with pytest.raises(ValueError, match="1 windows have entries that are not finite"):
        attention.coverage(np.array([np.eye(2, 3), np.full((2, 3), np.nan)]), SHAPE)
    with pytest.raises(ValueError, match="none of 2 does"):
        attention.density(np.zeros((2, 1, 2, 3)), 1, SHAPE)
    with pytest.raises(ValueError, match="non-negative"):
        attention.density(random_windows(2), [-1, 1], SHAPE)
