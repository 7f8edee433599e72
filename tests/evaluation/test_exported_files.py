"""Exported files are evaluated, perturbed and compared like the model that they were exported from."""

import numpy as np
import pytest
from support import tiny

import edram_fer
from edram_fer import cli, files
from edram_fer.comparison import runs
from edram_fer.errors import UserError
from edram_fer.evaluation.calibrate import calibrate
from edram_fer.preprocessing.emotions import EIGHT
from edram_fer.run import checkpoints
from edram_fer.studies.observer import Observer
from edram_fer.studies.window_ablation import ablate_windows

pytest.importorskip("tensorflow", reason="export needs TensorFlow")
pytest.importorskip("tf2onnx", reason="the tests write ONNX files")
pytest.importorskip("ai_edge_litert", reason="the tests write LiteRT files")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model as .keras, .onnx and .tflite file."""
    folder = tmp_path_factory.mktemp("exported")
    options = {**tiny.TINIES["deep_emotion"], "image_size": (28, 28), "classes": len(EIGHT), "emotions": EIGHT}
    model = tiny.draw_weights(edram_fer.build("deep_emotion", **options))
    checkpoints.save(model, folder / "small.keras")
    return [
        folder / "small.keras",
        *(edram_fer.export(model, folder / f"small.{end}").path for end in ("onnx", "tflite")),
    ]


@pytest.mark.slow
def test_they_have_the_scores_of_their_model(exported, npz_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in exported:
        with pytest.raises(SystemExit) as ended:
            cli.main(["evaluate", str(path), "--data", str(npz_file), "--no-figures"])
        assert not ended.value.code
    names = ("small-noise", "small.onnx-noise", "small.tflite-noise")
    keras_run, *others = runs.read([tmp_path / "evaluations" / name for name in names]).runs
    expected = files.read_json(keras_run.evaluated.folder / "metrics.json")
    for run in others:
        metrics = files.read_json(run.evaluated.folder / "metrics.json")
        assert metrics["run"]["model"] == expected["run"]["model"] == "DeepEmotion"
        assert metrics["splits"]["test"]["confusion"] == expected["splits"]["test"]["confusion"]
        np.testing.assert_allclose(run.predictions["probabilities"], keras_run.predictions["probabilities"], atol=1e-4)
        answer = edram_fer.predict(run.evaluated.folder, np.zeros((1, 28, 28), "uint8"))  # the folder is a run
        assert answer.status.tolist() == ["ok"]


def test_studies_of_images_take_them_and_others_do_not(exported, npz_file, tmp_path):
    observer = Observer(exported[1], data=str(npz_file), out=tmp_path / "out")
    black = np.zeros_like(observer.images)
    answer = observer.answer(black, np.arange(len(black)))
    assert np.ptp(answer, axis=0).max() < 1e-6 and np.ptp(observer.original["probabilities"], axis=0).max() > 1e-3
    for study in (ablate_windows, calibrate, edram_fer.load, export_again):
        with pytest.raises(UserError, match=r"model\.onnx: expected the \.keras file that it was exported from"):
            study(tmp_path / "out")


def export_again(folder):
    return edram_fer.export(folder, folder / "again.onnx")
