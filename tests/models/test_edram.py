"""The components of EDRAM against the tables of the papers, and the whole forward pass against NumPy."""

import functools
import inspect
import itertools

import keras
import numpy as np
import pytest
from keras import ops
from support import oracles
from support.tiny import TINY, draw_weights, make_images

from edram_fer import models
from edram_fer.errors import UserError
from edram_fer.models.baseline import CNN
from edram_fer.models.batch_norm import StepBatchNormalization
from edram_fer.models.edram import EDRAM
from edram_fer.models.edram.cell import EDRAMCell
from edram_fer.models.edram.context import ContextNetwork, area_average_matrix
from edram_fer.models.edram.emission import ZOOM_MEASURES, ZOOM_MODES, EmissionNetwork
from edram_fer.models.edram.glimpse import GlimpseCNN, GlimpseNetwork
from edram_fer.models.edram.head import Head
from edram_fer.models.slow import SlowDense

LIMITS = [(None, "squash"), *itertools.product((0.3, 1.0), ZOOM_MODES)]
RESTRICTIONS = [(*limit, measure) for limit, measure in itertools.product(LIMITS, ZOOM_MEASURES)]


def drawn_emission(*restriction, rotation=True, seed=0):
    layer = EmissionNetwork(*restriction, rotation=rotation)
    layer.dense.build((None, 9))
    draw_weights(layer, seed)
    hidden = np.random.default_rng(seed + 1).normal(size=(40, 9)).astype("float32")
    return layer, hidden


# The whole


@pytest.mark.parametrize(
    "options",
    [
        {"batch_norm": "per_step"},
        {"batch_norm": "shared_affine", "zoom_limit": 0.5, "zoom_mode": "clip", "zoom_measure": "extent"}
        | {"first_glimpse": "whole", "channels": 3},
        {"batch_norm": "shared", "zoom_limit": 0.6, "rotation": False, "sensor": "separable", "affect": False}
        | {"context_activation": "tanh", "location_units": 64, "trunk_filters": (3,)},
        {"context_size": 26, "context_relu": True},
    ],
    ids=["published", "clipped", "squashed", "context that is not linear"],
)
def test_forward_pass_equals_numpy(options):
    model = draw_weights(models.build("edram", **TINY | options))
    image = make_images(3, *TINY["image_size"], options.get("channels", 1))
    outputs, expected = model({"image": image}), oracles.edram(model, image)
    assert outputs.keys() == expected.keys()
    for name in outputs:
        np.testing.assert_allclose(oracles.array(outputs[name]), expected[name], atol=1e-5, err_msg=name)
    assert np.std(expected["emotion"], axis=0).max() > 1e-3  # the images differ in what comes out


@pytest.fixture(scope="module")
def published():
    return models.build("edram", glimpses=1)


def test_number_of_parameters(published):
    """The table of the 2017 model with the affect head; a BN replaces each bias, here for one step."""
    filters = (1, 64, 64, 128, 128, 160, 192)
    convolutions = sum(9 * a * b for a, b in zip(filters, filters[1:]))
    context = 25 * 16 + 9 * 16 * 16 + 9 * 16 * 32 + 2 * (16 + 16 + 32)
    what_and_where = 4 * 4 * 192 * 1024 + 6 * 1024
    recurrent = 4 * 512 * (1024 + 512 + 1) + 4 * 512 * (512 + 512 + 1)
    heads = sum(512 * 1024 + 1024 * 1024 + 1024 * n + n for n in (7, 2))
    norms = 2 * (sum(filters[1:]) + 1024 + 1024 + 4 * 1024)
    emission = 512 * 6 + 6
    trainable = sum(int(np.prod(w.shape)) for w in published.trainable_weights)
    assert trainable == convolutions + context + what_and_where + recurrent + heads + norms + emission
    # 10.8 M with untied convolution biases and without the affect head
    untied = sum(n * side**2 for n, side in zip(filters[1:], (26, 24, 12, 12, 6, 4)))
    assert trainable + untied - (512 * 1024 + 1024 * 1024) == pytest.approx(10.8e6, rel=0.01)
    defaults = inspect.signature(EDRAM).parameters
    assert (defaults["glimpses"].default, defaults["glimpse_size"].default) == (6, 26)


def test_output_shapes_of_the_published_layers(published, monkeypatch):
    """Table of the 2017 model: 100x100 grey images, glimpses of 26x26."""
    shapes = []

    def spy(layer_class):
        original = layer_class.call

        @functools.wraps(original)
        def call(self, *args, **kwargs):
            outputs = original(self, *args, **kwargs)
            first = outputs[0] if isinstance(outputs, tuple) else outputs
            shapes.append((layer_class.__name__, tuple(first.shape[1:])))
            return outputs

        monkeypatch.setattr(layer_class, "call", call)

    layers = keras.layers
    for layer_class in (layers.Conv2D, layers.MaxPooling2D, layers.Dense, SlowDense, layers.LSTMCell):
        spy(layer_class)
    published({"image": make_images(1, 100, 100, 1)})
    context = [("Conv2D", (8, 8, 16)), ("Conv2D", (6, 6, 16)), ("Conv2D", (4, 4, 32)), ("SlowDense", (6,))]
    glimpse = [("Conv2D", (26, 26, 64)), ("Conv2D", (24, 24, 64)), ("MaxPooling2D", (12, 12, 64))]
    glimpse += [("Conv2D", (12, 12, 128)), ("Conv2D", (12, 12, 128)), ("MaxPooling2D", (6, 6, 128))]
    glimpse += [("Conv2D", (6, 6, 160)), ("Conv2D", (4, 4, 192)), ("Dense", (1024,)), ("Dense", (1024,))]
    recurrent = [("LSTMCell", (512,)), ("LSTMCell", (512,)), ("SlowDense", (6,))]
    heads = [("Dense", (1, n)) for n in (1024, 1024, 7, 1024, 1024, 2)]  # one step
    assert shapes == context + glimpse + recurrent + heads


@pytest.mark.parametrize(
    "component",
    [
        StepBatchNormalization(3, "shared_affine", momentum=0.5, epsilon=0.1, beta_initializer="ones"),
        ContextNetwork(32, (2, 3, 4), activation="tanh", momentum=0.5, size=24, relu=True),
        EmissionNetwork(0.3, "clip", "extent", rotation=False),
        GlimpseCNN((2, 3, 4, 3, 4, 5), 3, "shared", momentum=0.5, dtype="mixed_bfloat16"),
        GlimpseNetwork(8, (2, 3, 4, 3, 4, 5), 3, "shared", momentum=0.5),
        Head(2, 8, "tanh", 3, "shared", momentum=0.5, dropout=0.1, seed=4),
        EDRAMCell(14, 8, 7, 6, (2, 3, 4, 3, 4, 5), 3, "shared", 0.5, 0.3, "clip", "extent", False, "separable"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_config_round_trip(component):
    config = component.get_config()
    loaded = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(component))
    assert type(loaded) is type(component) and loaded.get_config() == config
    assert keras.saving.get_registered_name(type(component)) == f"edram_fer>{type(component).__name__}"


@pytest.mark.parametrize("model", [EDRAM, CNN])
def test_registered_names(model):
    assert keras.saving.get_registered_name(model) == f"edram_fer>{model.__name__}"


# Context network


@pytest.mark.parametrize("size", [(100, 100), (48, 50), (12, 13)])
def test_area_average_equals_numpy(size):
    images = make_images(2, *size, 3)
    down, across = (area_average_matrix(side, 12) for side in size)
    averaged = np.einsum("yi,bijc,xj->byxc", down, images, across)
    np.testing.assert_allclose(averaged, oracles.area_average(images, 12), atol=1e-6)
    np.testing.assert_allclose(down.sum(axis=1), 1, atol=1e-6)


def test_every_pixel_counts_in_the_context():
    """Area averaging, not point sampling: the gradient of the context vector reaches all pixels."""
    context = ContextNetwork(32, (2, 3, 4))
    context(make_images(1, 40, 40, 1))
    (gradient,) = oracles.gradients(lambda image: ops.sum(context(image)), [make_images(1, 40, 40, 1)])
    assert (gradient != 0).all()


# Emission network


@pytest.mark.parametrize("rotation", [True, False])
@pytest.mark.parametrize("restriction", RESTRICTIONS, ids=str)
def test_emission_equals_numpy(restriction, rotation):
    layer, hidden = drawn_emission(*restriction, rotation=rotation)
    raw = hidden @ oracles.array(layer.dense.kernel) + oracles.array(layer.dense.bias)
    emitted = layer(hidden)
    np.testing.assert_allclose(emitted, oracles.emission(raw, *restriction, rotation=rotation), atol=1e-5)
    np.testing.assert_allclose(layer.restrict(emitted), oracles.restricted(emitted, *restriction), atol=1e-6)


@pytest.mark.parametrize("measure", ZOOM_MEASURES)
def test_clip_limits_the_window_and_not_the_emitted_matrix(measure):
    layer, hidden = drawn_emission(0.3, "clip", measure)
    emitted = layer(hidden)
    window = oracles.array(layer.restrict(emitted))
    free, _ = drawn_emission()
    np.testing.assert_array_equal(emitted, free(hidden))
    zooms, extents = window[:, [0, 1], [0, 1]], np.abs(window[:, :, :2]).sum(axis=-1)
    assert (zooms if measure == "entries" else extents).max() == pytest.approx(0.3)
    np.testing.assert_array_equal(window[:, :, 2], oracles.array(emitted)[:, :, 2])
    if measure == "extent":  # rotation and shear keep their proportion to the zoom
        whole = oracles.array(emitted)[:, :, :2]
        np.testing.assert_allclose(window[:, :, 0] * whole[:, :, 1], window[:, :, 1] * whole[:, :, 0], atol=1e-6)


def test_squash_keeps_every_extent_below_the_limit():
    layer, hidden = drawn_emission(0.3, "squash", "extent")
    emitted = oracles.array(layer(20 * hidden))
    assert np.abs(emitted[:, :, :2]).sum(axis=-1).max() <= 0.3 + 1e-6
    np.testing.assert_array_equal(layer.restrict(emitted), emitted)
    entries, hidden = drawn_emission(0.3, "squash", "entries")
    assert oracles.array(entries(hidden))[:, [0, 1], [0, 1]].max() < 0.3
    assert np.abs(oracles.array(entries(hidden))[:, :, :2]).sum(axis=-1).max() > 0.3  # a shear evades that measure


@pytest.mark.parametrize("mode", ZOOM_MODES)
def test_measures_agree_without_rotation(mode):
    layers = [drawn_emission(0.4, mode, measure, rotation=False)[0] for measure in ZOOM_MEASURES]
    _, hidden = drawn_emission()
    limited, other = (layer.restrict(layer(hidden)) for layer in layers)
    np.testing.assert_allclose(limited, other, atol=1e-6)
    assert not oracles.array(limited)[:, [0, 1], [1, 0]].any()


@pytest.mark.parametrize("measure", ZOOM_MEASURES)
def test_gradient_of_the_zoom_above_the_limit(measure):
    """squash has one everywhere, clip has none where it cuts: that is the difference between the two."""
    direction = np.random.default_rng(5).normal(size=(4, 2, 3)) * [[1, 0, 0], [0, 1, 0]]

    def slope(mode):
        layer = EmissionNetwork(0.3, mode, measure)
        layer.dense.build((None, 6))
        layer.dense.kernel.assign(np.eye(6))
        raw = np.float32([[2, 0, 0, 0, 2, 0], [4, 0, 0, 0, 4, 0], [-2, 0, 0, 0, -2, 0], [0, 0, 0, 0, 0, 0]])
        loss = lambda hidden: ops.sum(layer.restrict(layer(hidden)) * direction)  # noqa: E731
        return oracles.gradients(loss, [raw])[0][:, [0, 4]]

    assert np.abs(slope("squash")).min() > 1e-4
    assert np.abs(slope("clip")[:2]).max() < 1e-9


@pytest.mark.parametrize("rotation", [True, False])
def test_a_zoom_that_underflows_is_0(rotation):
    layer = EmissionNetwork(0.5, "squash", "extent", rotation)
    layer.dense.build((None, 1))
    layer.dense.bias.assign(np.where(np.array(layer.dense.bias) == 1, -200.0, 0.0))
    np.testing.assert_array_equal(layer(np.zeros((1, 1), "float32")), np.zeros((1, 2, 3)))


def test_emission_of_a_new_model():
    hidden = np.random.default_rng(0).normal(size=(3, 5)).astype("float32")
    centred = np.eye(2, 3) * np.tanh(1)
    np.testing.assert_allclose(EmissionNetwork()(hidden), np.tile(centred, (3, 1, 1)), atol=1e-6)
    np.testing.assert_allclose(EmissionNetwork(rotation=False)(hidden)[0], centred, atol=1e-6)
    for measure in ZOOM_MEASURES:
        squashed = EmissionNetwork(0.5, "squash", measure)(hidden)[0]
        np.testing.assert_allclose(squashed, np.eye(2, 3) * 0.5 * oracles.sigmoid(1), atol=1e-6)


# The new net learns


def test_where_path_is_alive_and_the_emission_moves_at_the_start():
    """All matrices are equal at first: a where-path whose BN started at beta 0 would silence all that follows."""
    keras.utils.set_random_seed(0)
    model = models.build("edram", **TINY | {"glimpses": 1})
    image, target = {"image": make_images(4, *TINY["image_size"], 1)}, np.random.default_rng(1).normal(size=(4, 1, 4))
    network, emission = model.cell.glimpse, model.cell.emission.dense

    def loss():
        outputs = model(image, training=True)
        return ops.mean(outputs["emotion"] * target.astype("float32"))

    def slopes():
        weights = [emission.kernel, network.where_norm.beta, network.where.kernel, network.cnn.convolutions[0].kernel]
        return oracles.weight_gradients(loss, weights)

    merged = network(make_images(4, 14, 14, 1), np.tile(np.eye(2, 3, dtype="float32"), (4, 1, 1)), training=True)
    assert (oracles.array(merged) > 0).mean() > 0.2
    kernel, beta, _, convolution = slopes()
    assert min(np.abs(g).max() for g in (kernel, beta, convolution)) > 1e-6
    emission.kernel.assign_sub(kernel / np.abs(kernel).max() * 0.1)
    assert np.abs(slopes()[2]).max() > 1e-6


def test_the_where_path_tells_windows_apart_under_mixed_precision():
    """In bfloat16 the 64 windows, which differ by thousandths, would be four or five."""
    network, rng = GlimpseNetwork(8, (2,) * 6, dtype="mixed_bfloat16"), np.random.default_rng(0)
    matrices = (0.7 * np.eye(2, 3) + rng.normal(0, 0.002, (64, 2, 3))).astype("float32")
    seen, where = [], network.where.call
    network.where.call = lambda x, **call: seen.append(oracles.array(x)) or where(x, **call)
    network(np.ones((64, 14, 14, 1), "float32"), matrices, training=True)
    np.testing.assert_array_equal(seen[0], matrices.reshape(64, 6))


def test_windows_in_the_inputs_replace_the_emitted_ones():
    model = draw_weights(models.build("edram", **TINY))
    image = make_images(2, *TINY["image_size"], 1)
    free = model({"image": image})
    same = model({"image": image, "windows": free["windows"]})
    for name in free:
        np.testing.assert_allclose(same[name], free[name], atol=1e-6)
    windows = np.random.default_rng(2).normal(0, 0.4, (2, 2, 2, 3)).astype("float32")
    guided = model({"image": image, "windows": windows})
    np.testing.assert_array_equal(guided["windows"], windows)
    np.testing.assert_allclose(guided["emitted"][:, 0], free["emitted"][:, 0], atol=1e-6)
    assert np.abs(oracles.array(guided["emotion"]) - oracles.array(free["emotion"])).max() > 1e-3
    for name, given in {
        "windows": {"windows": windows[:, :1]},
        "emitted": {"windows": windows, "emitted": free["emitted"]},
    }.items():
        with pytest.raises(UserError, match=rf"{name}: expected \[B, 2, 2, 3\], .*, got \[2, [13], 2, 3\]"):
            model({"image": image, **given})


def test_a_slow_emission_starts_alike_and_moves_by_its_share():
    hidden = np.random.default_rng(0).normal(size=(5, 8)).astype("float32")
    plain, slow = EmissionNetwork(), EmissionNetwork(rate=0.1)
    np.testing.assert_allclose(slow(hidden), plain(hidden), atol=1e-6)
    moved = {}
    for layer in (plain, slow):
        adam = keras.optimizers.Adam(0.01)
        adam.build(layer.trainable_variables)
        adam.apply([keras.ops.ones(v.shape) for v in layer.trainable_variables], layer.trainable_variables)
        moved[layer.rate] = [np.array(w.value) for w in (layer.dense.kernel, layer.dense.bias)]
    np.testing.assert_allclose(0.1 * moved[0.1][0], 0.1 * moved[1.0][0], atol=1e-6)  # W = rate * V
    np.testing.assert_allclose(moved[0.1][1], moved[1.0][1], atol=1e-6)  # the bias is not slow
