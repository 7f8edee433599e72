"""Faces as papers made them: `--published forch2019` on photos, compared with what the released code makes of them."""

import csv
import shutil

import cv2
import numpy as np
import pyarrow.parquet
import pytest
from support.genuine import PHOTOS, needs_photos

import edram_fer
from benchmarks import published_faces
from edram_fer import cli, data, files
from edram_fer.prediction.crops import FaceCropper
from edram_fer.prediction.images import InputImage
from edram_fer.preprocessing import crop, faces, photos, published
from edram_fer.preprocessing.datasets.readme import readme
from edram_fer.preprocessing.face_settings import FaceSettings
from edram_fer.preprocessing.records import OK, FaceRecord

FORCH = FaceSettings(**published.settings("forch2019"))


def dark(image):
    return (image * 0.02).astype(np.uint8)


def pale(image):
    return (image * 0.06 + 120).astype(np.uint8)


def lower_half(image):
    return np.ascontiguousarray(image[image.shape[0] // 2 :, image.shape[1] // 2 :])


# What the released code (github.com/CristianRodrigoGuarachiIbanez/iCubObjectCollisionSimulator, folder
# tEDRAM/create_dataset) makes of these photos: the detector and the square.
RELEASED = [
    ("2007_007763.jpg", None, "ssd", (61, 160, 104)),
    ("2008_001009.jpg", None, "ssd", (132, 67, 100)),
    ("2008_001322.jpg", None, "ssd", (87, 141, 104)),
    ("2008_002079.jpg", None, "ssd", (5, 161, 102)),
    ("2008_002470.jpg", None, "ssd", (206, 38, 100)),
    ("dogs.jpg", None, "ssd", (126, 584, 216)),
    ("multi_face.jpg", None, "ssd", (671, 290, 128)),
    ("single_face.jpg", None, "ssd", (158, 143, 250)),
    ("multi_face.jpg", pale, "ssd clahe", (293, 222, 141)),
    ("single_face.jpg", dark, "dlib equalised", (88, 192, 359)),
    ("2007_007763.jpg", dark, "dlib equalised", (52, 68, 151)),
    ("2008_002470.jpg", lower_half, "ssd", (0, 0, 115)),
    ("free-mountain-vector-01.jpg", None, "no_face", None),
    ("dogs.jpg", lower_half, "no_face", None),
]


def make_row(image):
    record = FaceRecord("a", "a", "a", "train", "happy", pixels=image)
    [row] = faces.photo_rows(record, PHOTOS, FORCH)
    return row


@needs_photos
@pytest.mark.parametrize(("name", "change", "detector", "square"), RELEASED)
def test_as_the_released_code(name, change, detector, square):
    image = photos.read(PHOTOS / name)
    image = image if change is None else change(image)
    row = make_row(image)
    if square is None:
        assert row["status"] == detector
        return
    assert (row["status"], row["detector"], tuple(row["square"])) == (OK, detector, square)
    left, top, side = square
    face = cv2.resize(image[top : top + side, left : left + side], (100, 100))  # bilinear
    luma = cv2.cvtColor(face, cv2.COLOR_RGB2YCrCb)
    luma[:, :, 0] = cv2.createCLAHE(clipLimit=1, tileGridSize=(3, 3)).apply(np.ascontiguousarray(luma[:, :, 0]))
    expected = cv2.cvtColor(cv2.cvtColor(luma, cv2.COLOR_YCrCb2RGB), cv2.COLOR_RGB2GRAY)
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(row["face"], np.uint8), 0), expected)
    assert len(row["landmarks"]) == 136


@needs_photos
def test_not_the_largest_face_but_the_surest():
    image = photos.read(PHOTOS / "2008_001009.jpg")
    detected = FORCH.detector("ssd")(image)
    surest, largest = (max(detected, key=key) for key in (lambda face: face.score, lambda face: face.box[2]))
    assert surest is not largest
    assert make_row(image)["box"] == [float(side) for side in crop.whole_pixels(surest.box)]


HEADER = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """AffectNet's layout of 2017: three photos whose annotated boxes show something else, and one that is too small."""
    root = tmp_path_factory.mktemp("affectnet")
    folder = root / "Manually_Annotated_Images" / "1"
    folder.mkdir(parents=True)
    names = ["single_face.jpg", "multi_face.jpg", "2008_001009.jpg"]
    for name in names:
        shutil.copy(PHOTOS / name, folder)
    cv2.imwrite(str(folder / "small.png"), np.full((140, 150, 3), 128, np.uint8))
    lists = root / "Manually_Annotated_file_lists"
    lists.mkdir()
    points = ";".join(["20;20"] * 68)
    for list_name, images in (("training.csv", [*names, "small.png"]), ("validation.csv", names[:1])):
        with open(lists / list_name, "w", newline="") as file:
            rows = [[f"1/{name}", 5, 5, 40, 40, points, 1, 0.5, 0.5] for name in images]
            csv.writer(file).writerows([HEADER.split(","), *rows])
    return root


def prepare(source, out, *words):
    with pytest.raises(SystemExit) as end:
        cli.main(["prepare", "affectnet", "--source", str(source), "--out", str(out), "--workers", "1", *words])
    return end.value.code


@needs_photos
def test_the_command(source, tmp_path):
    assert prepare(source, tmp_path, "--published", "forch2019", "--validation", "0") == 0
    [folder] = (tmp_path / "affectnet" / "grey100-forch2019").iterdir()
    rows = pyarrow.parquet.read_table(folder / "rows.parquet").to_pylist()
    assert [row["detector"] for row in rows] == ["ssd", "ssd", "ssd", None, "ssd"]
    assert rows[3]["status"] == "150x140 pixels, expected a sum of width and height of at least 300"
    assert [tuple(row["square"]) for row in rows[:3]] == [(158, 143, 250), (671, 290, 128), (132, 67, 100)]
    assert {row["annotation_iou"] for row in rows if row["status"] == OK} == {0}  # recorded, not used
    preprocessing = data.describe("affectnet", data_dir=tmp_path)["preprocessing"]
    for name, value in published.settings("forch2019").items():
        assert preprocessing[name] == (list(value) if isinstance(value, tuple) else value)
    text = (folder / "README.md").read_text()
    for line in ("Faces as published: `forch2019`", "| `smallest_square` | 100 | 0 |", "| `annotated` | no | yes |"):
        assert line in text
    assert "left out: 150x140 pixels" in text and "5 rows read, 4 faces written" in text


@needs_photos
def test_an_option_that_is_set_wins_over_the_paper(source, tmp_path):
    words = ("--published", "forch2019", "--smallest-square", "0", "--size", "48", "--validation", "0")
    assert prepare(source, tmp_path, *words) == 0
    [folder] = (tmp_path / "affectnet" / "grey48-forch2019").iterdir()
    rows = pyarrow.parquet.read_table(folder / "rows.parquet").to_pylist()
    assert rows[2]["square"][2] < 100 and "| `smallest_square` | 0 | 0 |" in (folder / "README.md").read_text()


@needs_photos
def test_the_benchmark_compares_photo_by_photo(tmp_path, capsys, monkeypatch):
    shutil.copy(PHOTOS / "multi_face.jpg", tmp_path)
    cv2.imwrite(str(tmp_path / "blank.png"), np.full((200, 200, 3), 128, np.uint8))
    monkeypatch.setattr("sys.argv", ["published_faces", str(tmp_path), "--out", str(tmp_path / "out.json")])
    published_faces.main()
    result = files.read_json(tmp_path / "out.json")
    blank, people = result["photos"]
    assert (blank["default"], blank["published"], blank["overlap"]) == ("no_face", "no_face", None)
    assert people["published"].endswith("128 at 671, 290") and 0.9 < people["overlap"] < 1 and people["difference"] > 0
    changed = {row["option"]: row["other square"] for row in result["options"]}
    assert changed.keys() == published.settings("forch2019").keys() and changed["annotated"] == 0 < changed["rounding"]
    assert capsys.readouterr().out.count("|---") == 5 + 7


@needs_photos
def test_predictions_crop_as_in_training():
    preprocessing = {name: value for name, value in vars(FORCH).items() if name != "models"}
    model = edram_fer.build("deep_emotion", image_size=(100, 100), preprocessing=preprocessing)
    image = photos.read(PHOTOS / "single_face.jpg")
    [face] = FaceCropper(model, ("ssd", "dlib"), "surest")(InputImage("a", image))
    assert face.row["box"] == (158, 143, 250, 250) and face.row["detector"] == "ssd"
    np.testing.assert_array_equal(
        face.pixels[..., 0], cv2.imdecode(np.frombuffer(make_row(image)["face"], np.uint8), 0)
    )
    [small] = FaceCropper(model, ("none",))(InputImage("a", np.full((90, 90, 3), 128, np.uint8)))
    assert small.row["status"] == OK  # a photo may be smaller than in training


def test_an_unknown_paper(tmp_path):
    with pytest.raises(ValueError, match="published: expected one of forch2019, got 'forch2020'"):
        published.settings("forch2020")


def test_the_readme_of_the_defaults():
    settings = {name: value for name, value in vars(FaceSettings()).items() if name != "models"}
    text = readme({"name": "AffectNet", "layout": "2017", "published": "", "settings": settings, "report": ["1 row"]})
    assert "Faces with the defaults" in text and "| `detectors` | yunet, dlib | – |" in text
    assert "| `check` | none | none |" in text and text.endswith("- 1 row\n")
