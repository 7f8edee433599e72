"""The region attention network: crops against the published fractions, attention against its equations, sizes."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from support import oracles
from support.tiny import TINIES, draw_weights, inputs, make_images

from edram_fer import models
from edram_fer.models.region_attention import layers
from edram_fer.models.region_attention.attention import RelationAttention, SelfAttention
from edram_fer.models.region_attention.crops import FixedCrops, LandmarkCrops, RandomCrops
from edram_fer.models.region_attention.iresnet import IBlock, IResNet
from edram_fer.models.region_attention.ran import BACKBONES
from edram_fer.models.region_attention.resnet import Block, ResNet
from edram_fer.models.region_attention.vgg import VGG
from edram_fer.models.spatial_transformer import sample

FRACTIONS = {  # x0, y0, x1, y1, the whole face first
    "fixed5": [
        *((0, 0, 1, 1), (0, 0, 0.75, 0.75), (0.25, 0, 1, 0.75), (0.125, 0.25, 0.875, 1)),
        *((0.05, 0.05, 0.95, 0.95), (0.075, 0.075, 0.925, 0.925)),
    ],
    "fixed7": [
        *((0, 0, 1, 1), (0.125, 0.25, 0.875, 1), (0, 0, 0.75, 0.75), (0.25, 0, 1, 0.75), (0.05, 0.05, 0.95, 0.95)),
        *((0.1, 0.1, 0.9, 0.9), (0.125, 0.125, 0.875, 0.875), (0.125, 0, 0.875, 0.75)),
    ],
}


@functools.cache
def build(**options):
    """A small network, built once; tests that depend on its weights set them."""
    return models.build("ran", **TINIES["ran"] | options)


def corners(windows):
    """(x0, y0, x1, y1) in shares of the face of windows [..., 2, 3] without rotation."""
    windows = oracles.array(windows)
    assert not windows[..., 0, 1].any() and not windows[..., 1, 0].any()
    half, middle = windows[..., [0, 1], [0, 1]], windows[..., 2]
    return (np.concatenate([middle - half, middle + half], axis=-1) + 1) / 2


# Crops


@pytest.mark.parametrize("scheme", FRACTIONS)
def test_fixed_crops_are_the_published_fractions(scheme):
    windows = FixedCrops(scheme)(make_images(2, 8, 8, 1))
    np.testing.assert_allclose(corners(windows), [FRACTIONS[scheme]] * 2, atol=1e-6)
    np.testing.assert_array_equal(windows[:, 0], [np.eye(2, 3)] * 2)


def test_a_crop_shows_its_part_of_the_face():
    image = make_images(1, 41, 41, 1)
    crops = oracles.array(sample(image, FixedCrops("fixed5")(image), 31))[0]
    for region, (top, left) in {1: (0, 0), 2: (0, 10), 3: (10, 5)}.items():
        np.testing.assert_allclose(crops[region], image[0, top : top + 31, left : left + 31], atol=1e-5)


def test_random_crops_are_squares_inside_the_face():
    layer, image = RandomCrops(4, seed=3), make_images(50, 8, 8, 1)
    first, second = (corners(layer(image, training=True)) for _ in range(2))
    np.testing.assert_allclose(first[:, 0], [[0, 0, 1, 1]] * 50)
    crops = first[:, 1:].reshape(-1, 4)
    sides = crops[:, 2:] - crops[:, :2]
    np.testing.assert_allclose(sides[:, 0], sides[:, 1], atol=1e-5)
    assert 0.7 <= sides.min() + 1e-6 < 0.72 and 0.93 < sides.max() <= 0.95 + 1e-6
    assert crops.min() > -1e-6 and crops.max() < 1 + 1e-6
    assert len(np.unique(crops[:, 0].round(4))) > 150 and np.abs(first - second).max() > 0.05


def test_random_crops_at_inference_are_the_same_for_every_face():
    image = make_images(3, 8, 8, 1)
    first, same_seed, other_seed = (oracles.array(RandomCrops(4, seed=seed)(image)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, same_seed)
    np.testing.assert_array_equal(first, np.repeat(first[:1], 3, axis=0))
    assert np.abs(first - other_seed).max() > 0.01 and not np.allclose(first[:, 1], first[:, 2])


def face_points():
    """68 landmarks of a face of 81x101 pixels (height, width): the points that count, all others nan."""
    points = np.full((68, 2), np.nan, "float32")
    rim = np.array([(-5, 0), (-2, -2), (2, -2), (5, 0), (2, 2), (-2, 2)])
    points[36:42], points[42:48] = rim + (30, 35), rim + (70, 35)
    points[30], points[48], points[54] = (50, 40), (4, 60), (62, 78)
    return points


def test_landmark_crops_are_squares_around_them_inside_the_face():
    windows = LandmarkCrops((81, 101), radius=0.25)(make_images(1, 81, 101, 1), face_points()[None])
    half, last = 0.25 * 80, np.array([100, 80, 100, 80])
    crops = corners(windows)[0] * last
    np.testing.assert_allclose(crops[0], [0, 0, 100, 80], atol=1e-4)
    places = [(30, 35), (70, 35), (50, 40), (half, 60), (62, 80 - half)]  # the mouth's corners are near the border
    for crop, (x, y) in zip(crops[1:], places, strict=True):
        np.testing.assert_allclose(crop, [x - half, y - half, x + half, y + half], atol=1e-3)


@pytest.mark.parametrize("missing", [np.nan, np.inf, -np.inf])
def test_a_crop_without_its_landmarks_is_the_whole_face(missing):
    points = np.stack([face_points()] * 3)
    points[0, 38], points[1] = missing, missing
    crops = corners(LandmarkCrops((81, 101))(make_images(3, 81, 101, 1), points))
    np.testing.assert_allclose(crops[0, 1], [0, 0, 1, 1])
    np.testing.assert_allclose(crops[0, 2:], crops[2, 2:])
    np.testing.assert_allclose(crops[1], [[0, 0, 1, 1]] * 6)
    assert np.abs(crops[2, 1:] - [0, 0, 1, 1]).max(axis=1).min() > 0.1


def test_unknown_landmarks_give_no_nan():
    model = draw_weights(build(crops="landmarks"))
    features = inputs(model, 2)
    features["landmarks"][:] = np.nan
    assert all(np.isfinite(oracles.array(value)).all() for value in model(features).values())
    kernel = model.backbone.convolution.kernel
    (slope,) = oracles.weight_gradients(lambda: ops.sum(model(features, training=True)["emotion"][:, :, 0]), [kernel])
    assert np.isfinite(slope).all()


def test_missing_landmarks_are_named():
    model = build(crops="landmarks")
    with pytest.raises(ValueError, match=r"inputs: crops='landmarks' needs `landmarks` \[B, 68, 2\].*got image"):
        model({"image": inputs(model, 1)["image"]})

    with pytest.raises(ValueError, match=r"landmarks: expected \[B, 68, 2\], got \[1, 5, 2\]"):
        model({**inputs(model, 1), "landmarks": np.zeros((1, 5, 2), "float32")})


# Attention


def draw_layer(layer, *shapes, scale=1.0):
    rng = np.random.default_rng(0)
    values = [scale * rng.normal(size=shape).astype("float32") for shape in shapes]
    layer(*values)
    return draw_weights(layer), values


def attention(scores, norm):
    """Equation of mu and nu: a sigmoid, in the released code then a softmax over the regions."""
    weights = oracles.sigmoid(scores)
    return weights if norm == "sigmoid" else np.exp(weights) / np.exp(weights).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("norm", ["sigmoid", "softmax"])
def test_both_attentions_equal_the_equations(norm):
    regions, size = 6, 5
    first, (features,) = draw_layer(SelfAttention(norm), (3, regions, size))
    summary, log_mu, self_weights = (oracles.array(value) for value in first(features))
    q0, b0 = oracles.array(first.score.kernel)[:, 0], oracles.array(first.score.bias)
    mu = attention(features @ q0 + b0, norm)
    expected = (mu[..., None] * features).sum(axis=1) / mu.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.exp(log_mu), mu, atol=1e-6)
    np.testing.assert_allclose(self_weights, mu / mu.sum(axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(summary, expected, atol=1e-5)

    second = RelationAttention(norm)
    values = [value.astype("float32") for value in (features, summary, log_mu)]
    second(*values)
    draw_weights(second)
    pooled, weights = second(*values)
    related = np.concatenate([features, np.repeat(expected[:, None], regions, axis=1)], axis=-1)
    nu = attention(related @ oracles.array(second.score.kernel)[:, 0] + oracles.array(second.score.bias), norm)
    expected = (mu * nu)[..., None] * related / (mu * nu).sum(axis=1)[:, None, None]
    np.testing.assert_allclose(oracles.array(pooled), expected.sum(axis=1), atol=1e-5)
    np.testing.assert_allclose(weights, mu * nu / (mu * nu).sum(axis=1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("norm", ["sigmoid", "softmax"])
def test_attention_of_extreme_features(norm):
    """Six regions under softmax stay within [.069, .352]; nothing is ever nan."""
    layer, (features,) = draw_layer(SelfAttention(norm), (500, 6, 5), scale=1e4)
    features[0], features[1] = -np.abs(features[0]) * np.sign(oracles.array(layer.score.kernel).T), 0
    outputs = [oracles.array(value) for value in layer(features)]
    assert all(np.isfinite(value).all() for value in outputs)
    np.testing.assert_allclose(outputs[2].sum(axis=1), 1, atol=1e-5)
    if norm == "softmax":
        mu = np.exp(outputs[1])
        assert mu.min() == pytest.approx(0.069, abs=5e-4) and mu.max() == pytest.approx(0.352, abs=5e-4)


@pytest.mark.parametrize("which", ["both", "self", "mean"])
def test_classified_features_and_weights(which):
    model = draw_weights(build(attention=which))
    batch = inputs(model, 3)
    outputs = {name: oracles.array(value) for name, value in model(batch).items()}
    regions = ops.convert_to_tensor(sample(batch["image"], outputs["windows"].astype("float32"), 16))
    features = np.stack([oracles.array(model.backbone(regions[:, i])) for i in range(6)], axis=1)
    pooled = np.einsum("bn,bnd->bd", outputs["weights"], features)
    if which == "both":
        summary = np.einsum("bn,bnd->bd", outputs["attention"], features) / outputs["attention"].sum(
            axis=1, keepdims=True
        )
        pooled = np.concatenate([pooled, summary], axis=-1)
    logits = pooled @ oracles.array(model.emotion_head.kernel) + oracles.array(model.emotion_head.bias)
    np.testing.assert_allclose(outputs["emotion"][:, 0], logits, atol=1e-4)
    assert outputs["weights"].max() < 0.9 and np.std(logits, axis=0).max() > 1e-3
    if which == "self":
        mu = outputs["attention"]
        np.testing.assert_allclose(outputs["weights"], mu / mu.sum(axis=1, keepdims=True), atol=1e-6)
    if which == "mean":
        np.testing.assert_allclose(outputs["weights"], 1 / 6, atol=1e-6)


# Backbones


def parameters(backbone, inputs=3, classes=8, size=512):
    """Of the whole network, counted by hand: convolutions without biases, BN, PReLU, both attentions, last layer."""
    kind, blocks = BACKBONES[backbone]
    improved = kind is IResNet
    total, width = (9 if improved else 49) * inputs * 64 + 2 * 64 + improved * 64, 64
    for stage, (count, filters) in enumerate(zip(blocks, (64, 128, 256, 512))):
        for i in range(count):
            total += 9 * (width + filters) * filters + 2 * 2 * filters
            total += (2 * width + filters) if improved else 0  # the first BN and the PReLU
            if i == 0 and (improved or stage):
                total += width * filters + 2 * filters
            width = filters
    return total + (size + 1) + (2 * size + 1) + (2 * size + 1) * classes


def test_number_of_parameters_by_hand_is_the_published_one():
    assert parameters("resnet18") == 11_186_250
    millions = {"iresnet18": 11.19, "iresnet34": 21.30, "iresnet50": 30.75, "iresnet100": 52.32}
    assert {name: round(parameters(name) / 1e6, 2) for name in millions} == millions


def test_vgg_has_the_published_number_of_parameters():
    backbone = VGG()
    backbone(np.zeros((1, 32, 32, 3), "float32"))
    assert backbone.count_params() == 14_714_688  # 138,357,544 of the whole net less its three dense layers


def test_vgg_is_convolutions_relus_and_pools():
    backbone, x = VGG((1, 1, 1, 1, 1), (2, 3, 4, 5)), make_images(2, 32, 32, 1)
    backbone(x)
    draw_weights(backbone)
    y = x
    for layer in backbone.stages:
        if layer.weights:
            y = oracles.relu(oracles.convolution(y, oracles.array(layer.kernel), "same") + oracles.array(layer.bias))
        else:
            y = y.reshape(2, y.shape[1] // 2, 2, y.shape[2] // 2, 2, -1).max(axis=(2, 4))
    np.testing.assert_allclose(oracles.array(backbone(x)), y.mean(axis=(1, 2)), atol=1e-4)


def test_the_face_alone_is_the_baseline():
    """With any attention, the features of a single region are classified unchanged."""
    model = draw_weights(build(crops="face"))
    outputs, batch = {name: oracles.array(value) for name, value in model(inputs(model, 3)).items()}, inputs(model, 3)
    assert "attention" not in outputs
    np.testing.assert_array_equal(outputs["windows"], [[np.eye(2, 3)]] * 3)
    np.testing.assert_array_equal(outputs["weights"], np.ones((3, 1)))
    features = oracles.array(model.backbone(sample(batch["image"], outputs["windows"], model.points)[:, 0]))
    expected = features @ oracles.array(model.emotion_head.kernel) + oracles.array(model.emotion_head.bias)
    np.testing.assert_allclose(outputs["emotion"][:, 0], expected, atol=1e-4)


@pytest.mark.parametrize("backbone", ["resnet18", "iresnet18", pytest.param("iresnet100", marks=pytest.mark.slow)])
def test_number_of_parameters(backbone, monkeypatch):
    monkeypatch.setattr(layers, "KAIMING_NORMAL", "zeros")  # drawing takes long
    model = models.build("ran", backbone=backbone, image_size=(32, 32), channels=3, classes=8)
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == parameters(backbone)


@pytest.mark.parametrize(
    ("backbone_class", "stem", "size", "sides"),
    [
        (ResNet, "published", 64, (16, 8, 4, 2)),
        (ResNet, "small", 48, (48, 24, 12, 6)),
        (IResNet, "published", 48, (24, 12, 6, 3)),
    ],
)
def test_sides_of_the_stages(backbone_class, stem, size, sides):
    backbone = backbone_class((1, 1, 1, 1), (2, 3, 4, 5), stem)
    x = backbone.apply_stem(ops.convert_to_tensor(make_images(1, size, size, 1)), False)
    shapes = []
    for block in backbone.stages:
        x = block(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [(side, side, filters) for side, filters in zip(sides, (2, 3, 4, 5))]


def normalise(layer, x):
    weights = (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)
    return oracles.normalised(x, *(oracles.array(weight)[0] for weight in weights))


def test_blocks_equal_numpy():
    x = make_images(2, 7, 6, 3)

    def convolved(layer, x):
        return oracles.convolution(x, oracles.array(layer.kernel), "same" if layer.kernel_size[0] > 1 else "valid")

    for block_class in (Block, IBlock):
        block = block_class(4, 3)
        block(x)
        draw_weights(block)
        shortcut = normalise(block.shortcut_norm, convolved(block.shortcut, x))
        if block_class is Block:
            y = oracles.relu(normalise(block.norms[0], convolved(block.first, x)))
            expected = oracles.relu(normalise(block.norms[1], convolved(block.second, y)) + shortcut)
        else:
            y = normalise(block.norms[1], convolved(block.first, normalise(block.norms[0], x)))
            y = np.where(y > 0, y, y * oracles.array(block.activation.alpha))
            expected = normalise(block.norms[2], convolved(block.second, y)) + shortcut
        np.testing.assert_allclose(oracles.array(block(x)), expected, atol=1e-4)


def test_folding_the_crops_changes_training_only(monkeypatch):
    monkeypatch.setitem(BACKBONES, "iresnet18", (IResNet, (1, 1, 0, 0)))  # quick to call
    folded, unfolded = (draw_weights(build.__wrapped__(fold_crops=fold)) for fold in (True, False))
    batch = inputs(folded, 4)
    for name, value in folded(batch).items():
        np.testing.assert_allclose(oracles.array(value), oracles.array(unfolded(batch)[name]), atol=1e-5)
    means = []
    for model in (folded, unfolded):
        logits = oracles.array(model(batch, training=True)["emotion"])
        means.append((logits, oracles.array(model.backbone.norm.moving_mean)))
    assert np.abs(means[0][0] - means[1][0]).max() > 1e-3 and np.abs(means[0][1] - means[1][1]).max() > 1e-4


def test_windows_in_the_inputs_replace_the_crops():
    model = draw_weights(build())
    batch = inputs(model, 2)
    windows = np.random.default_rng(2).normal(0, 0.4, (2, 6, 2, 3)).astype("float32")
    guided = model({**batch, "windows": windows})
    np.testing.assert_array_equal(guided["windows"], windows)
    assert np.abs(oracles.array(guided["emotion"]) - oracles.array(model(batch)["emotion"])).max() > 1e-3
    with pytest.raises(ValueError, match=r"windows: expected \[B, 6, 2, 3\], .*, got \[2, 3, 2, 3\]"):
        model({**batch, "windows": windows[:, :3]})


@pytest.mark.parametrize(
    "component",
    [
        FixedCrops("fixed7"),
        RandomCrops(3, 0.5, 0.6, seed=4),
        LandmarkCrops((20, 24), 0.3),
        SelfAttention("softmax"),
        RelationAttention("softmax"),
        Block(4, 3, 2, momentum=0.5, dtype="mixed_bfloat16"),
        IBlock(4, 3, 2, momentum=0.5),
        ResNet((1, 2, 1, 1), (2, 3, 4, 5), "small", momentum=0.5),
        IResNet((1, 2, 1, 1), (2, 3, 4, 5), momentum=0.5),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_config_round_trip(component):
    loaded = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(component))
    assert type(loaded) is type(component) and loaded.get_config() == component.get_config()
    assert keras.saving.get_registered_name(type(component)) == f"edram_fer>{type(component).__name__}"


def test_the_kernel_gradient_of_a_strided_shortcut_with_few_channels_is_that_of_numpy():
    block = Block(8, inputs=4, strides=2)
    rng = np.random.default_rng(0)
    x, upstream = (rng.normal(size=shape).astype("float32") for shape in ((32, 32, 32, 4), (32, 16, 16, 8)))
    block(x)

    @tf.function  # with the stride in the convolution, oneDNN's gradient in a graph is wrong, or ends the process
    def kernel_gradient(x, upstream):
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(block.apply_shortcut(x, training=False) * upstream)
        return tape.gradient(total, block.shortcut.kernel)[0, 0]

    computed = kernel_gradient(tf.constant(x), tf.constant(upstream))
    expected = np.einsum("bijc,bijd->cd", x[:, ::2, ::2], upstream) / np.sqrt(1 + block.shortcut_norm.epsilon)
    np.testing.assert_allclose(computed, expected, atol=1e-2)  # sums of 8,192 products of about 1
