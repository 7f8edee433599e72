"""FER2013: its five layouts with drawn faces, and faulty input."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.fer2013_files import LAYOUTS, ROWS, draw_face, pixels, write_csv, write_images, write_kaggle
from support.paths import ROOT
from support.photo_files import make_png

from edram_fer.preprocessing.datasets.fer2013 import layouts, published, table
from edram_fer.preprocessing.readers import Location


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("depth", ["", "archive/fer2013"])
def test_layout_is_recognised_and_every_row_read(tmp_path, layout, depth):
    inside = tmp_path / depth
    inside.mkdir(parents=True, exist_ok=True)
    (inside / "example_submission.csv").write_text("emotion\n")
    LAYOUTS[layout](inside)
    faces = table.read(tmp_path)
    assert faces.location.layout == layout and not faces.faults
    expected = [row for row in ROWS if layout != layouts.KAGGLE_CSV or row[0] == "Training"]
    if layout == layouts.NUMBER_FOLDERS:
        expected = [("Training" if usage == "Training" else "Test", *rest) for usage, *rest in expected]
    got = [(usage, name, image.tobytes()) for usage, name, image in zip(faces.usages, faces.emotions, faces.pixels)]
    assert sorted(got) == sorted((usage, name, draw_face(number).tobytes()) for usage, name, number in expected)
    assert len(set(faces.ids)) == len(expected)
    assert layouts.fingerprint(tmp_path) == layouts.fingerprint(inside)


def test_folder_names_may_be_capitalised(tmp_path):
    write_images(tmp_path, numbered=True)
    for split in ("train", "test"):
        (tmp_path / split).rename(tmp_path / split.title())
    faces = table.read(tmp_path)
    assert len(faces.ids) == len(ROWS) and set(faces.usages) == {"Training", "Test"} and not faces.rejected


def test_rows_keep_the_order_of_the_file(tmp_path):
    faces = table.read(write_csv(tmp_path / "any_name.csv"))
    assert faces.ids == [f"fer2013-{row:05d}" for row in range(len(ROWS))]
    assert faces.emotions.tolist() == [name for _, name, _ in ROWS]


def test_splits_and_duplicates(tmp_path):
    faces = table.read(write_csv(tmp_path / "fer2013.csv"))
    rows_of_split = {name: rows.tolist() for name, rows in published.splits(faces).items()}
    assert rows_of_split == {
        "train": list(range(7)),
        "validation": [7, 8, 10],
        "test": [9, 11, 12],
        "test_clean": [11, 12],
    }
    assert np.flatnonzero(published.duplicates(faces)).tolist() == [9, 10]
    counts = published.summary(faces)
    assert (counts["distinct"], counts["conflicting"], counts["blank"]) == (11, 1, 0)
    assert "Training happy: 1, published 7,215" in counts["differences"]


def test_test_distinct_is_free_of_images_that_occur_elsewhere():
    """Noise, and images that repeat it: exactly, brighter with more contrast, or nearly, in each split."""
    rng = np.random.default_rng(0)
    noise = rng.integers(40, 200, (6, 48, 48))
    slight, strong = (np.clip(noise + rng.normal(0, sd, noise.shape), 0, 255) for sd in (10, 25))  # r = 0.98 and 0.88
    rows = [
        ("Training", noise[0], None),
        ("PublicTest", noise[1], None),
        ("PrivateTest", noise[0], "exactly a training image"),
        ("PrivateTest", slight[1], "nearly a validation image"),
        ("PrivateTest", noise[2], None),
        ("PrivateTest", noise[2] * 0.5 + 100, "an earlier test image with another contrast"),
        ("PrivateTest", strong[0], None),
        ("PrivateTest", np.full((48, 48), 7), None),  # a blank image, whose correlation is not defined
        ("PrivateTest", np.full((48, 48), 7), "the same blank image"),
    ]
    usages, images, reasons = zip(*rows)
    location = Location(layouts.ICML_CSV, Path("."), ())
    pixels = np.array(images).astype(np.uint8)
    faces = table.Faces(location, pixels, np.full(9, "happy"), np.array(usages), [str(i) for i in range(9)], [])
    assert published.repeated(faces).tolist() == [reason is not None for reason in reasons]
    assert published.splits(faces)["test_distinct"].tolist() == [4, 6, 7]
    assert published.splits(faces)["test_clean"].tolist() == [3, 4, 5, 6, 7, 8]


def test_kaggle_counts_unlabelled_rows_and_draws_validation_from_training(tmp_path):
    rows = [("Training", "happy", number % 40) for number in range(80)]  # each image twice
    lines = [f'"3","{pixels(number)}"' for _, _, number in rows]
    (tmp_path / "train.csv").write_bytes("\r\n".join(['"emotion","pixels"', *lines, ""]).encode())
    (tmp_path / "test.csv").write_bytes(f'"pixels"\r\n"{pixels(1)}"\r\n'.encode())
    faces = table.read(tmp_path)
    assert faces.unlabelled == 1 and not faces.faults and faces.rejected[0].status == "no label"
    splits, digests = published.splits(faces), published.digests(faces)
    assert set(splits) == {"train", "validation"} and 1 <= len(splits["validation"]) <= 30
    assert not {digests[row] for row in splits["train"]} & {digests[row] for row in splits["validation"]}
    assert any("no labelled test" in note for note in published.summary(faces)["notes"])
    (tmp_path / "test.csv").unlink()
    differences = published.summary(table.read(tmp_path))["differences"]
    assert differences and not any("without a label" in difference for difference in differences)


def test_a_labelled_test_csv_is_the_test_split(tmp_path):
    write_csv(tmp_path / "train.csv", [("", name, number) for _, name, number in ROWS[:7]], edit=_without_usage)
    write_csv(tmp_path / "test.csv", [("", name, number) for _, name, number in ROWS[7:]], edit=_without_usage)
    faces = table.read(tmp_path)
    assert faces.location.layout == layouts.KAGGLE_CSV and not faces.rejected
    assert faces.usages.tolist() == ["Training"] * 7 + ["Test"] * 6
    assert faces.ids[6:8] == ["fer2013-00006", "fer2013-test-00000"] and len(set(faces.ids)) == len(ROWS)
    splits = published.splits(faces)
    assert set(splits["test"]) == set(range(7, 13)) and set(splits["test_clean"]) == {7, 8, 11, 12}
    counts = published.summary(faces)
    assert any("mixes PublicTest and PrivateTest" in note for note in counts["notes"])
    assert "Test anger: 2, published 958" in counts["differences"]


def _without_usage(lines):
    return [line.rpartition(",")[0] for line in lines]


def test_folders_with_both_test_sets_have_a_note(tmp_path):
    faces = table.read(write_images(tmp_path, numbered=True))
    assert any("mixes PublicTest and PrivateTest" in note for note in published.summary(faces)["notes"])
    splits = published.splits(faces)
    assert len(splits["test"]) == 6 and len(splits["test_clean"]) == 4


# Name of a fault -> (how it changes line 3, that is row 2; what the status of the row must contain).
ROW_FAULTS = {
    "2303 pixels": (lambda line: line.replace(" ", "", 1), "2303 pixels instead of 2304"),
    "2305 pixels": (lambda line: line.replace(" ", " 1 ", 1), "2305 pixels"),
    "300": (lambda line: line.replace(" 60 ", " 300 ", 1), "pixel '300'"),
    "-1": (lambda line: line.replace(" 60 ", " -1 ", 1), "pixel '-1'"),
    "2**64 + 5": (lambda line: line.replace(" 60 ", f" {2**64 + 5} ", 1), "is not a number from 0 to 255"),
    "half": (lambda line: line.replace(" 60 ", " 0.5 ", 1), "pixel '0.5'"),
    "5000 digits": (lambda line: line.replace(" 60 ", f" {'9' * 5000} ", 1), "is not a number from 0 to 255"),
    "text": (lambda line: line.replace(" 60 ", " x60 ", 1), "pixel 'x60'"),
    "bytes": (lambda line: line.replace(" 60 ", " \udcff ", 1), "is not a number"),
    "no pixels": (lambda line: "4,,Training", "0 pixels"),
    "label 7": (lambda line: "7" + line[1:], "unknown emotion code '7'"),
    "no label": (lambda line: line[1:], "unknown emotion code ''"),
    "usage": (lambda line: line.replace("Training", "Train"), "unknown Usage 'Train'"),
    "quote": (lambda line: '"' + line.replace("Training", "Test"), "unknown Usage 'Test'"),
    "columns": (lambda line: line + ",1", "4 columns instead of 3"),
}


@pytest.mark.parametrize("fault", ROW_FAULTS)
def test_faulty_row_is_listed_and_the_rest_is_read(tmp_path, fault):
    damage, status = ROW_FAULTS[fault]
    path = write_csv(tmp_path / "fer2013.csv")
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], damage(lines[3]), *lines[4:]]), errors="surrogateescape")
    faces = table.read(path)
    assert len(faces.ids) == len(ROWS) - 1 and "fer2013-00002" not in faces.ids
    assert [(row.file, row.row) for row in faces.rejected] == [(str(path), "2")]
    assert status in faces.rejected[0].status
    assert any("1 FAULTY ROWS" in line for line in published.report(published.summary(faces)))


@pytest.mark.parametrize("cut, status", [(3, "unknown Usage"), (30, "2 columns instead of 3"), (5000, "2 columns")])
def test_truncated_file(tmp_path, cut, status):
    path = write_csv(tmp_path / "fer2013.csv")
    path.write_bytes(path.read_bytes()[:-cut])
    faces = table.read(path)
    assert len(faces.ids) == len(ROWS) - 1 and status in faces.faults[0].status
    assert published.summary(faces)["status"] != published.AS_PUBLISHED


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("fer2013.csv", "", "is empty"),
        ("fer2013.csv", "emotion,pixels,Usage\n", "no labelled row"),
        (
            "fer2013.csv",
            "emotion,pixels\n0,1 2 3\n",
            "expected a header with the columns emotion, pixels, Usage; found",
        ),
        ("fer2013.csv", "0,1 2 3,Training\n", "expected a header"),
        ("icml_face_data.csv", "emotion, Usage\n0,Training\n", "expected a header"),
        (
            "train.csv",
            "label,pixels\n0,1\n",
            "expected a header with the columns emotion, pixels; found 'label,pixels'",
        ),
        ("test.csv", "pixels\n1 2 3\n", "no labelled row .1 without a label"),
        ("fer2013.csv", "emotion,pixels,Usage\n0,1 2 3,Training\n", "more than half.*\n.*3 pixels instead of 2304"),
        ("fer2013.tar.gz", "\x1f\x8b rest", "is not a csv file in plain text.*archives must be unpacked"),
    ],
)
def test_unusable_file(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        table.read(path)
    assert str(path) in str(error.value)


def test_missing_and_ambiguous_sources(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        layouts.locate(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="There was: nothing"):
        layouts.locate(tmp_path)
    (tmp_path / "fer2013.tar.gz").write_text("")
    with pytest.raises(ValueError, match="Looked for fer2013.csv, icml_face.*There was: fer2013.tar.gz"):
        layouts.locate(tmp_path)
    write_csv(tmp_path / "fer2013.csv")
    write_kaggle(tmp_path)
    with pytest.raises(ValueError, match="(?s)more than once.*fer2013.csv.*train.csv"):
        layouts.locate(tmp_path)
    assert layouts.locate(tmp_path / "fer2013.csv").layout == layouts.FER2013_CSV


def test_faulty_images(tmp_path, tmp_path_factory):
    write_images(tmp_path, numbered=False)
    intact = cv2.imencode(".png", draw_face(3))[1].tobytes()
    large = cv2.imencode(".jpg", np.zeros((64, 60)))[1].tobytes()
    faults = {
        "train/happy/Training_100.jpg": (b"not an image", "not a complete JPEG or PNG"),
        "train/happy/Training_101.jpg": (b"", "not a complete"),
        "train/happy/Training_102.jpg": (intact[: len(intact) // 2], "not a complete"),
        "train/sad/Training_103.jpg": (large, "60x64 pixels instead of 48x48"),
        "train/sad/PublicTest_104.jpg": (intact, "a PublicTest image in the folder train"),
        "test/sad/Thumbs.db": (b"", "not named"),
        "test/contempt/PrivateTest_105.jpg": (intact, "the folder contempt is none of neutral, happy"),
        "test/bored/PrivateTest_106.jpg": (intact, "the folder bored is none of"),
        "holdout/sad/PublicTest_107.jpg": (intact, "in the folder holdout, expected train, validation, test"),
        "validation/sad/Training_107.jpg": (intact, "a Training image in the folder validation"),
    }
    for name, (content, _) in faults.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    huge, link = "train/sad/Training_108.jpg", "train/sad/Training_109.jpg"
    (tmp_path / huge).write_bytes(make_png(40_000, 40_000))
    outside = tmp_path_factory.mktemp("outside") / "image.png"
    outside.write_bytes(intact)
    (tmp_path / link).symlink_to(outside)
    faults |= {huge: (b"", "many more pixels than 48x48"), link: (b"", "leads out of the data set")}
    faces = table.read(tmp_path)
    assert len(faces.ids) == len(ROWS)
    assert {Path(row.file).relative_to(tmp_path).as_posix() for row in faces.rejected} == set(faults)
    for row in faces.rejected:
        assert faults[Path(row.file).relative_to(tmp_path).as_posix()][1] in row.status
    (tmp_path / "train/sad/im7.png").write_bytes(intact)
    with pytest.raises(ValueError, match="not both; found"):
        table.read(tmp_path)


def test_the_fingerprint_of_folders_with_entries_that_cannot_be_read(tmp_path):
    write_images(tmp_path, numbered=True)
    intact = layouts.fingerprint(tmp_path)
    (tmp_path / "train/happy/more").mkdir()
    (tmp_path / "train/happy/gone.png").symlink_to("nowhere.png")
    faces = table.read(tmp_path)
    assert len(faces.ids) == len(ROWS)
    assert [Path(row.file).name for row in faces.rejected] == ["gone.png", "more"]
    assert layouts.fingerprint(faces.location) != intact


def test_reader_needs_no_tensorflow():
    code = (
        "import sys, edram_fer.preprocessing.datasets.fer2013.published; "
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'tensorflow_datasets', 'keras')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("separator", [";", "\t", "|", ","])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_csv_of_other_tools_has_the_same_rows(tmp_path, separator, encoding):
    published = table.read(write_csv(tmp_path / "fer2013.csv"))
    text = (tmp_path / "fer2013.csv").read_text().replace("Training", "training").replace(",", separator)
    path = tmp_path / "exported" / "fer2013.csv"
    path.parent.mkdir()
    path.write_bytes(text.replace("\n", "\r\n").encode(encoding))
    faces = table.read(path)
    assert faces.ids == published.ids and faces.usages.tolist() == published.usages.tolist()
    np.testing.assert_array_equal(faces.pixels, published.pixels)


@pytest.mark.parametrize(
    ("folders", "usages"),
    [
        (("train", "validation"), {"Training", "Test"}),
        (("Train", "test"), {"Training", "Test"}),
        (("train", "val", "test"), {"Training", "PublicTest", "PrivateTest"}),
    ],
)
def test_folders_of_images_with_any_names(tmp_path, folders, usages):
    for number, (usage, emotion, _) in enumerate(ROWS):
        split = {"Training": 0, "PublicTest": 1, "PrivateTest": len(folders) - 1}[usage]
        path = tmp_path / "images" / folders[split] / emotion / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", draw_face(number))[1].tobytes())
    faces = table.read(tmp_path)
    assert faces.location.layout == layouts.OTHER_FOLDERS and set(faces.usages.tolist()) == usages
    assert len(faces.ids) == len(ROWS) and not faces.rejected
    assert ("validation" in published.splits(faces)) or len(folders) == 2
