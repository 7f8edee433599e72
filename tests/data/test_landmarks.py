"""Landmarks move with their image: spots that the sensor warps, mirror images, missing points."""

import keras
import numpy as np

from edram_fer.attention.regions import REGION_LANDMARKS
from edram_fer.data import augment, landmarks
from edram_fer.data.augment import Augmentation
from edram_fer.models.spatial_transformer import sample

SIZE = (60, 80)
RNG = np.random.default_rng(0)
POINTS = RNG.uniform(20, 40, (5, 68, 2)).astype("float32")
WINDOWS = np.array(augment.matrices(Augmentation(rotation=20, shift=0.1, zoom=0.2, shear=5, flip=0.5),
                                    augment.draw(1, 0, 5)))  # fmt: skip


def moved(points, windows):
    return keras.ops.convert_to_numpy(landmarks.warp(points, windows, SIZE))


def test_a_spot_lies_where_its_landmark_says():
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    for number in (0, 30, 45):
        expected_place = POINTS[:, number]
        spots = np.exp(-((x - expected_place[:, 0, None, None]) ** 2 + (y - expected_place[:, 1, None, None]) ** 2) / 8)
        warped = np.array(sample(spots[..., None].astype("float32"), WINDOWS[:, None], SIZE))[:, 0, ..., 0]
        actual = moved(POINTS, WINDOWS)
        for image, points, window in zip(warped, actual, WINDOWS, strict=True):
            mirrored = np.linalg.det(window[:, :2]) < 0
            expected = points[landmarks.MIRRORED[number] if mirrored else number]
            centre = np.array([(image * x).sum(), (image * y).sum()]) / image.sum()
            np.testing.assert_allclose(centre, expected, atol=0.1)
    assert {bool(np.linalg.det(window[:, :2]) < 0) for window in WINDOWS} == {True, False}


def test_mirroring_swaps_the_sides_and_mirroring_twice_changes_nothing():
    mirror = np.array([[[-1, 0, 0], [0, 1, 0]]], "float32")
    once = moved(POINTS[:1], mirror)
    np.testing.assert_allclose(moved(once, mirror), POINTS[:1], atol=1e-4)
    assert sorted(landmarks.MIRRORED) == list(range(68))
    assert np.array_equal(np.array(landmarks.MIRRORED)[list(landmarks.MIRRORED)], range(68))
    for one, other in (("left eye", "right eye"), ("nose", "nose"), ("mouth", "mouth")):
        assert {landmarks.MIRRORED[i] for i in REGION_LANDMARKS[one]} == set(REGION_LANDMARKS[other])


def test_a_symmetric_face_is_its_own_mirror_image():
    from edram_fer.attention.template import TEMPLATE

    points = ((np.asarray(TEMPLATE) * 15) + [(SIZE[1] - 1) / 2, 20]).astype("float32")[None]
    mirror = np.array([[[-1, 0, 0], [0, 1, 0]]], "float32")
    np.testing.assert_allclose(moved(points, mirror), points, atol=0.2)


def test_missing_points_stay_missing():
    points = POINTS.copy()
    points[2, 36:42] = np.nan
    points[3] = np.nan
    actual = moved(points, WINDOWS)
    assert np.isnan(actual[3]).all() and np.isnan(actual[2]).any(axis=-1).sum() == 6
    assert np.isfinite(actual[[0, 1, 4]]).all()
