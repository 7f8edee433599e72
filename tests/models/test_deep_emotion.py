"""Deep-Emotion: the published sizes, the forward pass against NumPy, and what makes its localisation network learn."""

import functools

import keras
import numpy as np
import pytest
from keras import ops
from support import oracles
from support.tiny import draw_weights, make_images

from edram_fer import models
from edram_fer.models.deep_emotion.features import FeatureExtractor
from edram_fer.models.deep_emotion.localisation import LocalisationNetwork
from edram_fer.models.slow import SlowConv2D, SlowDense
from edram_fer.models.trunk import Trunk

IDENTITY = np.eye(2, 3)
SIZE = (20, 22)


def build(variant="paper", image_size=SIZE, **options):
    return models.build("deep_emotion", image_size=image_size, variant=variant, trunk_filters=(3, 4, 5), **options)


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def dense(layer, x):
    return x @ oracles.array(layer.kernel) + oracles.array(layer.bias)


def max_pool(x, side):
    batch, height, width, channels = x.shape
    x = x[:, : height // side * side, : width // side * side]
    return x.reshape(batch, height // side, side, width // side, side, channels).max(axis=(2, 4))


def convolved(layer, x, rate=1.0):
    """A convolution with its bias; `rate`: of a slow layer."""
    bias = oracles.array(layer.bias) if layer.use_bias else 0.0
    return oracles.convolution(x, rate * oracles.array(layer.kernel), layer.padding) + rate * bias


def normalised(layer, x):
    weights = (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)
    return oracles.normalised(x, *(oracles.array(weight)[0] for weight in weights))


def theta_values(network, image):
    pool = {"narrow": 4, "wide": 2, "public": 2}[network.interpretation]
    x, rate = image, network.rate
    for layer in network.convolutions:
        x = oracles.relu(max_pool(convolved(layer, x, rate), pool))
    x = oracles.relu(rate * dense(network.hidden, x.reshape(len(x), -1)))
    theta = (rate * dense(network.theta, x)).reshape(-1, 2, 3)
    return theta if network.bound is None else IDENTITY + network.bound * np.tanh(theta)


def ten_channels(extractor, x):
    first, second, third, fourth = extractor.convolutions
    x = oracles.relu(max_pool(convolved(second, oracles.relu(convolved(first, x))), 2))
    x = convolved(fourth, oracles.relu(convolved(third, x)))
    return oracles.relu(max_pool(x if extractor.norm is None else normalised(extractor.norm, x), 2))


def trunk(layer, x):
    for i, (convolution, norm) in enumerate(zip(layer.convolutions, layer.norms)):
        x = oracles.relu(normalised(norm, convolved(convolution, x)))
        x = max_pool(x, 2) if i % 2 else x
    return x


def forward(model, image):
    """Logits [B, K] and theta [B, 2, 3] in NumPy."""
    theta = theta_values(model.localisation, image)
    extract = trunk if model.arguments["variant"] == "plus" else ten_channels
    x = image if model.before is None else extract(model.before, image)
    x = oracles.sample(x, theta[:, None], x.shape[1:3])[:, 0]
    x = x if model.after is None else extract(model.after, x)
    return dense(model.emotion_head, oracles.relu(dense(model.hidden, x.reshape(len(x), -1)))), theta


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"variant": "paper"}, 47_657),
        ({"variant": "image"}, 66_877),
        ({"variant": "release"}, 66_877),
        ({"variant": "image", "localisation": "narrow", "batch_norm": False, "initializer": "normal"}, 47_657),
        ({"variant": "paper", "localisation": "wide"}, 47_657 + (1000 - 90) * 32),
        ({"variant": "paper", "transformer": False}, 47_657 - (80 + 730 + 91 * 32 + 33 * 6)),
    ],
    ids=str,
)
def test_number_of_parameters(options, count):
    assert trainable(models.build("deep_emotion", image_size=(48, 48), **options)) == count


def test_shapes_of_the_published_layers():
    model = models.build("deep_emotion", image_size=(48, 48))
    image = make_images(1, 48, 48, 1)
    assert tuple(model.before(image).shape) == (1, 9, 9, 10)
    assert [tuple(layer.kernel.shape) for layer in (model.hidden, model.emotion_head)] == [(810, 50), (50, 7)]
    for interpretation, inputs in (("narrow", 90), ("wide", 1000), ("public", 640)):
        network = LocalisationNetwork(interpretation)
        network(image)
        assert tuple(network.hidden.kernel.shape) == (inputs, 32) and tuple(network.theta.kernel.shape) == (32, 6)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"localisation": "wide", "channels": 3},
        {"variant": "image"},
        {"variant": "image", "localisation": "narrow", "batch_norm": False, "initializer": "normal"},
        {"variant": "plus"},
    ],
    ids=["paper", "wide", "image", "image with the layers of paper", "plus"],
)
def test_forward_pass_equals_numpy(options):
    model = draw_weights(build(**options))
    for weight in model.localisation.weights:  # so that a slow network sees as much as another
        weight.assign(weight / model.localisation.rate)
    image = make_images(3, *SIZE, options.get("channels", 1))
    logits, theta = forward(model, image)
    outputs = model({"image": image})
    np.testing.assert_allclose(oracles.array(outputs["windows"])[:, 0], theta, atol=1e-5)
    np.testing.assert_allclose(oracles.array(outputs["emotion"])[:, 0], logits, atol=1e-4)
    assert np.std(theta, axis=0).min() > 1e-3 and np.std(logits, axis=0).max() > 1e-3


@pytest.mark.parametrize("variant", ["paper", "image", "plus"])
def test_the_window_of_a_new_model_is_the_whole_image_and_its_kernels_are_initialised_as_documented(variant):
    model = build(variant)
    outputs = model({"image": make_images(2, *SIZE, 1)})
    np.testing.assert_array_equal(outputs["windows"][:, 0], np.tile(np.eye(2, 3), (2, 1, 1)))
    assert not oracles.array(model.localisation.theta.kernel).any()
    bias = np.zeros(6) if variant == "plus" else IDENTITY.ravel()
    np.testing.assert_array_equal(model.localisation.theta.bias, bias)
    kernel = oracles.array(model.hidden.kernel)
    deviation = 0.05 if variant == "paper" else np.sqrt(2 / len(kernel))
    assert kernel.std() == pytest.approx(deviation, rel=0.1)
    effective = model.localisation.rate * oracles.array(model.localisation.hidden.kernel)
    deviation = 0.05 if variant == "paper" else np.sqrt(2 / len(effective))
    assert effective.std() == pytest.approx(deviation, rel=0.25)


def test_without_the_transformer_the_window_is_the_identity():
    model = draw_weights(build("paper", transformer=False))
    assert model.localisation is None
    image = make_images(2, *SIZE, 1)
    outputs = model({"image": image})
    np.testing.assert_array_equal(outputs["windows"][:, 0], np.tile(np.eye(2, 3), (2, 1, 1)))
    x = ten_channels(model.before, image).reshape(2, -1)
    logits = dense(model.emotion_head, oracles.relu(dense(model.hidden, x)))
    np.testing.assert_allclose(oracles.array(outputs["emotion"])[:, 0], logits, atol=1e-4)


def test_windows_in_the_inputs_replace_theta():
    model, image = draw_weights(build("image")), make_images(2, *SIZE, 1)
    free = model({"image": image})
    same = model({"image": image, "windows": free["windows"]})
    np.testing.assert_allclose(same["emotion"], free["emotion"], atol=1e-6)
    half = np.tile(0.5 * np.eye(2, 3, dtype="float32"), (2, 1, 1, 1))
    guided = model({"image": image, "windows": half})
    np.testing.assert_array_equal(guided["windows"], half)
    assert np.abs(oracles.array(guided["emotion"]) - oracles.array(free["emotion"])).max() > 1e-3
    with pytest.raises(ValueError, match=r"windows: expected \[B, 1, 2, 3\], .*, got \[2, 2, 2, 3\]"):
        model({"image": image, "windows": np.repeat(half, 2, axis=1)})


def test_a_bound_keeps_theta_near_the_identity():
    model = draw_weights(build("plus"))
    model.localisation.theta.kernel.assign(1e4 * model.localisation.theta.kernel)
    theta = oracles.array(model({"image": make_images(8, *SIZE, 1)})["windows"])[:, 0]
    assert np.abs(theta - IDENTITY).max() == pytest.approx(0.4, abs=1e-5)
    assert np.linalg.det(theta[:, :, :2]).min() > 0


@pytest.mark.parametrize("variant", ["paper", "image", "plus"])
def test_the_gradient_reaches_the_localisation_network(variant):
    model, image = build(variant), make_images(4, *SIZE, 1)
    target = np.random.default_rng(1).normal(size=(4, 1, 7)).astype("float32")
    weights = [model.localisation.theta.kernel, model.localisation.convolutions[0].kernel]

    def slopes():
        return oracles.weight_gradients(lambda: ops.mean(model({"image": image})["emotion"] * target), weights)

    last, first = slopes()
    assert np.abs(last).max() > 1e-9 and not first.any()  # while the last kernel is 0, the layers before it see nothing
    draw_weights(model)
    assert all(np.abs(slope).max() > 1e-9 for slope in slopes())


# A smaller learning rate


def square(layer, x):
    return ops.sum(ops.square(layer(x)))


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "RMSprop"])
@pytest.mark.parametrize("kind", ["dense", "convolution"])
def test_a_slow_layer_moves_by_its_share_under_every_optimizer(kind, optimizer):
    """Against a plain layer of the same effective weights: the step of W is `rate` of the plain one's."""
    rate, x = 0.25, make_images(3, 6, 6, 2)
    slow, plain = (SlowDense(4, rate=rate), keras.layers.Dense(4))
    if kind == "convolution":
        slow, plain = SlowConv2D(4, 3, rate=rate), keras.layers.Conv2D(4, 3)
    slow.build(x.shape), plain.build(x.shape)
    rng = np.random.default_rng(0)
    start = [rng.normal(size=weight.shape) for weight in plain.weights]
    plain.set_weights(start)
    slow.set_weights([value / rate for value in start])
    np.testing.assert_allclose(slow(x), plain(x), atol=1e-5)
    moved = []
    for layer, scale in ((slow, rate), (plain, 1.0)):
        before = [scale * oracles.array(weight) for weight in layer.weights]
        slopes = oracles.weight_gradients(functools.partial(square, layer, x), layer.trainable_weights)
        small = {} if optimizer == "SGD" else {"epsilon": 1e-12}
        getattr(keras.optimizers, optimizer)(0.01, **small).apply(slopes, layer.trainable_weights)
        moved.append([scale * oracles.array(w) - b for w, b in zip(layer.weights, before)])
    for of_slow, of_plain in zip(*moved):
        np.testing.assert_allclose(of_slow, rate * of_plain, rtol=2e-3, atol=1e-6)


# The l2_penalty


def test_the_penalty_is_on_the_last_two_dense_layers_and_in_the_loss_of_fit():
    model = draw_weights(build("paper", l2_penalty=0.01, dropout=0.0))
    kernels = [oracles.array(layer.kernel) for layer in (model.hidden, model.emotion_head)]
    expected = 0.01 * sum((kernel**2).sum() for kernel in kernels)
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)
    assert not build("paper").losses

    image, label = make_images(4, *SIZE, 1), np.array([0, 3, 1, 6])
    logits = oracles.array(model({"image": image})["emotion"])[:, 0]
    cross_entropy = (np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(4), label]).mean()
    loss = {"emotion": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}
    eager = keras.backend.backend() == "tensorflow"  # tracing a graph takes far longer than one step
    model.compile(keras.optimizers.SGD(0.0), loss=loss, run_eagerly=eager)
    history = model.fit({"image": image}, {"emotion": label[:, None]}, batch_size=4, verbose=0)
    assert history.history["loss"][0] == pytest.approx(cross_entropy + expected, rel=1e-4)


def test_dropout_is_off_outside_training():
    model, image = draw_weights(build("paper")), {"image": make_images(2, *SIZE, 1)}
    first, second = (oracles.array(model(image)["emotion"]) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    first, second = (oracles.array(model(image, training=True)["emotion"]) for _ in range(2))
    assert np.abs(first - second).max() > 1e-3


# Sizes


@pytest.mark.parametrize(
    ("variant", "image_size"), [("paper", (16, 16)), ("image", (18, 18)), ("plus", (16, 17)), ("paper", (100, 100))]
)
def test_the_smallest_and_other_sizes(variant, image_size):
    model = build(variant, image_size, channels=3)
    outputs = model({"image": make_images(1, *image_size, 3)})
    assert np.isfinite(oracles.array(outputs["emotion"])).all()


@pytest.mark.parametrize(
    "component",
    [
        LocalisationNetwork("wide", 0.3, 0.5, "he"),
        FeatureExtractor(True, "he", momentum=0.5, epsilon=1e-5, dtype="mixed_bfloat16"),
        Trunk((3, 4), "normal", momentum=0.5, epsilon=1e-5),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_config_round_trip(component):
    loaded = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(component))
    assert type(loaded) is type(component) and loaded.get_config() == component.get_config()
    assert keras.saving.get_registered_name(type(component)) == f"edram_fer>{type(component).__name__}"
