"""Which of AffectNet's three official forms lies there, what is published about it, and what is not opened."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.affectnet_files import content, line, rows, write_json, write_lists, write_npy
from support.paths import ROOT

from edram_fer.preprocessing.datasets.affectnet import annotations
from edram_fer.preprocessing.emotions import EIGHT
from edram_fer.preprocessing.records import fingerprint


def test_published_counts():
    assert sum(annotations.TRAIN.values()) == 287651 and annotations.TRAIN["happy"] == 134415
    assert sum(annotations.TRAIN.values()) - annotations.TRAIN["contempt"] == 283901
    assert sum(annotations.TEST.values()) == 4000 and list(annotations.TRAIN) == list(EIGHT)


def test_published_rows_of_each_form(tmp_path):
    write_lists(tmp_path / "a", [line()], [line()])
    assert annotations.find(tmp_path / "a").published_rows == {"train": 414_799, "test": 5_500}
    write_npy(tmp_path / "b" / "val_set", 1)
    assert annotations.find(tmp_path / "b").published_rows == {"test": 3_999}


def test_sources(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        annotations.find(tmp_path / "nowhere")
    (tmp_path / "archive.zip").write_bytes(b"")
    with pytest.raises(ValueError, match="no AffectNet in .*There was: archive.zip"):
        annotations.find(tmp_path)
    (tmp_path / "train_set" / "annotations").mkdir(parents=True)
    with pytest.raises(ValueError, match="annotations holds no annotations"):
        annotations.find(tmp_path)
    write_npy(tmp_path / "train_set", 1)
    with pytest.raises(ValueError, match="no automatically_annotated.csv in .*only the layout of 2017"):
        annotations.find(tmp_path, automatic=True)
    write_npy(tmp_path / "copy" / "train_set", 1)
    with pytest.raises(ValueError, match="train split is there more than once"):
        annotations.find(tmp_path)
    assert annotations.find(tmp_path / "copy").root == tmp_path / "copy"
    write_json(tmp_path / "copy" / "validation_set", 1, content())
    with pytest.raises(ValueError, match="one of .*train_set.* has the layout of 2021, another that of AffectNet"):
        annotations.find(tmp_path / "copy")
    write_lists(tmp_path / "copy", [line()])
    with pytest.raises(ValueError, match="more than one layout"):
        annotations.find(tmp_path / "copy")


def test_the_level_of_the_source_does_not_matter(tmp_path):
    write_lists(tmp_path / "a" / "b", [line()], [line()])
    write_npy(tmp_path / "c" / "d" / "train_set", 1)
    for inside, outside in (("a/b", "a"), ("c/d", "c")):
        assert fingerprint(annotations.find(tmp_path / inside)) == fingerprint(annotations.find(tmp_path / outside))
        assert rows(tmp_path / inside) == rows(tmp_path / outside)


def test_images_are_neither_listed_nor_opened(tmp_path, monkeypatch):
    write_lists(tmp_path, [line()])
    deep = tmp_path / "Manually_Annotated_Images" / "1"
    deep.mkdir()
    listed, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(Path(path)) or scandir(path))
    assert rows(tmp_path) and tmp_path in listed
    assert deep not in listed and deep.parent not in listed


def test_reader_needs_no_tensorflow():
    code = (
        "import sys, edram_fer.preprocessing.datasets.affectnet.annotations; "
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'tensorflow_datasets', 'keras', 'cv2')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
