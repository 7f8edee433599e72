"""Where a model runs if nobody says it, and graphs that models of one architecture share."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
from support import tiny

import edram_fer
from edram_fer import keras_file, startup, weights
from edram_fer.errors import MissingFileError, UserError
from edram_fer.exporting import export, graph, once
from edram_fer.run import checkpoints

pytest.importorskip("onnxruntime")
CLASSES = {"image_size": (48, 48), "emotions": ["happy", "sad"]}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDRAM_FER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_needs_no_export_runs_in_onnx_runtime_and_the_rest_in_keras(tmp_path, cache):
    copy, other = tmp_path / "mine.keras", tmp_path / "other.keras"
    shutil.copy(weights.model_path("fer2013-edram"), copy)
    model = edram_fer.build("deep_emotion", **CLASSES)
    checkpoints.save(model, other)
    exported = tmp_path / "some.tflite"
    exported.touch()
    cases = {"fer2013-edram": "onnx", str(copy): "onnx", str(other): "keras", model: "keras", exported: "onnx"}
    assert {source: once.runtime(source, "auto") for source in cases} == cases
    assert once.runtime("fer2013-edram", "keras") == "keras" and once.runtime(other, "onnx") == "onnx"
    with pytest.raises(UserError, match="runtime: expected one of auto, keras, onnx, got 'Keras'"):
        once.runtime(copy, "Keras")
    with pytest.raises(MissingFileError, match="nowhere"):
        once.runtime("nowhere", "auto")


def test_a_path_of_that_name_comes_before_an_included_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fer2013-edram").mkdir()
    keras_file.strip(weights.model_path("fer2013-edram"), tmp_path / "fer2013-edram/model.keras")
    keras_file.set_option(tmp_path / "fer2013-edram/model.keras", "emotions", list("abcdefg"))
    assert once.load("fer2013-edram").emotions == tuple("abcdefg")
    keras_file.set_option(tmp_path / "fer2013-edram/model.keras", "zoom_limit", 0.5)
    assert once.runtime("fer2013-edram", "auto") == "keras"


@pytest.mark.slow
def test_models_of_one_architecture_are_exported_once(tmp_path, cache, monkeypatch):
    pytest.importorskip("tf2onnx")
    exported = []

    def in_this_process(command, **options):  # which has imported TensorFlow
        exported.append(command)
        monkeypatch.setattr(sys, "argv", command[2:])
        exec(command[2])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", in_this_process)
    images = np.random.default_rng(0).random((3, 48, 48, 1), np.float32)
    for seed, temperature in ((1, 2.0), (2, 3.0)):
        model = edram_fer.build("deep_emotion", **CLASSES, seed=seed)
        if seed == 2:  # as after a training: the first one still has equal weights
            tiny.draw_weights(model)
        model.calibration = {"temperature": temperature}
        checkpoints.save(model, tmp_path / f"{seed}.keras")
        loaded = once.load(tmp_path / f"{seed}.keras")
        assert loaded.temperature == (temperature,) and loaded.emotions == ("happy", "sad")
        np.testing.assert_allclose(loaded(images)["emotion"], model(images)["emotion"], atol=1e-5)
    assert len(exported) == 1 and once.runtime(tmp_path / "2.keras", "auto") == "onnx"


def test_equal_weights_have_different_paths(tmp_path):
    model = edram_fer.build("deep_emotion", **CLASSES)  # its biases and betas are 0, its gammas 1
    before = model.get_weights()
    paths = export.weight_paths(model)
    np.testing.assert_equal(model.get_weights(), before)
    assert len(set(paths.values())) == len(paths) >= len(model.trainable_variables)
    checkpoints.save(tiny.draw_weights(model), tmp_path / "drawn.keras")
    stored = keras_file.read_weights(tmp_path / "drawn.keras", list(paths.values()))
    variables = graph.variables(model)
    for name, path in paths.items():
        np.testing.assert_array_equal(stored[path], np.float32(variables[name]))


def test_a_failed_export_names_the_model_and_the_reason(tmp_path, cache, monkeypatch):
    checkpoints.save(edram_fer.build("deep_emotion", **CLASSES), tmp_path / "a.keras")
    ended = subprocess.CompletedProcess([], 1, stderr="Traceback\nValueError: no such operation\n")
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: ended)
    with pytest.raises(UserError, match=r"a\.keras cannot be exported to ONNX: ValueError: no such operation"):
        once.load(tmp_path / "a.keras")


@pytest.mark.parametrize(("backend", "hidden"), [("tensorflow", True), ("jax", False)])
def test_keras_alone_leaves_out_packages_that_no_command_uses(monkeypatch, backend, hidden):
    seen = {}
    monkeypatch.setenv("KERAS_BACKEND", backend)
    for name in ("keras", *startup.UNUSED):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(startup, "load_keras", lambda: seen.update(sys.modules))
    startup.load_keras_alone()
    assert seen["pandas"] is None and ("jax" in seen) == hidden
    assert not set(startup.UNUSED) & set(sys.modules)  # they can be imported later
