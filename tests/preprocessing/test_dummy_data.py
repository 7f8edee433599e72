"""Every data set in every form, prepared from made files, read again, and compared with what was written there."""

import contextlib
import csv
import functools

import numpy as np
import pytest
from support import dummy_folders
from support.dummy_data import DATASETS, FORMS

from edram_fer import data
from edram_fer.preprocessing import datasets, detection, splits
from edram_fer.preprocessing.datasets import inspection
from edram_fer.preprocessing.datasets.expw import annotations as expw
from edram_fer.preprocessing.emotions import EIGHT, SEVEN
from edram_fer.preprocessing.face_table import SplitSettings

IMAGES = {".bmp", ".jpg", ".png", ".tiff"}  # their bytes may differ with OpenCV's version
tfds = pytest.importorskip("tensorflow_datasets")
by_form = pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.dataset}-{form.place}".strip("-"))


@pytest.fixture(autouse=True, scope="module")
def no_progress_bar():
    tfds.disable_progress_bar()


def files_of(folder) -> dict:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): None if path.suffix.lower() in IMAGES else path.read_bytes()
        for path in paths
    }


@pytest.fixture(scope="module")
def truths(tmp_path_factory):
    """form -> (folder with the form written anew, truth)."""

    @functools.cache
    def write(form):
        folder = tmp_path_factory.mktemp("made") / "form"
        return folder, form.write(folder)

    return write


@by_form
def test_the_files_are_those_that_the_command_writes(form, truths):
    folder, _ = truths(form)
    assert files_of(form.folder) == files_of(folder)


def test_every_data_set_has_some_and_they_are_small():
    assert {form.dataset for form in FORMS} == set(datasets.NAMES) - {"drawn_faces"}  # which needs no files
    paths = [path for path in DATASETS.glob("*/dummy_data/**/*") if path.is_file()]
    assert sum(path.stat().st_size for path in paths) < 1_000_000


def excluded(builder) -> int:
    """Rows that are listed as not used."""
    folder = builder.data_path
    if (folder / "rows.parquet").exists():
        import pyarrow.parquet

        statuses = pyarrow.parquet.read_table(folder / "rows.parquet")["status"].to_pylist()
        return sum(status != "ok" for status in statuses)
    with open(folder / "rejected.csv", newline="") as file:
        return len(list(csv.DictReader(file)))


@by_form
def test_prepared_and_read_again(form, truths, tmp_path):
    _, truth = truths(form)
    annotated = form.dataset not in ("fer2013", "ferplus")
    options = {"size": 24, "validation": 0, "workers": 1, **form.options} if annotated else {}
    builder = datasets.prepare(form.dataset, form.folder, tmp_path, report=lambda line: None, **options)
    assert data.emotions(form.dataset, data_dir=tmp_path) == truth.classes
    assert excluded(builder) == truth.excluded
    found = {split: labels_of(form.dataset, builder, split, tmp_path) for split in builder.info.splits}
    clean = found.pop("test_clean", {})
    assert clean.items() <= found.get("test", {}).items()
    if "validation" in found and "validation" not in truth.splits:  # set aside by the reader
        found["train"] |= found.pop("validation")
    assert {split: found[split] for split in truth.splits} == truth.splits
    assert all(split.startswith("test_") for split in found.keys() - truth.splits.keys())


def labels_of(name, builder, split, data_dir) -> dict[str, str]:
    """{id: emotion} of a split, as tf.data and as edram_fer.data read it, which must be the same."""
    classes = builder.info.features["emotion"].names
    examples = list(tfds.as_numpy(builder.as_dataset(split=split)))
    arrays = data.arrays(name, split, data_dir=data_dir)
    np.testing.assert_array_equal(arrays["image"], [example["image"] for example in examples])
    assert arrays["image"].dtype == np.uint8 and arrays["image"].std(axis=(1, 2)).min() > 1
    assert arrays["emotion"].tolist() == [example["emotion"] for example in examples]
    assert arrays["id"].tolist() == [example["id"].decode() for example in examples]
    if "soft_label" in arrays:
        assert [EIGHT[place] for place in arrays["soft_label"].argmax(axis=1)] == [
            classes[label] for label in arrays["emotion"]
        ]
    assert builder.info.splits[split].num_examples == len(examples) == len(set(arrays["id"]))
    return {name: classes[label] for name, label in zip(arrays["id"].tolist(), arrays["emotion"])}


@by_form
def test_inspect_recognises_the_form(form):
    expected = (
        contextlib.nullcontext() if form.recognised else pytest.raises(ValueError, match="is read with automatic=True")
    )
    with expected:
        assert any(line.startswith(form.recognised) for line in inspection.inspect(form.folder))


def form_of(dataset, place=""):
    return next(form for form in FORMS if (form.dataset, form.place) == (dataset, place))


def test_boxes_of_affectnet_are_held_against_a_detector(tmp_path, monkeypatch):
    monkeypatch.setitem(detection.DETECTORS, "dlib", lambda: lambda image: [detection.Face((20, 10, 64, 64), 1.0)])
    said = []
    datasets.prepare(
        "affectnet",
        form_of("affectnet", "csv2017").folder,
        tmp_path,
        size=24,
        check="dlib",
        workers=1,
        report=said.append,
    )
    # All boxes are the detector's but those of the two images where the face crosses the border.
    overlaps = "of the detector in 16 images: median overlap (IoU) 1.00, below 0.5 in 2, none in 0"
    assert any(overlaps in line for line in said)
    arrays = data.arrays("affectnet", "test", data_dir=tmp_path)
    unknown = (arrays["affect"] == -2).all(axis=1)
    assert [EIGHT[label] for label in arrays["emotion"][unknown]] == ["surprise"]
    np.testing.assert_allclose(arrays["affect"][~unknown, 1], -0.25)
    inside = (arrays["landmarks"] > -3) & (arrays["landmarks"] < 27)  # of a face of 24 pixels
    assert arrays["landmarks"].shape == (8, 68, 2) and inside.mean() > 0.95


def test_affectnet_with_seven_classes_leaves_contempt_out(tmp_path):
    said = []
    datasets.prepare(
        "affectnet",
        form_of("affectnet", "npy2021").folder,
        tmp_path,
        size=24,
        classes="seven",
        workers=1,
        validation=0,
        report=said.append,
    )
    assert data.emotions("affectnet", data_dir=tmp_path) == SEVEN
    assert data.splits("affectnet/grey24-seven", data_dir=tmp_path) == {"train": 7, "test": 7}
    assert "left out: label contempt, not among the 7 classes 2, label none 1" in said
    assert any("contempt 1 (3,750)" in line for line in said)  # what is published counts them all the same


def test_one_seed_for_reader_and_division(tmp_path):
    """ExpW's reader and SplitSettings both have an option `seed`, and `prepare` hands it to both."""
    names = [f"{number}.jpg" for number in range(4000)]
    seed = next(
        seed
        for seed in range(1, 1000)
        if len({splits.by_digest(name, expw.SHARES, seed) for name in dummy_folders.EXPW}) == 3
    )
    training = [name for name in names if splits.by_digest(name, expw.SHARES, seed) == "train"]
    drawn = [SplitSettings(0.25, seed).is_validation(name.encode()) for name in training]
    assert 0.22 < np.mean(drawn) < 0.28  # one draw tells nothing about the other
    builder = datasets.prepare(
        "expw", form_of("expw").folder, tmp_path, size=24, seed=seed, workers=1, report=lambda line: None
    )
    assert builder.info.metadata["split_settings"]["seed"] == seed
    for split in ("train", "validation", "test"):
        for name in data.arrays("expw", split, data_dir=tmp_path)["id"]:
            assert splits.by_digest(name.split("#")[0], expw.SHARES, seed) == split
