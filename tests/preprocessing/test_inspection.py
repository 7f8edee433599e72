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


def test_splits_that_cannot_be_prepared_are_named(tmp_path):
    for split in ("all", "train"):
        path = tmp_path / split / "happy" / "a.png"
        path.parent.mkdir(parents=True)
        cv2.imwrite(str(path), np.zeros((9, 9), np.uint8))
    lines = inspection.inspect(tmp_path)
    reason = "split: expected letters, digits, '_' and '-', and not 'all', got 'all'"
    assert f"not usable: {reason}, 1: all/happy/a.png" in lines and "train 1: happy 1" in lines


def test_fer2013(tmp_path):
    pixels = " ".join(["7"] * 2304)
    rows = [f"{code},{pixels},Training" for code in range(7)]
    (tmp_path / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]) + "\n")
    text = "\n".join(inspection.inspect(tmp_path))
    assert "FER2013 from fer2013.csv: train 7" in text and "counts differ from the published ones" in text
    assert "train: neutral 1, happy 1, sad 1, " in text


def test_ferplus_names_its_faulty_rows_and_what_it_does_not_read(tmp_path):
    shutil.copytree(DATASETS / "ferplus" / "dummy_data", tmp_path / "ferplus")
    (tmp_path / "ferplus" / "notes.txt").write_text("seen")
    plain = inspection.inspect(tmp_path / "ferplus")
    assert "not read: 1 file: notes.txt" in plain[: plain.index(next(line for line in plain if "FER2013 from" in line))]
    assert not any("fer2013new.csv:3:" in line for line in plain)
    rows = [line for line in inspection.inspect(tmp_path / "ferplus", all_faulty=True) if line.startswith("faulty: ")]
    assert [line.split(":")[2].strip() for line in rows if "fer2013new.csv" in line] == ["3", "5", "10", "11"]


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


@pytest.mark.parametrize("part", [".", "table", "table/mine", "table/mine/1.0.0"])
def test_a_prepared_data_set_is_no_original_and_the_command_for_it_is_named(tmp_path, part):
    for name in ("mine", "other") if part in (".", "table") else ("mine",):
        (tmp_path / "table" / name / "1.0.0").mkdir(parents=True)
        (tmp_path / "table" / name / "1.0.0" / "dataset_info.json").write_text("{}")
    with pytest.raises(SystemExit, match=f"holds prepared data sets .*inspect table/mine --data-dir {tmp_path}$"):
        cli.main(["inspect", str(tmp_path / part)])


def test_inspecting_files_and_making_faces_loads_no_tensorflow(tmp_path):
    for name in ("happy", "sad"):
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "a.png").write_bytes(b"")
    words = [sys.executable, "-c", LATE, tmp_path / "images", tmp_path / "out"]
    text = subprocess.run(words, capture_output=True, text=True, timeout=120).stdout
    assert "folder, a folder per emotion" in text and "no usable face in its rows: empty file 2" in text
    assert text.endswith("[]\n")


def test_faulty_rows_are_named(tmp_path, capsys):
    root = affectnet(tmp_path)
    with open(root / "Manually_Annotated_file_lists" / "training.csv", "a") as file:
        file.write("".join(f"1/{name}.jpg,1,2,6,6,,9,-2,-2\n" for name in "uvwxyz"))
    lines = inspection.inspect(root)
    assert (
        "not usable: label uncertain, 7: training.csv:2 Manually_Annotated_Images/1/b.jpg, "
        "training.csv:4 Manually_Annotated_Images/1/u.jpg, training.csv:5 Manually_Annotated_Images/1/v.jpg" in lines
    )
    with pytest.raises(SystemExit):
        cli.main(["inspect", f"{root}/", "--faulty"])
    text = capsys.readouterr().out
    assert text.count(": label uncertain\n") == 7
    assert "training.csv:3 Manually_Annotated_Images/1/c.jpg: valence 7 outside [-1, 1]\n" in text


def test_faulty_rows_of_fer2013_are_named(tmp_path):
    pixels = " ".join(["7"] * 2304)
    rows = [*(f"{code},{pixels},Training" for code in range(7)), *("3,1 2 3,Training" for _ in range(5))]
    (tmp_path / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]) + "\n")
    (tmp_path / "fer2013.tar.gz").touch()
    lines = inspection.inspect(tmp_path)
    assert [line for line in lines if line.startswith("faulty")] == [
        f"faulty: fer2013.csv:{number}: 3 pixels instead of 2304" for number in (7, 8, 9)
    ]
    assert len([line for line in inspection.inspect(tmp_path, all_faulty=True) if line.startswith("faulty")]) == 5
    assert lines[-1] == "not read: 1 file: fer2013.tar.gz"


def test_everything_that_is_not_read_is_named(tmp_path):
    source = tmp_path / "download"
    for name in ("mine/happy/a.png", "mine/sad/b.png", "mine/odd/c.png"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(source / name), np.zeros((9, 9), np.uint8))
    for name in (
        "list.csv",
        "mine/README",
        "mine/happy/a.txt",
        "docs/deep/x",
        "docs/y",
        ".hidden/z",
        "__MACOSX/_b.png",
    ):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()
    (source / "empty").mkdir()
    lines = inspection.inspect(source)
    assert lines[-1] == "not read: 5 files: docs/ (2 files), list.csv, mine/README, mine/happy/a.txt"
    assert "not usable: unknown label odd, 1: odd/c.png" in lines
    for number in range(20):
        (source / f"{number:02d}.txt").touch()
    assert inspection.inspect(source)[-1].startswith("not read: 25 files: docs/ (2 files), 00.txt, 01.txt, ")
    assert inspection.inspect(source)[-1].endswith("08.txt, ...")


def test_classes_columns_and_root_of_own_data(tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((9, 9), np.uint8))
    cv2.imwrite(str(tmp_path / "b.png"), np.zeros((9, 9), np.uint8))
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "t.csv").write_text("bild,urteil\na.png,bored\nb.png,engaged\n")
    words = [
        "--classes",
        "bored,engaged",
        "--column",
        "image=bild",
        "--column",
        "emotion=urteil",
        "--root",
        str(tmp_path),
    ]
    with pytest.raises(SystemExit) as end:
        cli.main(["inspect", str(tmp_path / "lists" / "t.csv"), *words])
    assert end.value.code == 0 and "train 2: bored 1, engaged 1" in capsys.readouterr().out
