"""AffectNet: which of its three official layouts is recognised, published counts, and files that are not opened."""

import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
from support.affectnet_files import content, line, rows, write_json, write_lists, write_npy
from support.paths import ROOT

from edram_fer.preprocessing.datasets.affectnet import annotations as affectnet
from edram_fer.preprocessing.emotions import EIGHT
from edram_fer.preprocessing.records import fingerprint


def test_published_counts():
    assert sum(affectnet.TRAIN.values()) == 287651 and affectnet.TRAIN["happy"] == 134415
    assert sum(affectnet.TRAIN.values()) - affectnet.TRAIN["contempt"] == 283901
    assert sum(affectnet.TEST.values()) == 4000 and list(affectnet.TRAIN) == list(EIGHT)


def test_published_rows_of_each_layout(tmp_path):
    write_lists(tmp_path / "a", [line()], [line()])
    assert affectnet.find(tmp_path / "a").published_rows == {"train": 414_799, "test": 5_500}
    write_npy(tmp_path / "b" / "val_set", 1)
    assert affectnet.find(tmp_path / "b").published_rows == {"test": 3_999}


def test_missing_and_ambiguous_sources(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        affectnet.find(tmp_path / "nowhere")
    (tmp_path / "archive.zip").write_bytes(b"")
    with pytest.raises(ValueError, match="no AffectNet in .*There was: archive.zip"):
        affectnet.find(tmp_path)
    (tmp_path / "train_set" / "annotations").mkdir(parents=True)
    with pytest.raises(ValueError, match="annotations holds no annotations"):
        affectnet.find(tmp_path)
    write_npy(tmp_path / "train_set", 1)
    with pytest.raises(ValueError, match="no automatically_annotated.csv in .*only the layout of 2017"):
        affectnet.find(tmp_path, automatic=True)
    write_npy(tmp_path / "copy" / "train_set", 1)
    with pytest.raises(ValueError, match="train split is there more than once"):
        affectnet.find(tmp_path)
    assert affectnet.find(tmp_path / "copy").root == tmp_path / "copy"
    write_json(tmp_path / "copy" / "validation_set", 1, content())
    with pytest.raises(
        ValueError, match="one of .*train_set.* has the layout of 2021, another the layout of AffectNet"
    ):
        affectnet.find(tmp_path / "copy")
    write_lists(tmp_path / "copy", [line()])
    with pytest.raises(ValueError, match="more than once"):
        affectnet.find(tmp_path / "copy")


def test_any_level_of_the_source_gives_the_same_rows(tmp_path):
    write_lists(tmp_path / "a" / "b", [line()], [line()])
    write_npy(tmp_path / "c" / "d" / "train_set", 1)
    for inside, outside in (("a/b", "a"), ("c/d", "c")):
        assert fingerprint(affectnet.find(tmp_path / inside)) == fingerprint(affectnet.find(tmp_path / outside))
        assert rows(tmp_path / inside) == rows(tmp_path / outside)


def test_images_are_neither_listed_nor_opened(tmp_path, monkeypatch):
    write_lists(tmp_path, [line()])
    deep = tmp_path / "Manually_Annotated_Images" / "1"
    deep.mkdir()
    scandir = mock.Mock(wraps=os.scandir)
    monkeypatch.setattr(os, "scandir", scandir)
    assert rows(tmp_path)
    listed = [Path(call.args[0]) for call in scandir.call_args_list]
    assert tmp_path in listed
    assert deep not in listed and deep.parent not in listed


def test_reader_needs_no_tensorflow():
    code = (
        "import sys, edram_fer.preprocessing.datasets.affectnet.annotations; "
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'tensorflow_datasets', 'keras', 'cv2')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
