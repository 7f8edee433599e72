"""The dummy data of every data set and layout, prepared, read again, and compared with what was written."""

import contextlib
import csv
import functools

import numpy as np
import pytest
from support import dummy_folders
from support.dummy_data import DATASETS, DUMMY_DATA

from edram_fer import data
from edram_fer.preprocessing import datasets, detection, splits
from edram_fer.preprocessing.datasets import inspection
from edram_fer.preprocessing.datasets.expw import annotations as expw
from edram_fer.preprocessing.emotions import EIGHT, SEVEN

IMAGES = {".bmp", ".jpg", ".png", ".tiff"}  # their bytes may differ with OpenCV's version
tfds = pytest.importorskip("tensorflow_datasets")
each_layout = pytest.mark.parametrize(
    "dummy", DUMMY_DATA, ids=lambda dummy: f"{dummy.dataset}-{dummy.subfolder}".strip("-")
)


@pytest.fixture(autouse=True, scope="module")
def no_progress_bar():
    tfds.disable_progress_bar()


def read_files(folder) -> dict:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): None if path.suffix.lower() in IMAGES else path.read_bytes()
        for path in paths
    }


@pytest.fixture(scope="module")
def truths(tmp_path_factory):
    """dummy data -> (folder with newly written files, ground truth)."""

    @functools.cache
    def write(dummy):
        folder = tmp_path_factory.mktemp("dummy") / "data"
        return folder, dummy.write(folder)

    return write


@each_layout
def test_files_are_those_that_the_command_writes(dummy, truths):
    folder, _ = truths(dummy)
    assert read_files(dummy.folder) == read_files(folder)


def test_every_data_set_has_small_dummy_data():
    assert {dummy.dataset for dummy in DUMMY_DATA} == set(datasets.NAMES) - {"drawn_faces"}  # has no files
    paths = [path for path in DATASETS.glob("*/dummy_data/**/*") if path.is_file()]
    assert sum(path.stat().st_size for path in paths) < 1_000_000


def excluded(builder) -> int:
    """Number of rows that are listed as not used."""
    folder = builder.data_path
    if (folder / "rows.parquet").exists():
        import pyarrow.parquet

        statuses = pyarrow.parquet.read_table(folder / "rows.parquet")["status"].to_pylist()
        return sum(status != "ok" for status in statuses)
    with open(folder / "rejected.csv", newline="") as file:
        return len(list(csv.DictReader(file)))


@each_layout
def test_prepared_and_read_again(dummy, truths, tmp_path):
    _, truth = truths(dummy)
    annotated = dummy.dataset not in ("fer2013", "ferplus")
    options = {"size": 24, "validation": 0, "test": 0, "workers": 1, **dummy.options} if annotated else {}
    builder = datasets.prepare(dummy.dataset, dummy.folder, tmp_path, report=lambda line: None, **options)
    assert data.emotions(dummy.dataset, data_dir=tmp_path) == truth.classes
    assert excluded(builder) == truth.excluded
    labels = {split: read_labels(dummy.dataset, builder, split, tmp_path) for split in builder.info.splits}
    clean = labels.pop("test_clean", {})
    assert clean.items() <= labels.get("test", {}).items()
    if "validation" in labels and "validation" not in truth.splits:  # drawn from train by the reader
        labels["train"] |= labels.pop("validation")
    assert {split: labels[split] for split in truth.splits} == truth.splits
    assert all(split.startswith("test_") for split in labels.keys() - truth.splits.keys())


def read_labels(name, builder, split, data_dir) -> dict[str, str]:
    """{id: emotion} of a split, read by tf.data and by edram_fer.data, which must agree."""
    classes = builder.info.features["emotion"].names
    examples = list(tfds.as_numpy(builder.as_dataset(split=split)))
    arrays = data.load_split(name, split, data_dir=data_dir)
    np.testing.assert_array_equal(arrays["image"], [example["image"] for example in examples])
    assert arrays["image"].dtype == np.uint8 and arrays["image"].std(axis=(1, 2)).min() > 1
    assert arrays["emotion"].tolist() == [example["emotion"] for example in examples]
    assert arrays["id"].tolist() == [example["id"].decode() for example in examples]
    if "soft_label" in arrays:
        assert [EIGHT[label] for label in arrays["soft_label"].argmax(axis=1)] == [
            classes[label] for label in arrays["emotion"]
        ]
    assert builder.info.splits[split].num_examples == len(examples) == len(set(arrays["id"]))
    return {name: classes[label] for name, label in zip(arrays["id"].tolist(), arrays["emotion"])}


@each_layout
def test_inspect_recognises_the_layout(dummy):
    expected = (
        contextlib.nullcontext() if dummy.recognised else pytest.raises(ValueError, match="is read with automatic=True")
    )
    with expected:
        assert any(line.startswith(dummy.recognised) for line in inspection.inspect(dummy.folder))


def find_dummy(dataset, subfolder=""):
    return next(dummy for dummy in DUMMY_DATA if (dummy.dataset, dummy.subfolder) == (dataset, subfolder))


def test_boxes_of_affectnet_are_compared_with_a_detector(tmp_path, monkeypatch):
    monkeypatch.setattr(detection, "Dlib", lambda **_: lambda image: [detection.Face((20, 10, 64, 64), 1.0)])
    lines = []
    datasets.prepare(
        "affectnet",
        find_dummy("affectnet", "csv2017").folder,
        tmp_path,
        size=24,
        check="dlib",
        workers=1,
        report=lines.append,
    )
    # All boxes are those of the detector, except in the two images where the face crosses the border.
    overlaps = "compared with detected boxes in 16 images: median overlap (IoU) 1.00, below 0.5 in 2, none in 0"
    assert any(overlaps in line for line in lines)
    arrays = data.load_split("affectnet", "test", data_dir=tmp_path)
    unknown = (arrays["affect"] == -2).all(axis=1)
    assert [EIGHT[label] for label in arrays["emotion"][unknown]] == ["surprise"]
    np.testing.assert_allclose(arrays["affect"][~unknown, 1], -0.25)
    inside = (arrays["landmarks"] > -3) & (arrays["landmarks"] < 27)  # of a face of 24 pixels
    assert arrays["landmarks"].shape == (8, 68, 2) and inside.mean() > 0.95


def test_affectnet_with_seven_classes_excludes_contempt(tmp_path):
    lines = []
    datasets.prepare(
        "affectnet",
        find_dummy("affectnet", "npy2021").folder,
        tmp_path,
        size=24,
        classes="seven",
        workers=1,
        validation=0,
        report=lines.append,
    )
    assert data.emotions("affectnet", data_dir=tmp_path) == SEVEN
    assert data.splits("affectnet/grey24-seven", data_dir=tmp_path) == {"train": 7, "test": 7}
    assert "left out: label contempt, not among the 7 classes 2, label none 1" in lines
    assert any("contempt 1 (3,750)" in line for line in lines)  # the published counts include them


def test_seed_is_passed_to_reader_and_split_settings(tmp_path):
    """ExpW's reader and SplitSettings both have an option `seed`, and `prepare` passes it to both."""
    seed = next(
        seed
        for seed in range(1, 1000)
        if len({splits.digest_split(name, expw.SHARES, seed) for name in dummy_folders.EXPW}) == 3
    )
    builder = datasets.prepare(
        "expw", find_dummy("expw").folder, tmp_path, size=24, seed=seed, workers=1, report=lambda line: None
    )
    assert builder.info.metadata["split_settings"]["seed"] == seed
    for split in ("train", "validation", "test"):
        for name in data.load_split("expw", split, data_dir=tmp_path)["id"]:
            assert splits.digest_split(name.split("#")[0], expw.SHARES, seed) == split
