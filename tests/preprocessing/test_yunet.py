"""YuNet in ONNX Runtime against OpenCV's implementation."""

import sys

import cv2
import numpy as np
import pytest
from support.genuine import PHOTOS, needs_photos

from edram_fer.preprocessing import detection, model_files, photos, yunet


@pytest.fixture(scope="module")
def model():
    return model_files.find("yunet")


def by_opencv(path, image, threshold):
    """cv2.FaceDetectorYN's rows, in the columns and the order of `yunet.detect`."""
    net = cv2.FaceDetectorYN.create(str(path), "", image.shape[1::-1], threshold, yunet.OVERLAP, yunet.MOST)
    rows = net.detect(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1]
    rows = np.empty((0, 15), np.float32) if rows is None else rows
    return rows[np.argsort(-rows[:, 14], kind="stable")]


@needs_photos
@pytest.mark.parametrize("threshold", [0.7, 0.2])
def test_the_faces_are_those_of_opencv(model, threshold):
    compared = 0
    for path in sorted(PHOTOS.glob("*.jpg")):
        image = photos.read(path)
        for longest in (640, 320, 150):
            small, _ = detection._shrink(image, longest)
            rows, expected = yunet.detect(model, small, threshold), by_opencv(model, small, threshold)
            assert rows.dtype == np.float32
            np.testing.assert_allclose(rows, expected, atol=0.01)
            compared += len(rows)
    assert compared > 50


@pytest.mark.parametrize("shape", [(8, 8, 3), (33, 200, 3), (64, 64, 3)])
def test_no_face_in_noise_of_any_size(model, shape):
    noise = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    assert yunet.detect(model, noise, 0.7).shape == (0, 15)


def test_without_onnx_runtime(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"needs ONNX Runtime: pip install 'edram-fer\[faces\]'"):
        yunet._session.__wrapped__(model)
