"""Attribution maps of functions for which the right map is known."""

import numpy as np
import pytest

from edram_fer.attention import attribution
from edram_fer.errors import UserError

RNG = np.random.default_rng(0)
SHAPE = (6, 5)


def test_integrated_gradients_of_a_linear_function_are_its_terms():
    weights, image, baseline = RNG.normal(size=(3, *SHAPE, 2))
    maps, error, steps = attribution.integrated_gradients(
        lambda images: ((images * weights).sum(axis=(1, 2, 3)), np.broadcast_to(weights, images.shape)), image, baseline
    )
    np.testing.assert_allclose(maps, (weights * (image - baseline)).sum(axis=-1))
    assert error < 1e-9 and steps == 16


def test_integrated_gradients_take_as_many_steps_as_completeness_needs():
    weights, image = 40 * RNG.random((*SHAPE, 1)), RNG.random((*SHAPE, 1))
    batches = []

    def steep(images):  # a narrow step, which 16 points do not see
        batches.append(len(images))
        score = np.tanh((images * weights).sum(axis=(1, 2, 3)) - 150)
        return score, (1 - score**2)[:, None, None, None] * weights

    maps, error, steps = attribution.integrated_gradients(steep, image, 0.0)
    assert maps.sum() == pytest.approx(steep(image[None])[0][0] - steep(0 * image[None])[0][0], rel=0.01)
    assert error <= 0.01 and 16 < steps <= 512 and sum(batches) == steps + 3 and max(batches) <= 65
    assert attribution.integrated_gradients(steep, image, 0.0, most=16)[1] > 0.01


def test_the_smooth_gradient_is_the_size_of_the_mean_gradient():
    weights = RNG.normal(size=(*SHAPE, 3))
    image = RNG.random((*SHAPE, 3))
    maps = attribution.smooth_gradient(lambda images: (None, np.broadcast_to(weights, images.shape)), image, 0)
    np.testing.assert_allclose(maps, np.abs(weights).sum(axis=-1))
    drawn = []
    for _ in range(2):
        attribution.smooth_gradient(lambda images: (None, drawn.append(images) or images), image, [3, 4], noise=0.2)
    assert drawn[0].shape == (32, *image.shape) and (drawn[0] == drawn[1]).all()
    assert (drawn[0] - image).std() == pytest.approx(0.2 * np.ptp(image), rel=0.05)


def test_grad_cam_weights_the_maps_and_lays_them_where_their_windows_are():
    maps = np.zeros((2, 3, 3, 2))
    maps[0, ..., 0], maps[1, 0, 2, 1] = 1, 5  # constant; the upper right cell
    gradients = np.zeros_like(maps)
    gradients[0, ..., 0], gradients[1, ..., 1] = 2, 3
    windows = np.array([[[0.5, 0, 0.5], [0, 0.5, 0.5]], [[1, 0, 0], [0, 1, 0]]])
    shape = (9, 9)
    quarter = attribution.grad_cam(maps[:1], gradients[:1], windows[:1], shape)
    expected = np.zeros(shape)
    expected[4:, 4:] = 2  # the lower right quarter, whose border is a row of pixels
    np.testing.assert_allclose(quarter, expected)
    whole = attribution.grad_cam(maps[1:], gradients[1:], windows[1:], shape)
    assert whole[0, 8] == whole.max() == 15 and not whole[5:, :4].any()
    np.testing.assert_allclose(attribution.grad_cam(maps, gradients, windows, shape), quarter + whole)
    turned = np.array([[[0, -1, 0], [1, 0, 0]]])  # the window's right is the image's bottom
    rotated = attribution.grad_cam(maps[1:], gradients[1:], turned, shape)
    assert rotated[8, 8] == rotated.max() and not rotated[:4].any()
    assert not attribution.grad_cam(maps, -gradients, windows, shape).any()
    assert not attribution.grad_cam(maps[:1], gradients[:1], np.zeros((1, 2, 3)), shape).any()


def test_random_masks_show_each_cell_with_the_given_probability():
    masks = attribution.random_masks(0, 2000, (20, 16), cells=4, share=0.3)
    assert masks.shape == (2000, 20, 16) and masks.min() == 0 and masks.max() == 1
    np.testing.assert_allclose(masks.mean(axis=0), 0.3, atol=0.05)
    correlation = (
        np.corrcoef(masks[:, 10, 8], masks[:, 10, 9])[0, 1],
        np.corrcoef(masks[:, 0, 0], masks[:, 19, 15])[0, 1],
    )
    assert correlation[0] > 0.8 > 0.1 > abs(correlation[1])
    for options in ({"cells": 0}, {"share": 1.0}):
        with pytest.raises(UserError, match="expected at least one cell and a share between 0 and 1"):
            attribution.random_masks(0, 1, SHAPE, **options)


def test_rise_is_the_slope_on_the_visibility():
    masks, image = attribution.random_masks(1, 800, (12, 12)), np.full((12, 12, 1), 250, np.uint8)

    def answer(images):  # the probability is the visibility of one pixel
        visible = (images[:, 4, 7, 0] - 50) / 200
        return np.stack([1 - visible, visible], axis=1)

    maps = attribution.rise(answer, image, 1, masks, fill=50)
    assert np.unravel_index(maps.argmax(), maps.shape) == (4, 7) and maps[4, 7] == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(attribution.rise(answer, image, 0, masks, fill=50), -maps, atol=1e-6)
    slope = np.polyfit(masks[:, 2, 3], masks[:, 4, 7], 1)[0]
    assert maps[2, 3] == pytest.approx(slope, abs=1e-5)


def test_the_order_of_a_map_decides_the_curves():
    image, worth = np.full((4, 4, 1), 255, np.uint8), np.arange(16.0).reshape(4, 4) / 120

    def answer(images):
        return ((images[..., 0] / 255) * worth).sum(axis=(1, 2))[:, None]

    best = attribution.deletion_insertion(answer, image, worth, 0, fill=0)
    np.testing.assert_allclose(best["insertion"], np.append(0, np.cumsum(np.arange(16)[::-1]) / 120), atol=1e-6)
    np.testing.assert_allclose(best["deletion"], 1 - best["insertion"], atol=1e-6)
    worst = attribution.deletion_insertion(answer, image, -worth, 0, fill=0, steps=4)
    assert len(worst["deletion"]) == 5
    assert attribution.area(best["deletion"]) < 0.5 < attribution.area(worst["deletion"])
    assert attribution.area(best["deletion"]) == pytest.approx(np.trapezoid(best["deletion"], dx=1 / 16))
