"""AffectNet's three official forms on small made files in their exact layouts, and everything that goes wrong there."""
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from preprocessing.datasets.affectnet import annotations, csv2017
from preprocessing.emotions import EIGHT, SEVEN
from preprocessing.records import OK, UNKNOWN_AFFECT, fingerprint

ROOT = Path(__file__).resolve().parent.parent
HEADER = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
CODES = {"neutral": 0, "happy": 1, "sad": 2, "surprise": 3, "fear": 4, "disgust": 5, "anger": 6, "contempt": 7}
POINTS = np.linspace(10, 200, 136).round(2)


def line(path="1/a.jpg", box="10,20,120,130", landmarks=None, code="1", affect="0.5,-0.25") -> str:
    landmarks = ";".join(map(str, POINTS)) if landmarks is None else landmarks
    return f"{path},{box},{landmarks},{code},{affect}"


def write_lists(root: Path, training=(), validation=None, *, header=True, lists="Manually_Annotated_file_lists",
                pictures="Manually_Annotated_Images") -> Path:
    """The form of 2017; without `validation` only training.csv."""
    (root / lists).mkdir(parents=True, exist_ok=True)
    (root / pictures).mkdir(parents=True, exist_ok=True)
    for name, rows in (("training.csv", training), ("validation.csv", validation)):
        if rows is not None:
            text = "".join(f"{row}\n" for row in ([HEADER] if header else []) + list(rows))
            (root / lists / name).write_text(text)
    return root


def write_npy(folder: Path, number, *, exp="1", val="0.5", aro="-0.25", lnd=POINTS) -> None:
    """One picture of the form of 2021; None leaves a file out."""
    for name in ("images", "annotations"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "images" / f"{number}.jpg").write_bytes(b"")
    for kind, value in {"exp": exp, "val": val, "aro": aro, "lnd": lnd}.items():
        if value is not None:
            np.save(folder / "annotations" / f"{number}_{kind}.npy", value)


def write_json(folder: Path, name, content) -> None:
    for part in ("images", "annotations"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "images" / f"{name}.jpg").write_bytes(b"")
    (folder / "annotations" / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))


def rows(source, **options) -> list:
    return list(annotations.find(source, **options).records())


# --- 2017

def test_lists_of_2017(tmp_path):
    training = [line(f"{number}/x{number}.JPG", code=str(code)) for number, code in enumerate(CODES.values())]
    found = annotations.find(write_lists(tmp_path, training, [line("9/v.png", code="6", affect="-2,-2")]))
    assert found.form == annotations.CSV and found.root == tmp_path and found.detectors == ("given",)
    assert [path.name for path in found.files] == ["training.csv", "validation.csv"] and found.classes == EIGHT
    records = list(found.records())
    assert [record.emotion for record in records] == [*CODES, "anger"] and {record.status for record in records} == {OK}
    assert [record.split for record in records] == ["train"] * 8 + ["test"]
    first, last = records[0], records[-1]
    assert (first.id, first.row, first.picture) == ("0/x0.JPG", "training.csv:1",
                                                    "Manually_Annotated_Images/0/x0.JPG")
    assert first.box == (10, 20, 120, 130) and (first.valence, first.arousal) == (0.5, -0.25)
    np.testing.assert_array_equal(first.landmarks, POINTS.reshape(68, 2))
    assert last.row == "validation.csv:1" and (last.valence, last.arousal) == (UNKNOWN_AFFECT, UNKNOWN_AFFECT)
    assert records == list(found.records()) and len(fingerprint(found)) == 64


def test_published_counts():
    assert sum(annotations.TRAIN.values()) == 287651 and annotations.TRAIN["happy"] == 134415
    assert sum(annotations.TRAIN.values()) - annotations.TRAIN["contempt"] == 283901
    assert sum(annotations.TEST.values()) == 4000 and list(annotations.TRAIN) == list(EIGHT)


def test_published_counts_follow_the_splits(tmp_path):
    write_lists(tmp_path, [line()])
    found = annotations.find(tmp_path)
    assert list(found.published) == ["train"] and sum(found.published["train"].values()) == 287651
    assert sum(found.published["train"][name] for name in SEVEN) == 283901
    assert any("no test split: no validation.csv" in note for note in found.notes)


FAULTS = {
    "none": (line(code="8"), "label none"),
    "uncertain": (line(code="9", box="1,1,-1,-1"), "label uncertain"),
    "no face": (line(code="10", affect="-2,-2"), "label no face"),
    "code 11": (line(code="11"), "unknown emotion code '11'"),
    "no code": (line(code=""), "unknown emotion code ''"),
    "negative width": (line(box="10,20,-120,3"), "box -120x3"),
    "negative height": (line(box="10,20,120,-3"), "box 120x-3"),
    "no width": (line(box="10,20,0,50"), "box 0x50"),
    "width of text": (line(box="10,20,wide,50"), "face_width 'wide' is not a number"),
    "endless width": (line(box="10,20,inf,50"), "face_width 'inf' is not a number"),
    "no left": (line(box=",20,10,50"), "face_x '' is not a number"),
    "valence 3.2": (line(affect="3.2,0"), "valence 3.2 outside [-1, 1]"),
    "arousal nan": (line(affect="0,nan"), "arousal nan outside [-1, 1]"),
    "arousal of text": (line(affect="0,x"), "arousal 'x' is not a number"),
    "135 landmarks": (line(landmarks=";".join(map(str, POINTS[:-1]))), "135 landmark numbers instead of 136"),
    "a bad landmark": (line(landmarks="1;2;x"), "landmark 'x' is not a number"),
    "8 columns": ("1/a.jpg,10,20,120,130,1;2,1,0.5", "8 columns instead of 9"),
    "a stray quote": ('"' + line() + ",", "10 columns instead of 9"),
    "cut off": ("1/a.jp", "1 columns instead of 9"),
    "no path": (line(path=""), "no picture path"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_row_of_a_list_is_named_and_the_rest_read(tmp_path, fault):
    text, status = FAULTS[fault]
    records = rows(write_lists(tmp_path, [line("1/first.jpg"), text, line("1/last.jpg")]))
    assert [record.id for record in records][::2] == ["1/first.jpg", "1/last.jpg"]
    assert records[0].status == records[2].status == OK
    assert status in records[1].status and records[1].row == "training.csv:2"


def test_boxes_past_the_border_and_odd_paths_are_given_on(tmp_path):
    write_lists(tmp_path, [line(box="-5,-7,1e4,130.5"), line(path="../../etc/passwd"), line(landmarks="")])
    records = rows(tmp_path)
    assert {record.status for record in records} == {OK}
    assert records[0].box == (-5, -7, 10000, 130.5) and records[2].landmarks is None
    assert records[1].picture == "Manually_Annotated_Images/../../etc/passwd"


def test_rows_are_counted_without_being_read(tmp_path):
    write_lists(tmp_path, ["not a row", line("1/a.jpg"), "", line("1/b.jpg")], [line()])
    found = annotations.find(tmp_path)
    assert found.count() == len(list(found.records())) == 4
    write_lists(tmp_path, [line("1/a.jpg")], [line()], header=False)
    assert annotations.find(tmp_path).count() == 2


def test_blanks_and_quotes_around_values(tmp_path):
    record, = rows(write_lists(tmp_path, [" , ".join(f'"{value}"' for value in line(code="4").split(","))]))
    assert (record.id, record.emotion, record.box, record.arousal) == ("1/a.jpg", "fear", (10, 20, 120, 130), -0.25)


def test_published_rows_of_each_form(tmp_path):
    write_lists(tmp_path / "a", [line()], [line()])
    assert annotations.find(tmp_path / "a").published_rows == {"train": 414_799, "test": 5_500}
    write_npy(tmp_path / "b" / "val_set", 1)
    assert annotations.find(tmp_path / "b").published_rows == {"test": 3_999}


def test_lists_without_a_header_with_a_mark_and_windows_ends(tmp_path):
    write_lists(tmp_path, ["not a row", line("1/a.jpg"), "", line("1/b.jpg")], header=False)
    path = tmp_path / "Manually_Annotated_file_lists" / "training.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    found = annotations.find(tmp_path)
    records = list(found.records())
    assert [(record.row, record.status) for record in records] == [
        ("training.csv:1", "1 columns instead of 9"), ("training.csv:2", OK), ("training.csv:4", OK)]
    assert any("training.csv has no header" in note for note in found.notes)


def test_columns_in_another_order(tmp_path):
    turned = [",".join(row.split(",")[::-1]) for row in (HEADER, line(code="4"))]
    record, = rows(write_lists(tmp_path, turned, header=False))
    assert (record.id, record.emotion, record.box, record.arousal) == ("1/a.jpg", "fear", (10, 20, 120, 130), -0.25)


@pytest.mark.parametrize("places", [
    {"lists": ".", "pictures": "Manually_Annotated_Images"},
    {"lists": "a/b/c", "pictures": "a/Manually_Annotated/Manually_annotated_images"},
    {"lists": "lists", "pictures": "data/faces"}])
def test_moved_folders(tmp_path, places):
    write_lists(tmp_path, [line("7/gone.jpg"), line("7/here.jpg")], **places)
    picture = tmp_path / places["pictures"] / "7" / "here.jpg"
    picture.parent.mkdir()
    picture.write_bytes(b"")
    found = annotations.find(tmp_path)
    assert [found.root / record.picture for record in found.records()][1] == picture


def test_pictures_that_are_nowhere(tmp_path):
    write_lists(tmp_path, [line()], pictures="somewhere")
    with pytest.raises(FileNotFoundError, match="looked for a folder manually_annotated_images.* 1/a.jpg"):
        annotations.find(tmp_path)


def test_the_automatic_list_has_to_be_asked_for(tmp_path):
    folder = tmp_path / "Automatically_Annotated" / "Automatically_annotated_file_list"
    folder.mkdir(parents=True)
    (folder / "automatically_annotated.csv").write_text(f"{HEADER}\n{line('3/auto.jpg')}\n")
    (tmp_path / "Automatically_Annotated" / "Automatically_Annotated_Images").mkdir()
    with pytest.raises(ValueError, match="no AffectNet in .*automatically_annotated.csv is the automatic list"):
        annotations.find(tmp_path)
    write_lists(tmp_path, [line()], [line()])
    assert [record.id for record in rows(tmp_path)] == ["1/a.jpg", "1/a.jpg"]
    found = annotations.find(tmp_path, automatic=True)
    assert found.form == annotations.AUTOMATIC_CSV and not found.published
    assert [(record.split, record.picture) for record in found.records()] == [
        ("train", "Automatically_Annotated_Images/3/auto.jpg")]


def test_a_list_of_another_data_set(tmp_path):
    write_lists(tmp_path, ["image,label", "a.jpg,1"], header=False)
    with pytest.raises(ValueError, match="training.csv: expected the header of an AffectNet list.*found 'image,label'"):
        annotations.find(tmp_path)
    write_lists(tmp_path, [], header=False)
    with pytest.raises(ValueError, match="training.csv: expected the header"):
        annotations.find(tmp_path)


def test_rows_are_read_one_at_a_time(tmp_path):
    write_lists(tmp_path, [line(f"1/{number}.jpg") for number in range(200)])
    found = annotations.find(tmp_path)
    tracemalloc.start()
    assert sum(record.status == OK for record in found.records()) == 200
    assert tracemalloc.get_traced_memory()[1] < 400_000      # all rows at once take 1.6 MB
    tracemalloc.stop()


# --- March 2021

def test_npy_files_of_2021(tmp_path):
    train, test = tmp_path / "train_set", tmp_path / "val_set"
    for number, code in enumerate(CODES.values()):
        write_npy(train, number, exp=str(code))
    write_npy(train, 10, exp=np.int64(3), val=np.float32(0.5), aro=-0.25, lnd=POINTS.reshape(68, 2))
    write_npy(train, 9, exp=np.array(["4"]), val=np.bytes_("0.5"), lnd=POINTS.astype(str))
    write_npy(test, 10, exp="2.0", val="-2", aro="0.1")
    found = annotations.find(tmp_path)
    assert found.form == annotations.NPY and found.root == tmp_path and found.files == ()
    assert found.detectors == ("none",) and list(found.published) == ["train"]
    records = list(found.records())
    assert {record.status for record in records} == {OK}
    assert [record.id for record in records] == [f"train/{number}" for number in [*range(8), 9, 10]] + ["test/10"]
    assert [record.emotion for record in records] == [*CODES, "fear", "surprise", "sad"]
    for record in records[:-1]:
        np.testing.assert_array_equal(record.landmarks, POINTS.reshape(68, 2))
        assert (record.valence, record.arousal) == (0.5, -0.25)
    assert records[-1].picture == "val_set/images/10.jpg" and records[-1].valence == UNKNOWN_AFFECT
    assert fingerprint(found) == fingerprint(annotations.find(tmp_path))


def test_a_million_small_files_are_listed_once(tmp_path, monkeypatch):
    for number in range(3):
        write_npy(tmp_path / "train_set", number)
    found = annotations.find(tmp_path)
    listed, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(Path(path).name) or scandir(path))
    assert len(list(found.records())) == 3 and sorted(listed) == ["annotations", "images"]
    assert found.count() == 3


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
def test_a_faulty_npy_file(tmp_path, fault):
    values, status = NPY_FAULTS[fault]
    write_npy(tmp_path / "train_set", 1)
    write_npy(tmp_path / "train_set", 2, **values)
    good, bad = rows(tmp_path)
    assert good.status == OK and status in bad.status and bad.id == "train/2"


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"no array", b"PK\x03\x04", "half", "broken header"])
def test_a_damaged_npy_file(tmp_path, content):
    write_npy(tmp_path / "train_set", 1)
    path = tmp_path / "train_set" / "annotations" / "1_exp.npy"
    whole = path.read_bytes()
    damaged = {"half": whole[:-2], "broken header": whole.replace(b"}", b" ")}
    path.write_bytes(damaged.get(content, content))
    record, = rows(tmp_path)
    assert record.status.startswith("_exp.npy cannot be read: ")


def test_annotations_without_a_picture_and_other_endings(tmp_path):
    folder = tmp_path / "train_set"
    for number in (1, 2, 30):
        write_npy(folder, number)
    (folder / "images" / "2.jpg").rename(folder / "images" / "2.PNG")
    (folder / "images" / "1.jpg").unlink()
    (folder / "images" / "cover.jpg").write_bytes(b"")
    (folder / "images" / ".DS_Store").write_bytes(b"")
    assert [(record.picture, record.status) for record in rows(tmp_path)] == [
        ("train_set/images/1.jpg", OK), ("train_set/images/2.PNG", OK), ("train_set/images/30.jpg", OK),
        ("train_set/images/cover.jpg", "no _exp.npy")]


# --- AffectNet+ 2024

SOFT = [0.1, 0.5, 0.05, 0.05, 0.1, 0.1, 0.05, 0.05]


def content(label=1, soft=SOFT, landmarks=None, **others) -> dict:
    return {"human-label": label, "soft-label": soft, "subset": 0, "meta-data": {
        "valence": 0.5, "arousal": -0.25, "age": 30, "landmark-68": POINTS.tolist() if landmarks is None else landmarks,
        **others}}


def test_json_files_of_2024(tmp_path):
    train, test = (tmp_path / "human_annotated" / name for name in ("train_set", "validation_set"))
    write_json(train, 20, content(4))
    write_json(train, 3, content("7", soft=[100 * value for value in SOFT]))
    write_json(train, 21, {"Human_Label": 6, "Metadata": {"Valence": -2, "Arousal": -2}})
    write_json(test, 3, content(2.0, landmarks=POINTS.reshape(68, 2).tolist()))
    found = annotations.find(tmp_path)
    assert found.form == annotations.JSON and found.root == tmp_path / "human_annotated"
    assert found.detectors == ("none",) and list(found.published) == ["train", "test"]
    records = list(found.records())
    assert [(record.id, record.emotion) for record in records] == [
        ("train/3", "contempt"), ("train/20", "fear"), ("train/21", "anger"), ("test/3", "sad")]
    for record in (records[0], records[1], records[3]):
        np.testing.assert_allclose(record.soft_label, SOFT)
        assert dict(zip(EIGHT, record.soft_label))["happy"] == pytest.approx(0.5)
        np.testing.assert_array_equal(record.landmarks, POINTS.reshape(68, 2))
        assert (record.valence, record.arousal) == (0.5, -0.25)
    assert records[2].soft_label is None and records[2].valence == UNKNOWN_AFFECT
    assert records[1].picture == "train_set/images/20.jpg"


JSON_FAULTS = {
    "label 9": (content(9), "label uncertain"),
    "label 10": (content(10), "label no face"),
    "label -1": (content(-1), "unknown emotion code -1"),
    "no label": ({"soft-label": SOFT}, "human-label 'None' is not a number"),
    "label true": (content(True), "human-label 'True' is not a number"),
    "label 1e400": ('{"human-label": 1' + "0" * 400 + "}", "human-label '1000"),
    "soft of 7": (content(soft=SOFT[:7]), "soft-label: expected 8 numbers"),
    "soft negative": (content(soft=[1.1, -0.1, 0, 0, 0, 0, 0, 0]), "soft-label has a negative number"),
    "soft of nothing": (content(soft=[0] * 8), "soft-label sums to 0 instead of 1 or 100"),
    "soft of 2": (content(soft=[2 * value for value in SOFT]), "soft-label sums to 2 instead"),
    "soft nan": (content(soft=[np.nan] * 8), "soft-label 'nan' is not a number"),
    "soft text": (content(soft="0.1"), "soft-label: expected 8 numbers"),
    "valence 5": (content(valence=5), "valence 5 outside [-1, 1]"),
    "valence alone": (content(arousal=None), "arousal 'None' is not a number"),
    "landmark table": (content(landmarks={"0": [1, 2]}), "landmarks are dict, not a list"),
    "landmark true": (content(landmarks=[True, *POINTS[1:].tolist()]), "a landmark is true or false, not a number"),
    "67 landmarks": (content(landmarks=[[1, 2]] * 67), "134 landmark numbers instead of 136"),
    "not json": ("human-label: 1", "json cannot be read"),
    "empty": ("", "json cannot be read"),
    "cut off": ('{"human-label": 1, "soft', "json cannot be read"),
    "nested": ("[" * 100_000, "json cannot be read"),
    "a list": ("[1, 2]", "json holds no table of keys"),
}


@pytest.mark.parametrize("fault", JSON_FAULTS)
def test_a_faulty_json_file(tmp_path, fault):
    text, status = JSON_FAULTS[fault]
    write_json(tmp_path / "train_set", 1, content())
    write_json(tmp_path / "train_set", 2, text)
    good, bad = rows(tmp_path)
    assert good.status == OK and status in bad.status and bad.id == "train/2"


def test_a_picture_without_json(tmp_path):
    write_json(tmp_path / "train_set", 1, content())
    (tmp_path / "train_set" / "images" / "2.jpg").write_bytes(b"")
    assert [record.status for record in rows(tmp_path)] == [OK, "no json file"]
    assert annotations.find(tmp_path).count() == 2


# --- which form

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
    with pytest.raises(ValueError, match="no automatically_annotated.csv in .*only the form of 2017"):
        annotations.find(tmp_path, automatic=True)
    write_npy(tmp_path / "copy" / "train_set", 1)
    with pytest.raises(ValueError, match="train split is there more than once"):
        annotations.find(tmp_path)
    assert annotations.find(tmp_path / "copy").root == tmp_path / "copy"
    write_json(tmp_path / "copy" / "validation_set", 1, content())
    with pytest.raises(ValueError, match="one of .*train_set.* is of the form of 2021, another of AffectNet"):
        annotations.find(tmp_path / "copy")
    write_lists(tmp_path / "copy", [line()])
    with pytest.raises(ValueError, match="more than one form"):
        annotations.find(tmp_path / "copy")


def test_the_level_of_the_source_does_not_matter(tmp_path):
    write_lists(tmp_path / "a" / "b", [line()], [line()])
    write_npy(tmp_path / "c" / "d" / "train_set", 1)
    for inside, outside in (("a/b", "a"), ("c/d", "c")):
        assert fingerprint(annotations.find(tmp_path / inside)) == fingerprint(annotations.find(tmp_path / outside))
        assert rows(tmp_path / inside) == rows(tmp_path / outside)


def test_pictures_are_neither_listed_nor_opened(tmp_path, monkeypatch):
    write_lists(tmp_path, [line()])
    deep = tmp_path / "Manually_Annotated_Images" / "1"
    deep.mkdir()
    listed, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(Path(path)) or scandir(path))
    assert rows(tmp_path) and tmp_path in listed
    assert deep not in listed and deep.parent not in listed


def test_reader_needs_no_tensorflow():
    code = ("import sys, preprocessing.datasets.affectnet.annotations; "
            "sys.exit(any(name in sys.modules for name in ('tensorflow', 'tensorflow_datasets', 'keras', 'cv2')))")
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_first_pictures_leave_malformed_rows_out(tmp_path):
    write_lists(tmp_path, ["1,2", line("4/d.jpg")])
    assert csv2017.first_pictures(tmp_path / "Manually_Annotated_file_lists" / "training.csv") == ["4/d.jpg"]
