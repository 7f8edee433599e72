"""The readers of data sets that consist of folders of images, on small folders in their layouts."""

import collections
from pathlib import PurePosixPath

import pytest
from support.annotation_files import describe_lines, touch, unusable, usable

from edram_fer.preprocessing import emotions, unread
from edram_fer.preprocessing.datasets.ferg import annotations as ferg
from edram_fer.preprocessing.datasets.folder import annotations as folder
from edram_fer.preprocessing.datasets.jaffe import annotations as jaffe
from edram_fer.preprocessing.datasets.kdef import annotations as kdef
from edram_fer.preprocessing.datasets.sfew import annotations as sfew
from edram_fer.preprocessing.emotions import SEVEN
from edram_fer.preprocessing.records import fingerprint


def test_jaffe(tmp_path):
    touch(
        tmp_path / "downloads" / "jaffe",
        "KA.AN1.39.tiff",
        "KA.FE2.46.tiff",
        "YM.NE3.51.TIFF",
        "KL.XX1.160.tiff",
        "face.tiff",
        "KA.AN1.39.jpg",
        "README",
        ".DS_Store",
        "Thumbs.db",
    )
    annotations = jaffe.find(tmp_path)
    assert {name: (row.emotion, row.split, row.subject) for name, row in usable(annotations).items()} == {
        "KA.AN1.39": ("anger", "KA", "KA"),
        "KA.FE2.46": ("fear", "KA", "KA"),
        "YM.NE3.51": ("neutral", "YM", "YM"),
    }
    statuses = unusable(annotations)
    assert "unknown emotion code 'XX'" in statuses["KL.XX1.160.tiff"]
    assert statuses["face.tiff"] == "expected a name like KA.AN1.39.tiff"
    assert statuses["KA.AN1.39.tiff"] == "its id KA.AN1.39 is also that of KA.AN1.39.jpg"
    assert len(statuses) == 3 and annotations.files == ()
    assert annotations.notes == ("WARNING: subjects: 3, published 10",)
    assert "WARNING: all rows: 6, published 213" in describe_lines(annotations)


def test_jaffe_published_split_has_ten_test_images_of_each_emotion(tmp_path):
    codes = ("AN", "DI", "FE", "HA", "NE", "SA", "SU")
    women = ("KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM")
    names = [f"{woman}.{code}{i}.{i}" for woman in women for code in codes for i in (1, 2, 3)]
    touch(tmp_path, *(f"{name}.tiff" for name in names + ["KA.AN4.4", "KL.HA4.4", "KL.SA4.4"]))  # 213 as published
    rows = usable(jaffe.find(tmp_path, split="published"))
    counts = collections.Counter((row.split, row.emotion) for row in rows.values())
    assert {counts["test", emotion] for emotion in SEVEN} == {10}
    assert collections.Counter(row.split for row in rows.values()) == {"train": 120, "validation": 23, "test": 70}
    assert rows == usable(jaffe.find(tmp_path, split="published"))
    assert fingerprint(jaffe.find(tmp_path)) != fingerprint(jaffe.find(tmp_path, split="published"))
    with pytest.raises(ValueError, match="strict or published, got 'random'"):
        jaffe.find(tmp_path, split="random")


def test_folders_that_macos_adds_to_archives_are_ignored(tmp_path):
    touch(tmp_path, "FERG_DB_256/aia/aia_joy/aia_joy_1.png", "__MACOSX/FERG_DB_256/aia/aia_joy/._aia_joy_1.png")
    assert list(usable(ferg.find(tmp_path))) == ["aia_joy_1"]


def test_ferg_strict_split_is_the_character(tmp_path):
    touch(
        tmp_path / "FERG_DB_256",
        "aia/aia_anger/aia_anger_1.png",
        "Ray/ray_joy/ray_joy_2.png",
        "ray/ray_bored/ray_bored_1.png",
        "ray/ray_joy/aia_joy_3.png",
        "bob/bob_joy/bob_joy_1.png",
        "cover.png",
    )
    annotations = ferg.find(tmp_path)
    assert {name: (row.emotion, row.split, row.subject) for name, row in usable(annotations).items()} == {
        "aia_anger_1": ("anger", "aia", "aia"),
        "ray_joy_2": ("happy", "ray", "ray"),
    }
    statuses = unusable(annotations)
    assert "unknown emotion code 'bored'" in statuses["ray/ray_bored/ray_bored_1.png"]
    for name in ("ray/ray_joy/aia_joy_3.png", "bob/bob_joy/bob_joy_1.png", "cover.png"):
        assert "expected a path" in statuses[name]
    assert annotations.classes == SEVEN and "WARNING: all rows: 6, published 55,767" in describe_lines(annotations)


def test_ferg_published_split_has_its_shares(tmp_path):
    names = [f"mery/mery_fear/mery_fear_{number}.png" for number in range(1100)]
    touch(tmp_path, *names)
    annotations = ferg.find(tmp_path, split="published")
    splits = [row.split for row in annotations.records()]
    assert splits == [row.split for row in annotations.records()]
    assert 620 < splits.count("train") < 740 and 230 < splits.count("validation") < 330
    assert 100 < splits.count("test") < 180
    assert fingerprint(annotations) != fingerprint(ferg.find(tmp_path))
    with pytest.raises(ValueError, match="strict or published, got 'random'"):
        ferg.find(tmp_path, split="random")


def test_ferg_published_split_has_1000_test_images_of_each_emotion():
    words = ("anger", "joy", "sadness")
    files = [
        PurePosixPath(f"{c}/{c}_{word}/{c}_{word}_{n}.png")
        for c in ferg.CHARACTERS
        for word in words
        for n in range(1400)
    ]
    split_of_name = ferg._published_split(files)
    test = collections.Counter(name.split("_")[1] for name, split in split_of_name.items() if split == "test")
    assert test == dict.fromkeys(words, 1000)
    assert collections.Counter(split_of_name.values()) == {
        "test": 3000,
        "validation": 14_000,
        "train": len(files) - 17_000,
    }


def kdef_files(root, layout):
    names = ("AF01ANS.JPG", "BF01AFS.JPG", "AM02HAS.jpg", "AM02HAHL.JPG", "BM02SUFR.JPG", "AF31V.JPG", "AF03XXS.JPG")
    return touch(root, *(layout.format(name[:4], name) for name in names), "AKDEF/FAFS.JPG")


@pytest.mark.parametrize("layout", ["KDEF/{0}/{1}", "KDEF/{1}"])
def test_kdef(tmp_path, layout):
    annotations = kdef.find(kdef_files(tmp_path / "KDEF_and_AKDEF", layout).parent)
    assert {name: (row.emotion, row.split, row.subject) for name, row in usable(annotations).items()} == {
        "AF01ANS": ("anger", "fold_0", "F01"),
        "BF01AFS": ("fear", "fold_0", "F01"),
        "AM02HAS": ("happy", "fold_2", "M02"),
    }
    statuses = {name.rpartition("/")[2]: status for name, status in unusable(annotations).items()}
    assert statuses["AF31V.JPG"] == "expected a name like AF01ANS.JPG"
    assert "unknown emotion code 'XX'" in statuses["AF03XXS.JPG"]
    assert annotations.notes == (
        "WARNING: images of all angles: 7, published 4,900",
        "WARNING: subjects: 3, published 70",
        "images of other angles than S, left out: 2",
    )


def test_kdef_angles_and_folds(tmp_path):
    kdef_files(tmp_path, "{1}")
    annotations = kdef.find(tmp_path, angles=("HL", "FR"), folds=2)
    assert {name: row.split for name, row in usable(annotations).items()} == {
        "AM02HAHL": "fold_0",
        "BM02SUFR": "fold_0",
    }
    assert set(usable(kdef.find(tmp_path, angles="HL, fr", folds=2))) == {"AM02HAHL", "BM02SUFR"}
    for angles in (("X",), (), "HX"):
        with pytest.raises(ValueError, match="angles: expected some of FL, HL, S, HR, FR"):
            kdef.find(tmp_path, angles=angles)
    with pytest.raises(ValueError, match="folds"):
        kdef.find(tmp_path, folds=0)


@pytest.mark.parametrize("train, val", [("Train", "Val"), ("train", "VAL")])
def test_sfew(tmp_path, train, val):
    touch(
        tmp_path / "SFEW_2",
        f"{train}/Angry/Film_0001_01.png",
        f"{val}/Happy/Film_0001_01.png",
        f"{train}/Bored/Film_0002_01.png",
        f"{train}/loose.png",
        "Test/a.png",
        "Test/b.png",
        "Test/.DS_Store",
    )
    annotations = sfew.find(tmp_path)
    assert {row.image: (row.split, row.emotion) for row in usable(annotations).values()} == {
        f"{train}/Angry/Film_0001_01.png": ("train", "anger"),
        f"{val}/Happy/Film_0001_01.png": ("validation", "happy"),
    }
    statuses = unusable(annotations)
    assert "unknown emotion code 'Bored'" in statuses[f"{train}/Bored/Film_0002_01.png"]
    assert "expected a path" in statuses[f"{train}/loose.png"]
    assert "images of Test, left out because their labels are not public: 2" in annotations.notes
    assert {"WARNING: train rows: 1, published 958", "WARNING: validation rows: 1, published 436"} <= describe_lines(
        annotations
    )


def test_folder_without_splits_is_all_train(tmp_path):
    touch(
        tmp_path,
        "Happiness/a.jpg",
        "joy/a.jpg",
        "angry/b.PNG",
        "angry/notes.txt",
        "uncertain/c.jpg",
        "loose.jpg",
        "angry/deeper/d.jpg",
        ".cache/e.jpg",
    )
    annotations = folder.find(tmp_path)
    assert {name: (row.split, row.emotion) for name, row in usable(annotations).items()} == {
        "Happiness/a.jpg": ("train", "happy"),
        "joy/a.jpg": ("train", "happy"),
        "angry/b.PNG": ("train", "anger"),
    }
    assert unusable(annotations) == {
        "uncertain/c.jpg": "label uncertain",
        "loose.jpg": "expected in <emotion>/",
        "angry/deeper/d.jpg": "expected in <emotion>/",
    }
    assert annotations.classes == ("happy", "anger") and "labels: 0 happy, 1 anger" in annotations.notes
    images = [record.image for record in annotations.records()]
    assert unread.describe(tmp_path, annotations, images) == ["not read: 1 file: angry/notes.txt"]


def test_folder_with_splits(tmp_path):
    touch(tmp_path / "mine", "Train/sad/a.jpg", "val/sad/a.jpg", "party/contempt/a.jpg", "party/loose.jpg")
    annotations = folder.find(tmp_path)
    assert {name: (row.split, row.emotion) for name, row in usable(annotations).items()} == {
        "Train/sad/a.jpg": ("train", "sad"),
        "val/sad/a.jpg": ("validation", "sad"),
        "party/contempt/a.jpg": ("party", "contempt"),
    }
    assert unusable(annotations) == {"party/loose.jpg": "expected in <split>/<emotion>/"}
    assert annotations.root == tmp_path / "mine"


def test_folder_with_another_name_is_left_out_and_a_similar_name_suggested(tmp_path):
    touch(tmp_path, "plain/happy/a.jpg", "plain/suprise/b.jpg", "split/train/sad/a.jpg", "split/test/zzz/a.jpg")
    assert unusable(folder.find(tmp_path / "plain")) == {"suprise/b.jpg": "unknown label suprise (surprise?)"}
    assert unusable(folder.find(tmp_path / "split")) == {"test/zzz/a.jpg": "unknown label zzz"}


@pytest.mark.parametrize("outer", ["", "archive", "archive/mine-main"])
def test_outer_folder_of_an_archive_is_not_a_split(tmp_path, outer):
    touch(tmp_path / outer, "happy/a.jpg", "sad/b.jpg")
    annotations = folder.find(tmp_path)
    assert {row.split for row in usable(annotations).values()} == {"train"}
    assert annotations.root == tmp_path / outer and annotations.shares == {"validation": 0.1, "test": 0.2}


def test_folder_with_classes_of_its_own(tmp_path):
    touch(tmp_path / "faces", "Train/Bored/a.jpg", "val/engaged/b.jpg", "train/happiness/c.jpg", "train/angry/d.jpg")
    with pytest.raises(ValueError, match="classes: expected seven, eight, or at least two"):
        emotions.parse_classes("bored")
    annotations = folder.find(tmp_path, emotions.parse_classes("bored,engaged,Happy"))
    assert annotations.classes == ("bored", "engaged", "happy")
    assert {row.image: (row.split, row.emotion) for row in usable(annotations).values()} == {
        "Train/Bored/a.jpg": ("train", "bored"),
        "val/engaged/b.jpg": ("validation", "engaged"),
        "train/happiness/c.jpg": ("train", "happy"),
    }
    assert unusable(annotations) == {"train/angry/d.jpg": "label anger, not among the 3 classes"}
    with pytest.raises(ValueError, match="faces: no image of the class confused; there are: bored 1, engaged 1"):
        folder.find(tmp_path, ("bored", "engaged", "confused"))


def test_folders_without_emotions_are_suggested_as_classes(tmp_path):
    touch(tmp_path, "faces/bored/a.jpg", "faces/very engaged/b.jpg", "faces/docs/c.txt")
    with pytest.raises(ValueError, match='There was: faces. To use .* as classes: --classes "bored,very engaged"$'):
        folder.find(tmp_path)
