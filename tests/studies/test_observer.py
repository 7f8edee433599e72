"""The choice of images for an experiment."""

import numpy as np
import pytest

from edram_fer.studies.observer import choose_balanced


def test_images_are_balanced_as_far_as_possible():
    labels = np.repeat([0, 1, 2], [50, 3, 20])
    rows = choose_balanced(labels, 24, seed=5)
    assert len(set(rows.tolist())) == 24 and np.bincount(labels[rows]).tolist() == [11, 3, 10]
    assert [sorted(labels[rows[start : start + 3]]) for start in (0, 3, 6)] == [[0, 1, 2]] * 3
    np.testing.assert_array_equal(choose_balanced(labels, 9, seed=5), rows[:9])
    assert sorted(choose_balanced(labels, 500)) == list(range(73)) and set(choose_balanced(labels, 9, 6)) != set(
        rows[:9]
    )
    with pytest.raises(ValueError, match="images: expected at least 1, got 0"):
        choose_balanced(labels, 0)
