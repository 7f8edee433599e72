"""Models from elsewhere: files made here, compared with NumPy and with the libraries that run them."""

import json

import cv2
import h5py
import keras
import numpy as np
import pytest

import edram_fer
from edram_fer import cli, foreign
from edram_fer.errors import UserError

CLASSES = ["angry", "happy", "sad", "contempt"]
WEIGHTS = np.random.default_rng(0).normal(0, 0.3, (6, 5, 3, 4)).astype("float32")  # height, width, channels, classes
CARD = {"classes": CLASSES, "image_size": [6, 5], "colour": "rgb", "scaling": [-1, 1], "output": "logits"}


@pytest.fixture
def write_card(tmp_path):
    def write(model, **changes):
        path = tmp_path / "card.yaml"
        path.write_text(json.dumps(CARD | {"model": model} | changes))  # JSON is YAML
        return path

    return write


@pytest.fixture(scope="module")
def linear():
    """A Keras model: one linear layer on the whole image."""
    inputs = keras.Input((6, 5, 3))
    model = keras.Model(inputs, keras.layers.Dense(4)(keras.layers.Flatten()(inputs)))
    model.layers[-1].kernel.assign(WEIGHTS.reshape(-1, 4))
    return model


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).integers(0, 256, (5, 6, 5, 3), np.uint8)


def logits(images):
    return np.einsum("nhwc,hwck->nk", images / 127.5 - 1, WEIGHTS)


def softmax(values):
    return np.exp(values) / np.exp(values).sum(axis=-1, keepdims=True)


def save_onnx(path, weights, *, layout="NHWC", batch="B", dtype=None, outputs=1):
    """An ONNX file that computes `logits`, with an output "copy" besides if `outputs` is 2."""
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, dtype or onnx.TensorProto.FLOAT
    weights = weights if layout == "NHWC" else weights.transpose(2, 0, 1, 3)
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Flatten", ["float"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["answer"]),
    ]
    if outputs == 2:
        nodes.append(helper.make_node("Neg", ["answer"], ["copy"]))
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("image", kind, [batch, *weights.shape[:-1]])],
        [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [batch, 4]) for n in ["answer", "copy"][:outputs]],
        [onnx.numpy_helper.from_array(weights.reshape(-1, 4).astype("float32"), "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("sequential", [False, True])
def test_a_keras_file_computes_the_same(suffix, sequential, linear, images, write_card, tmp_path):
    (keras.Sequential(linear.layers) if sequential else linear).save(tmp_path / f"m{suffix}")
    model = edram_fer.load(write_card(f"m{suffix}"))
    outputs = model({"image": images})
    np.testing.assert_allclose(outputs["emotion"][:, 0], logits(images), atol=1e-5)
    assert model.emotions == ("anger", "happy", "sad", "contempt")
    assert model.parameters == WEIGHTS.size + 4
    assert {name: value.shape[1:] for name, value in outputs.items()} == {
        name: shape[1:] for name, shape in model.output_shapes.items()
    }
    np.testing.assert_array_equal(outputs["windows"][0, 0], np.eye(2, 3))


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("batch", ["B", 1, 2])
def test_an_onnx_file_computes_the_same_in_any_batch(layout, batch, images, write_card, tmp_path):
    pytest.importorskip("onnxruntime")
    save_onnx(tmp_path / "m.onnx", WEIGHTS, layout=layout, batch=batch)
    model = edram_fer.load(write_card("m.onnx", layout=layout))
    np.testing.assert_allclose(model.predict(images, batch_size=3)["emotion"][:, 0], logits(images), atol=1e-5)


def test_an_onnx_file_for_bytes_gets_bytes(images, write_card, tmp_path):
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    save_onnx(tmp_path / "m.onnx", WEIGHTS / 127.5, dtype=onnx.TensorProto.UINT8)
    model = edram_fer.load(write_card("m.onnx", scaling=[0, 255]))
    expected = np.einsum("nhwc,hwck->nk", images / 127.5, WEIGHTS)
    np.testing.assert_allclose(model.predict(images)["emotion"][:, 0], expected, atol=1e-4)


def test_one_of_several_outputs_is_chosen_by_name(images, write_card, tmp_path):
    pytest.importorskip("onnxruntime")
    save_onnx(tmp_path / "m.onnx", WEIGHTS, outputs=2)
    with pytest.raises(UserError, match="`output_name` to be one of answer, copy, got several outputs"):
        edram_fer.load(write_card("m.onnx"))
    with pytest.raises(UserError, match="to be one of answer, copy, got output_name 'x'"):
        edram_fer.load(write_card("m.onnx", output_name="x"))
    model = edram_fer.load(write_card("m.onnx", output_name="copy"))
    np.testing.assert_allclose(model.predict(images)["emotion"][:, 0], -logits(images), atol=1e-5)


@pytest.mark.filterwarnings("ignore:Statistics for quantized inputs:UserWarning")
@pytest.mark.parametrize("quantised", [False, True])
def test_a_litert_file_computes_the_same(quantised, linear, images, write_card, tmp_path):
    pytest.importorskip("ai_edge_litert")
    tf = pytest.importorskip("tensorflow")
    converter = tf.lite.TFLiteConverter.from_keras_model(linear)
    if quantised:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            [(images[i : i + 1] / 127.5 - 1).astype("float32")] for i in range(5)
        )
        converter.inference_input_type = converter.inference_output_type = tf.int8
    (tmp_path / "m.tflite").write_bytes(converter.convert())
    model = edram_fer.load(write_card("m.tflite"))
    tolerance = 0.1 if quantised else 1e-5
    np.testing.assert_allclose(model.predict(images)["emotion"][:, 0], logits(images), atol=tolerance)
    np.testing.assert_allclose(model.predict(images[:2])["emotion"][:, 0], logits(images[:2]), atol=tolerance)


@pytest.mark.slow
def test_a_litert_file_for_images_of_any_size_takes_those_of_the_card(write_card, tmp_path):
    pytest.importorskip("ai_edge_litert")
    tf = pytest.importorskip("tensorflow")
    inputs = keras.Input((None, None, 3))
    mean = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, padding="same")(inputs))
    model = keras.Model(inputs, mean)
    (tmp_path / "m.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    images = np.random.default_rng(0).random((3, 6, 5, 3), np.float32)
    expected = model.predict_on_batch(images * 2 - 1)
    foreign_model = edram_fer.load(write_card("m.tflite"))
    for batch_size in (1, 3):
        answers = foreign_model.predict(images, batch_size=batch_size)["emotion"][:, 0]
        np.testing.assert_allclose(answers, expected, atol=1e-5)


def test_probabilities_stay_what_they_are_and_ignored_classes_get_none(linear, images, write_card, tmp_path):
    inputs = keras.Input((6, 5, 3))
    keras.Model(inputs, keras.layers.Softmax()(linear(inputs))).save(tmp_path / "m.keras")
    expected = softmax(logits(images))
    model = edram_fer.load(write_card("m.keras", output="probabilities"))
    np.testing.assert_allclose(softmax(model.predict(images)["emotion"][:, 0]), expected, atol=1e-5)
    model = edram_fer.load(write_card("m.keras", output="probabilities", ignored_classes=["contempt", "sadness"]))
    assert model.emotions == ("anger", "happy")
    two = expected[:, :2] / expected[:, :2].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(softmax(model.predict(images)["emotion"][:, 0]), two, atol=1e-5)
    with pytest.raises(UserError, match="output: logits are numbers before the softmax; .*got sums of 1"):
        edram_fer.load(write_card("m.keras")).predict(images)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"output": "probabilities"}, "output: probabilities are rows that sum to 1; .*got numbers from -"),
        ({"classes": CLASSES[:3]}, "classes: expected 4 names, one for each number in the output of m.h5, got 3"),
        ({"image_size": [5, 6]}, r"expected images of \[6, 5, 3\], the input of m.h5, got \[5, 6, 3\]"),
        ({"colour": "grey"}, r"expected images of \[6, 5, 3\], .*got \[6, 5, 1\] \(NHWC, grey\)"),
        ({"layout": "NCHW"}, r"expected images of \[6, 5, 3\], .*got \[3, 6, 5\] \(NCHW, rgb\)"),
    ],
)
def test_a_card_that_does_not_fit_its_file_is_one_sentence(changes, message, linear, images, write_card, tmp_path):
    linear.save(tmp_path / "m.h5")
    with pytest.raises(UserError, match=rf"card\.yaml: .*{message}"):
        edram_fer.load(write_card("m.h5", **changes)).predict(images)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("colour", ["grey", "rgb", "bgr"])
def test_images_are_resized_converted_and_scaled(count, colour, write_card, tmp_path):
    (tmp_path / "m.onnx").touch()
    mean, std = ([0.1], 2) if colour == "grey" else ([0.1, 0.2, 0.3], [1, 2, 3])
    card = foreign.read_card(write_card("m.onnx", colour=colour, mean=mean, std=std, layout="NCHW"))
    images = np.random.default_rng(2).integers(0, 256, (2, 3, 4, count), np.uint8)
    expected = []
    for image in images:
        pixels = image if count == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
        pixels = cv2.resize(pixels.astype("float32"), (5, 6)) / 127.5 - 1
        if colour == "grey":
            pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None]
        elif colour == "bgr":
            pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        expected.append(((pixels - mean) / std).transpose(2, 0, 1))
    np.testing.assert_allclose(foreign.prepare(images, card), expected, atol=1e-5)
    np.testing.assert_allclose(foreign.prepare(images / np.float32(255), card), expected, atol=1e-5)


def test_code_in_a_model_file_is_not_run(write_card, tmp_path):
    inputs = keras.Input((6, 5, 3))
    with_code = keras.Model(inputs, keras.layers.Lambda(lambda x: x + 1)(inputs))
    for name in ("m.keras", "m.h5"):
        with_code.save(tmp_path / name)
        with pytest.raises(UserError, match=rf"{name} holds a Lambda layer, which runs code that comes with the file"):
            edram_fer.load(write_card(name))


@pytest.mark.parametrize(
    "name, message",
    [
        ("m.onnx", "is damaged, or ONNX Runtime cannot load it"),
        ("m.tflite", "LiteRT cannot load it"),
        ("m.h5", "is damaged, or not a Keras file"),
        ("m.keras", "is damaged, or not a Keras file"),
        ("m.pt", "runs code when it is read: export the model to ONNX"),
        ("m.txt", "expected a file that ends in .keras, .h5, .hdf5, .onnx, .tflite"),
    ],
)
@pytest.mark.parametrize("content", [b"", b"garbage" * 100])
def test_a_damaged_file_is_one_sentence(name, message, content, write_card, tmp_path):
    if name.endswith((".onnx", ".tflite")):
        pytest.importorskip({".onnx": "onnxruntime", ".tflite": "ai_edge_litert"}[name[1:]])
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as raised:
        edram_fer.load(write_card(name))
    assert "\n" not in str(raised.value)


def test_hdf5_files_without_a_usable_model_are_one_sentence(linear, write_card, tmp_path):
    linear.save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(UserError, match="holds weights without their model"):
        edram_fer.load(write_card("m.weights.h5"))
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["model_config"] = '{"class_name": "Functional", "config": {"layers": [{"class_name": "Gone"}]}}'
    with pytest.raises(UserError, match=r"m\.h5: Keras .* cannot load it"):
        edram_fer.load(write_card("m.h5"))


def test_a_model_from_elsewhere_is_neither_trained_nor_saved(linear, images, write_card, tmp_path):
    linear.save(tmp_path / "m.h5")
    model = edram_fer.load(write_card("m.h5"))
    with pytest.raises(UserError, match="cannot be trained"):
        model.fit(images)
    with pytest.raises(UserError, match="is not saved"):
        model.save(tmp_path / "n.keras")
    with pytest.raises(UserError, match=r"expected \[B, H, W, C\] with C = 1 or 3, got \[5, 6, 5, 2\]"):
        model.predict_on_batch(images[..., :2])


def test_a_keras_model_without_known_inputs_is_one_sentence(write_card, tmp_path):
    @keras.saving.register_keras_serializable(package="tests")
    class Subclass(keras.Model):
        def call(self, inputs):
            return inputs[:, 0, 0]

    model = Subclass()
    model(np.zeros((1, 6, 5, 3), "float32"))
    model.save(tmp_path / "m.keras")
    with pytest.raises(UserError, match="expected a functional or sequential Keras model with one input, got a Sub"):
        edram_fer.load(write_card("m.keras"))


def test_an_output_without_a_row_for_each_image_is_one_sentence(images, write_card, tmp_path):
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0)],
        "mean",
        [helper.make_tensor_value_info("image", kind, ["B", 6, 5, 3])],
        [helper.make_tensor_value_info("mean", kind, [])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "m.onnx")
    with pytest.raises(UserError, match=r"one row for each of 5 images, got the shape \[\]"):
        edram_fer.load(write_card("m.onnx")).predict(images)


def test_the_command_predicts_again_with_another_model_file(write_card, tmp_path, capsys):
    weights = np.random.default_rng(0).normal(0, 1, (28, 28, 1, 4)).astype("float32")
    cv2.imwrite(str(tmp_path / "face.png"), np.random.default_rng(1).integers(0, 256, (28, 28), np.uint8))
    card = write_card("m.onnx", image_size=[28, 28], colour="grey")
    tables = []
    for sign, said in ((1, "face 1: "), (1, "already holds"), (-1, "Replacing the predictions")):
        save_onnx(tmp_path / "m.onnx", sign * weights)
        with pytest.raises(SystemExit, match="0"):
            cli.main(["predict", str(card), str(tmp_path / "face.png"), f"--out={tmp_path / 'out'}"])
        assert said in capsys.readouterr().out
        tables.append((tmp_path / "out" / "predictions.csv").read_text())
    assert tables[0] == tables[1] != tables[2]
