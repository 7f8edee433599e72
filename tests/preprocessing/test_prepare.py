"""Preparing data sets with TFDS: FER2013 from its dummy data, and failures of the disk."""

import csv
import errno
import os
import subprocess
from pathlib import Path

import filelock
import numpy as np
import pytest
from support.paths import ROOT

from edram_fer.preprocessing import datasets, emotions
from edram_fer.preprocessing.datasets.fer2013 import layouts, published, table

tfds = pytest.importorskip("tensorflow_datasets")

DUMMY = ROOT / "preprocessing" / "datasets" / "fer2013" / "dummy_data" / "csv"
SPLITS = {"train": 7, "validation": 3, "test": 3, "test_clean": 2}


@pytest.fixture(autouse=True, scope="module")
def no_progress_bar():
    tfds.disable_progress_bar()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The prepared dummy data and the lines of the report."""
    lines = []
    return datasets.prepare("fer2013", DUMMY, tmp_path_factory.mktemp("data"), report=lines.append), lines


def read_rows(builder, split) -> list[dict]:
    return list(tfds.as_numpy(builder.as_dataset(split=split)))


def test_round_trip(prepared):
    builder, _ = prepared
    faces = table.read(DUMMY)
    assert {name: part.num_examples for name, part in builder.info.splits.items()} == SPLITS
    assert builder.info.features["emotion"].names == list(emotions.SEVEN)
    for split, rows in published.splits(faces).items():
        examples = read_rows(builder, split)
        assert [example["id"].decode() for example in examples] == [faces.ids[row] for row in rows]
        for example, row in zip(examples, rows):
            assert example["image"].dtype == np.uint8 and example["image"].shape == (48, 48, 1)
            np.testing.assert_array_equal(example["image"][..., 0], faces.pixels[row])
            assert emotions.SEVEN[example["emotion"]] == faces.emotions[row]
            assert example["affect"].dtype == np.float32 and example["affect"].tolist() == [-2, -2]
            assert example["duplicate"] == (row in (9, 10))


def test_metadata_citation_and_report(prepared):
    builder, lines = prepared
    assert "Goodfellow" in builder.info.citation and "34,034" in builder.info.description
    assert "kaggle.com" in builder.MANUAL_DOWNLOAD_INSTRUCTIONS
    metadata = builder.info.metadata
    assert metadata["layout"] == layouts.FER2013_CSV and metadata["distinct"] == 11
    assert metadata["splits"]["test_clean"]["rows"] == 2
    assert datasets.fingerprint(builder) == metadata["fingerprint"] == layouts.fingerprint(DUMMY / "fer2013.csv")
    assert any("counts differ from the published" in line for line in lines)
    assert str(builder.version) == "1.0.0"


def test_open_and_reuse(prepared):
    data_dir = Path(prepared[0].data_dir).parent.parent
    assert read_rows(datasets.builder("fer2013", data_dir), "test")
    lines = []
    datasets.prepare("fer2013", DUMMY / "fer2013.csv", data_dir, report=lines.append)
    assert len(lines) == 1 and "reused" in lines[0]
    assert os.listdir(data_dir) == ["fer2013"]


def test_tfds_alone_prepares_from_manual_dir(tmp_path):
    from edram_fer.preprocessing.datasets.fer2013.fer2013_dataset_builder import Builder

    builder = Builder(data_dir=tmp_path)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=DUMMY, try_download_gcs=False))
    assert len(read_rows(builder, "train")) == SPLITS["train"]


def test_another_source_or_force_prepares_again(tmp_path):
    source = tmp_path / "mine.csv"
    *rows, last = (DUMMY / "fer2013.csv").read_text().splitlines()
    source.write_text("\n".join([*rows, "9" + last[1:]]))
    lines = []
    first = datasets.prepare("fer2013", DUMMY, tmp_path / "data", report=lines.append)
    second = datasets.prepare("fer2013", source, tmp_path / "data", report=lines.append)
    assert any("another source" in line for line in lines) and any("1 FAULTY ROWS" in line for line in lines)
    assert datasets.fingerprint(first) != datasets.fingerprint(second)
    assert second.info.splits["test_clean"].num_examples == 1
    with open(Path(second.data_dir) / "rejected.csv", newline="") as file:
        rejected = list(csv.DictReader(file))
    assert [(row["file"], row["row"]) for row in rejected] == [(str(source), "12")]
    assert "unknown emotion code '9'" in rejected[0]["status"]
    before, mine = os.stat(second.data_dir).st_ino, Path(second.data_dir) / "notes.txt"
    mine.write_text("the user's own")
    for options in ({"source": source, "force": True}, {"source": DUMMY}):
        with pytest.raises(ValueError, match="notes.txt was not written by edram-fer and would be deleted"):
            datasets.prepare("fer2013", data_dir=tmp_path / "data", report=lines.append, **options)
    mine.unlink()
    datasets.prepare("fer2013", source, tmp_path / "data", force=True, report=lines.append)
    assert os.stat(second.data_dir).st_ino != before
    assert os.listdir(tmp_path / "data") == ["fer2013"] and os.listdir(tmp_path / "data" / "fer2013") == ["1.0.0"]


def test_failure_keeps_the_existing_data_set_and_leaves_no_files(tmp_path):
    existing = datasets.prepare("fer2013", DUMMY, tmp_path / "data", report=lambda line: None)
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ValueError, match="empty.csv is empty"):
        datasets.prepare("fer2013", tmp_path / "empty.csv", tmp_path / "data", force=True, report=lambda line: None)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        datasets.prepare("fer2013", tmp_path / "nowhere", tmp_path / "data", force=True, report=lambda line: None)
    assert os.listdir(tmp_path / "data") == ["fer2013"]
    assert datasets.fingerprint(datasets.builder("fer2013", tmp_path / "data")) == datasets.fingerprint(existing)


def test_unknown_names_and_missing_sources(tmp_path):
    with pytest.raises(ValueError, match="unknown data set 'fer2014'; known: fer2013"):
        datasets.prepare("fer2014", None, tmp_path)
    with pytest.raises(ValueError, match="fer2013 has no configuration 'big'"):
        datasets.builder("fer2013/big", tmp_path)
    with pytest.raises(ValueError, match="needs a source.*kaggle"):
        datasets.prepare("fer2013", None, tmp_path)
    with pytest.raises(FileNotFoundError, match="not prepared in"):
        datasets.builder("fer2013", tmp_path)
    assert not os.listdir(tmp_path)


def test_leftovers_of_a_killed_run_are_removed(tmp_path):
    work = tmp_path / "unfinished.fer2013"
    (work / "tfds" / "fer2013" / "incomplete.9AB0CD_1.0.0").mkdir(parents=True)
    (work / "tfds" / "fer2013" / "incomplete.9AB0CD_1.0.0" / "features.json").write_text("{}")
    (work / "old").mkdir()
    (work / "old" / "fer2013-train.tfrecord-00000-of-00001").touch()
    (work / "notes.txt").write_text("the user's own")
    datasets.prepare("fer2013", DUMMY, tmp_path, report=lambda line: None)
    assert sorted(os.listdir(tmp_path)) == ["fer2013", work.name] and os.listdir(work) == ["notes.txt"]


def test_second_process_is_refused(tmp_path):
    work = tmp_path / "unfinished.fer2013"
    work.mkdir()
    with filelock.FileLock(work / "lock"):
        with pytest.raises(OSError, match=f"another process is preparing in {work}"):
            datasets.prepare("fer2013", DUMMY, tmp_path, report=lambda line: None)


def test_full_disk(mounted):
    # The dummy data takes 48 kB: the smaller sizes fail while examples are written, the last one at later files.
    for size in (4, 12, 20, 28, 36):
        data_folder = mounted(f"size={size}k")
        with pytest.raises(OSError, match="cannot write data set fer2013 to .*mounted.*[Nn]o space left") as error:
            datasets.prepare("fer2013", DUMMY, data_folder, report=lambda line: None)
        assert error.value.errno == errno.ENOSPC
        assert os.listdir(data_folder) == []
        subprocess.run(["umount", str(data_folder)], check=True)


def test_no_write_permission(mounted):
    data_folder = mounted("ro")
    with pytest.raises(OSError, match="cannot write data set fer2013 to .*mounted.*Read-only") as error:
        datasets.prepare("fer2013", DUMMY, data_folder, report=lambda line: None)
    assert error.value.errno == errno.EROFS


def test_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(OSError, match="cannot write data set fer2013 to .*data"):
        datasets.prepare("fer2013", DUMMY, tmp_path / "data", report=lambda line: None)
