"""Photos to what a trained model says of the faces in them: the rows, the drawn photos, and what is refused."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from support.genuine import PHOTOS, needs_photos

import edram_fer
from edram_fer import cli, files, models
from edram_fer.evaluation.inference import predict as answers
from edram_fer.prediction.photos import predict
from edram_fer.preprocessing.detection import intersection_over_union
from edram_fer.run import checkpoints

CROPS = {"detectors": ("none",)}


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


def test_crops_are_answered_as_in_an_evaluation(crops, trained, contents, tmp_path):
    rows = predict(trained.run, [crops, crops / "2.png"], tmp_path / "out", **CROPS, batch_size=2)
    assert [row["photo"] for row in rows] == [
        str(crops / name) for name in ("0.png", "1.png", "2.png", "3.png", "a broken one.jpg", "below/4.png")
    ]
    broken = rows.pop(4)
    assert broken["status"] != "ok" and broken["face"] is None and "emotion" not in broken
    model = edram_fer.load(trained.run)
    expected = answers(model, contents["validation"]["image"][:5])
    for row, shares, affect in zip(rows, expected["probabilities"][:, -1], expected["affect"][:, -1], strict=True):
        np.testing.assert_allclose([row[name] for name in model.emotions], shares, atol=1e-5)
        assert row["emotion"] == model.emotions[shares.argmax()] and row["probability"] == max(
            row[name] for name in model.emotions
        )
        np.testing.assert_allclose([row["valence"], row["arousal"]], affect, atol=1e-5)
        assert (row["face"], row["left"], row["top"], row["side"]) == (1, 0, 0, 28)
    with open(tmp_path / "out" / "predictions.csv", newline="") as file:
        written = list(csv.DictReader(file))
    assert [row["emotion"] for row in written if row["status"] == "ok"] == [row["emotion"] for row in rows]
    assert written[4]["status"] == broken["status"]
    drawn = sorted(path.name for path in (tmp_path / "out" / "images").iterdir())
    assert drawn == ["1_0.png", "2_1.png", "3_2.png", "4_3.png", "5_4.png"] == [row["image"] for row in rows]


def test_faces_are_made_as_in_training(crops, copied, tmp_path):
    options = {**CROPS, "draw": False}
    plain = predict(copied, [crops / "0.png"], tmp_path / "plain", **options)
    equalised = predict(copied, [crops / "0.png"], tmp_path / "equalised", **options, clahe=2.0)
    about = files.read_json(copied / "environment.json")
    about["data"]["faces"] = {
        "size": 100,
        "colour": True,
        "detectors": ["annotation"],
        "faces": "largest",
        "clahe": 2.0,
    }
    files.write_json(copied / "environment.json", about)
    assert predict(copied, [crops / "0.png"], tmp_path / "noted", **options) == equalised != plain
    assert predict(copied, [crops / "0.png"], tmp_path / "asked", **options, clahe=0) == plain
    assert not (tmp_path / "plain" / "images").exists()


@needs_photos
def test_the_faces_of_a_photo_with_the_package_s_model(tmp_path, capsys):
    linked = tmp_path / "group.jpg"
    linked.symlink_to(PHOTOS / "2007_007763.jpg")
    out = tmp_path / "out"
    with pytest.raises(SystemExit, match="0"):
        cli.main(["predict", "fer2013-edram", str(linked), str(PHOTOS / "free-mountain-vector-01.jpg"), f"--out={out}"])
    told = capsys.readouterr().out
    assert "group.jpg, face 7: happy" in told and "free-mountain-vector-01.jpg: no_face" in told
    with open(out / "predictions.csv", newline="") as file:
        *rows, none = csv.DictReader(file)
    assert none["status"] == "no_face" and none["emotion"] == ""
    truth = json.loads((PHOTOS / "truth.json").read_text())["2007_007763.jpg"]["boxes_ltwh"]
    assert len(rows) == len(truth) == 7
    for row in rows:
        square = (float(row["left"]), float(row["top"]), float(row["side"]), float(row["side"]))
        assert max(intersection_over_union(square, box) for box in truth) > 0.3
    assert sum(row["emotion"] == "happy" for row in rows) >= 5  # a cheerful company
    assert Image.open(out / "images" / "1_group.png").size == (1000, 750)


def test_what_cannot_be_predicted_is_told(crops, trained, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.jpg is missing; expected a photo or a folder"):
        predict(trained.run, [crops, "nowhere.jpg"], tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="empty holds no image"):
        predict(trained.run, [tmp_path / "empty"], tmp_path / "out")
    with pytest.raises(ValueError, match="detectors: expected some of .*, got 'cascade'"):
        predict(trained.run, [crops], tmp_path / "out", detectors=("cascade",))
    assert not (tmp_path / "out").exists()


def test_a_model_whose_answer_is_not_finite_names_the_photo(crops, copied, tmp_path):
    model = edram_fer.load(copied)
    for weight in model.trainable_weights:
        weight.assign(np.full(weight.shape, np.nan))
    checkpoints.save(model, copied / "model.keras")
    with pytest.raises(ValueError, match=r"0.png, .* of the photos: the model's output `\w+` is not finite for 5 of 5"):
        predict(copied, [crops], tmp_path / "out", **CROPS)


def test_a_model_of_images_that_are_not_square_is_refused(crops, tmp_path):
    model = models.build("deep_emotion", image_size=(48, 50), emotions=("happy", "sad", "anger"))
    checkpoints.save(model, tmp_path / "wide.keras")
    with pytest.raises(ValueError, match=r"wide.keras takes images of 50x48 pixels; faces are cut as squares"):
        predict(tmp_path / "wide.keras", [crops], tmp_path / "out", **CROPS)
