"""The contract that every model keeps: outputs, errors, size, independence of the batch, files."""

import json
import warnings

import keras
import numpy as np
import oracles
import pytest
from tiny import TINY, draw_weights, pictures

import models

CLASSES, (HEIGHT, WIDTH) = TINY["classes"], TINY["image_size"]
ONLY_EDRAM = {"glimpses", "context_filters"}
SMALL_CNN = {name: value for name, value in TINY.items() if name not in ONLY_EDRAM}
TABLE = {
    "published": ("edram", {}),
    "one glimpse, colour, grey heads": ("edram", {"glimpses": 1, "channels": 3, "affect": False}),
    "larger glimpses": ("edram", {"glimpse_size": 17, "batch_norm": "shared"}),
    "whole first": ("edram", {"first_glimpse": "whole", "batch_norm": "shared_affine"}),
    "clipped": ("edram", {"zoom_limit": 0.3, "zoom_mode": "clip", "zoom_measure": "extent", "dropout": 0.5}),
    "no rotation": ("edram", {"rotation": False, "sensor": "separable", "context_activation": "tanh"}),
    "mixed": ("edram", {"dtype": "mixed_bfloat16"}),
    "cnn": ("cnn", {}),
    "cnn, mixed, colour": ("cnn", {"channels": 3, "affect": False, "dtype": "mixed_bfloat16", "hidden_units": 9}),
}


def build(name, **options):
    return models.build(name, **(TINY if name == "edram" else SMALL_CNN) | options)


@pytest.fixture(scope="module")
def drawn():
    """Each row of the table, made once, with random weights."""
    made = {}

    def get(row):
        if row not in made:
            name, options = TABLE[row]
            made[row] = draw_weights(build(name, **options))
        return made[row]

    return get


def outputs_of(model, image):
    return {name: oracles.array(value) for name, value in model({"image": image}).items()}


@pytest.mark.parametrize("row", TABLE)
def test_outputs(row, drawn):
    name, options = TABLE[row]
    steps = {**TINY, **options}["glimpses"] if name == "edram" else 1
    model = drawn(row)
    assert model.built
    found = model({"image": pictures(3, HEIGHT, WIDTH, options.get("channels", 1))})
    shapes = {"emotion": (3, steps, CLASSES), "windows": (3, steps, 2, 3), "weights": (3, steps)}
    shapes |= {"affect": (3, steps, 2)} if options.get("affect", True) else {}
    shapes |= {"emitted": (3, steps + 1, 2, 3)} if name == "edram" else {}
    assert {key: tuple(value.shape) for key, value in found.items()} == shapes
    assert {keras.backend.standardize_dtype(value.dtype) for value in found.values()} == {"float32"}
    found = {key: oracles.array(value) for key, value in found.items()}
    assert all(np.isfinite(value).all() for value in found.values())
    np.testing.assert_allclose(found["weights"].sum(axis=1), 1, atol=1e-6)
    assert np.abs(found.get("affect", np.zeros(1))).max() <= 1
    if name == "cnn" or row == "whole first":
        np.testing.assert_array_equal(found["windows"][:, 0], np.tile(np.eye(2, 3), (3, 1, 1)))


@pytest.mark.parametrize("row", ["published", "no rotation", "mixed", "cnn"])
def test_a_picture_does_not_see_the_rest_of_its_batch(row, drawn):
    image = pictures(4, HEIGHT, WIDTH, 1)
    together = outputs_of(drawn(row), image)
    alone = outputs_of(drawn(row), image[2:3])
    for name in together:
        # The products of another batch size may be summed in another order.
        tolerance = 0.05 if row == "mixed" else 1e-5
        np.testing.assert_allclose(alone[name][0], together[name][2], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("row", ["clipped", "mixed", "cnn, mixed, colour"])
def test_saved_and_loaded(row, drawn, tmp_path):
    """Equal outputs and the same precision, and Keras has nothing to warn of (such as layers without weights)."""
    model = drawn(row)
    image = pictures(2, HEIGHT, WIDTH, model.arguments["channels"])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert json.dumps(loaded.get_config()) == json.dumps(model.get_config())
    policies = [[layer.dtype_policy.name for layer in one._flatten_layers()] for one in (model, loaded)]
    assert policies[0] == policies[1]
    before, after = outputs_of(model, image), outputs_of(loaded, image)
    for name in before:
        np.testing.assert_array_equal(after[name], before[name])


def test_mixed_precision_leaves_the_coordinates_in_float32(drawn, monkeypatch):
    seen = []
    original = models.edram.cell.sample

    def sample(images, windows, *args):
        seen.append((keras.ops.dtype(images), keras.ops.dtype(windows)))
        return original(images, windows, *args)

    monkeypatch.setattr(models.edram.cell, "sample", sample)
    model = drawn("mixed")
    model({"image": pictures(1, HEIGHT, WIDTH, 1)})
    assert seen == [("float32", "float32")] * TINY["glimpses"]
    assert {model.cell.lstm1.compute_dtype, model.cell.glimpse.what.compute_dtype} == {"bfloat16"}
    assert {w.dtype for w in model.trainable_weights} == {"float32"}


def test_mixed_precision_is_close_to_float32(drawn):
    image = pictures(4, HEIGHT, WIDTH, 1)
    one, other = (outputs_of(drawn(row), image) for row in ("published", "mixed"))  # of equal weights
    for name in one:
        np.testing.assert_allclose(one[name], other[name], atol=0.1)
    np.testing.assert_allclose(one["windows"][:, 0], other["windows"][:, 0], atol=0.02)


def test_first_window_of_a_new_net():
    image = pictures(2, HEIGHT, WIDTH, 1)
    free = outputs_of(build("edram", glimpses=1), image)
    np.testing.assert_allclose(free["windows"][:, 0], np.tile(np.eye(2, 3) * np.tanh(1), (2, 1, 1)), atol=1e-6)
    half = outputs_of(build("edram", glimpses=1, first_glimpse="whole", zoom_limit=0.5), image)
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
def test_the_yardstick_has_the_parameters_of_edram(options):
    edram = models.build("edram", glimpses=1, **options).count_params()
    assert models.build("cnn", **options).count_params() == pytest.approx(edram, rel=0.1)


@pytest.mark.parametrize(
    ("name", "options", "named"),
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
        ("cnn", {"image_size": (25, 32)}, "image_size"),
        ("edram", {"channels": 0}, "channels"),
        ("cnn", {"classes": 1}, "classes"),
        ("edram", {"batch_norm": "per_glimpse"}, "batch_norm"),
        ("edram", {"batch_norm_momentum": 1.5}, "batch_norm_momentum"),
        ("edram", {"zoom_limit": 0}, "zoom_limit"),
        ("edram", {"zoom_limit": 1.1}, "zoom_limit"),
        ("edram", {"zoom_limit": "half"}, "zoom_limit"),
        ("edram", {"zoom_mode": "cut"}, "zoom_mode"),
        ("edram", {"zoom_measure": "area"}, "zoom_measure"),
        ("edram", {"first_glimpse": "centre"}, "first_glimpse"),
        ("edram", {"sensor": "separable"}, "sensor"),
        ("edram", {"dropout": 1.0}, "dropout"),
        ("edram", {"location_units": 0}, "location_units"),
        ("edram", {"glimpse_filters": (8, 8)}, "glimpse_filters"),
        ("edram", {"context_filters": (8, 8)}, "context_filters"),
        ("cnn", {"glimpse_filters": (8, 8)}, "glimpse_filters"),
        ("cnn", {"hidden_units": 0}, "hidden_units"),
        ("cnn", {"head_units": 0}, "head_units"),
        ("cnn", {"dropout": -0.1}, "dropout"),
    ],
)
def test_errors_name_the_argument(name, options, named):
    with pytest.raises(ValueError, match=named):
        models.build(name, **options)
