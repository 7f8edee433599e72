"""AffectNet's npy files of March 2021, and everything that can be wrong in them."""

import os
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from support.affectnet_files import CODES, POINTS, rows, write_npy

from edram_fer.preprocessing.datasets.affectnet import annotations as affectnet
from edram_fer.preprocessing.records import OK, UNKNOWN_AFFECT, fingerprint


def test_npy_files_of_2021(tmp_path):
    train, test = tmp_path / "train_set", tmp_path / "val_set"
    for number, code in enumerate(CODES.values()):
        write_npy(train, number, exp=str(code))
    write_npy(train, 10, exp=np.int64(3), val=np.float32(0.5), aro=-0.25, lnd=POINTS.reshape(68, 2))
    write_npy(train, 9, exp=np.array(["4"]), val=np.bytes_("0.5"), lnd=POINTS.astype(str))
    write_npy(test, 10, exp="2.0", val="-2", aro="0.1")
    annotations = affectnet.find(tmp_path)
    assert annotations.layout == affectnet.NPY and annotations.root == tmp_path and annotations.files == ()
    assert annotations.detectors == ("none",) and list(annotations.published) == ["train"]
    records = list(annotations.records())
    assert {record.status for record in records} == {OK}
    assert [record.id for record in records] == [f"train/{number}" for number in [*range(8), 9, 10]] + ["test/10"]
    assert [record.emotion for record in records] == [*CODES, "fear", "surprise", "sad"]
    for record in records[:-1]:
        np.testing.assert_array_equal(record.landmarks, POINTS.reshape(68, 2))
        assert (record.valence, record.arousal) == (0.5, -0.25)
    assert records[-1].image == "val_set/images/10.jpg" and records[-1].valence == UNKNOWN_AFFECT
    assert fingerprint(annotations) == fingerprint(affectnet.find(tmp_path))


def test_folders_are_listed_once(tmp_path, monkeypatch):
    for number in range(3):
        write_npy(tmp_path / "train_set", number)
    annotations = affectnet.find(tmp_path)
    scandir = mock.Mock(wraps=os.scandir)
    monkeypatch.setattr(os, "scandir", scandir)
    assert len(list(annotations.records())) == 3
    assert sorted(Path(call.args[0]).name for call in scandir.call_args_list) == ["annotations", "images"]
    assert annotations.count() == 3


NPY_FAULTS = {
    "no expression": ({"exp": None}, "no _exp.npy"),
    "no landmarks": ({"lnd": None}, "no _lnd.npy"),
    "no arousal": ({"aro": None}, "no _aro.npy"),
    "an object": ({"exp": np.array("1", object)}, "_exp.npy cannot be read: Object arrays cannot be loaded"),
    "two codes": ({"exp": np.array(["1", "2"])}, "_exp.npy holds 2 values instead of 1"),
    "nothing": ({"val": np.array([])}, "_val.npy holds 0 values instead of 1"),
    "code 8": ({"exp": "8"}, "label none"),
    "code -1": ({"exp": "-1"}, "unknown emotion code '-1'"),
    "valence 2": ({"val": 2.0}, "valence 2 outside [-1, 1]"),
    "valence nan": ({"val": np.nan}, "valence nan outside"),
    "5 points": ({"lnd": POINTS[:10]}, "10 landmark numbers instead of 136"),
    "a point nan": ({"lnd": POINTS * np.nan}, "landmark 'nan' is not a number"),
}


@pytest.mark.parametrize("fault", NPY_FAULTS)
def test_faulty_npy_file_is_a_row_with_a_status(tmp_path, fault):
    values, status = NPY_FAULTS[fault]
    write_npy(tmp_path / "train_set", 1)
    write_npy(tmp_path / "train_set", 2, **values)
    intact, faulty = rows(tmp_path)
    assert intact.status == OK and status in faulty.status and faulty.id == "train/2"


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"no array", b"PK\x03\x04", "half", "broken header", "no text"])
def test_damaged_npy_file_is_a_row_with_a_status(tmp_path, content):
    write_npy(tmp_path / "train_set", 1)
    path = tmp_path / "train_set" / "annotations" / "1_exp.npy"
    intact = path.read_bytes()
    damaged = {"half": intact[:-2], "broken header": intact.replace(b"}", b" ")}
    damaged["no text"] = intact[:-4] + b"\xff" * 4  # of a code point
    path.write_bytes(damaged.get(content, content))
    (record,) = rows(tmp_path)
    assert record.status.startswith("_exp.npy cannot be read: ")


def test_annotations_without_image_and_other_extensions(tmp_path):
    folder = tmp_path / "train_set"
    for number in (1, 2, 30):
        write_npy(folder, number)
    (folder / "images" / "2.jpg").rename(folder / "images" / "2.PNG")
    (folder / "images" / "1.jpg").unlink()
    (folder / "images" / "cover.jpg").write_bytes(b"")
    for ignored in (".DS_Store", "Thumbs.db"):
        (folder / "images" / ignored).write_bytes(b"")
    assert [(record.image, record.status) for record in rows(tmp_path)] == [
        ("train_set/images/1.jpg", OK),
        ("train_set/images/2.PNG", OK),
        ("train_set/images/30.jpg", OK),
        ("train_set/images/cover.jpg", "no _exp.npy"),
    ]


def test_images_and_annotations_without_the_folder_of_a_split(tmp_path):
    write_npy(tmp_path / "downloads" / "faces", 3)
    annotations = affectnet.find(tmp_path)
    assert [(record.id, record.split, record.image) for record in annotations.records()] == [
        ("train/3", "train", "faces/images/3.jpg")
    ]
    assert any(f"all of {tmp_path}/downloads/faces is training data" in note for note in annotations.notes)
    (tmp_path / "downloads" / "faces").rename(tmp_path / "downloads" / "val_set")
    assert [record.split for record in affectnet.find(tmp_path / "downloads" / "val_set").records()] == ["test"]
