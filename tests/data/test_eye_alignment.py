"""Alignment by the eyes, compared with scikit-image's warping."""

import cv2
import numpy as np
import pytest
from skimage import transform
from support.genuine import PHOTOS, needs_photos

from edram_fer import data, models
from edram_fer.data.eye_alignment import ALIGNMENTS
from edram_fer.errors import UserError
from edram_fer.prediction.crops import FaceCropper
from edram_fer.preprocessing import crop, detection
from edram_fer.preprocessing.face_settings import FaceSettings
from edram_fer.preprocessing.synthetic import faces as synthetic

SIDE = 48


@pytest.fixture
def source(tmp_path):
    """Drawn faces, turned by up to 25 degrees, of which the second one has no landmarks."""
    content = {"emotions": np.array(synthetic.EMOTIONS), "version": "1", "fingerprint": "f", "source": "drawn"}
    for split, start in (("train", 0), ("test", 6)):
        features = synthetic.generate_arrays(6, seed=3, start=start, size=SIDE)
        for row, degrees in enumerate(np.linspace(-25, 25, 6)):
            turn = cv2.getRotationMatrix2D((23.5, 23.5), degrees, 0.9)
            features["image"][row, ..., 0] = cv2.warpAffine(features["image"][row], turn, (SIDE, SIDE))
            points = features["landmarks"][row] @ turn[:, :2].T + turn[:, 2]
            features["landmarks"][row] = np.nan if row == 1 else points
        content |= {f"{split}/{name}": values for name, values in features.items()}
    content["preprocessing"] = "null"
    np.savez(tmp_path / "turned.npz", **content)
    return tmp_path / "turned.npz"


@pytest.mark.parametrize("name", ["mean", "arcface"])
def test_eyes_come_to_their_places_and_pixels_and_masks_with_them(source, tmp_path, name):
    described = data.write_arrays(source, tmp_path / "aligned.npz", align=name)
    before, after = (data.load_split(path, "train") for path in (source, tmp_path / "aligned.npz"))
    assert after["aligned"].tolist() == [True, False, True, True, True, True]
    for feature in ("image", "mask", "landmarks"):
        np.testing.assert_array_equal(after[feature][1], before[feature][1])
    both = np.concatenate([data.load_split(source, split)["landmarks"] for split in ("train", "test")])
    mean = (crop.eye_centres(both[[0, 2, 3, 4, 5, 6, 8, 9, 10, 11]]).mean(axis=0) + 0.5) / SIDE
    eyes = {"mean": mean, **ALIGNMENTS}[name]
    for row in (0, 2, 3, 4, 5):
        np.testing.assert_allclose((crop.eye_centres(after["landmarks"][row]) + 0.5) / SIDE, eyes, atol=1e-3)
        source_eyes, target_eyes = crop.eye_centres(before["landmarks"][row]), np.array(eyes) * SIDE - 0.5
        back = transform.SimilarityTransform.from_estimate(target_eyes, source_eyes)
        expected = transform.warp(before["image"][row, ..., 0] / 255, back, order=1, mode="edge") * 255
        np.testing.assert_allclose(after["image"][row, ..., 0], expected, atol=6)  # OpenCV rounds to 1/32 of a pixel
        np.testing.assert_allclose(back(after["landmarks"][row]), before["landmarks"][row], atol=1e-3)
        assert set(np.unique(after["mask"][row])) <= set(np.unique(before["mask"][row]))
    made = {"clahe": 0, "chin": False, "landmarks": True, "eyes": np.round(eyes, 4).tolist()}
    assert described["preprocessing"] == made
    assert described["fingerprint"] == f"f-eyes-{name}"


def test_what_cannot_be_aligned_is_named(source, tmp_path):
    with pytest.raises(UserError, match="align: expected one of mean, arcface, got 'nose'"):
        data.write_arrays(source, tmp_path / "a.npz", align="nose")
    content = dict(np.load(source))
    for split in ("train", "test"):
        content[f"{split}/landmarks"][:] = np.nan
    np.savez(tmp_path / "lost.npz", **content)
    with pytest.raises(UserError, match="no face of the data set has landmarks"):
        data.write_arrays(tmp_path / "lost.npz", tmp_path / "a.npz", align="mean")
    np.savez(tmp_path / "bare.npz", **{name: values for name, values in content.items() if "landmarks" not in name})
    with pytest.raises(UserError, match="the option --landmarks finds them"):
        data.write_arrays(tmp_path / "bare.npz", tmp_path / "a.npz", align="mean")
    assert not (tmp_path / "a.npz").exists()


def test_a_face_whose_eyes_coincide_stays_as_it_is(source, tmp_path):
    content = dict(np.load(source))
    content["test/landmarks"][3] = 20.0
    np.savez(tmp_path / "one_place.npz", **content)
    data.write_arrays(tmp_path / "one_place.npz", tmp_path / "aligned.npz", align="mean")
    after = data.load_split(tmp_path / "aligned.npz", "test")
    assert after["aligned"].tolist() == [True, False, True, False, True, True]
    np.testing.assert_array_equal(after["image"][3], content["test/image"][3])


def test_the_name_is_checked_before_landmarks_are_searched(source, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "load_split", None)
    with pytest.raises(UserError, match="align: expected one of mean, arcface, got 'eyes'"):
        data.write_arrays(source, tmp_path / "a.npz", find_landmarks=True, align="eyes")


@needs_photos
def test_photos_are_equalised_before_they_are_aligned_as_prepared_faces_are():
    model = models.build("cnn", image_size=(96, 96), classes=7)
    photo, eyes = PHOTOS / "2007_007763.jpg", ((0.3, 0.4), (0.7, 0.4))
    faces = {}
    for clahe, places in ((0, ()), (2.0, ()), (2.0, eyes)):
        model.preprocessing = {"clahe": clahe, "chin": False, "landmarks": True, "eyes": places}
        faces[clahe, places] = FaceCropper(model)(photo)[0].pixels[..., 0]
    points = detection.landmarks(np.repeat(faces[0, ()][..., None], 3, axis=-1), (0, 0, 96, 96))
    right = crop.align_face(faces[2.0, ()], points, eyes)[0]
    other = crop.equalise(crop.align_face(faces[0, ()], points, eyes)[0], 2.0)
    right, other = (np.abs(faces[2.0, eyes].astype(float) - image).mean() for image in (right, other))
    # Not 0: the landmarks are found in the photo, and here in the face.
    assert right < 0.7 * other


@needs_photos
def test_a_model_trained_on_aligned_faces_is_shown_aligned_faces():
    model = models.build("cnn", image_size=(96, 96), classes=7)
    model.preprocessing = {"clahe": 0, "chin": False, "landmarks": True, "eyes": [[0.3, 0.4], [0.7, 0.4]]}
    (face, *_) = FaceCropper(model)(PHOTOS / "2007_007763.jpg")
    landmarks = detection.landmarks(np.repeat(face.pixels, 3, axis=-1), (0, 0, 96, 96))
    np.testing.assert_allclose(crop.eye_centres(landmarks) / 96, [[0.3, 0.4], [0.7, 0.4]], atol=0.03)


@pytest.mark.parametrize("eyes", [((0.3, 0.4),), 0.5, ((0.3, 2), (0.7, 0.4)), "eyes"])
def test_places_of_eyes_are_checked(eyes):
    with pytest.raises(UserError, match="eyes: expected places"):
        FaceSettings(eyes=eyes, landmarks=True)
    with pytest.raises(UserError, match="only be aligned with landmarks=True"):
        FaceSettings(eyes=((0.3, 0.4), (0.7, 0.4)))
    assert "eyes" not in FaceSettings().identity  # data sets made before keep their fingerprint
