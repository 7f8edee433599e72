"""Exported files: outputs, metadata, batch sizes, options, and what is refused."""

import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from support import paths, tiny

import edram_fer
from edram_fer.errors import MissingFileError, UserError
from edram_fer.exporting import graph
from edram_fer.exporting.export import default_path, export

pytest.importorskip("tensorflow", reason="export needs TensorFlow")
pytest.importorskip("ai_edge_litert", reason="the tests run LiteRT files")
pytest.importorskip("tf2onnx", reason="the tests write ONNX files")

CALIBRATION, PREPROCESSING = {"temperature": 1.7}, {"clahe": 2, "margin": 0.1}


def build(name, **options):
    settings = {"emotions": list("abcd"), "preprocessing": PREPROCESSING, **options}
    model = tiny.draw_weights(edram_fer.build(name, **tiny.TINIES[name] | settings))
    model.calibration = CALIBRATION
    return model


@pytest.fixture(scope="module")
def model():
    return build("deep_emotion", affect=True)


@pytest.fixture(scope="module")
def onnx_file(model, tmp_path_factory):
    return export(model, tmp_path_factory.mktemp("onnx") / "model.onnx").path


@pytest.fixture(scope="module")
def int8_file(model, tmp_path_factory):
    return export(model, tmp_path_factory.mktemp("int8") / "small.onnx", int8=True).path


def assert_equal(exported, model, batch, **further):
    expected = model({**batch, **further}, training=False)
    outputs = exported({**batch, **further})
    assert set(outputs) == set(expected)
    for name, values in expected.items():
        assert outputs[name].dtype == np.float32
        np.testing.assert_allclose(outputs[name], np.asarray(values), atol=1e-4, rtol=0, err_msg=name)


def test_onnx_has_the_outputs_of_the_model_for_any_batch_size(model, onnx_file):
    exported = edram_fer.load_exported(onnx_file)
    for count in (1, 3, 8):
        assert_equal(exported, model, tiny.inputs(model, count, seed=count))


def test_uint8_and_floats_give_the_same_outputs(model, onnx_file):
    exported = edram_fer.load_exported(onnx_file)
    pixels = (255 * tiny.inputs(model, 2)["image"]).round().astype("uint8")
    for images in (pixels, pixels / 255, pixels[..., 0]):
        np.testing.assert_allclose(exported(images)["emotion"], model(pixels)["emotion"], atol=1e-4)


def test_metadata(model, onnx_file):
    session = pytest.importorskip("onnxruntime").InferenceSession(str(onnx_file))
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["emotions"]) == list("abcd")
    assert json.loads(metadata["preprocessing"]) == PREPROCESSING
    assert json.loads(metadata["calibration"]) == CALIBRATION
    assert metadata["edram_fer_version"] == edram_fer.__version__
    exported = edram_fer.load_exported(onnx_file)
    for name in ("emotions", "preprocessing", "calibration", "temperature", "image_shape", "predicts_affect"):
        assert getattr(exported, name) == getattr(model, name), name
    assert exported.input_shapes() == model.input_shapes()


@pytest.mark.slow
def test_litert_in_float32_of_a_bfloat16_model_with_its_windows_as_input(tmp_path):
    model = build("edram", glimpses=1, dtype="mixed_bfloat16")
    exported = edram_fer.load_exported(export(model, tmp_path / "m.tflite", windows_input=True).path)
    batch = tiny.inputs(model, 3)
    windows = np.random.default_rng(0).uniform(-0.5, 0.5, (3, 1, 2, 3)).astype("float32")
    single = model.in_float32()
    assert_equal(exported, single, batch, windows=windows)
    with pytest.raises(UserError, match="takes image, windows_input, got image"):
        exported(batch)


@pytest.mark.slow
def test_litert_of_a_model_with_landmarks_of_which_some_are_unknown(tmp_path):
    model = build("ran", crops="landmarks")
    exported = edram_fer.load_exported(export(model, tmp_path / "m.tflite").path)
    for count in (2, 1):
        assert_equal(exported, model, tiny.inputs(model, count))
    assert exported.emotions == tuple("abcd") and exported.calibration == CALIBRATION
    assert zipfile.ZipFile(exported.path).infolist()[0].date_time[0] == 1980  # not a time that differs each time


@pytest.mark.slow
def test_onnx_keeps_no_nan_of_an_unselected_branch(tmp_path):
    """tf2onnx writes `where` as a sum of products, in which nan times 0 is nan."""
    model = build("ran", crops="landmarks", attention="mean", backbone_filters=(1, 1, 1, 1))
    exported = edram_fer.load_exported(export(model, tmp_path / "m.onnx", uint8_input=True).path)
    batch = tiny.inputs(model, 2)
    assert np.isnan(batch["landmarks"]).any() and np.isfinite(exported(batch)["emotion"]).all()


@pytest.mark.slow
def test_saved_model(model, tmp_path):
    import tensorflow as tf

    path = export(model, tmp_path / "folder" / "saved").path
    export(model, path)  # replaces it
    batch = tiny.inputs(model, 3)
    outputs = tf.saved_model.load(str(path)).signatures["serving_default"](image=tf.constant(batch["image"]))
    np.testing.assert_allclose(outputs["emotion"], model(batch)["emotion"], atol=1e-4)
    assert json.loads((path / "assets" / "edram_fer.json").read_text())["emotions"] == list("abcd")
    assert [entry.name for entry in path.parent.iterdir()] == ["saved"]
    for name in ("notes.txt", "assets/labels.txt", "variables/old.npz"):
        (path / name).write_text("the user's own")
        with pytest.raises(UserError, match="saved exists and is not a SavedModel of this command"):
            export(model, path)
        (path / name).unlink()
    (path / "assets" / "edram_fer.json").unlink()  # a SavedModel of another program
    with pytest.raises(UserError, match="saved exists and is not a SavedModel of this command"):
        export(model, path)


def test_int8_is_smaller_and_near(model, onnx_file, int8_file):
    assert int8_file.stat().st_size < 0.9 * onnx_file.stat().st_size
    small = edram_fer.load_exported(int8_file)
    assert small.description.weights == "int8"
    batch = tiny.inputs(model, 4)
    np.testing.assert_allclose(small(batch)["emotion"], model(batch)["emotion"], atol=0.3)


@pytest.mark.slow
def test_a_file_depends_on_the_model_alone(model, onnx_file, int8_file, tmp_path):
    """Not on the process, whose sets have another order and whose layers other numbers."""
    model.save(tmp_path / "model.keras")
    code = "import edram_fer; [edram_fer.export('model.keras', f'{int8}.onnx', int8=int8) for int8 in (False, True)]"
    environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": str(paths.ROOT)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "False.onnx").read_bytes() == onnx_file.read_bytes()
    assert (tmp_path / "True.onnx").read_bytes() == int8_file.read_bytes()


def test_a_file_that_differs_is_not_left(model, tmp_path, monkeypatch):
    path = tmp_path / "model.tflite"
    path.write_text("older")
    other = build("deep_emotion", affect=True)
    other.weights[0].assign(other.weights[0] * 1.1)
    frozen = graph.frozen
    monkeypatch.setattr(graph, "frozen", lambda model, inputs: frozen(other, inputs))
    with pytest.raises(UserError, match=r"model\.tflite was not written: its output `\w+` differs by"):
        export(model, path)
    assert path.read_text() == "older" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("model.pt", {}, "model.pt: expected a file that ends in .onnx or .tflite"),
        ("model.onnx", {"format": "litert"}, "model.onnx: expected a name that ends in .tflite for the format litert"),
        ("model.onnx", {"format": "tfjs"}, "format: expected one of onnx, litert, saved_model, got 'tfjs'"),
        ("model", {"int8": True}, "int8: expected the format onnx or litert, got saved_model"),
        ("folder.onnx", {}, "folder.onnx is a folder; expected a file to write"),
        ("full", {}, "full exists and is not a SavedModel of this command; expected the name of a new folder"),
    ],
)
def test_targets_that_are_refused(model, tmp_path, name, options, message):
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("important")
    with pytest.raises(UserError) as caught:
        export(model, tmp_path / name, **options)
    assert message in str(caught.value)
    assert sorted(entry.name for entry in tmp_path.rglob("*")) == ["folder.onnx", "full", "thesis.txt"]


def test_models_that_are_refused(tmp_path):
    with pytest.raises(UserError, match="windows_input: this CNN always looks at the whole image"):
        export(build("cnn"), tmp_path / "m.onnx", windows_input=True)
    with pytest.raises(MissingFileError, match="nowhere"):
        export(tmp_path / "nowhere", tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_default_paths(tmp_path):
    assert default_path(tmp_path, "onnx") == tmp_path / "model.onnx"
    assert str(default_path("fer2013-edram", "litert", int8=True)) == "fer2013-edram-int8.tflite"
    assert str(default_path("folder/a.keras", "saved_model")) == "a-saved_model"
