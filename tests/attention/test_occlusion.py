"""Occlusion maps compared with a loop over pixels, and of a model whose answer depends on a known patch."""

import numpy as np
import pytest

from edram_fer.attention.occlusion import corners, occlude, occlusion_maps

SHAPE = (17, 13)
PATCH = (slice(3, 7), slice(8, 12))


def answer(images):
    """Probabilities of two classes; that of the second is the brightness of the patch."""
    bright = images[:, *PATCH, 0].mean(axis=(1, 2)) / 255
    return np.stack([1 - bright, bright], axis=1)


def make_image(level=204, seed=0):
    image = np.random.default_rng(seed).integers(0, 256, (*SHAPE, 1), dtype=np.uint8)
    image[PATCH] = level
    return image


def expected_maps(image, label, window, stride, fill):
    """A loop over pixels, and for each over the squares (on the grid or flush with the border) that cover it."""
    rows, columns = (sorted({*range(0, side - window + 1, stride), side - window}) for side in image.shape[:2])
    original = answer(image[None])[0]
    maps = {"probability_drop": np.empty(image.shape[:2]), "error_rate": np.empty(image.shape[:2])}
    for y, x in np.ndindex(image.shape[:2]):
        drops, errors = [], []
        for top in (row for row in rows if row <= y < row + window):
            for left in (column for column in columns if column <= x < column + window):
                covered = image.copy()
                covered[top : top + window, left : left + window] = fill
                answered = answer(covered[None])[0]
                drops.append(original[label] - answered[label])
                errors.append(answered.argmax() != label)
        maps["probability_drop"][y, x], maps["error_rate"][y, x] = np.mean(drops), np.mean(errors)
    return maps


@pytest.mark.parametrize(("window", "stride", "fill"), [(5, 2, 0), (4, 4, 0), (6, 5, 90), (1, 1, 0), (13, 13, 0)])
def test_maps_are_means_over_the_squares_that_cover_a_pixel(window, stride, fill):
    maps = occlusion_maps(answer, make_image(), 1, window=window, stride=stride, fill=fill)
    for name, values in expected_maps(make_image(), 1, window, stride, fill).items():
        np.testing.assert_allclose(maps[name], values, atol=1e-12)


def test_the_patch_is_found_and_nothing_else():
    maps = occlusion_maps(answer, make_image(), 1, window=3, stride=1)
    for values in maps.values():
        row, column = np.unravel_index(values.argmax(), SHAPE)
        assert PATCH[0].start <= row < PATCH[0].stop and PATCH[1].start <= column < PATCH[1].stop
        far = np.ones(SHAPE, bool)
        far[0:9, 6:13] = False  # where a window can reach the patch
        assert not values[far].any()
    # The squares over a pixel one off the patch's corner cover 2, 3 and 3 of its 4 rows, and of its columns.
    assert maps["probability_drop"].max() == pytest.approx(0.8 * (8 / 3) ** 2 / 16)


def test_misleading_parts_are_negative_and_wrong_answers_have_no_error_rate():
    maps = occlusion_maps(answer, make_image(), 0, window=4, stride=2)
    assert maps["probability_drop"].min() < -0.5 and maps["probability_drop"].max() == 0
    assert np.isnan(maps["error_rate"]).all()


def test_every_pixel_is_covered_by_squares_inside_the_image():
    for window, stride in ((5, 2), (5, 5), (13, 1), (2, 2), (7, 3)):
        places = corners(SHAPE, window, stride)
        squares = occlude(np.full((*SHAPE, 1), 7, np.uint8), places, window, 0) == 0
        assert (squares.sum(axis=(1, 2, 3)) == window**2).all() and squares.any(axis=0).all()
        assert len(np.unique(places, axis=0)) == len(places)


@pytest.mark.parametrize(
    ("window", "stride", "message"),
    [
        (14, 2, "window: expected 1 to 13 pixels for images of 17 x 13, got 14"),
        (0, 1, "window: expected 1 to 13 pixels"),
        (5, 0, "stride: expected 1 to 5 pixels, or some stay uncovered; got 0"),
        (5, 6, "stride: expected 1 to 5 pixels, or some stay uncovered; got 6"),
    ],
)
def test_invalid_squares_are_rejected(window, stride, message):
    with pytest.raises(ValueError, match=message):
        corners(SHAPE, window, stride)
