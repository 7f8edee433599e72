"""Fixations on photos and on the faces cropped from them: compared with where bright pixels of a photo end up."""

import numpy as np
import pandas as pd
import pytest
from support.face_files import record

from edram_fer.data import crops
from edram_fer.errors import MissingFileError, UserError
from edram_fer.preprocessing import faces
from edram_fer.preprocessing.face_settings import FaceSettings


def cropped(photo, box, size):
    """(face, square) as the preparation makes them."""
    settings = FaceSettings(size=size, detectors=("annotation",), clahe=0)
    (columns,) = faces.cropped_faces(photo, record(box=box), settings)
    return columns["pixels"], columns["square"]


@pytest.mark.parametrize(("box", "size"), [((40, 30, 60, 60), 20), ((40, 30, 60, 60), 60), ((55, 35, 31, 20), 48)])
def test_a_bright_spot_of_a_photo_lands_on_its_pixel(box, size):
    rng = np.random.default_rng(0)
    _, square = cropped(np.zeros((140, 160, 3), np.uint8), box, size)
    here = crops.Crops(*(np.array([name], object) for name in ("test", "a", "a.png")), np.array([square]), size)
    left, top, side = square
    for _ in range(5):
        spot = rng.integers(2, side - 2, 2) + (left, top)
        photo = np.zeros((140, 160, 3), np.uint8)
        photo[spot[1], spot[0]] = 255
        face, _ = cropped(photo, box, size)
        weights = face / face.sum()
        rows, columns = np.indices(face.shape)
        centre = (weights * columns).sum(), (weights * rows).sum()
        np.testing.assert_allclose(here.to_face("a", [spot])[0], centre, atol=0.5 if side > size else 0.2)
        np.testing.assert_allclose(here.to_photo("a", here.to_face("a", [spot]))[0], spot, atol=1e-4)


def two_faces():
    names = (np.array(values, object) for values in (["test"] * 3, ["a", "b", "c"], ["x/p.png", "x/p.png", "x/q.png"]))
    return crops.Crops(*names, np.array([[0, 0, 20], [10, 0, 20], [5, 5, 40]]), 10)


def test_fixations_go_to_each_face_that_they_lie_in():
    rows = [
        ("ann", "p.png", 15, 4, 7),
        ("ann", "x/p.png", 50, 4, 8),
        ("bob", "q.png", 5, 5, 9),
        ("bob", "z.png", 1, 1, 1),
    ]
    table = pd.DataFrame(rows, columns=["subject", "image", "start_x", "start_y", "duration"])
    result, missed = two_faces().fixations_on_faces(table)
    assert result[["subject", "image", "duration"]].values.tolist() == [
        ["ann", "a", 7],
        ["ann", "b", 7],
        ["bob", "c", 9],
    ]
    np.testing.assert_allclose(result[["start_x", "start_y"]], [(7.25, 1.75), (2.25, 1.75), (-0.375, -0.375)])
    assert missed == {"fixations on photos without a face": 1, "fixations outside the square of the face": 1}


def test_what_cannot_be_mapped(tmp_path):
    with pytest.raises(UserError, match="expected the id of one face, got 'd', the id of 0"):
        two_faces().to_face("d", [[0, 0]])
    with pytest.raises(UserError, match="split: expected some of test, got 'train'"):
        two_faces().of_split("train")
    with pytest.raises(MissingFileError, match=r"rows\.parquet is missing: .* not cropped from photos here"):
        crops.read(tmp_path, 10)
    ambiguous = two_faces()
    ambiguous.photo[2] = "y/p.png"
    table = pd.DataFrame({"image": ["p.png"], "start_x": [1], "start_y": [1]})
    with pytest.raises(UserError, match=r"p\.png: expected the path of a photo; 2 photos have this name"):
        ambiguous.fixations_on_faces(table)
