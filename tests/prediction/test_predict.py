"""Images to a table of faces: which images are faces, how faces are made, the rows, the files, and what is refused."""

import dataclasses
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support.genuine import PHOTOS, needs_photos

import edram_fer
from edram_fer import cli, models
from edram_fer.errors import MissingFileError, UserError
from edram_fer.evaluation import inference
from edram_fer.prediction.crops import FaceCropper
from edram_fer.prediction.images import InputImage
from edram_fer.prediction.predictor import predict
from edram_fer.preprocessing import model_files
from edram_fer.preprocessing.detection import intersection_over_union
from edram_fer.run import checkpoints
from edram_fer.training import loop

CROPS = {"detectors": ("none",)}
EQUALISED = {"size": 28, "colour": False, "detectors": ["annotation"], "faces": "largest", "clahe": 2.0, "chin": True}


@pytest.fixture(scope="module")
def crops(tmp_path_factory, contents):
    """A folder of ready-made faces, one of them in a folder below, and a file that is no image."""
    folder = tmp_path_factory.mktemp("crops")
    (folder / "below").mkdir()
    for number, image in enumerate(contents["validation"]["image"][:5]):
        Image.fromarray(image[..., 0]).save(folder / ("below/4.png" if number == 4 else f"{number}.png"))
    (folder / "a broken one.jpg").write_text("no image")
    (folder / "notes.txt").write_text("passed over")
    (folder / "._0.png").write_text("macOS' own, passed over")
    return folder


@pytest.fixture(scope="module")
def model(trained):
    return edram_fer.load(trained.run)


def assert_equal_answers(table, other, model):
    affect = ("valence", "arousal") if model.predicts_affect else ()
    for name in ("confidence", *model.emotions, *affect):
        np.testing.assert_array_equal(table[name].dropna(), other[name].dropna())
    for windows, others in zip(table.windows.dropna(), other.windows.dropna(), strict=True):
        np.testing.assert_array_equal(windows, others)


def test_files_are_answered_as_in_an_evaluation(crops, trained, model, contents):
    table = predict(trained.run, [crops, crops / "2.png"], batch_size=2)
    assert table.source.tolist() == [
        str(crops / name) for name in ("0.png", "1.png", "2.png", "3.png", "a broken one.jpg", "below/4.png")
    ]
    affect = ["valence", "arousal"]
    names = ["source", "frame", "time", "face", "track", "box", "detector", "score", "status", "emotion", "confidence"]
    names += model.emotions
    assert list(table.columns) == [*names, *affect, "windows"]
    broken, rows = table.loc[4], table.drop(4)
    assert broken.status == "not an image" and broken[["face", "box", "emotion", "windows"]].isna().all()
    assert rows.face.tolist() == [1] * 5 and set(rows.box) == {(0, 0, 28, 28)} and set(rows.detector) == {"none"}
    expected = inference.predict(model, contents["validation"]["image"][:5])
    np.testing.assert_allclose(rows[list(model.emotions)], expected["probabilities"][:, -1], atol=1e-5)
    np.testing.assert_allclose(rows[affect], expected["affect"][:, -1], atol=1e-5)
    np.testing.assert_allclose(np.stack(rows.windows), expected["windows"], atol=1e-5)
    for _, row in rows.iterrows():
        assert row.confidence == row[list(model.emotions)].max() == row[row.emotion]


def test_arrays_pillow_images_and_files_are_answered_alike(crops, model, contents):
    images = contents["validation"]["image"][:4]
    table = predict(model, images)
    assert table.source.tolist() == [0, 1, 2, 3]
    for equal_images in (
        images[..., 0],
        images.astype("float32") / 255,
        images.astype("float64") / np.float32(255),
        list(images),
        [images[0], images[1, ..., 0], Image.fromarray(images[2, ..., 0]), crops / "3.png"],
        [np.repeat(image, 3, axis=-1) for image in images],  # RGB for a model of grey images
        (image for image in images),
    ):
        assert_equal_answers(predict(model, equal_images), table, model)
    for one in (images[1], images[1, ..., 0], images[1:2], Image.fromarray(images[1, ..., 0]), str(crops / "1.png")):
        np.testing.assert_allclose(
            predict(model, one)[list(model.emotions)], table.loc[[1], list(model.emotions)], atol=1e-6
        )


def test_an_image_of_another_size_is_a_photo_unless_it_is_called_a_face(model):
    grey = np.full((64, 50), 90, "uint8")
    assert predict(model, [grey]).status.tolist() == ["no_face"]
    table = predict(model, [grey, np.full((200, 120, 3), 0.5)], **CROPS)
    assert table.status.tolist() == ["ok", "ok"] and table.box.tolist() == [(0, 0, 50, 50), (0, 0, 120, 120)]


def test_faces_are_made_as_in_training(crops, copied, tmp_path):
    model = edram_fer.load(copied)
    photo = [crops / "0.png"]
    plain, equalised = predict(model, photo, **CROPS), predict(model, photo, **CROPS, clahe=2.0)
    assert abs(plain.confidence - equalised.confidence).max() > 1e-6
    model.preprocessing = EQUALISED
    assert_equal_answers(predict(model, photo, **CROPS), equalised, model)
    assert_equal_answers(predict(model, photo, **CROPS, clahe=0), plain, model)
    assert_equal_answers(predict(model, photo), plain, model)  # a finished face is not equalised again ...
    assert_equal_answers(predict(model, photo, clahe=2.0), equalised, model)  # ... unless that is asked for


def test_a_run_its_file_and_a_copy_elsewhere_give_equal_answers(toy_recipe, contents, tmp_path):
    """How faces are made lies in the .keras file, not beside it."""
    data = tmp_path / "faces.npz"
    arrays = dict(np.load(toy_recipe.data))
    np.savez(data, **arrays | {"preprocessing": np.array(json.dumps(EQUALISED))})
    run = tmp_path / "run"
    loop.train(dataclasses.replace(toy_recipe, data=str(data), epochs=1), run, verbose=0)
    shutil.copy(run / "model.keras", tmp_path / "elsewhere.keras")
    photos = [np.kron(image[..., 0], np.ones((2, 2), "uint8")) for image in contents["validation"]["image"][:3]]
    model = edram_fer.load(run)
    assert model.preprocessing == EQUALISED
    expected = predict(model, photos, **CROPS)
    for source in (run, run / "model.keras", str(tmp_path / "elsewhere.keras")):
        assert_equal_answers(predict(source, photos, **CROPS), expected, model)
    different = predict(model, photos, **CROPS, clahe=0)
    assert np.abs(np.stack(different.windows) - np.stack(expected.windows)).max() > 1e-3  # the faces depend on it


@needs_photos
def test_the_faces_of_a_photo_with_the_package_s_model(tmp_path, capsys):
    linked = tmp_path / "group.jpg"
    linked.symlink_to(PHOTOS / "2007_007763.jpg")
    out = tmp_path / "out"
    with pytest.raises(SystemExit, match="0"):
        cli.main(["predict", "fer2013-edram", str(linked), str(PHOTOS / "free-mountain-vector-01.jpg"), f"--out={out}"])
    printed = capsys.readouterr().out
    assert "group.jpg, face 7: happy" in printed and "free-mountain-vector-01.jpg: no_face" in printed
    table = pd.read_csv(out / "predictions.csv")
    rows, none = table[:-1], table.iloc[-1]
    assert none.status == "no_face" and pd.isna(none.emotion)
    truth = json.loads((PHOTOS / "truth.json").read_text())["2007_007763.jpg"]["boxes_ltwh"]
    assert len(rows) == len(truth) == 7
    for row in rows.itertuples():
        square = (row.left, row.top, row.width, row.height)
        assert max(intersection_over_union(square, box) for box in truth) > 0.3
    assert sum(rows.emotion == "happy") >= 5  # a cheerful company
    with Image.open(out / "images" / "1_group.jpg") as image:
        assert image.size == (1000, 750)
    pixels = np.asarray(Image.open(PHOTOS / "2007_007763.jpg"))
    table_of_array = edram_fer.predict("fer2013-edram", pixels)
    np.testing.assert_array_equal(table_of_array.confidence, rows.confidence)


@needs_photos
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_boxes_and_faces_of_a_turned_photo_are_those_of_the_upright_one(turns):
    upright = np.asarray(Image.open(PHOTOS / "2007_007763.jpg"))
    model = models.build("deep_emotion", image_size=(48, 48), emotions=("happy", "sad", "anger"))
    expected = FaceCropper(model)(InputImage("upright", upright))
    turned = np.ascontiguousarray(np.rot90(upright, turns))  # anticlockwise
    crops_of_turned = FaceCropper(model, rotate=True)(InputImage("turned", turned))
    assert len(crops_of_turned) == 7 and {crop.row["rotation"] for crop in crops_of_turned} == {90 * turns}
    for crop, one in zip(crops_of_turned, expected, strict=True):
        left, top, side, _ = one.row["box"]
        mask = np.zeros(upright.shape[:2], bool)
        mask[top : top + side, left : left + side] = True
        rows, columns = np.nonzero(np.rot90(mask, turns))
        assert crop.row["box"] == (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
        np.testing.assert_array_equal(crop.pixels, one.pixels)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (["nowhere.jpg"], "nowhere.jpg is missing; expected an image, a folder"),
        ([np.zeros((28, 28, 5), "uint8")], r"images\[0\]: expected \[H, W\], .* got \[28, 28, 5\]"),
        (np.zeros((2, 28, 28, 1), int), r"images\[0\]: expected uint8 in 0 to 255 or floats in \[0, 1\], got int64"),
        (np.full((28, 28), 255.0), r"got float64 with values from 255 to 255"),
        (np.full((28, 28), np.nan), r"got float64 with values from nan to nan"),
        ([3], r"images\[0\]: expected an array, a Pillow image or a path, got 3"),
        (3, "images: expected arrays, Pillow images or paths, got int"),
        (b"abc", "got bytes; PIL.Image.open"),
        ("https://example.org/a.jpg", "https://example.org/a.jpg is missing; expected an image"),
        (np.ones((28, 28), bool), r"images\[0\]: expected .*, got bool"),
    ],
)
def test_unusable_images_are_named(images, message, model):
    with pytest.raises(ValueError, match=message):
        predict(model, images)


def test_unusable_settings_and_folders_are_named(crops, model, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no image in .*empty"):
        predict(model, tmp_path / "empty")
    with pytest.raises(ValueError, match="detectors: expected some of .*, got 'cascade'"):
        predict(model, crops, detectors=("cascade",))
    with pytest.raises(ValueError, match="faces: expected one of largest, surest, centre, all, got 'first'"):
        predict(model, crops, faces="first")
    unnamed = models.build("deep_emotion", image_size=(48, 48))
    with pytest.raises(ValueError, match="it has no class names; set model.emotions"):
        predict(unnamed, np.zeros((1, 48, 48), "uint8"))


def test_a_missing_detector_is_reported_before_the_model_is_loaded(crops, trained, monkeypatch):
    class LoadedError(Exception):
        pass

    def load(source):
        raise LoadedError

    def missing(settings):
        raise MissingFileError("no file of yunet")

    monkeypatch.setattr(checkpoints, "load", load)
    monkeypatch.setattr("edram_fer.prediction.predictor.check_detectors", missing)
    with pytest.raises(MissingFileError, match="no file of yunet"):
        predict(trained.run, crops, detectors=("yunet",))
    with pytest.raises(LoadedError):  # finished faces need no detector
        predict(trained.run, crops)


def test_a_missing_detector_stops_the_first_photo(model, monkeypatch):
    def find(name, folder=None):
        raise MissingFileError(f"no file of {name}")

    monkeypatch.setattr(model_files, "find", find)
    assert predict(model, np.zeros((28, 28), "uint8")).status.tolist() == ["ok"]
    with pytest.raises(MissingFileError, match="no file of yunet"):
        predict(model, np.zeros((64, 64), "uint8"))


def test_a_model_whose_answer_is_not_finite_names_the_image(crops, copied):
    model = edram_fer.load(copied)
    for weight in model.trainable_weights:
        weight.assign(np.full(weight.shape, np.nan))
    with pytest.raises(ValueError, match=r"0.png, .* of the images: the model's output `\w+` is not finite"):
        predict(model, crops)


def test_a_model_of_images_that_are_not_square_takes_finished_faces_only(crops, tmp_path):
    model = models.build("deep_emotion", image_size=(48, 50), emotions=("happy", "sad", "anger"))
    checkpoints.save(model, tmp_path / "wide.keras")
    assert predict(tmp_path / "wide.keras", np.zeros((2, 48, 50), "uint8")).box.tolist() == [(0, 0, 50, 48)] * 2
    status = predict(tmp_path / "wide.keras", crops).status[0]
    assert status.startswith("the model takes images of 50x48 pixels, and this one has another size: faces are cut")


def test_a_single_detector_needs_no_list():
    with pytest.raises(UserError, match="detectors: expected some of .*, got 'nobody'$"):
        edram_fer.predict("fer2013-edram", np.zeros((48, 48), np.uint8), detectors="nobody")
