"""ScanMatch compared with an exhaustive search of alignments, and MultiMatch."""

import sys

import numpy as np
import pytest

from edram_fer import attention
from edram_fer.attention import scan_paths


def best(a, b, score, gap):
    """Score of the best alignment of two lists, by trying all of them."""
    if not a or not b:
        return gap * (len(a) + len(b))
    return max(
        best(a[1:], b[1:], score, gap) + score(a[0], b[0]),
        best(a[1:], b, score, gap) + gap,
        best(a, b[1:], score, gap) + gap,
    )


def cell(point, columns, rows):
    x, y = (min(max((value + 1) / 2, 0), 0.999999) for value in point)
    return int(x * columns), int(y * rows)


@pytest.mark.parametrize(("gap", "threshold"), [(0, 3.5), (-0.5, 2.0), (-3, 1.5)])
def test_scan_match_is_the_best_of_all_alignments(gap, threshold):
    rng = np.random.default_rng(0)
    for n, m in ((4, 4), (5, 3), (1, 4), (1, 1)):
        a, b = rng.uniform(-1.2, 1.2, (n, 2)), rng.uniform(-1.2, 1.2, (m, 2))
        cells = [[cell(point, 6, 4) for point in path] for path in (a, b)]
        score = best(*cells, lambda p, q: threshold - ((p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2) ** 0.5, gap)
        similarity = scan_paths.scan_match(a, b, bins=(6, 4), threshold=threshold, gap=gap)
        assert similarity == pytest.approx(score / threshold / max(n, m))


def test_scan_match_of_many_pairs_at_once():
    rng = np.random.default_rng(1)
    models, people = rng.uniform(-1, 1, (7, 1, 6, 2)), rng.uniform(-1, 1, (3, 5, 2))
    similarity = scan_paths.scan_match(models, people)
    assert similarity.shape == (7, 3)
    assert similarity[4, 2] == pytest.approx(scan_paths.scan_match(models[4, 0], people[2]))
    np.testing.assert_allclose(scan_paths.scan_match(models, models), 1)
    np.testing.assert_allclose(scan_paths.scan_match(people, models), similarity)  # symmetric


def test_scan_match_at_its_extremes():
    left, right = np.full((3, 2), -0.9), np.full((3, 2), 0.9)
    assert scan_paths.scan_match(left, right) == 0
    assert scan_paths.scan_match(left, left + 0.01) == 1  # the same cells
    assert scan_paths.scan_match(left, right, gap=-0.5) == pytest.approx(-0.5 * 6 / 3 / 3.5)
    assert scan_paths.scan_match(left, left[:1]) == pytest.approx(1 / 3)
    assert np.isnan(scan_paths.scan_match(left, np.empty((0, 2))))
    assert scan_paths.scan_match(left, left[::-1]) == 1
    assert scan_paths.scan_match([[-0.9, 0], [0.9, 0]], [[0.9, 0], [-0.9, 0]]) == pytest.approx(0.5)  # order matters


def test_lengths_and_scale():
    path = np.array([[0, 0], [3, 4], [3, 3]])
    assert scan_paths.path_length(path) == 6 and scan_paths.path_length(path[:1]) == 0
    np.testing.assert_array_equal(scan_paths.path_length(np.stack([path, 2 * path])), [6, 12])
    points = np.random.default_rng(2).uniform(-1, 1, (5, 2))
    np.testing.assert_allclose(scan_paths.scale_points(attention.pixels(points, (20, 31)), (20, 31)), points)


def test_invalid_arguments_are_rejected():
    with pytest.raises(ValueError, match=r"\[\.\.\., N, 2\] and finite, got \[4\]"):
        scan_paths.scan_match(np.zeros(4), np.zeros((2, 2)))
    with pytest.raises(ValueError, match="threshold > 0, gap <= 0 and bins >= 1, got 0, 0.0"):
        scan_paths.scan_match(np.zeros((2, 2)), np.zeros((2, 2)), threshold=0)


def test_multi_match_without_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "multimatch_gaze", None)
    with pytest.raises(ImportError, match=r'pip install "edram-fer\[scanpaths\]"'):
        scan_paths.multi_match(np.zeros((3, 2)), np.zeros((3, 2)), (10, 10))


def test_multi_match_with_its_package():
    rng = np.random.default_rng(3)
    path, diagonal = rng.uniform(0, 20, (4, 2)), np.hypot(30, 20)
    same = scan_paths.multi_match(path, path, (20, 30))
    assert list(same.values()) == pytest.approx([1] * 4)
    shifted = scan_paths.multi_match(path, path + (3, 4), (20, 30))
    assert shifted["position"] == pytest.approx(1 - 5 / diagonal) and shifted["shape"] == pytest.approx(1)


def test_multi_match_stays_between_0_and_1_and_rejects_nan():
    pytest.importorskip("multimatch_gaze")
    path = np.random.default_rng(0).uniform(0, 47, (5, 2))
    similarity = scan_paths.multi_match(path + 100, path, (48, 48))
    assert all(0 <= value <= 1 for value in similarity.values())
    with pytest.raises(ValueError, match="finite"):
        scan_paths.multi_match(path * np.nan, path, (48, 48))


def test_multi_match_of_short_paths_is_nan():
    path = np.arange(8.0).reshape(4, 2)
    assert np.isnan(list(scan_paths.multi_match(path, path[:2], (20, 30)).values())).all()
