"""AffectNet's layout of 2017 with genuine photos: prepared, trained on and evaluated with one command each."""

import csv
import shutil

import cv2
import numpy as np
import pyarrow.parquet
import pytest
from support.genuine import FER2013, PHOTOS, needs_fer2013, needs_photos

from benchmarks import affectnet_photos
from edram_fer import cli, data, files
from edram_fer.preprocessing import detection, faces, photos
from edram_fer.preprocessing.datasets.affectnet import annotations
from edram_fer.preprocessing.face_settings import FaceSettings
from edram_fer.preprocessing.records import OK

MOSAIC = FER2013 / "mosaic.png"
HEADER = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
pytestmark = [needs_photos, needs_fer2013]


def command(*words):
    with pytest.raises(SystemExit) as end:
        cli.main([str(word) for word in words])
    assert end.value.code == 0


def landmarks(box):
    """68 points inside a box, with the chin on its lower edge."""
    left, top, width, height = box
    fractions = ((0.2 + 0.6 * (i % 10) / 9, 0.2 + 0.7 * (i // 10) / 6) for i in range(68))
    points = [(left + width * x, top + height * y) for x, y in fractions]
    points[8] = (left + width / 2, top + height - 1)
    return ";".join(f"{x:.1f};{y:.1f}" for x, y in points)


def pasted_faces(folder, rng, count):
    """FER2013 faces, enlarged and pasted into larger images; (path, box) of each."""
    mosaic = cv2.imread(str(MOSAIC), cv2.IMREAD_GRAYSCALE)
    for number in range(count):
        y, x = (48 * int(rng.integers(0, side // 48)) for side in mosaic.shape)
        size = int(rng.integers(80, 140))
        left, top = (int(rng.integers(0, side - size)) for side in (240, 200))
        page = rng.integers(90, 160, (200, 240), np.uint8)
        page = cv2.GaussianBlur(page, (0, 0), 5)
        page[top : top + size, left : left + size] = cv2.resize(mosaic[y : y + 48, x : x + 48], (size, size))
        path = folder / "2" / f"{number:04d}.JPG"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path.with_suffix(".png")), page)
        path.with_suffix(".png").rename(path)  # as in AffectNet, where the extension need not fit the format
        yield f"2/{path.name}", (left, top, size, size)


@pytest.fixture(scope="module")
def affectnet(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("affectnet"), np.random.default_rng(0)
    images = root / "Manually_Annotated_Images"
    (images / "1").mkdir(parents=True)
    rows = []
    for path in sorted(PHOTOS.glob("*_*.jpg")):
        shutil.copy(path, images / "1")
        for face in detection.YuNet()(photos.read(path)):
            rows.append((f"1/{path.name}", tuple(round(value) for value in face.box)))
    rows += pasted_faces(images, rng, 90)
    lines = []
    for number, (image, box) in enumerate(rows):
        affect = (-2, -2) if number % 5 == 0 else rng.uniform(-1, 1, 2).round(3).tolist()
        lines.append([image, *box, landmarks(box), number % 8, *affect])
    lists = root / "Manually_Annotated_file_lists"
    lists.mkdir()
    for name, split in (("training.csv", lines[:-30]), ("validation.csv", lines[-30:])):
        with open(lists / name, "w", newline="") as file:
            csv.writer(file).writerows([HEADER.split(","), *split])
    return root, rows


@pytest.mark.slow
def test_from_the_lists_to_scores(affectnet, tmp_path):
    (root, rows), out, run = affectnet, tmp_path / "data", tmp_path / "run"
    command("prepare", "affectnet", "--source", root, "--out", out, "--classes", "seven", "--validation", "0.2",
            "--check", "yunet", "--size", "48")  # fmt: skip
    described = data.describe("affectnet", data_dir=out)
    assert described["image_size"] == [48, 48] and len(described["emotions"]) == 7
    assert sum(described["splits"].values()) == sum(number % 8 != 7 for number in range(len(rows)))
    [folder] = (out / "affectnet" / "grey48-seven").iterdir()
    table = pyarrow.parquet.read_table(folder / "rows.parquet").to_pylist()
    assert len(table) == len(rows) and {row["detector"] for row in table if row["status"] == OK} == {"annotation"}
    assert {row["status"] for row in table} == {OK, "label contempt, not among the 7 classes"}
    overlaps = [row["annotation_iou"] for row in table if "/1/" in row["image"]]
    assert np.median(overlaps) > 0.8  # these boxes are those of YuNet in the larger image
    arrays = data.load_split("affectnet", "train", data_dir=out)
    unknown = (arrays["affect"] == -2).all(axis=1)
    assert 0.1 < unknown.mean() < 0.35 and np.abs(arrays["affect"][~unknown]).max() <= 1
    small = ["glimpses=1", "glimpse_size=14", "glimpse_units=16", "head_units=16", "classification_units=16",
             "location_units=16", "glimpse_filters=(4, 4, 8, 8, 8, 8)", "epochs=1", "batch_size=16"]  # fmt: skip
    settings = [word for setting in small for word in ("--set", setting)]
    command("train", "forch2019", "--set", "data=affectnet", "--data-dir", out, "--out", run, "--quiet", *settings)
    command("evaluate", run, "--no-figures")
    scores = files.read_json(run / "metrics.json")["splits"]["test"]
    assert scores["images"] == described["splits"]["test"]


def test_photos_of_the_benchmark_show_the_faces_of_its_list(tmp_path):
    affectnet_photos.make_dataset(tmp_path, [PHOTOS / "single_face.jpg", PHOTOS / "multi_face.jpg"], 40, (100, 200))
    photos_2017, settings = annotations.find(tmp_path), FaceSettings(detectors=("yunet",))
    rows = (row for record in photos_2017.records() for row in faces.rows(record, photos_2017.root, settings))
    statuses = {row["status"] for row in rows}
    assert OK in statuses and detection.NO_FACE not in statuses
