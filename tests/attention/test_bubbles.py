"""Bubbles: masks and z scores compared with their definitions, and the map of a model that needs one patch."""

import tracemalloc

import numpy as np
import pytest

from edram_fer.attention import bubbles

SHAPE = (18, 15)


def trials(count, number, seed=0, sigma=1.5):
    return bubbles.apertures(bubbles.scatter(count, number, SHAPE, seed), SHAPE, sigma)


def add_all(masks, correct, labels, classes=2):
    sums = bubbles.no_trials(classes, masks.shape[1:])
    bubbles.add_trials(sums, masks, correct, labels)
    return sums


def test_apertures_are_sums_of_gaussians_limited_to_one():
    centres = np.array([[[3, 10], [3.5, 10], [12.2, 1]], [[-0.4, 17.4], [7, 7], [14, 0]]])
    masks = bubbles.apertures(centres, SHAPE, 1.7)
    for trial, y, x in np.ndindex(2, *SHAPE):
        total = sum(np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * 1.7**2)) for a, b in centres[trial])
        assert masks[trial, y, x] == pytest.approx(min(total, 1), abs=1e-12)


def test_apertures_are_scattered_uniformly_and_independently():
    scattered = bubbles.scatter(400, 50, SHAPE, 3)
    np.testing.assert_array_equal(bubbles.scatter(400, 50, SHAPE, 3), scattered)
    number, centres = np.isfinite(scattered[..., 0]).sum(axis=1), scattered[np.isfinite(scattered[..., 0])]
    assert number.mean() == pytest.approx(50, abs=1.1) and number.var() == pytest.approx(50, rel=0.25)  # Poisson
    counts = np.histogram2d(*centres.T, bins=[np.arange(-0.5, 15), np.arange(-0.5, 18)])[0]
    assert counts.sum() == len(centres)
    chi_square = ((counts - counts.mean()) ** 2 / counts.mean()).sum()
    assert abs(chi_square - 269) < 4 * np.sqrt(2 * 269)  # 270 pixels
    masks = trials(4000, 6, seed=7)
    # an aperture here does not mean one fewer there
    assert abs(np.corrcoef(masks[:, 3, 3], masks[:, 14, 11])[0, 1]) < 4 / np.sqrt(4000)
    assert bubbles.apertures(bubbles.scatter(3, 0, SHAPE, 0), SHAPE, 1.0).sum() == 0


def test_images_are_seen_through_their_masks():
    images = np.random.default_rng(0).integers(0, 256, (3, *SHAPE, 2), dtype=np.uint8)
    masks = np.zeros((3, *SHAPE))
    masks[0], masks[1, 4] = 1, 0.25
    visible = bubbles.reveal(images, masks, 100)
    np.testing.assert_array_equal(visible[0], images[0])
    np.testing.assert_allclose(visible[1, 4], 75 + images[1, 4] / 4, rtol=1e-6)
    assert (visible[2] == 100).all() and visible.dtype == np.float32


def test_z_is_the_correlation_in_standard_deviations_under_shuffled_answers():
    rng, masks = np.random.default_rng(1), trials(60, 6)
    correct = masks[:, 5, 5] + rng.normal(0, 0.3, 60) > 0.4
    z = bubbles.z_map(add_all(masks, correct, np.zeros(60, int)))
    assert np.isnan(z[1]).all()  # a class without trials
    flat, shuffled = masks.reshape(60, -1), [rng.permutation(correct) for _ in range(6000)]
    r = np.array([np.corrcoef(column, correct)[0, 1] for column in flat.T])
    np.testing.assert_allclose(z[0].ravel(), r * np.sqrt(59), rtol=1e-6)
    scaled = (flat - flat.mean(axis=0)) / flat.std(axis=0)
    null = np.array([scaled.T @ (s - correct.mean()) for s in shuffled]) / (60 * correct.std())
    np.testing.assert_allclose(z[0].ravel(), (r - null.mean(axis=0)) / null.std(axis=0), atol=0.25)


def test_z_of_all_classes_and_without_both_answers():
    rng, masks = np.random.default_rng(2), trials(50, 5)
    correct, labels = rng.random(50) < 0.5, rng.integers(0, 2, 50)
    totals = {name: values.sum(axis=0) for name, values in add_all(masks, correct, labels).items()}
    expected = bubbles.z_map(add_all(masks, correct, np.zeros(50, int)))[0]
    np.testing.assert_allclose(bubbles.z_map(totals), expected, atol=1e-9)
    for same in (np.ones(50), np.zeros(50)):
        assert np.isnan(bubbles.z_map(add_all(masks, same, labels))).all()


def test_the_patch_that_decides_is_found():
    masks = trials(1500, 12, seed=4)
    correct = masks[:, 4:7, 9:12].mean(axis=(1, 2)) > 0.5
    z = bubbles.z_map(add_all(masks, correct, np.zeros(1500, int)))[0]
    row, column = np.unravel_index(z.argmax(), SHAPE)
    assert 4 <= row < 7 and 9 <= column < 12 and z.max() > 15
    assert np.abs(z[12:]).max() < 4.5  # far away only chance


def test_the_smallest_sufficient_number_of_bubbles():
    tried = []

    def accuracy(count):
        tried.append(count)
        return count / 100

    assert bubbles.find_bubble_count(accuracy, 0.355, 100) == 36 and len(tried) <= 7
    assert bubbles.find_bubble_count(accuracy, 0.001, 100) == 1
    assert bubbles.find_bubble_count(accuracy, 2, 50) == 50


def test_an_invalid_sigma_is_rejected():
    with pytest.raises(ValueError, match="sigma: expected a positive number of pixels, got 0"):
        bubbles.apertures(np.zeros((1, 1, 2)), SHAPE, 0)


def test_many_small_apertures_need_the_memory_of_their_masks():
    centres = bubbles.scatter(40, 1000, (60, 60), 0)
    tracemalloc.start()
    masks = bubbles.apertures(centres, (60, 60), 1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * masks.nbytes
