"""What a model takes as images, however it is called; its class names and preprocessing, in memory and on disk."""

import keras
import numpy as np
import pytest
from support.tiny import TINIES, draw_weights, make_images

import edram_fer
from edram_fer import models
from edram_fer.errors import UserError
from edram_fer.evaluation import inference
from edram_fer.models.contract import FERModel

HEIGHT, WIDTH = TINIES["edram"]["image_size"]
NAMES = ("happy", "sad", "anger", "fear")
PREPROCESSING = {"size": 32, "colour": False, "clahe": 1.5, "margin": 0.25, "chin": True, "detectors": ["yunet"]}


@pytest.fixture(scope="module")
def cnn():
    model = draw_weights(models.build("cnn", **TINIES["cnn"]))
    model.compile("sgd", loss={"emotion": lambda truth, logits: keras.ops.mean(logits - truth)})
    return model


@pytest.fixture(scope="module")
def images():
    return (make_images(3, HEIGHT, WIDTH, 1) * 255).astype("uint8")


def arrays(outputs):
    return {name: keras.ops.convert_to_numpy(value) for name, value in outputs.items()}


@pytest.mark.parametrize("name", TINIES)
def test_bytes_and_floats_are_the_same_images(name, images):
    model = draw_weights(models.build(name, **TINIES[name]))
    floats = images.astype("float32") / 255
    expected = arrays(model({"image": floats}))
    for same in (images, {"image": images}, floats, floats.astype("float64"), images[..., 0], keras.ops.array(images)):
        for output, value in arrays(model(same)).items():
            np.testing.assert_array_equal(value, expected[output], err_msg=output)


def test_every_way_of_calling_gives_the_same(cnn, images):
    expected = arrays(cnn(images))
    for outputs in (cnn.predict(images, verbose=0), cnn.predict_on_batch(images), cnn.predict_on_batch(images[..., 0])):
        for name, value in outputs.items():
            np.testing.assert_allclose(value, expected[name], atol=1e-6)


def test_a_model_is_a_layer_of_another(cnn, images):
    inputs = keras.Input((HEIGHT, WIDTH, 1))
    whole = keras.Model(inputs, cnn(inputs)["emotion"])
    np.testing.assert_allclose(whole(images / np.float32(255)), cnn(images)["emotion"], atol=1e-6)


WAYS = {
    "call": lambda model, x: model(x),
    "call with a dict": lambda model, x: model({"image": x}),
    "predict": lambda model, x: model.predict(x, verbose=0),
    "predict_on_batch": lambda model, x: model.predict_on_batch({"image": x}),
    "evaluate": lambda model, x: model.evaluate(x, {"emotion": np.zeros((3, 1, 4))}, verbose=0),
    "fit": lambda model, x: model.fit(x, {"emotion": np.zeros((3, 1, 4))}, verbose=0),
    "train_on_batch": lambda model, x: model.train_on_batch(x, {"emotion": np.zeros((3, 1, 4))}),
    "test_on_batch": lambda model, x: model.test_on_batch(x, {"emotion": np.zeros((3, 1, 4))}),
}
SHAPE = rf"expected \[B, {HEIGHT}, {WIDTH}, 1\] \(batch, height, width, channels\), got "
MISUSES = {
    "another size": (np.zeros((3, 64, 64, 1), "float32"), SHAPE + r"\[3, 64, 64, 1\]"),
    "colour": (np.zeros((3, HEIGHT, WIDTH, 3), "uint8"), SHAPE + rf"\[3, {HEIGHT}, {WIDTH}, 3\]"),
    "one image": (np.zeros((HEIGHT, WIDTH, 1), "uint8"), SHAPE + r".*; for a single image: image\[None\]"),
    "bytes as floats": (np.full((3, HEIGHT, WIDTH, 1), 255.0, "float32"), "got float32 with values from 255 to 255"),
    "below 0": (np.full((3, HEIGHT, WIDTH, 1), -0.5), r"expected floats in \[0, 1\], .* from -0.5 to -0.5"),
    "nan": (np.full((3, HEIGHT, WIDTH, 1), np.nan, "float32"), "got float32 with nan"),
    "integers": (np.zeros((3, HEIGHT, WIDTH, 1), "int32"), r"expected uint8 in 0 to 255 or floats in .*, got int32"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("misuse", MISUSES)
def test_a_misuse_is_one_clear_sentence(misuse, way, cnn):
    images, message = MISUSES[misuse]
    with pytest.raises(UserError, match=f"^images: .*{message}"):
        WAYS[way](cnn, images)


def test_values_in_a_tensor_are_checked_too(cnn):
    with pytest.raises(UserError, match="with values from 2 to 2"):
        cnn(keras.ops.full((1, HEIGHT, WIDTH, 1), 2.0))


def test_what_is_no_array_is_named(cnn, images):
    with pytest.raises(UserError, match="images: expected an array .*, got list"):
        cnn([images])
    with pytest.raises(UserError, match="inputs: expected images or a dict with `image`, got picture"):
        cnn({"picture": images})


@keras.saving.register_keras_serializable(package="tests")
class Mean(FERModel):
    """A user's model: it passes **kwargs on, and has the rest from FERModel."""

    def __init__(self, image_size=(8, 8), channels=1, classes=4, **kwargs):
        super().__init__(**kwargs)
        self.arguments = {"image_size": image_size, "channels": channels, "classes": classes}
        self.dense = keras.layers.Dense(classes)
        self.dense.build((None, 1))
        self.build_for_image()

    def call(self, inputs, training=False):
        return {"emotion": self.dense(keras.ops.mean(inputs["image"], axis=(1, 2)))[:, None]}


@pytest.mark.parametrize("name", ["deep_emotion", "mean"])
def test_class_names_and_preprocessing_are_in_the_file(name, tmp_path):
    settings = {"emotions": NAMES, "preprocessing": PREPROCESSING}
    model = Mean(**settings) if name == "mean" else models.build(name, image_size=(32, 33), **settings)
    model.save(tmp_path / "first.keras")
    first = keras.saving.load_model(tmp_path / "first.keras")
    first.save(tmp_path / "second.keras")
    for loaded in (
        model,
        first,
        edram_fer.load(tmp_path / "second.keras"),
        type(model).from_config(model.get_config()),
    ):
        assert loaded.emotions == NAMES and loaded.preprocessing == PREPROCESSING
    x = make_images(2, *model.input_shapes()["image"][1:])
    np.testing.assert_array_equal(edram_fer.load(tmp_path / "second.keras")(x)["emotion"], model(x)["emotion"])


def test_class_names_and_preprocessing_can_be_set_and_are_checked():
    model = Mean()
    assert model.emotions is None and model.preprocessing is None
    model.emotions, model.preprocessing = list(NAMES), PREPROCESSING
    assert model.emotions == NAMES
    model.preprocessing["size"] = 5  # of a copy
    assert model.preprocessing == PREPROCESSING
    for names in (("happy", "sad"), ("happy", "happy", "sad", "fear"), "fear", (1, 2, 3, 4)):
        with pytest.raises(UserError, match="emotions: expected "):
            model.emotions = names
        with pytest.raises(UserError, match="emotions: expected "):
            Mean(emotions=names)
    with pytest.raises(UserError, match="preprocessing: expected a dict that JSON can hold"):
        model.preprocessing = {"size": np.zeros(3)}


@pytest.mark.parametrize("temperature", [pytest.param(1.5, marks=pytest.mark.slow), [0.7, 1.5]])
def test_the_calibration_is_in_the_file_and_leaves_the_logits(temperature, tmp_path):
    model = draw_weights(models.build("edram", emotions=NAMES, **TINIES["edram"]))
    assert model.calibration is None and model.temperature == (1.0,)
    x = make_images(2, *model.image_shape)
    before = model(x)["emotion"]
    content = {"temperature": temperature, "images": 7}
    model.calibration = content
    model.calibration["images"] = 8  # of a copy
    model.save(tmp_path / "model.keras")
    loaded = edram_fer.load(tmp_path / "model.keras")
    assert loaded.calibration == content and loaded.temperature == tuple(np.atleast_1d(temperature).tolist())
    np.testing.assert_array_equal(loaded(x)["emotion"], before)
    scaled = np.asarray(before, float) / np.reshape(temperature, (-1, 1))
    expected = np.exp(scaled) / np.exp(scaled).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(inference.predict(loaded, x)["probabilities"], expected, rtol=1e-5)


def test_a_calibration_needs_positive_temperatures():
    model = Mean()
    for temperature in (0, -1.0, True, "1", None, [], [1.0, 2.0], {}):
        with pytest.raises(UserError, match="calibration: expected a positive temperature, or one for each of 1 steps"):
            model.calibration = {"temperature": temperature}
    for content in ({}, {"temperature": None}):
        with pytest.raises(UserError, match="calibration: expected a positive temperature"):
            Mean(calibration=content)
    for content in ({"temperature": float("nan")}, {"temperature": np.ones(1)}, 3):
        with pytest.raises(UserError, match="calibration: expected a dict that JSON can hold"):
            model.calibration = content
    assert model.calibration is None


def test_the_number_of_classes_follows_the_names():
    assert models.build("deep_emotion", image_size=(48, 48), emotions=NAMES).output_shapes["emotion"] == (None, 1, 4)
    assert models.build("deep_emotion", image_size=(48, 48)).output_shapes["emotion"] == (None, 1, 7)
    with pytest.raises(UserError, match="emotions: expected 5 different class names, got happy, sad, anger, fear"):
        models.build("deep_emotion", image_size=(48, 48), classes=5, emotions=NAMES)
