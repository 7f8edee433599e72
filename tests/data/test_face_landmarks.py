"""Landmarks of a data set's faces: its own, those of dlib on small crops, or the reason why there are none."""

import numpy as np
import pytest

from edram_fer.data import face_landmarks


def test_landmarks_of_the_data_set_come_first():
    stored = np.random.default_rng(0).random((3, 68, 2)).astype("float32")
    points, note = face_landmarks.get_landmarks({"landmarks": stored, "image": None}, find=True)
    np.testing.assert_array_equal(points, stored)
    assert "part of the data set" in note
    points, note = face_landmarks.get_landmarks({"image": np.zeros((3, 8, 8, 1), np.uint8)})
    assert points is None and "--landmarks" in note


def test_dlib_finds_them_in_small_crops():
    """As in the large image, to within a pixel of the small one; an image without a face has none."""
    pytest.importorskip("dlib", reason="needs the extra faces")
    data = pytest.importorskip("skimage.data", reason="needs a photo of a face")
    from edram_fer.preprocessing import detection

    large = np.ascontiguousarray(data.astronaut()[20:212, 132:324])  # 192 pixels, the face in the middle
    small = large.reshape(64, 3, 64, 3, 3).mean(axis=(1, 3)).round().astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, small.shape, dtype=np.uint8)
    try:
        features, cache = {"image": np.stack([small, noise]), "id": ["a", "b"]}, {}
        landmarks, note = face_landmarks.get_landmarks(features, find=True, known=cache)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    expected = detection.landmarks(large, detection.Dlib(upsample=0)(large)[0].box)
    assert np.abs(landmarks[0] - ((expected + 0.5) / 3 - 0.5)).mean() < 1
    assert np.isnan(landmarks[1]).all() and "dlib" in note
    grey = face_landmarks.detect_landmarks(small.mean(axis=-1, keepdims=True).astype(np.uint8)[None])
    assert np.abs(grey[0] - landmarks[0]).mean() < 1
    cache["b"] = np.ones((68, 2))  # as if found before: the image is not searched again
    reversed_landmarks, _ = face_landmarks.get_landmarks(
        {name: values[::-1] for name, values in features.items()}, find=True, known=cache
    )
    np.testing.assert_array_equal(reversed_landmarks, [cache["b"], landmarks[0]])
