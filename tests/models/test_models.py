"""The contract that every model keeps: outputs, errors, size, independence of the batch, files."""

import json
import warnings

import keras
import numpy as np
import pytest
from support import oracles
from support.tiny import TINIES, TINY, draw_weights, inputs, make_images

from edram_fer import models

CLASSES, (HEIGHT, WIDTH) = TINY["classes"], TINY["image_size"]
TABLE = {
    "published": ("edram", {}),
    "one glimpse, colour, grey heads": ("edram", {"glimpses": 1, "channels": 3, "affect": False}),
    "larger glimpses": ("edram", {"glimpse_size": 17, "batch_norm": "shared"}),
    "whole first": ("edram", {"first_glimpse": "whole", "batch_norm": "shared_affine", "emission_rate": 0.5}),
    "clipped": ("edram", {"zoom_limit": 0.3, "zoom_mode": "clip", "zoom_measure": "extent", "dropout": 0.5}),
    "no rotation": ("edram", {"rotation": False, "sensor": "separable", "context_activation": "tanh"}),
    "mixed": ("edram", {"dtype": "mixed_bfloat16"}),
    "cnn": ("cnn", {}),
    "cnn, mixed, colour": ("cnn", {"channels": 3, "affect": False, "dtype": "mixed_bfloat16", "hidden_units": 9}),
    "deep emotion": ("deep_emotion", {}),
    "deep emotion, image": ("deep_emotion", {"variant": "image", "channels": 3, "affect": True, "l2_penalty": 0.01}),
    "deep emotion, plus": ("deep_emotion", {"variant": "plus", "dtype": "mixed_bfloat16", "affect": True}),
    "no transformer": ("deep_emotion", {"transformer": False, "localisation": "wide"}),
    "ran": ("ran", {}),
    "ran, random": ("ran", {"crops": "random", "crop_count": 2, "attention_norm": "softmax", "fold_crops": False}),
    "ran, landmarks": ("ran", {"crops": "landmarks", "channels": 3, "affect": True, "dtype": "mixed_bfloat16"}),
    "ran, mean": ("ran", {"crops": "fixed7", "attention": "mean", "backbone": "resnet18", "stem": "small"}),
    "ran, face": ("ran", {"crops": "face", "backbone": "vgg16", "crop_size": 32}),
}
WINDOWS = {"ran": 6, "ran, random": 3, "ran, landmarks": 6, "ran, mean": 8}


def build(name, **options):
    return models.build(name, **TINIES[name] | options)


@pytest.fixture(scope="module")
def random_model():
    """Function from a row of the table to its model with random weights, built once."""
    built = {}

    def get(row):
        if row not in built:
            name, options = TABLE[row]
            built[row] = draw_weights(build(name, **options))
        return built[row]

    return get


def run_model(model, features):
    return {name: oracles.array(value) for name, value in model(features).items()}


@pytest.mark.parametrize("row", TABLE)
def test_outputs(row, random_model):
    name, options = TABLE[row]
    steps = {**TINY, **options}["glimpses"] if name == "edram" else 1
    windows = WINDOWS.get(row, steps)
    model = random_model(row)
    assert model.built
    outputs = model(inputs(model, 3))
    shapes = {"emotion": (3, steps, CLASSES), "windows": (3, windows, 2, 3), "weights": (3, windows)}
    shapes |= {"affect": (3, steps, 2)}
    shapes |= {"emitted": (3, steps + 1, 2, 3)} if name == "edram" else {}
    shapes |= {"attention": (3, windows)} if row in ("ran", "ran, random", "ran, landmarks") else {}
    assert {key: tuple(value.shape) for key, value in outputs.items()} == shapes
    assert {keras.backend.standardize_dtype(value.dtype) for value in outputs.values()} == {"float32"}
    outputs = {key: oracles.array(value) for key, value in outputs.items()}
    assert all(np.isfinite(value).all() for value in outputs.values())
    np.testing.assert_allclose(outputs["weights"].sum(axis=1), 1, atol=1e-6)
    assert model.predicts_affect == options.get("affect", name in ("edram", "cnn"))
    assert np.abs(outputs["affect"]).max() <= 1 if model.predicts_affect else (outputs["affect"] == -2).all()
    assert outputs["weights"].min() >= 0
    if name in ("cnn", "ran") or row in ("whole first", "no transformer"):
        np.testing.assert_array_equal(outputs["windows"][:, 0], np.tile(np.eye(2, 3), (3, 1, 1)))


ALONE = ["published", "no rotation", "mixed", "cnn", "deep emotion", "deep emotion, image", "ran", "ran, random"]


@pytest.mark.parametrize("row", ALONE)
def test_outputs_do_not_depend_on_the_rest_of_the_batch(row, random_model):
    features = inputs(random_model(row), 4)
    together = run_model(random_model(row), features)
    alone = run_model(random_model(row), {name: value[2:3] for name, value in features.items()})
    for name in together:
        # The products of another batch size may be summed in another order.
        tolerance = 0.05 if row == "mixed" else 1e-5
        np.testing.assert_allclose(alone[name][0], together[name][2], rtol=tolerance, atol=tolerance)


SAVED = ["clipped", "mixed", "cnn, mixed, colour", "deep emotion, image", "deep emotion, plus", "ran, landmarks"]


@pytest.mark.parametrize("row", [*SAVED, "ran, random", "ran, mean"])
def test_saved_and_loaded(row, random_model, tmp_path):
    """Equal outputs and the same precision, and Keras has nothing to warn of (such as layers without weights)."""
    model = random_model(row)
    features = inputs(model, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert json.dumps(loaded.get_config()) == json.dumps(model.get_config())
    policies = [[layer.dtype_policy.name for layer in one._flatten_layers()] for one in (model, loaded)]
    assert policies[0] == policies[1]
    before, after = run_model(model, features), run_model(loaded, features)
    for name in before:
        np.testing.assert_array_equal(after[name], before[name])


def test_mixed_precision_leaves_the_coordinates_in_float32(random_model, monkeypatch):
    dtypes = []
    original = models.edram.cell.sample

    def sample(images, windows, *args):
        dtypes.append((keras.ops.dtype(images), keras.ops.dtype(windows)))
        return original(images, windows, *args)

    monkeypatch.setattr(models.edram.cell, "sample", sample)
    model = random_model("mixed")
    model({"image": make_images(1, HEIGHT, WIDTH, 1)})
    assert dtypes == [("float32", "float32")] * TINY["glimpses"]
    assert {model.cell.lstm1.compute_dtype, model.cell.glimpse.what.compute_dtype} == {"bfloat16"}
    assert {w.dtype for w in model.trainable_weights} == {"float32"}


def test_mixed_precision_is_close_to_float32(random_model):
    features = {"image": make_images(4, HEIGHT, WIDTH, 1)}
    plain, other = (run_model(random_model(row), features) for row in ("published", "mixed"))  # of equal weights
    for name in plain:
        np.testing.assert_allclose(plain[name], other[name], atol=0.1)
    np.testing.assert_allclose(plain["windows"][:, 0], other["windows"][:, 0], atol=0.02)


def test_first_window_of_a_new_model():
    features = {"image": make_images(2, HEIGHT, WIDTH, 1)}
    free = run_model(build("edram", glimpses=1), features)
    np.testing.assert_allclose(free["windows"][:, 0], np.tile(np.eye(2, 3) * np.tanh(1), (2, 1, 1)), atol=1e-6)
    half = run_model(build("edram", glimpses=1, first_glimpse="whole", zoom_limit=0.5), features)
    np.testing.assert_array_equal(half["windows"][:, 0], np.tile(np.eye(2, 3) * 0.5, (2, 1, 1)))


NARROW = {"glimpse_units": 128, "head_units": 96, "glimpse_filters": (8, 16, 16, 24, 24, 32)}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"affect": False, "image_size": (48, 48), "glimpse_size": 22},
        {"channels": 3, **NARROW},
        {"classification_units": 64, "location_units": 48, "image_size": (48, 48), **NARROW},
    ],
    ids=["published", "48x48 without affect", "colour, narrow", "small LSTMs"],
)
def test_the_baseline_has_the_parameters_of_edram(options):
    edram = models.build("edram", glimpses=1, **options).count_params()
    assert models.build("cnn", **options).count_params() == pytest.approx(edram, rel=0.1)


def test_the_smallest_images_of_the_baseline():
    model = draw_weights(build("cnn", image_size=(14, 15), glimpse_size=26))
    assert model.cnn(make_images(1, 14, 15, 1)).shape[1:3] == (1, 1)
    emotion = run_model(model, inputs(model, 3))["emotion"]
    assert emotion.shape == (3, 1, CLASSES) and np.isfinite(emotion).all() and np.ptp(emotion, axis=0).max() > 0


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("edrm", {}, "model.*edram"),
        ("edram", {"glimpse": 3}, "unknown option 'glimpse'"),
        ("cnn", {"glimpses": 3}, "unknown option 'glimpses'"),
        ("edram", {"glimpses": 0}, "glimpses"),
        ("edram", {"glimpses": 2.5}, "glimpses"),
        ("edram", {"glimpses": True}, "glimpses"),
        ("edram", {"glimpse_size": 13}, "glimpse_size"),
        ("edram", {"image_size": (11, 32)}, "image_size"),
        ("edram", {"image_size": 48}, "image_size"),
        ("cnn", {"image_size": (13, 32)}, "image_size: expected a whole number of at least 14, got 13"),
        ("edram", {"channels": 0}, "channels"),
        ("cnn", {"classes": 1}, "classes"),
        ("edram", {"batch_norm": "per_glimpse"}, "batch_norm"),
        ("edram", {"batch_norm_momentum": 1.5}, "batch_norm_momentum"),
        ("edram", {"zoom_limit": 0}, "zoom_limit"),
        ("edram", {"zoom_limit": 1.1}, "zoom_limit"),
        ("edram", {"emission_rate": 0}, "emission_rate"),
        ("edram", {"zoom_limit": "half"}, "zoom_limit"),
        ("edram", {"zoom_limit": True}, "zoom_limit"),
        ("edram", {"zoom_mode": "cut"}, "zoom_mode"),
        ("edram", {"zoom_measure": "area"}, "zoom_measure"),
        ("edram", {"first_glimpse": "centre"}, "first_glimpse"),
        ("edram", {"sensor": "separable"}, "sensor"),
        ("edram", {"dropout": 1.0}, "dropout"),
        ("edram", {"location_units": 0}, "location_units"),
        ("edram", {"glimpse_filters": (8, 8)}, "glimpse_filters"),
        ("edram", {"context_filters": (8, 8)}, "context_filters"),
        ("edram", {"context_size": 11}, "context_size: expected a whole number of at least 12"),
        ("edram", {"context_relu": 1}, "context_relu"),
        ("cnn", {"glimpse_filters": (8, 8)}, "glimpse_filters"),
        ("cnn", {"hidden_units": 0}, "hidden_units"),
        ("cnn", {"head_units": 0}, "head_units"),
        ("cnn", {"dropout": -0.1}, "dropout"),
        ("deep_emotion", {"variant": "wide"}, "variant: expected one of paper, image, release, plus, got 'wide'"),
        ("deep_emotion", {"image_size": (48, 15)}, "image_size: expected a whole number of at least 16, got 15"),
        ("deep_emotion", {"image_size": (17, 48), "variant": "image"}, "image_size: .* at least 18, got 17"),
        ("deep_emotion", {"localisation": "published"}, "localisation: expected one of narrow, wide, public"),
        ("deep_emotion", {"initializer": "ones"}, "initializer: expected one of normal, he, pytorch, got 'ones'"),
        ("deep_emotion", {"sampler": "separable"}, "sampler: expected one of gather, pytorch, got 'separable'"),
        ("deep_emotion", {"input_range": (1, -1)}, r"input_range: expected \(low, high\), got \(1, -1\)"),
        ("deep_emotion", {"input_range": 255}, r"input_range: expected \(low, high\), got 255"),
        ("deep_emotion", {"batch_norm": "no"}, "batch_norm: expected true or false, got 'no'"),
        ("deep_emotion", {"variant": "plus", "batch_norm": False}, "batch_norm: expected true for the variant plus"),
        ("deep_emotion", {"batch_norm_epsilon": 0}, "batch_norm_epsilon: expected a number between 0 and 1, got 0"),
        ("deep_emotion", {"bound": 0}, "bound"),
        ("deep_emotion", {"localisation_rate": 2}, "localisation_rate"),
        ("deep_emotion", {"l2_penalty": -1}, "l2_penalty: expected a number of at least 0, got -1"),
        ("deep_emotion", {"trunk_filters": (64, 128)}, "trunk_filters"),
        ("deep_emotion", {"trunk_filters": (64, 128, 0)}, "trunk_filters"),
        ("deep_emotion", {"units": 0}, "units"),
        ("deep_emotion", {"dropout": 1}, "dropout"),
        ("deep_emotion", {"dropout": False}, "dropout: expected a number in"),
        ("deep_emotion", {"l2_penalty": True}, "l2_penalty: expected a number of at least 0, got True"),
        ("deep_emotion", {"bound": True}, "bound: expected a number in"),
        ("deep_emotion", {"classes": 1}, "classes"),
        ("ran", {"backbone": "vgg19"}, "backbone: expected one of vgg16, resnet18, .*, got 'vgg19'"),
        ("ran", {"crops": "fixed6"}, "crops: expected one of fixed5, face, fixed7, landmarks, random, got 'fixed6'"),
        ("ran", {"crops": "random", "crop_count": 0}, "crop_count: expected a whole number of at least 1, got 0"),
        ("ran", {"crops": "landmarks", "landmark_radius": 0.6}, "landmark_radius"),
        ("ran", {"attention": "relation"}, "attention: expected one of both, self, mean"),
        ("ran", {"attention_norm": "relu"}, "attention_norm: expected one of sigmoid, softmax"),
        ("ran", {"margin": 1}, "margin"),
        ("ran", {"stem": "large"}, "stem: expected one of published, small"),
        ("ran", {"image_size": (31, 40)}, "image_size: expected a whole number of at least 32, got 31"),
        ("ran", {"image_size": (7, 40), "stem": "small"}, "image_size: .* at least 8, got 7"),
        ("ran", {"backbone": "iresnet50", "image_size": (15, 40)}, "image_size: .* at least 16, got 15"),
        ("ran", {"crop_size": 24}, "crop_size: expected a whole number of at least 32, got 24"),
        ("ran", {"backbone_filters": (8, 8)}, "backbone_filters"),
        ("ran", {"channels": 0}, "channels"),
        ("ran", {"crops": "fixed5", "crop_count": 0}, "crop_count: expected a whole number of at least 1, got 0"),
        ("ran", {"crops": "fixed5", "landmark_radius": 9}, "landmark_radius: expected a share"),
        ("ran", {"backbone": ["resnet18"]}, "backbone: expected one of"),
        ("ran", {"fold_crops": "no"}, "fold_crops: expected true or false, got 'no'"),
        ("deep_emotion", {"transformer": "off"}, "transformer: expected true or false, got 'off'"),
        ("deep_emotion", {"variant": ["paper"]}, "variant: expected one of"),
        ("deep_emotion", {"hidden_activation": "tanh"}, "hidden_activation: expected one of relu, linear"),
        ("edram", {"rotation": "no"}, "rotation: expected true or false, got 'no'"),
        ("edram", {"affect": 1}, "affect: expected true or false, got 1"),
        ("cnn", {"affect": "no"}, "affect: expected true or false, got 'no'"),
        ("edram", {"seed": "a"}, "seed: expected a whole number"),
    ],
)
def test_errors_name_the_argument(name, options, message):
    with pytest.raises(ValueError, match=message):
        models.build(name, **options)


def test_numbers_of_numpy_are_numbers(tmp_path):
    numbers = {"classes": np.int64(5), "image_size": (np.int64(32), np.int32(40)), "dropout": np.float32(0.5)}
    model = build("cnn", **numbers)
    model.save(tmp_path / "model.keras")
    assert model.output_shapes["emotion"] == (None, 1, 5)
