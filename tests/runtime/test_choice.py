"""Where a model runs if nobody says it."""

import shutil

import pytest

import edram_fer
from edram_fer import weights
from edram_fer.errors import MissingFileError, UserError
from edram_fer.exporting import once

pytest.importorskip("onnxruntime")


def test_included_and_exported_models_run_in_onnx_runtime_and_others_in_keras(tmp_path, monkeypatch):
    monkeypatch.setenv("EDRAM_FER_CACHE", str(tmp_path / "cache"))
    copy = tmp_path / "mine.keras"
    shutil.copy(weights.model_path("fer2013-edram"), copy)
    model = edram_fer.build("deep_emotion", image_size=(48, 48), emotions=["happy", "sad"])
    exported = tmp_path / "some.tflite"
    exported.touch()
    cases = {"fer2013-edram": "onnx", str(copy): "keras", model: "keras", exported: "onnx"}
    assert {source: once.runtime(source, "auto") for source in cases} == cases
    assert once.runtime("fer2013-edram", "keras") == "keras" and once.runtime(copy, "onnx") == "onnx"
    with pytest.raises(UserError, match="runtime: expected one of auto, keras, onnx, got 'Keras'"):
        once.runtime(copy, "Keras")
    with pytest.raises(MissingFileError, match="nowhere"):
        once.runtime("nowhere", "auto")


def test_a_path_of_that_name_comes_before_an_included_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fer2013-edram").mkdir()
    shutil.copy(weights.model_path("fer2013-edram"), "fer2013-edram/model.keras")
    assert once.runtime("fer2013-edram", "auto") == "keras"
