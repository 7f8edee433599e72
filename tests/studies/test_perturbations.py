"""Changed images: squares that cover a part, and rotations."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from edram_fer.studies import perturbations


def noise(count=6, shape=(20, 20), channels=1, seed=0):
    return np.random.default_rng(seed).integers(1, 256, (count, *shape, channels), dtype=np.uint8)


def test_squares_have_their_size_lie_inside_and_grow_in_place():
    images, places = noise(40, (16, 20)), np.random.default_rng(1).random((40, 2))
    before = np.zeros(images.shape, bool)
    for share, side in ((0, 0), (0.25, 4), (0.5, 8), (0.6, 10), (1, 16)):
        changed = perturbations.cover_with_squares(images, share, places)
        black = changed == 0
        assert (black.sum(axis=(1, 2, 3)) == side**2).all()
        np.testing.assert_array_equal(changed[~black], images[~black])
        assert (black & before).sum() >= 0.8 * before.sum()  # up to the rounding to pixels
        before = black
    centre = np.argwhere(perturbations.cover_with_squares(images, 0.25, places) == 0)[:, 1:3]
    assert np.ptp(centre[:, 0]) == 15 and np.ptp(centre[:, 1]) > 17  # anywhere


def test_landmarks_rotate_with_their_image():
    images, angles = np.zeros((3, 41, 31, 1), np.uint8), np.array([0.0, 25, -70])
    points = np.tile([[20, 15], [12, 25]], (3, 1, 1))
    images[:, points[0, :, 1], points[0, :, 0]] = 255
    for image, corners in zip(
        perturbations.rotate(images, angles), perturbations.rotate_points(points, angles, (41, 31)), strict=True
    ):
        for x, y in corners:
            assert image[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2].sum() > 200


@pytest.mark.parametrize("channels", [1, 3])
def test_rotations_agree_with_scipy(channels):
    images, angles = noise(4, (21, 16), channels), np.array([0, 90, -30, 13.5])
    rotated = perturbations.rotate(images, angles)
    np.testing.assert_array_equal(rotated[0], images[0])
    for image, result, angle in zip(images, rotated, np.deg2rad(angles)):
        y, x = np.indices((21, 16), float) - np.array([10, 7.5])[:, None, None]
        # counter-clockwise as seen: what was on the right moves to the top
        rows, columns = np.cos(angle) * y + np.sin(angle) * x + 10, np.cos(angle) * x - np.sin(angle) * y + 7.5
        for channel in range(channels):
            expected = map_coordinates(image[..., channel].astype(float), (rows, columns), order=1, mode="nearest")
            inside = (rows >= 0) & (rows <= 20) & (columns >= 0) & (columns <= 15)
            assert (
                np.abs(result[..., channel] - expected)[inside].mean() < 2
            )  # OpenCV interpolates in steps of 1/32 pixel


def test_grey_levels_are_numbers_or_the_mean():
    images = noise()
    assert perturbations.grey_level("mean", images) == pytest.approx(images.mean(), abs=0.005)
    assert perturbations.grey_level("12.5", images) == perturbations.grey_level(12.5, images) == 12.5
    for fill in ("grey", 256, -1):
        with pytest.raises(ValueError, match="fill: expected a grey level from 0 to 255 or mean, got"):
            perturbations.grey_level(fill, images)
