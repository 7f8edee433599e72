"""The readers of RAF-DB, CK+ and ExpW on small folders in their exact layouts, where images are empty files."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.annotation_files import describe_lines, touch, unusable, usable
from support.paths import ROOT

from edram_fer.preprocessing import splits
from edram_fer.preprocessing.datasets import inspection
from edram_fer.preprocessing.datasets.affectnet import annotations as affectnet
from edram_fer.preprocessing.datasets.ck_plus import annotations as ck_plus
from edram_fer.preprocessing.datasets.expw import annotations as expw
from edram_fer.preprocessing.datasets.ferg import annotations as ferg
from edram_fer.preprocessing.datasets.folder import annotations as folder
from edram_fer.preprocessing.datasets.jaffe import annotations as jaffe
from edram_fer.preprocessing.datasets.kdef import annotations as kdef
from edram_fer.preprocessing.datasets.raf_db import annotations as raf_db
from edram_fer.preprocessing.datasets.sfew import annotations as sfew
from edram_fer.preprocessing.emotions import EIGHT
from edram_fer.preprocessing.records import OK, fingerprint

READERS = (raf_db, ck_plus, jaffe, ferg, kdef, sfew, expw, folder)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def raf_list(root: Path, lines: str, name: str = "list_patition_label.txt") -> Path:
    write(root / "EmoLabel" / name, lines)
    for kind in ("aligned", "original"):
        (root / "Image" / kind).mkdir(parents=True)
    return root


@pytest.mark.parametrize("reader", READERS)
def test_source_that_is_missing_or_lacks_the_data_set(reader, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        reader.find(tmp_path / "nowhere")
    touch(tmp_path, "holiday/beach.jpg")
    with pytest.raises(ValueError, match=r"(?s)no .* in .*Looked for .*There was: holiday"):
        reader.find(tmp_path)
    with pytest.raises(ValueError, match=r"(?s)Looked for .*There was: beach.jpg"):
        reader.find(tmp_path / "holiday" / "beach.jpg")


def test_readers_need_no_tensorflow():
    names = ", ".join(reader.__name__ for reader in READERS)
    code = f"import sys, {names}; assert not {{'tensorflow', 'keras', 'cv2', 'PIL'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize("spelling", ["list_patition_label.txt", "list_partition_label.txt"])
@pytest.mark.parametrize(
    "images, name",
    [("aligned", "Image/aligned/train_00001_aligned.jpg"), ("original", "Image/original/train_00001.jpg")],
)
def test_raf_db_list(tmp_path, spelling, images, name):
    raf_list(tmp_path / "RAF" / "Basic", "train_00001.jpg 5\ntest_0001.jpg 7\n", spelling)
    annotations = raf_db.find(tmp_path, images=images)
    rows = usable(annotations)
    assert annotations.root == tmp_path / "RAF" / "Basic"
    row = rows["train_00001"]
    assert (row.split, row.emotion, row.image) == ("train", "sad", name)
    assert (rows["test_0001"].split, rows["test_0001"].emotion) == ("test", "neutral")
    assert rows["test_0001"].row == f"{spelling}:2"
    assert annotations.detectors == (("none",) if images == "aligned" else ("yunet", "dlib"))
    assert list(raf_db.find(annotations.files[0], images=images).records()) == list(annotations.records())


def test_raf_db_published_counts():
    assert {split: sum(classes.values()) for split, classes in raf_db.PUBLISHED.items()} == {
        "train": 12271,
        "test": 3068,
    }


def test_raf_db_faulty_lines_have_a_status_and_wrong_counts_a_warning(tmp_path):
    lines = ["train_1.jpg 5", "train_2.jpg 9", "holiday.jpg 1", "train_3.jpg", "", "train_1.jpg 4"]
    annotations = raf_db.find(raf_list(tmp_path, "\n".join(lines)))
    assert list(usable(annotations)) == ["train_1"]
    statuses = {record.row.rpartition(":")[2]: record.status for record in annotations.records() if record.status != OK}
    assert "unknown emotion code '9'" in statuses["2"]
    assert "holiday.jpg 1" in statuses["3"] and "train_3.jpg" in statuses["4"]
    assert statuses["6"] == "its id train_1 is also that of list_patition_label.txt:1"
    assert len({record.id for record in annotations.records()}) == 5
    assert {"WARNING: train rows: 2, published 12,271", "WARNING: test rows: 0, published 3,068"} <= describe_lines(
        annotations
    )
    assert any(
        line.startswith("WARNING: labels of train, the published") and "sad 1 (1,982)" in line
        for line in describe_lines(annotations)
    )


def test_raf_db_compound_list_is_skipped_or_refused(tmp_path):
    compound = "".join(f"train_{label}.jpg {label}\n" for label in range(1, 12))
    raf_list(tmp_path / "basic", "train_1.jpg 1\n")
    raf_list(tmp_path / "compound", compound)
    assert raf_db.find(tmp_path).root == tmp_path / "basic"
    raf_list(tmp_path / "elsewhere" / "renamed", compound)
    with pytest.raises(ValueError, match="compound"):
        raf_db.find(tmp_path / "elsewhere")


def test_raf_db_compound_expressions(tmp_path):
    raf_list(tmp_path / "basic", "train_1.jpg 1\n")
    raf_list(
        tmp_path / "compound", "train_1.jpg 1\ntest_2.jpg 11\n" + "".join(f"train_{n}.jpg {n}\n" for n in (8, 9, 10))
    )
    annotations = raf_db.find(tmp_path, compound=True)
    assert annotations.variant == "compound" and len(annotations.classes) == 11
    assert {name: row.emotion for name, row in usable(annotations).items()} == {
        **{"train_1": "Happily Surprised", "test_2": "Disgustedly Surprised"},
        **{"train_8": "Fearfully Surprised", "train_9": "Angrily Surprised", "train_10": "Angrily Disgusted"},
    }
    with pytest.raises(ValueError, match="is not RAF-DB's list of the compound expressions"):
        raf_list(tmp_path / "other", "train_1.jpg 1\n")
        raf_db.find(tmp_path / "other", compound=True)


@pytest.mark.parametrize("second", ["valid", "val", "test"])
def test_raf_db_folders_of_other_projects(tmp_path, second):
    touch(
        tmp_path / "raf-basic",
        "train/5/train_1_aligned.jpg",
        f"{second}/7/test_1_aligned.jpg",
        f"{second}/7/train_2.jpg",
    )
    annotations = raf_db.find(tmp_path)
    assert {name: (row.split, row.emotion) for name, row in usable(annotations).items()} == {
        "train_1": ("train", "sad"),
        "test_1": ("test", "neutral"),
    }
    assert list(unusable(annotations)) == [f"{second}/7/train_2.jpg"]
    assert any(f"the folder {second} is the test split" in note for note in annotations.notes) == (second != "test")
    touch(tmp_path / "renamed", "train/5/a.jpg", "valid/5/a.jpg", "test/5/a.jpg")
    assert [row.split for row in raf_db.find(tmp_path / "renamed").records()] == ["test", "train", "validation"]


def test_folders_from_0_are_affectnet_and_from_1_raf_db(tmp_path):
    touch(tmp_path / "a", *(f"{split}/{code}/{code}.jpg" for split in ("train", "val") for code in range(8)))
    touch(tmp_path / "r", *(f"{split}/{code}/{code}.jpg" for split in ("train", "valid") for code in range(1, 8)))
    annotations = affectnet.find(tmp_path / "a")
    assert annotations.layout == affectnet.FOLDERS and annotations.classes == EIGHT
    assert [(row.split, row.emotion) for row in annotations.records()] == [
        (split, emotion) for split in ("train", "test") for emotion in EIGHT
    ]
    with pytest.raises(ValueError, match="no RAF-DB in"):
        raf_db.find(tmp_path / "a")
    assert len(usable(raf_db.find(tmp_path / "r"))) == 14
    with pytest.raises(ValueError, match="no AffectNet in"):
        affectnet.find(tmp_path / "r")
    for name, line in (("a", "AffectNet, a folder per split"), ("r", "RAF-DB, a folder per label")):
        assert inspection.inspect(tmp_path / name)[0].startswith(line)
    touch(tmp_path / "a", "test/0/x.jpg")
    assert {row.split for row in affectnet.find(tmp_path / "a").records()} == {"train", "validation", "test"}


def test_raf_db_without_images_and_with_an_unknown_option(tmp_path):
    write(tmp_path / "EmoLabel" / "list_patition_label.txt", "train_1.jpg 1\n")
    touch(tmp_path, "Image/aligned.zip")
    with pytest.raises(ValueError, match=r"expected the folder .*aligned"):
        raf_db.find(tmp_path)
    with pytest.raises(ValueError, match="aligned, original"):
        raf_db.find(tmp_path, images="grey")


def test_raf_db_folders_with_csv(tmp_path):
    touch(
        tmp_path,
        *(
            "DATASET/" + name
            for name in (
                "train/5/train_00001_aligned.jpg",
                "train/1/train_00002_aligned.jpg",
                "test/7/test_0001_aligned.jpg",
                "train/8/train_00003_aligned.jpg",
                "train/1/test_0002_aligned.jpg",
                "train/1/.DS_Store",
                "train/1/Thumbs.db",
                "train/1/notes.txt",
            )
        ),
    )
    write(
        tmp_path / "train_labels.csv",
        "image,label\ntrain_00001_aligned.jpg,5\ntrain_00002_aligned.jpg,6\ntrain_00009_aligned.jpg,1\n",
    )
    annotations = raf_db.find(tmp_path)
    rows = usable(annotations)
    assert {name: (row.split, row.emotion, row.image) for name, row in rows.items()} == {
        "train_00001": ("train", "sad", "train/5/train_00001_aligned.jpg"),
        "test_0001": ("test", "neutral", "test/7/test_0001_aligned.jpg"),
    }
    statuses = unusable(annotations)
    assert statuses["train/1/train_00002_aligned.jpg"] == "in the folder 1, but the csv says 6"
    assert "unknown emotion code '8'" in statuses["train/8/train_00003_aligned.jpg"]
    assert "expected a path" in statuses["train/1/test_0002_aligned.jpg"]
    assert len(statuses) == 3
    assert "images named in the csv that do not exist: 1 (train_00009_aligned.jpg)" in annotations.notes
    with pytest.raises(ValueError, match="aligned images only"):
        raf_db.find(tmp_path, images="original")


def ck_sequences(root: Path, images="cohn-kanade-images", labels="Emotion") -> Path:
    """Two labelled sequences of five frames, one of three, and one without a label."""
    for subject, sequence, frames, code in (
        ("S005", "001", 5, 3),
        ("S010", "002", 5, 7),
        ("S011", "001", 3, 1),
        ("S012", "001", 5, None),
    ):
        stem = f"{subject}/{sequence}/{subject}_{sequence}_"
        touch(root, *(f"{images}/{stem}{number:08d}.png" for number in range(1, frames + 1)))
        if code:
            write(root / labels / f"{stem}{frames:08d}_emotion.txt", f"   {code}.0000000e+00\n")
    return root


@pytest.mark.parametrize(
    "images, labels",
    [
        ("cohn-kanade-images", "Emotion"),
        ("Cohn-Kanade-Images", "emotion"),
        ("extended-cohn-kanade-images/cohn-kanade-images", "Emotion_labels/Emotion"),
    ],
)
def test_ck_plus_sequences(tmp_path, images, labels):
    annotations = ck_plus.find(ck_sequences(tmp_path / "CK+", images, labels).parent)
    rows = usable(annotations)
    assert {name: row.emotion for name, row in rows.items() if row.subject == "S005"} == {
        "S005_001_00000001": "neutral",
        "S005_001_00000003": "disgust",
        "S005_001_00000004": "disgust",
        "S005_001_00000005": "disgust",
    }
    assert rows["S005_001_00000005"].image == f"{images}/S005/001/S005_001_00000005.png"
    assert {row.subject: row.split for row in rows.values()} == {"S005": "fold_0", "S010": "fold_1"}
    assert len(rows) == 8 and len(annotations.files) == 3 and annotations.classes[-1] == "contempt"
    assert set(unusable(annotations).values()) == {"a sequence of 3 frames, expected more than the 3 of the emotion"}
    assert {
        "sequences without a label, left out: 1",
        "WARNING: sequences: 4, published 593",
        "WARNING: subjects: 4, published 123",
        "WARNING: labelled sequences: 3, published 327",
    } == set(annotations.notes)
    assert annotations.published_rows == {"": 4 * 327} and annotations.published[""]["contempt"] == 3 * 18


def test_ck_plus_last_frames_and_folds(tmp_path):
    annotations = ck_plus.find(ck_sequences(tmp_path), last_frames=1, folds=2)
    assert [row.emotion for row in annotations.records()] == [
        "neutral",
        "disgust",
        "neutral",
        "surprise",
        "neutral",
        "anger",
    ]
    assert [row.split for row in annotations.records()][::2] == ["fold_0", "fold_1", "fold_0"]
    for invalid in ({"last_frames": 0}, {"last_frames": 1.5}, {"folds": 1}):
        with pytest.raises(ValueError, match=next(iter(invalid))):
            ck_plus.find(tmp_path, **invalid)


def test_the_fingerprint_of_ck_plus_depends_on_its_images(tmp_path):
    """A half unpacked archive, in which the labels are complete, gives other frames."""
    ck_sequences(tmp_path)
    last = tmp_path / "cohn-kanade-images/S005/001/S005_001_00000005.png"
    last.unlink()
    half = fingerprint(ck_plus.find(tmp_path))
    last.touch()
    assert half != fingerprint(ck_plus.find(tmp_path))


def test_ck_plus_faulty_labels_and_names(tmp_path):
    ck_sequences(tmp_path)
    touch(tmp_path / "cohn-kanade-images", "S005/001/copy.png", "S005/001/S099_001_00000001.png", "S005/001/.DS_Store")
    write(tmp_path / "Emotion/S010/002/S010_002_00000005_emotion.txt", "\n")
    write(tmp_path / "Emotion/S099/001/S099_001_00000009_emotion.txt", "  1.0\n")
    annotations = ck_plus.find(tmp_path)
    statuses = unusable(annotations)
    for name in ("copy.png", "S099_001_00000001.png"):
        assert "expected a path" in statuses[f"cohn-kanade-images/S005/001/{name}"]
    assert "unknown emotion code" in statuses["cohn-kanade-images/S010/002/S010_002_00000005.png"]
    assert "labels without images: 1 (S099/001)" in annotations.notes


def test_ck_plus_48(tmp_path):
    touch(
        tmp_path / "CK+48",
        "anger/S010_004_00000017.png",
        "contempt/S138_008_00000007.png",
        "happiness/S005_001_00000010.png",
        "happiness/face.png",
        "bored/S010_004_00000018.png",
        "uncertain/S010_004_00000019.png",
        "contempt/S010_004_00000017.png",
    )
    annotations = ck_plus.find(tmp_path)
    rows = {name: (row.emotion, row.subject, row.split, row.image) for name, row in usable(annotations).items()}
    assert rows == {
        "S010_004_00000017": ("anger", "S010", "fold_1", "anger/S010_004_00000017.png"),
        "S138_008_00000007": ("contempt", "S138", "fold_2", "contempt/S138_008_00000007.png"),
        "S005_001_00000010": ("happy", "S005", "fold_0", "happiness/S005_001_00000010.png"),
    }
    statuses = unusable(annotations)
    assert "is also that of anger" in statuses["contempt/S010_004_00000017.png"]
    assert statuses["uncertain/S010_004_00000019.png"] == "label uncertain"
    assert "unknown emotion 'bored'" in statuses["bored/S010_004_00000018.png"]
    assert "expected a path" in statuses["happiness/face.png"]
    assert annotations.detectors == ("none",) and "WARNING: all rows: 7, published 981" in describe_lines(annotations)


def test_ck_plus_published_split_is_random_by_image(tmp_path):
    names = (f"anger/S{number:03}_001_{frame:08}.png" for number in range(200) for frame in (1, 2, 3))
    touch(tmp_path / "CK+48", *names)
    annotations = ck_plus.find(tmp_path, split="published")
    row_splits = [row.split for row in annotations.records()]
    shares = [row_splits.count(split) / 600 for split in ("train", "validation", "test")]
    assert sum(shares) == pytest.approx(1) and np.abs(np.array(shares) - [0.7, 0.1, 0.2]).max() < 0.06
    assert annotations.variant == "published" and row_splits == [row.split for row in annotations.records()]
    strict = [
        [row.split for row in ck_plus.find(tmp_path, **options).records()] for options in ({}, {"split": "strict"})
    ]
    assert strict[0] == strict[1] and set(strict[0]) == {f"fold_{i}" for i in range(10)}


def test_ck_plus_csv_has_other_codes_and_pixels(tmp_path):
    grey = [" ".join(str((start + offset) % 256) for offset in range(48 * 48)) for start in range(4)]
    lines = [
        "emotion,pixels,Usage",
        f"0,{grey[0]},Training",
        f"7,{grey[1]},PublicTest",
        f"6,{grey[2]},PrivateTest",
        "3,1 2 3,Training",
        f"8,{grey[3]},Training",
        f"3,{grey[3]},Holiday",
    ]
    path = write(tmp_path / "data" / "ckextended.csv", "\n".join(lines) + "\n")
    annotations = ck_plus.find(tmp_path)
    assert [(row.image, row.split, row.emotion, row.row) for row in usable(annotations).values()] == [
        ("ckextended.csv#1", "train", "anger", "ckextended.csv:1"),
        ("ckextended.csv#2", "validation", "contempt", "ckextended.csv:2"),
        ("ckextended.csv#3", "test", "neutral", "ckextended.csv:3"),
    ]
    statuses = unusable(annotations)
    assert statuses["ckextended.csv:4"] == "3 pixels instead of 2304"
    assert "unknown emotion code '8'" in statuses["ckextended.csv:5"] and "Holiday" in statuses["ckextended.csv:6"]
    assert any("does not name subjects" in note for note in annotations.notes)
    assert any("contempt 1 (18)" in line for line in describe_lines(annotations)) and annotations.published_rows == {
        "": 920
    }
    face = usable(annotations)["2"].pixels
    assert face.dtype == np.uint8 and face.shape == (48, 48)
    assert (face.ravel()[:3] == [1, 2, 3]).all() and face[1, 0] == 49
    assert list(ck_plus.find(path).records()) == list(annotations.records()) == list(annotations.records())


def test_two_layouts_in_one_source_are_ambiguous(tmp_path):
    touch(tmp_path, "a/anger/S010_004_00000017.png", "b/anger/S010_004_00000017.png")
    with pytest.raises(ValueError, match="more than once"):
        ck_plus.find(tmp_path)
    assert ck_plus.find(tmp_path / "a").root == tmp_path / "a"


@pytest.mark.parametrize("images", ["image/origin", "Origin", "image"])
def test_expw(tmp_path, images):
    path = write(
        tmp_path / "ExpW" / "label" / "label.lst",
        "angry_1.jpg 0 28 113 226 141 22.9857 0\nangry_1.jpg 1 30 10 40 70 59.2 6\nwide smile.jpg 0 1 2 3 4 9 3\n",
    )
    (tmp_path / "ExpW" / images).mkdir(parents=True)
    annotations = expw.find(tmp_path)
    rows = usable(annotations)
    assert list(rows) == ["angry_1.jpg#0", "angry_1.jpg#1", "wide smile.jpg#0"]
    assert rows["angry_1.jpg#0"].box == (113, 28, 113, 113)  # top, left, right, bottom -> left, top, width, height
    assert rows["angry_1.jpg#1"].box == (10, 30, 30, 40)
    assert [row.emotion for row in rows.values()] == ["anger", "neutral", "happy"]
    assert rows["wide smile.jpg#0"].image == f"{images}/wide smile.jpg"
    assert rows["angry_1.jpg#0"].split == rows["angry_1.jpg#1"].split
    assert annotations.detectors == ("annotation",) and "WARNING: all rows: 3, published 91,793" in describe_lines(
        annotations
    )
    assert list(expw.find(path).records()) == list(annotations.records())
    assert fingerprint(annotations) != fingerprint(expw.find(tmp_path, seed=1))


def test_expw_faulty_lines_and_missing_images(tmp_path):
    lines = [
        "a.jpg 0 10 10 20 20 50 3",
        "a.jpg 0 10 10 20 20 50 4",
        "b.jpg 0 10 30 20 20 50 3",
        "c.jpg 0 x 10 20 20 50 3",
        "d.jpg 0 10 10 20 20 50 9",
        "e.jpg 0 10",
        "f.jpg 0 nan 10 20 20 50 3",
    ]
    write(tmp_path / "label" / "label.lst", "\n".join(lines))
    with pytest.raises(ValueError, match=r"image/origin.*there were label"):
        expw.find(tmp_path)
    touch(tmp_path, "image/origin/a.jpg")
    statuses = {row.row: row.status for row in expw.find(tmp_path).records()}
    assert statuses.pop("label.lst:1") == OK
    expected = ("also that of", "no area", "four numbers", "unknown emotion code '9'", "3 columns", "no area")
    assert all(text in status for text, status in zip(expected, statuses.values()))


def test_digest_splits_have_their_shares_and_are_reproducible():
    shares = {"train": 80, "validation": 10, "test": 10}
    chosen = [splits.digest_split(f"{number}.jpg", shares, seed=0) for number in range(3000)]
    assert 2320 < chosen.count("train") < 2480 and 240 < chosen.count("test") < 360
    assert chosen[:5] == [splits.digest_split(f"{number}.jpg", shares, seed=0) for number in range(5)]
    assert chosen != [splits.digest_split(f"{number}.jpg", shares, seed=1) for number in range(3000)]


def test_subjects_are_assigned_to_folds_in_turn_by_name():
    assert splits.folds(["c", "a", "b", "a"], 2) == {"a": "fold_0", "b": "fold_1", "c": "fold_0"}
