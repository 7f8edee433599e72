"""Annotated photos to a prepared data set: one command, stopped and resumed, and the report on the rows."""

import errno
import os
import subprocess
import sys
import time

import cv2
import filelock
import numpy as np
import pyarrow.parquet
import pytest
import tensorflow_datasets as tfds
from support.paths import ROOT

from edram_fer import data
from edram_fer.data import sources
from edram_fer.preprocessing import datasets, face_table
from edram_fer.preprocessing.datasets import annotated, writing
from edram_fer.preprocessing.records import OK

EMOTIONS = ("neutral", "happy", "sad")


def ignore(line):
    pass


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Folders train and test with three emotions; two test images are also in train, and one file is damaged."""
    root = tmp_path_factory.mktemp("source")
    rng = np.random.default_rng(0)
    for split, count in (("train", 60), ("test", 8)):
        for emotion in EMOTIONS:
            folder = root / split / emotion
            folder.mkdir(parents=True)
            for number in range(count):
                cv2.imwrite(str(folder / f"{number:03d}.png"), rng.integers(0, 255, (24, 24, 3), np.uint8))
    for name in ("000.png", "001.png"):
        (root / "test" / "happy" / name).write_bytes((root / "train" / "happy" / name).read_bytes())
    (root / "train" / "sad" / "059.png").write_bytes(b"not an image")
    return root


def read_files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def prepared(source, tmp_path_factory):
    """(data folder, lines of the report)."""
    out, lines = tmp_path_factory.mktemp("data"), []
    datasets.prepare("folder", source, out, size=20, validation=0.2, workers=1, report=lines.append)
    return out, lines


def test_prepared_data_set_has_what_training_needs(prepared):
    described = data.describe("folder", data_dir=prepared[0])
    assert described["image_size"] == [20, 20] and described["channels"] == 1
    assert described["emotions"] == list(EMOTIONS)
    splits = described["splits"]
    assert splits["train"] + splits["validation"] == 179 and 20 <= splits["validation"] <= 55
    assert splits["test"] == 24 and splits["test_clean"] == 22
    arrays = data.load_split("folder/grey20", "test", data_dir=prepared[0])
    assert arrays["image"].shape == (24, 20, 20, 1) and arrays["duplicate"].sum() == 2
    assert sorted(np.bincount(arrays["emotion"])) == [8, 8, 8]


def test_settings_of_the_faces_are_stored_and_exported(prepared, tmp_path):
    settings = data.describe("folder", data_dir=prepared[0])["preprocessing"]
    assert (settings["size"], settings["clahe"], settings["detectors"]) == (20, 1.0, ["none"])
    data.write_arrays("folder", tmp_path / "faces.npz", data_dir=prepared[0])
    assert data.describe(tmp_path / "faces.npz")["preprocessing"] == settings


def test_every_row_is_reported(prepared):
    out, lines = prepared
    text = "\n".join(lines)
    assert "204 rows read, 203 faces written" in text and "left out: not an image 1" in text
    assert "test 24: neutral 8, happy 8, sad 8" in text
    assert "test: 2 faces, or their images, equal a training face or image" in text
    [folder] = (out / "folder" / "grey20").iterdir()
    rows = pyarrow.parquet.read_table(folder / "rows.parquet").to_pylist()
    assert len(rows) == 204 and sum(row["status"] == OK for row in rows) == 203
    [faulty] = [row for row in rows if row["status"] != OK]
    assert faulty["image"] == "train/sad/059.png" and faulty["status"] == "not an image"
    for name in ("faces.png", "failures.png"):
        assert cv2.imread(str(folder / name)).std() > 5
    assert not list(out.glob("unfinished*"))


def test_second_start_changes_nothing(source, prepared):
    before, lines = read_files(prepared[0]), []
    datasets.prepare("folder", source, prepared[0], size=20, validation=0.2, workers=1, report=lines.append)
    assert len(lines) == 1 and lines[0].endswith("reused") and read_files(prepared[0]) == before


def test_sorting_on_disk_gives_the_same_bytes_with_little_in_memory(source, prepared, tmp_path, monkeypatch):
    from tensorflow_datasets.core import shuffle

    bucket_sizes, read_values = [], shuffle._Bucket.read_values

    def record(bucket):
        bucket_sizes.append(len(bucket))
        return read_values(bucket)

    monkeypatch.setattr(shuffle._Bucket, "read_values", record)
    monkeypatch.setattr(writing, "SORT_BUFFER", 0)
    datasets.prepare("folder", source, tmp_path, size=20, validation=0.2, workers=1, report=ignore)
    assert sum(bucket_sizes) > 190 and max(bucket_sizes) <= 8  # of about 200 faces
    assert read_files(tmp_path / "folder") == read_files(prepared[0] / "folder")


@pytest.mark.slow
def test_killed_while_writing_and_started_again_gives_the_same_bytes(source, prepared, tmp_path):
    call = [sys.executable, "-c", "from edram_fer.cli import main; main()", "prepare", "folder", "--source", source]
    call += ["--out", tmp_path, "--size", "20", "--validation", "0.2", "--workers", "1"]
    work = tmp_path / "unfinished.folder.grey20"
    process = subprocess.Popen(call, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not list(work.glob("tfds/**/*record*")):
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert work.is_dir() and not (tmp_path / "folder").exists()
    completed = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
    assert completed.returncode == 0 and "resuming the preparation in" in completed.stdout
    assert read_files(tmp_path / "folder") == read_files(prepared[0] / "folder") and not work.exists()


# The unfinished folder grows to about 0.4 MB; each size in kB is enough for some stages only.
@pytest.mark.parametrize(("kilobytes", "stage", "workers"), [(4, "chunks", 1), (40, "chunks", 2), (160, "tfds", 1),
                                                        (250, "tfds", 1), (4, "nothing", 1)])  # fmt: skip
def test_full_disk_stops_with_a_sentence_and_the_preparation_resumes(
    source, prepared, mounted, kilobytes, stage, workers
):
    data_folder = mounted(f"size={kilobytes}k")
    if stage == "nothing":
        (data_folder / "filled").write_bytes(bytes(4096))
    options = {"size": 20, "validation": 0.2, "workers": workers}
    action = "run the same command again when there is free space"
    expected = f"cannot write data set folder to {data_folder}, {action}: .*[Nn]o space"
    with pytest.raises(OSError, match=expected) as error:
        datasets.prepare("folder", source, data_folder, report=ignore, **options)
    assert error.value.errno == errno.ENOSPC and not (data_folder / "folder").exists()
    chunks = list((data_folder / "unfinished.folder.grey20").glob("chunks/*"))
    assert [path.name for path in chunks] == (["000000.parquet"] if stage == "tfds" else [])
    subprocess.run(["mount", "-o", "remount,size=64m", str(data_folder)], check=True)
    lines = []
    datasets.prepare("folder", source, data_folder, report=lines.append, **options)
    assert any("resuming" in line for line in lines) == (stage != "nothing")
    assert read_files(data_folder / "folder") == read_files(prepared[0] / "folder")


@pytest.mark.parametrize(("module", "stage"), [(annotated, "download_and_prepare"), (face_table, "write_rows"),
                                               (face_table, "some_failures")])  # fmt: skip
def test_disk_that_is_full_after_a_stage(source, prepared, mounted, monkeypatch, module, stage):
    """There is then no room for rows.parquet, the contact sheet of faces, or that of failures, the last file."""
    data_folder, function = mounted("size=64m"), getattr(module, stage)

    def fill_disk_afterwards(*arguments):
        result = function(*arguments)
        disk = os.statvfs(data_folder)
        (data_folder / "filled").write_bytes(bytes(disk.f_bfree * disk.f_bsize))
        return result

    monkeypatch.setattr(module, stage, fill_disk_afterwards)
    options = {"size": 20, "validation": 0.2, "workers": 1}
    action = "run the same command again when there is free space"
    expected = f"cannot write data set folder to {data_folder}, {action}: .*[Nn]o space"
    with pytest.raises(OSError, match=expected) as error:
        datasets.prepare("folder", source, data_folder, report=ignore, **options)
    assert error.value.errno == errno.ENOSPC and not (data_folder / "folder").exists()
    monkeypatch.undo()
    (data_folder / "filled").unlink()
    lines = []
    datasets.prepare("folder", source, data_folder, report=lines.append, **options)
    assert any("resuming" in line for line in lines)
    assert read_files(data_folder / "folder") == read_files(prepared[0] / "folder")


def test_every_test_face_is_also_in_training(tmp_path):
    """Nothing remains for test_clean, and TFDS does not write empty splits."""
    for split in ("train", "test"):
        for number, emotion in enumerate(EMOTIONS):
            path = tmp_path / "source" / split / emotion / "a.png"
            path.parent.mkdir(parents=True)
            cv2.imwrite(str(path), np.random.default_rng(number).integers(0, 255, (24, 24, 3), np.uint8))
    (tmp_path / "source" / "train" / "sad" / "gone.png").symlink_to("nowhere.png")
    lines = []
    datasets.prepare("folder", tmp_path / "source", tmp_path, size=20, validation=0.0, workers=1, report=lines.append)
    assert data.describe("folder", data_dir=tmp_path)["splits"] == {"train": 3, "test": 3}
    assert "test: 3 faces, or their images, equal a training face or image" in lines
    assert "left out: cannot be read: No such file or directory 1" in lines  # a broken link is a row, too


def test_other_settings_start_from_the_beginning(source, prepared, tmp_path):
    lines = []
    work = tmp_path / "unfinished.folder.grey20"
    (work / "chunks").mkdir(parents=True)
    (work / "chunks" / "000000.parquet").write_bytes(b"of another run")
    (work / "fingerprint").write_text("other")
    datasets.prepare("folder", source, tmp_path, size=20, clahe=0.0, workers=1, report=lines.append)
    assert any(line.endswith("starting from the beginning") for line in lines)
    names = [datasets.fingerprint(datasets.builder("folder", place)) for place in (tmp_path, prepared[0])]
    assert names[0] != names[1]


def test_finished_data_set_with_other_settings_is_replaced_only_by_force(tmp_path):
    for number, emotion in enumerate(EMOTIONS):
        path = tmp_path / "source" / "train" / emotion / "a.png"
        path.parent.mkdir(parents=True)
        cv2.imwrite(str(path), np.random.default_rng(number).integers(0, 255, (24, 24, 3), np.uint8))
    options = {"size": 20, "validation": 0.0, "workers": 1, "report": ignore}
    first = datasets.fingerprint(datasets.prepare("folder", tmp_path / "source", tmp_path, **options))
    with pytest.raises(ValueError, match="holds folder with other annotations or settings; --force replaces it"):
        datasets.prepare("folder", tmp_path / "source", tmp_path, clahe=0.0, **options)
    assert datasets.fingerprint(datasets.builder("folder", tmp_path)) == first
    leftover = tmp_path / "unfinished.folder.grey20"  # of a process that was killed at its end
    (leftover / "old").mkdir(parents=True)
    (leftover / "old" / "dataset_info.json").write_text("{}")
    [mine] = [path / "notes.txt" for path in tmp_path.glob("folder/*/*")]
    mine.write_text("the user's own")
    with pytest.raises(ValueError, match="notes.txt was not written by edram-fer and would be deleted"):
        datasets.prepare("folder", tmp_path / "source", tmp_path, clahe=0.0, force=True, **options)
    mine.rename(tmp_path / "notes.txt")
    datasets.prepare("folder", tmp_path / "source", tmp_path, clahe=0.0, force=True, **options)
    assert datasets.fingerprint(datasets.builder("folder", tmp_path)) != first and not leftover.exists()
    leftover.mkdir()
    datasets.prepare("folder", tmp_path / "source", tmp_path, clahe=0.0, **options)
    assert not leftover.exists()


def test_landmarks_that_begin_after_a_thousand_rows_are_kept(tmp_path):
    cv2.imwrite(str(tmp_path / "last.png"), np.random.default_rng(0).integers(0, 255, (24, 24, 3), np.uint8))
    points = " ".join(["9 15"] * 68)
    rows = ["last.png,,train,", *(f"gone{number}.png,sad,train," for number in range(1000))]
    rows.append(f"last.png,happy,train,{points}")
    (tmp_path / "faces.csv").write_text("\n".join(["image,label,split,landmarks", *rows]))
    datasets.prepare("table", tmp_path / "faces.csv", tmp_path, size=24, validation=0.0, workers=1, report=ignore)
    [loaded] = tfds.as_numpy(datasets.builder("table", tmp_path).as_dataset(split="train"))
    assert (loaded["landmarks"] == (9, 15)).all() and "soft_label" not in loaded


def test_links_to_folders_and_to_themselves_are_rows(tmp_path):
    source, elsewhere = tmp_path / "source", tmp_path / "elsewhere"
    for place, name in ((source / "happy", "a.png"), (elsewhere, "b.png")):
        place.mkdir(parents=True)
        cv2.imwrite(str(place / name), np.random.default_rng(len(name)).integers(0, 255, (24, 24, 3), np.uint8))
    (source / "sad").symlink_to(elsewhere)
    (source / "happy" / "loop.png").symlink_to(source / "happy" / "loop.png")
    lines = []
    datasets.prepare("folder", source, tmp_path, size=20, validation=0.0, workers=1, report=lines.append)
    text = "\n".join(lines)
    assert "3 rows read, 1 faces written" in text
    [rows] = tmp_path.glob("folder/*/*/rows.parquet")
    statuses = {row["image"]: row["status"] for row in pyarrow.parquet.read_table(rows).to_pylist()}
    assert set(statuses) == {"happy/a.png", "happy/loop.png", "sad"} and statuses["happy/a.png"] == OK
    assert "cannot be read" in statuses["happy/loop.png"] and statuses["sad"] != OK


def test_second_process_is_refused(source, tmp_path):
    work = tmp_path / "unfinished.folder.grey20"
    work.mkdir()
    with filelock.FileLock(work / "lock"):
        with pytest.raises(OSError, match=f"another process is preparing in {work}"):
            datasets.prepare("folder", source, tmp_path, size=20, workers=1, report=ignore)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"zoom": 3}, "unknown option 'zoom' for data set folder; known: size, colour, "),
        ({"classes": "nine"}, "classes: expected seven, eight, or at least two different names .*, got 'nine'"),
        ({"classes": "happy,bored"}, "no image of the class bored; there are: happy 68"),
        ({"config_name": "a/b"}, "name: expected letters, digits, .*, got 'a/b'"),
        ({"test": True}, "test: expected a share in"),
        ({"detectors": ("haar",)}, "detectors: expected some of"),
        ({"validation": 1.5}, "validation: expected a share"),
        ({"detectors": ("annotation",)}, "no usable face in its rows: no box is annotated 203, not an image 1"),
    ],
)
def test_options_that_are_not_valid(source, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        datasets.prepare("folder", source, tmp_path, workers=1, report=ignore, **options)


def test_missing_and_ambiguous_data_sets(source, prepared, tmp_path):
    with pytest.raises(FileNotFoundError, match="data set raf_db is not prepared in"):
        datasets.builder("raf_db", tmp_path)
    with pytest.raises(ValueError, match="data set raf_db needs a source. RAF-DB is available to researchers"):
        datasets.prepare("raf_db", None, tmp_path)
    with pytest.raises(ValueError, match="fer2013 is not made from annotated photos and has no option size"):
        datasets.prepare("fer2013", source, tmp_path, size=10)
    for size in (20, 24):
        (tmp_path / "folder" / f"grey{size}" / "1.0.0").mkdir(parents=True)
        (tmp_path / "folder" / f"grey{size}" / "1.0.0" / "dataset_info.json").touch()
    with pytest.raises(ValueError, match="several configurations, name one: folder/grey20, folder/grey24"):
        datasets.builder("folder", tmp_path)


def test_where_the_faces_lie_in_their_photos(prepared, tmp_path):
    """Also after the export to an NPZ file; a whole photo of 24 pixels is a face of 20."""
    crops = sources.crops("folder", data_dir=prepared[0])
    assert len(crops.id) == 203 and set(crops.split) == {"train", "validation", "test"}
    assert (crops.square == [0, 0, 24]).all() and crops.size == 20
    test = crops.of_split("test")
    np.testing.assert_allclose(test.to_face(test.id[0], [(11.5, 23.5)]), [(9.5, 19.5)], atol=1e-5)
    sources.write_arrays("folder", tmp_path / "faces.npz", data_dir=prepared[0])
    copied = sources.crops(tmp_path / "faces.npz")
    order, copied_order = np.lexsort((crops.id, crops.split)), np.lexsort((copied.id, copied.split))
    for name in ("split", "id", "photo"):
        assert getattr(crops, name)[order].tolist() == getattr(copied, name)[copied_order].tolist()
