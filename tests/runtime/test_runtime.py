"""Exported models without Keras, and files that are not exported models."""

import dataclasses
import json
import os
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from support.paths import ROOT

import edram_fer
from edram_fer.errors import MissingFileError, UserError
from edram_fer.runtime import Description, load_exported, sessions

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("ai_edge_litert")

DESCRIPTION = Description(
    model="Mean",
    emotions=("dark", "bright"),
    preprocessing=None,
    calibration={"temperature": [2.0]},
    predicts_affect=False,
    inputs={"image": {"shape": [None, 8, 8, 1], "dtype": "float32", "meaning": ""}},
    outputs={"emotion": {"shape": [None, 1, 2], "dtype": "float32", "meaning": ""}},
    weights="float32",
    edram_fer_version="0",
)


@pytest.fixture
def path(tmp_path):
    """A model whose logits are the negative mean of the image and its mean, and that looks at the whole image."""
    path = tmp_path / "mean.onnx"
    write(path, DESCRIPTION.to_texts())
    return path


def write(path, metadata):
    h = onnx.helper
    image = h.make_tensor_value_info("image", onnx.TensorProto.FLOAT, ["batch", 8, 8, 1])
    emotion = h.make_tensor_value_info("emotion", onnx.TensorProto.FLOAT, ["batch", 1, 2])
    windows = h.make_tensor_value_info("windows", onnx.TensorProto.FLOAT, ["batch", 1, 2, 3])
    nodes = [
        h.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2], keepdims=0),
        h.make_node("Unsqueeze", ["mean", "one"], ["row"]),
        h.make_node("Mul", ["row", "signs"], ["emotion"]),
        h.make_node("Mul", ["row", "zero"], ["zeros"]),
        h.make_node("Unsqueeze", ["zeros", "one"], ["flat"]),
        h.make_node("Add", ["flat", "identity"], ["windows"]),
    ]
    values = {"one": np.array([1]), "signs": np.array([-1, 1], "float32"), "zero": np.zeros(1, "float32")}
    values["identity"] = np.array([[[[1, 0, 0], [0, 1, 0]]]], "float32")
    constants = [onnx.numpy_helper.from_array(value, name) for name, value in values.items()]
    graph = h.make_graph(nodes, "mean", [image], [emotion, windows], constants)
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 13)], ir_version=8)
    h.set_model_props(model, metadata)
    onnx.save(model, path)


def test_description_survives():
    assert Description.from_texts(DESCRIPTION.to_texts() | {"more": "x"}, "path") == DESCRIPTION
    assert Description.from_json(DESCRIPTION.to_json(), "path") == DESCRIPTION


def test_outputs_and_attributes(path):
    model = load_exported(path)
    assert model.image_shape == (8, 8, 1) and model.temperature == (2.0,) and not model.predicts_affect
    images = np.stack([np.full((8, 8), 255, "uint8"), np.zeros((8, 8), "uint8")])
    np.testing.assert_allclose(model(images)["emotion"][:, 0], [[-1, 1], [0, 0]])


@pytest.mark.parametrize(
    "images, message",
    [
        (np.zeros((1, 3, 8, 1), "uint8"), r"images: expected \[B > 0, 8, 8, 1\], got \[1, 3, 8, 1\]"),
        (np.zeros((0, 8, 8, 1), "uint8"), r"got \[0, 8, 8, 1\]"),
        (np.zeros((2, 2), "uint8"), r"got \[2, 2\]"),
        (np.full((1, 8, 8, 1), 255.0), r"expected floats in \[0, 1\], or uint8 in 0 to 255; got float64 with values"),
        (np.full((1, 8, 8, 1), np.nan, "float32"), "from nan to nan"),
        (np.zeros((1, 8, 8, 1), "int64"), "got int64"),
        ({"image": np.zeros((1, 8, 8, 1)), "mask": 0}, "takes image, got image, mask"),
        ({}, "takes image, got "),
    ],
)
def test_inputs_that_are_refused(path, images, message):
    with pytest.raises(UserError, match=message):
        load_exported(path)(images)


def test_files_that_are_refused(path, tmp_path):
    with pytest.raises(MissingFileError, match="none.onnx is missing"):
        load_exported(tmp_path / "none.onnx")
    with pytest.raises(UserError, match="ends in .onnx or .tflite"):
        load_exported(tmp_path / "model.keras")
    content = path.read_bytes()
    for cut in (0, 10, len(content) // 2):
        path.write_bytes(content[:cut])
        with pytest.raises(UserError, match="mean.onnx is damaged, or ONNX Runtime cannot load it|was not exported"):
            load_exported(path)
    for text in (b"ReduceMean", b"dark"):  # an operation, and in the metadata a class: none of them is UTF-8
        path.write_bytes(content.replace(text, b"\xff" + text[1:]))
        with pytest.raises(UserError, match="mean.onnx is damaged, or ONNX Runtime cannot load it"):
            load_exported(path)
    shape = {"image": {"shape": [None, 9, 9, 1], "dtype": "float32"}}  # the graph takes images of 8x8 pixels
    write(path, dataclasses.replace(DESCRIPTION, inputs=shape).to_texts())
    with pytest.raises(UserError, match="mean.onnx: ONNX Runtime cannot run it: .*invalid dimensions"):
        load_exported(path)(np.zeros((1, 9, 9, 1), "uint8"))
    write(path, {})
    with pytest.raises(
        UserError, match="mean.onnx was not exported by edram-fer: its metadata lack model, emotions.*needs a card"
    ):
        load_exported(path)
    lite = tmp_path / "model.tflite"
    lite.write_bytes(b"TFL3")
    with pytest.raises(UserError, match="was not exported by edram-fer, or is damaged"):
        load_exported(lite)
    with zipfile.ZipFile(lite, "a") as archive:
        archive.writestr("edram_fer.json", DESCRIPTION.to_json())
    with pytest.raises(UserError, match="model.tflite is damaged"):
        load_exported(lite)


@pytest.mark.parametrize(
    "content, message",
    [
        ("[]", r"expected an object as its description, got \[\]"),
        ("[" * 100_000, "is not JSON: maximum recursion depth"),
        ("9" * 5000, "is not JSON: Exceeds the limit"),
        ("[" * 200 + "]" * 200, "is not JSON: nested more than 100 levels deep"),
        ({"inputs": {}}, r"its metadata hold \{\} as inputs"),
        ({"inputs": {"image": {"shape": [None, 8, "8", 1], "dtype": "float32"}}}, "as inputs"),
        ({"calibration": {"temperature": []}}, "as calibration"),
        ({"calibration": {"temperature": [0]}}, "as calibration"),
        ({"predicts_affect": "no"}, "its metadata hold 'no' as predicts_affect"),
        ({"emotions": 7}, "emotions: expected a list of different class names, got 7"),
    ],
)
def test_damaged_descriptions(content, message):
    if isinstance(content, dict):
        content = json.dumps({**json.loads(DESCRIPTION.to_json()), **content})
    with pytest.raises(UserError, match=f"^model.tflite.*{message}"):
        Description.from_json(content, "model.tflite")


def test_the_size_of_a_description_is_limited(path, tmp_path):
    write(path, DESCRIPTION.to_texts() | {"model": "x" * 1_100_000})
    with pytest.raises(UserError, match="mean.onnx: expected a description of at most 1,000,000 bytes, got 1,100,"):
        load_exported(path)
    lite = tmp_path / "model.tflite"
    with zipfile.ZipFile(lite, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("edram_fer.json", bytes(2_000_000))
    with pytest.raises(
        UserError, match="model.tflite: expected a description of at most 1,000,000 bytes, got 2,000,000"
    ):
        load_exported(lite)
    content = bytearray(lite.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):  # declares 100 bytes and holds two million
        struct.pack_into("<I", content, content.index(mark) + offset, 100)
    lite.write_bytes(content)
    with pytest.raises(UserError, match="model.tflite is damaged or not a .tflite file"):
        load_exported(lite)


@pytest.mark.parametrize("open_file", [sessions.open_onnx, sessions.open_litert])
def test_a_file_larger_than_its_format_allows_is_not_read(open_file, tmp_path, monkeypatch):
    monkeypatch.setattr(sessions, "LARGEST", 1000)
    (tmp_path / "model").write_bytes(bytes(1001))
    with pytest.raises(UserError, match="model: expected a model of at most 1,000 bytes, got 1,001"):
        open_file(tmp_path / "model")


def test_a_table_of_predictions(path):
    images = np.stack([np.full((8, 8), 255, "uint8"), np.zeros((8, 8), "uint8")])
    for model in (path, load_exported(path)):
        table = edram_fer.predict(model, images)
        assert table.emotion[0] == "bright" and table.status.tolist() == ["ok", "ok"]
        # The logits -1 and 1, divided by the temperature 2.
        np.testing.assert_allclose(table.bright, [1 / (1 + np.exp(-1)), 0.5], rtol=1e-6)
    with pytest.raises(UserError, match="runtime: expected one of auto, keras, onnx, got 'tensorrt'"):
        edram_fer.predict(path, images, runtime="tensorrt")


def test_what_predictions_do_not_need_is_not_imported(path, tmp_path):
    code = f"""
import sys
import cv2
import numpy as np
import edram_fer
model = edram_fer.load_exported({str(path)!r})
assert model(np.zeros((1, 8, 8, 1), "uint8"))["emotion"].shape == (1, 1, 2)
assert next(edram_fer.Predictor(model).stream(np.zeros((8, 8), "uint8")))["status"] == "ok"
from edram_fer import cli
cv2.imwrite("bright.png", np.full((8, 8), 255, "uint8"))
try:
    cli.main(["predict", {str(path)!r}, "bright.png", "--no-draw"])
except SystemExit as end:
    assert not end.code, end.code
try:
    cli.main(["predict", "fer2013-edram", "bright.png", "--out", "included", "--detectors", "none"])
except SystemExit as end:
    assert not end.code, end.code
slow = ("keras", "tensorflow", "jax", "pyarrow", "matplotlib", "pandas", "scipy")
print([name for name in slow if name in sys.modules])
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert "bright.png, face 1: bright" in result.stdout, result.stderr
    assert result.stdout.splitlines()[-1] == "[]"
