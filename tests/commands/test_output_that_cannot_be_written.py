"""A command whose output cannot be written says so in one sentence that names the path, before its long work."""

import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image
from support import fake_runs

from edram_fer import cli, files
from edram_fer.attention import baselines
from edram_fer.comparison import crops as comparison_crops
from edram_fer.data import sources
from edram_fer.evaluation import inference
from edram_fer.exporting import graph
from edram_fer.prediction import predictor
from edram_fer.preprocessing import face_chunks
from edram_fer.report import comparison, page
from edram_fer.run import layout
from edram_fer.studies import sweep
from edram_fer.training import loop

LONG_WORK = [
    (loop, "_fit"),
    (inference, "predict"),
    (graph, "frozen"),
    (layout, "clear_figures"),
    (baselines, "compare_with_fixations"),
    (comparison, "study"),
    (comparison_crops, "_indices"),
    (page, "template"),
    (sources, "load_split"),
    (face_chunks, "process"),
    (sweep, "_finish"),
    (predictor, "Predictor"),
]
STUDIES = ("evaluate", "window-ablation", "window-gradients", "saliency", "robustness", "region-weights")


@pytest.fixture
def refused(monkeypatch, capfd):
    """refused(*words) -> what the command says before it ends with 1; long work fails the test."""

    def reached(*arguments, **options):
        pytest.fail("the long work has begun")

    for module, name in LONG_WORK:
        monkeypatch.setattr(module, name, reached)

    def call(*words):
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main([str(word) for word in words])
        out, err = capfd.readouterr()
        assert end.value.code not in (0, None) and "Traceback" not in out + err
        line = end.value.code if isinstance(end.value.code, str) else err.strip().splitlines()[-1]
        assert line.startswith("error: ")
        return line

    return call


@pytest.fixture
def evaluated(tmp_path):
    """Two runs without models, with predictions on faces.npz."""
    fake_runs.write_three_runs(tmp_path)
    return tmp_path / "a", tmp_path / "short"


@pytest.fixture
def blocked(tmp_path):
    """A path below a file."""
    (tmp_path / "file").write_text("in the way")
    return tmp_path / "file" / "results"


def make_read_only(folder):
    """Remount a file system, so that root cannot write either."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


@pytest.mark.parametrize("command", STUDIES)
def test_results_of_a_model(command, trained, npz_file, blocked, refused):
    assert str(blocked.parent) in refused(command, trained.run, "--out", blocked)


def test_training(npz_file, small_edram, blocked, refused, mounted):
    settings = [word for setting in small_edram for word in ("--set", setting)]
    assert str(blocked.parent) in refused("train", "forch2019", *settings, "--out", blocked)
    assert str(blocked.parent) in refused("sweep", "forch2019", *settings, "--out", blocked)
    folder = mounted("ro")
    assert f"{folder}: Read-only file system" in refused("train", "forch2019", *settings, "--out", folder / "a" / "b")


def test_prepare(blocked, refused, tmp_path, mounted):
    (tmp_path / "photos" / "happy").mkdir(parents=True)
    Image.new("RGB", (20, 20)).save(tmp_path / "photos" / "happy" / "a.png")
    words = ("prepare", "folder", "--source", tmp_path / "photos", "--detectors", "none", "--out")
    assert str(blocked.parent) in refused(*words, blocked)
    folder = mounted("size=4k")
    (folder / "other").write_bytes(bytes(4096))
    assert f"to {folder}, " in (message := refused(*words, folder)) and "No space left on device" in message


def test_files(evaluated, trained, npz_file, blocked, refused):
    assert str(blocked.parent) in refused("export", trained.run, "--out", f"{blocked}.onnx")
    assert str(blocked.parent) in refused("export", trained.run, "--out", blocked, "--format", "saved_model")
    assert str(blocked.parent) in refused("crops", evaluated[0], "--image", "1", "--out", f"{blocked}.png")
    assert str(blocked.parent) in refused("export-data", npz_file, f"{blocked}.npz")
    assert str(blocked.parent) in refused("compare", *evaluated, "--out", blocked)
    assert str(blocked.parent) in refused("predict", trained.run, npz_file, "--out", blocked)


def test_a_folder_is_no_file(evaluated, npz_file, refused, tmp_path):
    for name in ("folder.npz", "folder.png", "folder.onnx"):
        (tmp_path / name).mkdir()
    assert "folder.npz: Is a directory" in refused("export-data", npz_file, tmp_path / "folder.npz")
    assert "folder.png: Is a directory" in refused(
        "crops", evaluated[0], "--image", "1", "--out", tmp_path / "folder.png"
    )


def test_the_folder_of_an_evaluated_run(mounted, refused, tmp_path):
    folder = mounted("size=64m")
    fake_runs.write_three_runs(folder)
    (folder / "a" / "figures").mkdir()
    (tmp_path / "fixations.csv").write_text("subject,image,start_x,start_y,duration\n1,0,3,3,200\n")
    make_read_only(folder)
    for words in (
        ("figures", folder / "a"),
        ("report", folder / "a"),
        ("agreement", folder / "a", "--fixations", tmp_path / "fixations.csv"),
    ):
        message = refused(*words)
        assert str(folder / "a") in message and "Read-only file system" in message


def test_the_folder_of_a_trained_run(mounted, trained, refused):
    folder = mounted("size=64m") / "run"
    shutil.copytree(trained.run, folder)
    environment = files.read_json(folder / layout.ENVIRONMENT)
    files.write_json(folder / layout.ENVIRONMENT, environment | {"finished": None})  # can be resumed
    make_read_only(folder.parent)
    for words in (*((name, folder) for name in STUDIES), ("calibrate", folder), ("train", "--resume", folder)):
        message = refused(*words)
        assert str(folder) in message and "Read-only file system" in message


def test_no_figure_is_lost_if_new_ones_cannot_be_written(mounted, refused):
    """A full disk: deleting would work, writing would not."""
    folder = mounted("size=1m")
    fake_runs.write_run(folder / "a", *fake_runs.random_run())
    (folder / "a" / "figures").mkdir()
    (folder / "a" / "figures" / "confusion.svg").write_text("old")
    with pytest.raises(OSError, match="No space"):
        (folder / "other").write_bytes(np.random.default_rng(0).bytes(2**21))
    assert "No space left on device" in refused("figures", folder / "a")
    assert (folder / "a" / "figures" / "confusion.svg").read_text() == "old"
