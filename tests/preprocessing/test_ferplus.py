"""FERPlus: votes to labels in four modes, the join by row number, and the test subsets; dummy and genuine files."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.fer2013_files import ROWS, draw_face, write_csv, write_icml, write_kaggle
from support.ferplus_files import FERPLUS, HEADER, LISTS, VOTES, expected, write_source, write_votes
from support.genuine import FER2013, needs_fer2013
from support.paths import ROOT

from edram_fer.preprocessing import datasets, emotions, records
from edram_fer.preprocessing.datasets.ferplus import joined, labels, subsets

DUMMY = ROOT / "preprocessing" / "datasets" / "ferplus" / "dummy_data"


@pytest.mark.parametrize("mode", labels.MODES)
def test_modes_agree_with_the_oracle(tmp_path, mode):
    rng = np.random.default_rng(3)
    votes = np.concatenate([rng.multinomial(10, share, 300) for share in rng.dirichlet(np.full(10, 0.4), 10)])
    has_name = rng.random(len(votes)) < 0.9
    lines = [f"Training,{'fer.png' if name else ''},{','.join(map(str, row))}" for name, row in zip(has_name, votes)]
    (tmp_path / "fer2013new.csv").write_text("\n".join([HEADER, *lines]))
    derived = labels.label(labels.read(tmp_path / "fer2013new.csv", rows=3000), mode)
    names, soft = zip(*expected(votes, has_name, mode))
    assert derived.emotions.tolist() == list(names)
    np.testing.assert_allclose(derived.soft, soft, rtol=1e-6)
    assert [status == records.OK for status in derived.statuses] == [name != "" for name in names]
    assert {"label unknown", "label no face"} <= set(derived.statuses)


@pytest.mark.parametrize(
    "mode, emotion, soft",
    [
        ("majority", "anger", {"anger": 1}),
        ("probability", "anger", {"anger": 0.6, "contempt": 0.4}),
        ("multi_target", "anger", {"anger": 0.6, "contempt": 0.4}),
        ("argmax", "anger", {"anger": 0.6, "contempt": 0.4}),
    ],
)
def test_six_against_four_votes(tmp_path, mode, emotion, soft):
    derived = labels.label(labels.read(write_votes(tmp_path / "votes.csv")), mode)
    assert derived.emotions[6] == emotion
    np.testing.assert_allclose(derived.soft[6], [soft.get(name, 0) for name in emotions.EIGHT])


def test_columns_are_identified_by_name(tmp_path):
    plain = labels.read(write_votes(tmp_path / "plain.csv"))
    reordered = labels.read(
        write_votes(tmp_path / "reordered.csv", edit=lambda lines: [",".join(line.split(",")[::-1]) for line in lines])
    )
    np.testing.assert_array_equal(plain.votes, reordered.votes)
    assert plain.names.tolist() == reordered.names.tolist() and plain.usages.tolist() == reordered.usages.tolist()
    np.testing.assert_array_equal(plain.votes[2], [1, 0, 0, 9, 0, 0, 0, 0, 0, 0])


@pytest.mark.parametrize(
    "votes, status",
    [
        ("9 0 0 0 0 0 0 0 0 3", "votes sum to 12 instead of 10"),
        ("0 0 0 0 0 0 0 0 0 0", "votes sum to 0"),
        ("11 0 0 0 0 0 0 0 -1 0", "votes for unknown: '-1'"),
        ("x 0 0 0 0 0 0 0 0 9", "votes for neutral: 'x'"),
        ("9.0 1 0 0 0 0 0 0 0 0", "is not a number"),
        (" 9 1 0 0 0 0 0 0 0 0", "13 columns instead of 12"),
        ("9 1 0", "5 columns instead of 12"),
        (f"{'9' * 5000} 1 0 0 0 0 0 0 0 0", "is not a number"),
    ],
)
def test_faulty_row_keeps_its_position(tmp_path, votes, status):
    read = labels.read(write_votes(tmp_path / "votes.csv", [*VOTES[:1], (1, votes), *VOTES[2:]]), rows=len(ROWS))
    assert list(read.faults) == [1]
    derived = labels.label(read, "argmax")
    assert status in derived.statuses[1] and derived.emotions[1] == "" and derived.emotions[2] == "sad"


def test_only_the_published_row_of_nine_votes_counts(tmp_path, monkeypatch):
    path = write_votes(tmp_path / "votes.csv", [(0, "4 0 0 0 0 3 1 0 1 0"), *VOTES[1:]])
    assert labels.read(path).faults == {0: "votes sum to 9 instead of 10"}
    monkeypatch.setattr(labels, "SHORT", {0: 9})
    read = labels.read(path)
    assert not read.faults and labels.label(read, "majority").emotions[0] == "neutral"


def test_unusable_files(tmp_path):
    path = write_votes(tmp_path / "votes.csv")
    with pytest.raises(ValueError, match="votes.csv: 13 rows, expected 12"):
        labels.read(path, rows=12)
    with pytest.raises(ValueError, match="label mode: expected one of majority, .*, got 'most'"):
        labels.label(labels.read(path), "most")
    write_votes(path, edit=lambda lines: [line.replace("contempt", "pride") for line in lines])
    with pytest.raises(ValueError, match="votes.csv: .*not found: contempt"):
        labels.read(path)
    path.write_text("")
    with pytest.raises(ValueError, match="votes.csv: expected the header"):
        labels.read(path)


def test_subsets(tmp_path):
    votes = labels.read(write_votes(tmp_path / "fer2013new.csv"))
    rows = {}
    for name, text in LISTS.items():
        (tmp_path / name).write_bytes(text.encode())
        rows[name] = subsets.read(tmp_path / name, votes).tolist()
    assert list(rows.values()) == [[9, 11], [11, 12], [12]]
    assert list(subsets.LISTS.values()) == list(LISTS)


@pytest.mark.parametrize(
    "line, message",
    [
        ("0/fer0000099.jpg", "line 2: fer0000099 is the name of 0 PrivateTest rows of votes.csv"),
        ("0/fer0000001.jpg", "line 2: fer0000001 is the name of 0"),  # of a Training row
        ("0/fer0000012.jpg", "line 2: fer0000012 is the name of 2"),
        ("fer0000011.jpg", "line 2: expected a line such as .*got 'fer0000011.jpg'"),
        ("0/../fer0000011.jpg", "line 2: expected a line"),
    ],
)
def test_list_with_a_faulty_line(tmp_path, line, message):
    votes = labels.read(
        write_votes(tmp_path / "votes.csv", [*VOTES[:9], (12, VOTES[9][1]), *VOTES[10:12], (12, VOTES[12][1])])
    )
    (tmp_path / "list.txt").write_text(f"2/fer0000010.jpg\n{line}\n")
    with pytest.raises(ValueError, match=f"list.txt, {message}"):
        subsets.read(tmp_path / "list.txt", votes)


def test_join(tmp_path):
    data = joined.read(write_source(tmp_path), "majority")
    ids = {split: [data.faces.ids[index] for index in indices] for split, indices in joined.splits(data).items()}
    assert ids == {
        name: [f"fer2013-{row:05d}" for row in rows]
        for name, rows in {
            "train": [0, 1, 2, 4, 6],
            "validation": [7, 8],
            "test": [9, 12],
            "test_clean": [12],
            "test_occlusion": [9],
            "test_pose30": [12],
            "test_pose45": [12],
        }.items()
    }  # row 3 is no face, 10 unknown; votes of 5 and 11 are too spread
    counts = joined.summary(data)
    assert counts["excluded"] == {"no image name": 1, "votes too spread for majority": 2, "label unknown": 1}
    assert {
        "train: 5, published 25,060",
        "test neutral: 0, published 1,090",
        "rows in the list of test_pose30: 2, published 1,170",
    } <= set(counts["differences"])
    assert [row.row for row in data.rejected] == ["3", "5", "10", "11"]


def test_rejected_pixels_do_not_shift_the_join(tmp_path):
    source = write_source(tmp_path)
    write_csv(source / "fer2013.csv", edit=lambda lines: [*lines[:2], "3,1 2 3,Training", *lines[3:]])
    data = joined.read(source, "argmax")
    assert len(data.faces.ids) == len(ROWS) - 1 and data.rows.tolist() == [0, *range(2, 13)]
    np.testing.assert_array_equal(data.faces.pixels[1], draw_face(2))
    assert data.emotions[1] == "sad" and data.emotions[-1] == "disgust"
    assert [(row.row, row.status) for row in data.rejected] == [
        ("1", "3 pixels instead of 2304"),
        ("3", "label no face"),
        ("10", "label unknown"),
    ]
    assert any("1 FAULTY ROWS" in line for line in joined.report(joined.summary(data)))


def test_files_in_different_order_are_refused_or_reported(tmp_path):
    source = write_source(tmp_path)
    write_votes(source / "fer2013new.csv", edit=lambda lines: [lines[0], *lines[:0:-1]])
    with pytest.raises(ValueError, match="fer2013new.csv: row 0 is PrivateTest, but Training in .*fer2013.csv"):
        joined.read(source, "majority")
    write_votes(source / "fer2013new.csv", [*VOTES[1:7], VOTES[0], *VOTES[7:]])
    assert any(
        "do not seem to belong together" in line
        for line in joined.report(joined.summary(joined.read(source, "majority")))
    )
    write_votes(source / "fer2013new.csv", edit=lambda lines: lines[:-1])
    with pytest.raises(ValueError, match="12 rows, expected 13"):
        joined.read(source, "majority")


def test_missing_and_ambiguous_sources(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        joined.locate(tmp_path / "nowhere")
    write_kaggle(tmp_path)
    with pytest.raises(ValueError, match="no fer2013.csv or icml_face_data.csv.*row number, which Kaggle's"):
        joined.locate(tmp_path)
    (tmp_path / "a" / "b").mkdir(parents=True)
    write_icml(tmp_path / "icml_face_data.csv")
    with pytest.raises(ValueError, match="no fer2013new.csv"):
        joined.locate(tmp_path)
    write_votes(tmp_path / "a" / "b" / "fer2013new.csv")
    source = joined.locate(tmp_path)
    assert source.pixels.files[0].name == "icml_face_data.csv" and not source.lists
    assert joined.read(source, "argmax").emotions.tolist() == joined.read(DUMMY, "argmax").emotions.tolist()
    write_votes(tmp_path / "fer2013new.csv")
    with pytest.raises(ValueError, match="fer2013new.csv more than once"):
        joined.locate(tmp_path)


@pytest.fixture
def tfds():
    module = pytest.importorskip("tensorflow_datasets")
    module.disable_progress_bar()
    return module


def test_builder(tfds, tmp_path):
    lines = []
    source = shutil.copytree(DUMMY, tmp_path / "source")
    (source / "notes.txt").write_text("seen")
    builder = datasets.prepare("ferplus", source, tmp_path, report=lines.append)
    assert "not read: 1 file: notes.txt" in lines
    assert builder.builder_config.name == "majority" and any("counts differ" in line for line in lines)
    assert builder.info.features["emotion"].names == list(emotions.EIGHT)
    data = joined.read(DUMMY, "majority")
    for split, indices in joined.splits(data).items():
        examples = list(tfds.as_numpy(builder.as_dataset(split=split)))
        assert [example["id"].decode() for example in examples] == [data.faces.ids[index] for index in indices]
        for example, index in zip(examples, indices):
            np.testing.assert_array_equal(example["image"][..., 0], data.faces.pixels[index])
            assert emotions.EIGHT[example["emotion"]] == data.emotions[index]
            np.testing.assert_allclose(example["soft_label"], np.eye(8)[example["emotion"]])
            assert example["affect"].tolist() == [-2, -2] and example["duplicate"] == (index == 9)
    with open(Path(builder.data_dir) / "rejected.csv", newline="") as file:
        assert [row["row"] for row in csv.DictReader(file)] == ["3", "5", "10", "11"]
    datasets.prepare("ferplus", DUMMY, tmp_path, report=lines.append)
    assert "reused" in lines[-1] and datasets.fingerprint(builder) == joined.fingerprint(DUMMY)
    targets = datasets.prepare("ferplus/multi_target", DUMMY, tmp_path, report=lines.append)
    soft = {example["id"]: example["soft_label"] for example in tfds.as_numpy(targets.as_dataset(split="train"))}
    np.testing.assert_allclose(soft[b"fer2013-00004"], np.eye(8)[3] * 0.3 + np.eye(8)[4] * 0.7, rtol=1e-6)


@needs_fer2013
@pytest.mark.parametrize("mode", labels.MODES)
def test_genuine_votes(mode):
    votes = labels.read(FER2013 / "fer2013new.csv", rows=35887)
    np.testing.assert_array_equal(votes.votes, np.load(FER2013 / "index.npz")["ferplus"])
    assert not votes.faults and (votes.names == "").sum() == 173
    derived = labels.label(votes, mode)
    usages = ("Training", "PublicTest", "PrivateTest")
    counts = [int(((derived.emotions != "") & (votes.usages == usage)).sum()) for usage in usages]
    assert tuple(counts) == joined.ROWS[mode]
    names, soft = zip(*expected(votes.votes, votes.names != "", mode))
    assert derived.emotions.tolist() == list(names)
    np.testing.assert_allclose(derived.soft, soft, rtol=1e-6)
    if mode == "majority":
        test = derived.emotions[votes.usages == "PrivateTest"]
        assert [int((test == name).sum()) for name in FERPLUS] == [1090, 893, 396, 384, 273, 18, 83, 16]


@needs_fer2013
def test_genuine_lists():
    votes = labels.read(FER2013 / "fer2013new.csv")
    lists = {split: subsets.read(FER2013 / "ferplus_subsets" / name, votes) for split, name in subsets.LISTS.items()}
    assert [len(rows) for rows in lists.values()] == [605, 1170, 633]
    for mode, labelled in {
        "majority": (600, 1167, 630),
        "probability": (603, 1170, 633),
        "multi_target": (604, 1169, 632),
        "argmax": (605, 1170, 633),
    }.items():
        emotion = labels.label(votes, mode).emotions
        assert tuple(int((emotion[rows] != "").sum()) for rows in lists.values()) == labelled
