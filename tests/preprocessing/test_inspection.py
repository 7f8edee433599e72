"""`inspect`: which data set a folder contains, and which rows cannot be used."""

import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
from support.dummy_data import DATASETS

from edram_fer import cli
from edram_fer.preprocessing.datasets import inspection

HEADER = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"


def affectnet(root):
    """Three rows of AffectNet's lists of 2017: a usable one, an uncertain one, and one with a wrong valence."""
    points = ";".join(f"{i}.0" for i in range(136))
    rows = [f"1/a.jpg,10,12,60,60,{points},1,0.5,0.25", f"1/b.jpg,1,2,6,6,{points},9,-2,-2",
            f"1/c.jpg,1,2,6,6,{points},0,7,0.5"]  # fmt: skip
    lists = root / "Manually_Annotated_file_lists"
    lists.mkdir(parents=True)
    (lists / "training.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    (lists / "validation.csv").write_text("\n".join([HEADER, rows[0]]) + "\n")
    (root / "Manually_Annotated_Images" / "1").mkdir(parents=True)
    (root / "Manually_Annotated_Images" / "1" / "a.jpg").touch()
    return root


def test_affectnet(tmp_path):
    lines = inspection.inspect(affectnet(tmp_path))
    assert "AffectNet, 2017: csv lists, whole photos" in lines[0] and "4 rows, 2 of them usable" in lines[0]
    text = "\n".join(lines)
    assert "train 1: neutral 0, happy 1, " in text and "neutral 1 (74,874), happy 1 (134,415)" in text
    assert "WARNING: train rows: 3, published 414,799" in text
    assert "annotated: valence and arousal 2, box 2, landmarks 2" in text
    assert "valence from 0.5 to 0.5" in text and "arousal from 0.25 to 0.25" in text
    assert "not usable: label uncertain, 1" in text and "not usable: valence 7 outside [-1, 1], 1" in text


def test_missing_images_are_counted(tmp_path):
    root = affectnet(tmp_path)
    (root / "Manually_Annotated_Images" / "1" / "a.jpg").unlink()
    lists = root / "Manually_Annotated_file_lists"
    text = (lists / "validation.csv").read_text()
    (lists / "validation.csv").write_text(text + text.splitlines()[1].replace("1/a.jpg", "../a.jpg") + "\n")
    text = "\n".join(inspection.inspect(lists / "training.csv"))
    text += "\n".join(inspection.inspect(root))
    assert "0 of them usable" in text and "not usable: its image does not exist, 2" in text
    assert "not usable: its path leads out of the data set, 1" in text


def test_folders_of_emotions(tmp_path):
    for split in ("train", "val"):
        for emotion in ("Angry", "joy"):
            (tmp_path / split / emotion).mkdir(parents=True)
            cv2.imwrite(str(tmp_path / split / emotion / "a.png"), np.zeros((9, 9), np.uint8))
    text = "\n".join(inspection.inspect(tmp_path))
    assert "4 rows, 4 of them usable" in text
    assert "train 2: happy 1, anger 1" in text and "validation 2: happy 1, anger 1" in text


def test_sfew_is_not_described_as_folders_unless_its_emotions_have_other_names(tmp_path):
    for split in ("Train", "Val"):
        (tmp_path / split / "Angry").mkdir(parents=True)
        cv2.imwrite(str(tmp_path / split / "Angry" / "a.png"), np.zeros((9, 9), np.uint8))
    lines = inspection.inspect(tmp_path)
    assert lines[0].startswith("SFEW, ") and not any(line.startswith("folder, ") for line in lines)
    (tmp_path / "Train" / "Joy").mkdir()
    assert inspection.inspect(tmp_path)[0].startswith("folder, ")


def test_fer2013(tmp_path):
    pixels = " ".join(["7"] * 2304)
    rows = [f"{code},{pixels},Training" for code in range(7)]
    (tmp_path / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]) + "\n")
    text = "\n".join(inspection.inspect(tmp_path))
    assert "FER2013 from fer2013.csv: train 7" in text and "counts differ from the published ones" in text
    assert "train: neutral 1, happy 1, sad 1, " in text


def test_folder_without_a_data_set(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(ValueError, match=f"(?s){tmp_path} holds no known data set.*affectnet: .*folder: "):
        inspection.inspect(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        inspection.inspect(tmp_path / "nowhere")


def test_name_means_a_prepared_data_set_and_path_needs_a_slash(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(DATASETS / "folder" / "dummy_data" / "emotions", "folder")
    note = "folder means the prepared data set; for the folder of that name write ./folder"
    for name in ("folder", "folder/happy"):
        with pytest.raises(SystemExit, match=f"error: data set folder is not prepared in {tmp_path}/data"):
            cli.main(["inspect", name, "--data-dir", str(tmp_path / "data")])
    assert capsys.readouterr().err.startswith(note)
    monkeypatch.setattr("edram_fer.data.describe", lambda source, **_: {"source": source, "splits": {}})
    with pytest.raises(SystemExit):
        cli.main(["inspect", "folder"])
    out, err = capsys.readouterr()
    assert "'source': 'folder'" in out and note in err
    for path in ("./folder", "folder/", str(tmp_path / "folder")):
        with pytest.raises(SystemExit) as end:
            cli.main(["inspect", path])
        out, err = capsys.readouterr()
        assert end.value.code == 0 and "folder, a folder per emotion" in out and not err


def test_the_command(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["inspect", str(affectnet(tmp_path))])
    assert end.value.code == 0 and "AffectNet, 2017" in capsys.readouterr().out


LATE = """
import sys
from edram_fer import cli
for words in (["inspect", sys.argv[1]], ["prepare", "raf_db", "--source", sys.argv[1], "--set", "images=original"],
              ["prepare", "folder", "--source", sys.argv[1], "--out", sys.argv[2]]):
    try:
        cli.main(words)
    except SystemExit as end:
        print(end.code)
print([name for name in ("keras", "tensorflow") if name in sys.modules])
"""


def test_inspecting_files_and_making_faces_loads_no_tensorflow(tmp_path):
    for name in ("happy", "sad"):
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "a.png").write_bytes(b"")
    words = [sys.executable, "-c", LATE, tmp_path / "images", tmp_path / "out"]
    text = subprocess.run(words, capture_output=True, text=True, timeout=120).stdout
    assert "folder, a folder per emotion" in text and "no usable face in its rows: empty file 2" in text
    assert text.endswith("[]\n")
