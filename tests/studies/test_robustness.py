"""Growing occluders and turns: what they do to the images, and what is counted."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from support import patch

from edram_fer import files
from edram_fer.run import layout
from edram_fer.studies import perturbations, robustness
from edram_fer.studies.observer import Observer


def noise(count=6, shape=(20, 20), channels=1, seed=0):
    return np.random.default_rng(seed).integers(1, 256, (count, *shape, channels), dtype=np.uint8)


def test_the_square_is_as_large_as_asked_lies_inside_and_grows_at_its_place():
    images, places = noise(40, (16, 20)), np.random.default_rng(1).random((40, 2))
    before = np.zeros(images.shape, bool)
    for share, side in ((0, 0), (0.25, 4), (0.5, 8), (0.6, 10), (1, 16)):
        changed = perturbations.cover_with_squares(images, share, places)
        black = changed == 0
        assert (black.sum(axis=(1, 2, 3)) == side**2).all()
        np.testing.assert_array_equal(changed[~black], images[~black])
        assert (black & before).sum() >= 0.8 * before.sum()  # but for the rounding to pixels
        before = black
    centre = np.argwhere(perturbations.cover_with_squares(images, 0.25, places) == 0)[:, 1:3]
    assert np.ptp(centre[:, 0]) == 15 and np.ptp(centre[:, 1]) > 17  # anywhere


def test_landmarks_turn_with_their_image():
    images, angles = np.zeros((3, 41, 31, 1), np.uint8), np.array([0.0, 25, -70])
    points = np.tile([[20, 15], [12, 25]], (3, 1, 1))
    images[:, points[0, :, 1], points[0, :, 0]] = 255
    for image, own in zip(
        perturbations.rotate(images, angles), perturbations.rotate_points(points, angles, (41, 31)), strict=True
    ):
        for x, y in own:
            assert image[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2].sum() > 200


@pytest.mark.parametrize("channels", [1, 3])
def test_turns_are_those_of_scipy(channels):
    images, angles = noise(4, (21, 16), channels), np.array([0, 90, -30, 13.5])
    found = perturbations.rotate(images, angles)
    np.testing.assert_array_equal(found[0], images[0])
    for image, turned, angle in zip(images, found, np.deg2rad(angles)):
        y, x = np.indices((21, 16), float) - np.array([10, 7.5])[:, None, None]
        # counter-clockwise as one sees it: what stands at the right comes to stand above
        rows, columns = np.cos(angle) * y + np.sin(angle) * x + 10, np.cos(angle) * x - np.sin(angle) * y + 7.5
        for channel in range(channels):
            expected = map_coordinates(image[..., channel].astype(float), (rows, columns), order=1, mode="nearest")
            inside = (rows >= 0) & (rows <= 20) & (columns >= 0) & (columns <= 15)
            assert np.abs(turned[..., channel] - expected)[inside].mean() < 2  # OpenCV counts in 32nds of a pixel


def test_a_run_is_asked(tmp_path, monkeypatch):
    content = patch.make_images(62)
    patch.made_up_run(tmp_path, monkeypatch, content)
    observer = Observer(tmp_path)
    found = robustness.robustness(observer, sides=(0.5, 0, 1), angles=(0,))
    assert found == files.read_json(tmp_path / layout.ROBUSTNESS)
    assert (tmp_path / "figures" / layout.ROBUSTNESS_FIGURE).stat().st_size > 1000
    assert [row["level"] for row in found["occlusion"]] == [0, 0.5, 1] and found["images"] == 60
    none, half, all_ = found["occlusion"]
    assert none["accuracy"] == found["rotation"][0]["accuracy"] == 1 and none["drop"] == 0
    assert all_["accuracy"] == pytest.approx(1 / 3) == found["majority_accuracy"]  # in the dark all patches are black
    assert 1 / 3 < half["accuracy"] < 1 and half["drop"] == pytest.approx(1 - half["accuracy"])
    low, high = half["accuracy_interval"]
    sd = np.sqrt(half["accuracy"] * (1 - half["accuracy"]) / 60)
    assert high - low == pytest.approx(2 * 1.96 * sd, rel=0.2)
    np.testing.assert_allclose(half["drop_interval"], [1 - high, 1 - low])
    again = robustness.robustness(Observer(tmp_path), sides=(0.5, 0, 1), angles=(0,))
    assert again == found


@pytest.mark.parametrize(
    ("levels", "message"),
    [({"sides": (0.1, 1.2)}, "side: expected 0 to 1, got 1.2"), ({"angles": (200,)}, "angle: expected -180 to 180")],
)
def test_bad_levels_are_named(tmp_path, monkeypatch, levels, message):
    patch.made_up_run(tmp_path, monkeypatch, patch.make_images(8))
    with pytest.raises(ValueError, match=message):
        robustness.robustness(Observer(tmp_path), **levels)
