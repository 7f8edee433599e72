"""Random erasing compared with the paper's algorithm, one image at a time."""

import keras
import numpy as np
import pytest

from edram_fer.data import erasing

SIZE = (40, 30)


def test_draw_is_a_function_of_seed_and_epoch_and_keeps_the_published_ranges():
    boxes = erasing.draw(5, 2, 4000, 0.5, SIZE)
    np.testing.assert_array_equal(boxes, erasing.draw(5, 2, 4000, 0.5, SIZE))
    assert not np.array_equal(boxes, erasing.draw(5, 3, 4000, 0.5, SIZE)) and boxes.dtype == np.float32
    lost = boxes.any(axis=1)
    assert 0.47 < lost.mean() < 0.53
    left, top, right, bottom = boxes[lost].T
    assert left.min() >= 0 and top.min() >= 0 and right.max() <= SIZE[1] and bottom.max() <= SIZE[0]
    area, aspect = (right - left) * (bottom - top) / np.prod(SIZE), (bottom - top) / (right - left)
    assert 0.02 - 1e-5 < area.min() < 0.03 and 0.3 < area.max() < 0.4 + 1e-5
    assert 0.3 - 1e-4 < aspect.min() < 0.4 and 3 < aspect.max() < 1 / 0.3 + 1e-4
    assert not erasing.draw(5, 2, 100, 0, SIZE).any()


def test_draw_has_the_distribution_of_the_algorithm():
    rng, areas, corners = np.random.default_rng(0), [], []
    while len(areas) < 3000:  # algorithm 1, until a rectangle fits
        area, aspect = rng.uniform(0.02, 0.4) * np.prod(SIZE), rng.uniform(0.3, 1 / 0.3)
        height, width = np.sqrt(area * aspect), np.sqrt(area / aspect)
        x, y = rng.uniform(0, SIZE[1]), rng.uniform(0, SIZE[0])
        if x + width <= SIZE[1] and y + height <= SIZE[0]:
            areas.append(area / np.prod(SIZE))
            corners.append((x, y))
    left, top, right, bottom = erasing.draw(1, 0, 3000, 1, SIZE).T
    actual = (right - left) * (bottom - top) / np.prod(SIZE)
    np.testing.assert_allclose(np.quantile(actual, [0.1, 0.5, 0.9]), np.quantile(areas, [0.1, 0.5, 0.9]), atol=0.02)
    np.testing.assert_allclose([left.mean(), top.mean()], np.mean(corners, axis=0), atol=0.6)


def test_erase_sets_the_pixels_of_the_box_to_the_mean():
    images = np.random.default_rng(1).random((5, *SIZE, 3)).astype("float32")
    boxes = erasing.draw(2, 0, 5, 1, SIZE)
    boxes[3] = 0
    actual = keras.ops.convert_to_numpy(erasing.erase(images, boxes))
    for image, before, (left, top, right, bottom) in zip(actual, images, boxes, strict=True):
        inside = np.zeros(SIZE, bool)
        for row in range(SIZE[0]):
            for column in range(SIZE[1]):
                inside[row, column] = left <= column + 0.5 < right and top <= row + 0.5 < bottom
        np.testing.assert_allclose(image[inside], before.mean(), rtol=1e-5)
        np.testing.assert_array_equal(image[~inside], before[~inside])
        assert inside.sum() == pytest.approx((right - left) * (bottom - top), abs=sum(SIZE))
    np.testing.assert_array_equal(actual[3], images[3])
