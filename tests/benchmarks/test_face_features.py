"""dlib's network in Keras against dlib itself, and a benchmark with it."""

import sys

import cv2
import numpy as np
import pytest
from support.genuine import PHOTOS, needs_photos

dlib = pytest.importorskip("dlib")
from benchmarks import dlib_resnet, face_features
from edram_fer import files
from edram_fer.errors import MissingFileError
from edram_fer.preprocessing import model_files


@pytest.fixture(scope="module")
def weights():
    try:
        return model_files.find("face recognition")
    except MissingFileError as error:
        pytest.skip(str(error))


@needs_photos
def test_descriptors_equal_those_of_dlib(weights):
    photos = [cv2.imread(str(path))[..., ::-1] for path in sorted(PHOTOS.glob("*.jpg"))[:3]]
    faces = [cv2.resize(photo, (150, 150), interpolation=cv2.INTER_AREA) for photo in photos]
    backbone = dlib_resnet.Backbone(weights)
    features = backbone.last(backbone.first(np.array(faces, "float32")))
    expected = dlib.face_recognition_model_v1(str(weights)).compute_face_descriptor(faces)
    np.testing.assert_allclose(np.asarray(features) @ backbone.embedding, np.array(expected), atol=2e-6)


def test_a_file_of_other_weights_is_refused(tmp_path):
    (tmp_path / "other.dat").write_bytes(b"\x01\x02" * 500)
    with pytest.raises(
        ValueError, match="other.dat: expected dlib_face_recognition_resnet_model_v1.dat, found no array"
    ):
        dlib_resnet.Backbone(tmp_path / "other.dat")


@pytest.mark.slow
def test_frozen_and_fine_tuned_at_toy_size(weights, tmp_path, monkeypatch, capsys):
    """Two classes that differ in brightness; a second call reads the maps of the first and gives the same result."""
    content = {"emotions": np.array(["happy", "sad"]), "source": "s", "version": "1", "fingerprint": "f"}
    for split, count in (("train", 24), ("validation", 8), ("test", 8)):
        images = np.random.default_rng(count).integers(0, 60, (count, 24, 24, 1), dtype=np.uint8)
        images[1::2] += 150
        content |= {
            f"{split}/image": images,
            f"{split}/emotion": np.append(np.arange(count - 1) % 2, -1),  # the last one has none
            f"{split}/affect": np.full((count, 2), -2, "float32"),
            f"{split}/id": np.arange(count).astype(str),
        }
    np.savez(tmp_path / "faces.npz", **content)
    arguments = ["--data", str(tmp_path / "faces.npz"), "--epochs", "2", "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["face_features", *arguments])
    face_features.main()
    first = files.read_json(tmp_path / "out" / "result.json")
    assert len(first) == 3 and {value for name, value in first.items() if "frozen" in name} == {1.0}
    (maps,) = (tmp_path / "out").glob("train-*.npy")
    assert np.load(maps).shape == (2, 23, 8, 8, 128)
    monkeypatch.setattr(face_features, "enlarged", None)  # nothing is enlarged again
    face_features.main()
    assert files.read_json(tmp_path / "out" / "result.json") == first
    assert capsys.readouterr().out.count("epoch 2: validation") == 2
