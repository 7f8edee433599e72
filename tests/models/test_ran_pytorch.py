"""RAN as in PyTorch: the backbones and the whole model compared with a restatement in NumPy of the released codes.

The restatement works on PyTorch's names and axis order ([B, C, H, W]), so that it also tests the transfer of weights.
"""

import functools
import json
import zipfile

import keras
import numpy as np
import pytest
from support.oracles import array, relu, sigmoid
from support.tiny import TINIES, draw_weights, inputs, make_images

from edram_fer import models
from edram_fer.errors import UserError
from edram_fer.models.region_attention import load_pytorch_weights
from edram_fer.models.region_attention.iresnet import IBlock, IResNet
from edram_fer.models.region_attention.layers import LayerOptions, SymmetricConv2D
from edram_fer.models.region_attention.ran import BACKBONES
from edram_fer.models.region_attention.resnet import ResNet
from edram_fer.models.region_attention.vgg import VGG
from edram_fer.models.spatial_transformer import sample

FILTERS = (4, 5, 6, 7)
STAGES = {"resnet18": (2, 2, 2, 2), "iresnet18": (2, 2, 2, 2), "iresnet50": (3, 4, 14, 3), "iresnet100": (3, 13, 30, 3)}


# A PyTorch model: its state dict, drawn at random, and its forward pass


class State(dict):
    """Random arrays by PyTorch's names."""

    def __init__(self, seed=0):
        super().__init__()
        self.rng = np.random.default_rng(seed)

    def draw(self, name, *shape, deviation=None, mean=0.0):
        deviation = deviation or 1 / np.sqrt(np.prod(shape[1:]))
        self[name] = (mean + self.rng.normal(0, deviation, shape)).astype("float32")

    def norm(self, name, count):
        for part in ("weight", "running_var"):
            self[f"{name}.{part}"] = self.rng.uniform(0.3, 0.9, count).astype("float32")
        for part in ("bias", "running_mean"):
            self.draw(f"{name}.{part}", count, deviation=0.3)
        self[f"{name}.num_batches_tracked"] = np.array(7)

    def linear(self, name, inputs, outputs):
        self.draw(f"{name}.weight", outputs, inputs)
        self.draw(f"{name}.bias", outputs, deviation=0.3)


def residual_state(backbone, channels=3, seed=0):
    """The state dict of torchvision's ResNet-18 or InsightFace's IResNets, with few filters."""
    state, improved, width = State(seed), backbone.startswith("i"), FILTERS[0]
    state.draw("conv1.weight", width, channels, *((3, 3) if improved else (7, 7)))
    state.norm("bn1", width)
    if improved:
        state.draw("prelu.weight", width, deviation=0.1, mean=0.25)
    for stage, (count, filters) in enumerate(zip(STAGES[backbone], FILTERS, strict=True), 1):
        for i in range(count):
            name = f"layer{stage}.{i}"
            state.draw(f"{name}.conv1.weight", filters, width, 3, 3)
            state.draw(f"{name}.conv2.weight", filters, filters, 3, 3)
            for norm, size in (
                (("bn1", width), ("bn2", filters), ("bn3", filters))
                if improved
                else (
                    ("bn1", filters),
                    ("bn2", filters),
                )
            ):
                state.norm(f"{name}.{norm}", size)
            if improved:
                state.draw(f"{name}.prelu.weight", filters, deviation=0.1, mean=0.25)
            if i == 0 and (improved or stage > 1):
                state.draw(f"{name}.downsample.0.weight", filters, width, 1, 1)
                state.norm(f"{name}.downsample.1", filters)
            width = filters
    return state


def convolve(x, weight, stride=1, bias=None):
    """torch.nn.functional.conv2d with padding=kernel // 2."""
    margin = weight.shape[-1] // 2
    x = np.pad(x, ((0, 0), (0, 0), (margin, margin), (margin, margin)))
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    y = np.einsum("bcyxij,fcij->bfyx", windows, weight.astype(float), optimize=True)
    return y if bias is None else y + bias[:, None, None]


def max_pool(x, side, stride, margin):
    """torch.nn.functional.max_pool2d: padded with -inf, rounded down."""
    x = np.pad(x, ((0, 0), (0, 0), (margin, margin), (margin, margin)), constant_values=-np.inf)
    return np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(2, 3))[:, :, ::stride, ::stride].max((4, 5))


def normalise(x, state, name):
    """Batch normalisation at inference with PyTorch's epsilon, of maps or vectors."""
    shape = (1, -1) + (1,) * (x.ndim - 2)
    gamma, beta, mean, variance = (
        state[f"{name}.{part}"].astype(float).reshape(shape)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta


def prelu(x, weight):
    return np.where(x > 0, x, x * weight[:, None, None])


def residual_map(state, x, improved):
    """[B, C, H, W] -> the map behind layer4."""
    x = normalise(convolve(x, state["conv1.weight"], 1 if improved else 2), state, "bn1")
    x = prelu(x, state["prelu.weight"]) if improved else max_pool(relu(x), 3, 2, 1)
    names = [name.removesuffix(".conv1.weight") for name in state if name.endswith(".conv1.weight")]
    for name in names:  # in the order of the layers
        first_of_stage = name.endswith(".0")
        stride = 2 if first_of_stage and (improved or name != "layer1.0") else 1
        kernels = [state[f"{name}.conv{i}.weight"] for i in (1, 2)]
        if improved:
            y = normalise(convolve(normalise(x, state, f"{name}.bn1"), kernels[0]), state, f"{name}.bn2")
            y = normalise(convolve(prelu(y, state[f"{name}.prelu.weight"]), kernels[1], stride), state, f"{name}.bn3")
        else:
            y = relu(normalise(convolve(x, kernels[0], stride), state, f"{name}.bn1"))
            y = normalise(convolve(y, kernels[1]), state, f"{name}.bn2")
        if f"{name}.downsample.0.weight" in state:
            x = normalise(convolve(x, state[f"{name}.downsample.0.weight"], stride), state, f"{name}.downsample.1")
        x = x + y if improved else relu(x + y)
    return x


def embed(state, x):
    """InsightFace's ending: bn2, flatten, fc, features."""
    x = normalise(x, state, "bn2").reshape(len(x), -1)
    return normalise(x @ state["fc.weight"].T.astype(float) + state["fc.bias"], state, "features")


def channels_first(images):
    return np.moveaxis(images.astype(float), -1, 1)


@functools.cache
def build(backbone, size=(48, 48), channels=3, **options):
    """A model of the released code with few filters, built once; each test sets its weights."""
    settings = {"backbone_filters": FILTERS, "crops": "face", "classes": 8, "fold_crops": True, **options}
    return models.build("ran", variant="wang2020", backbone=backbone, image_size=size, channels=channels, **settings)


# Backbones


@pytest.mark.parametrize("backbone", STAGES)
def test_features_equal_pytorch_on_even_and_odd_sizes(backbone):
    state, model = residual_state(backbone), build(backbone)
    assert load_pytorch_weights(model, state) == []
    for size in [(64, 45), (33, 46)] if backbone.endswith("18") else [(32, 17)]:
        images = make_images(2, *size, 3)
        expected = residual_map(state, channels_first(images), backbone.startswith("i")).mean((2, 3))
        scale = np.abs(expected).max()  # the sums of 49 blocks are large
        assert scale > 0.1
        np.testing.assert_allclose(
            array(model.backbone(images)) / scale, expected / scale, atol=1e-5, err_msg=str(size)
        )


@pytest.mark.parametrize("size", [(64, 32), (71, 45)])
def test_vgg_equals_pytorch(size):
    state, images, widths = State(), make_images(2, *size, 3), (*FILTERS, FILTERS[-1])
    x, place, width = channels_first(images), 0, 3
    for filters, count in zip(widths, (2, 2, 3, 3, 3), strict=True):
        for _ in range(count):
            state.draw(f"features.{place}.weight", filters, width, 3, 3, deviation=np.sqrt(2 / 9 / width))
            state.draw(f"features.{place}.bias", filters, deviation=0.2)
            x = relu(convolve(x, state[f"features.{place}.weight"], bias=state[f"features.{place}.bias"]))
            place, width = place + 2, filters
        x, place = max_pool(x, 2, 2, 0), place + 1
    state.linear("classifier.0", 10, 3)
    model = build("vgg16")
    assert load_pytorch_weights(model, state) == ["classifier.0.weight", "classifier.0.bias"]
    expected = x.mean((2, 3))
    assert expected.max() > 0.01
    np.testing.assert_allclose(array(model.backbone(images)), expected, rtol=1e-5, atol=1e-5)


def embedding_state(points, seed=0):
    state = residual_state("iresnet18", seed=seed)
    state.norm("bn2", FILTERS[-1])
    state.linear("fc", FILTERS[-1] * points, FILTERS[-1])
    state.norm("features", FILTERS[-1])
    state["features.weight"] = np.ones(FILTERS[-1], "float32")
    return state


@pytest.mark.parametrize("size", [(32, 48), (35, 20)])
def test_embedding_equals_insightface(size):
    """Inputs in [-1, 1], a map that is no square, and the ending of face recognition."""
    images, points = make_images(3, *size, 3), np.prod([-(-side // 16) for side in size])
    state = embedding_state(points)
    model = build("iresnet18", size, embedding=True, signed_input=True)
    assert load_pytorch_weights(model, {f"module.{name}": value for name, value in state.items()}) == []
    expected = embed(state, residual_map(state, channels_first(2 * images - 1), True))
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(array(model.backbone(2 * images - 1)), expected, rtol=1e-5, atol=1e-5)
    logits = expected @ array(model.emotion_head.kernel) + array(model.emotion_head.bias)
    np.testing.assert_allclose(array(model(images)["emotion"])[:, 0], logits, atol=1e-5)


def test_grey_images_are_the_same_in_three_channels():
    state, images = residual_state("iresnet18"), make_images(2, 32, 33, 1)
    grey, colour = build("iresnet18", channels=1), build("iresnet18")
    for model in (grey, colour):
        load_pytorch_weights(model, state)
    np.testing.assert_allclose(
        array(grey.backbone(images)), array(colour.backbone(images.repeat(3, axis=-1))), rtol=1e-5, atol=1e-5
    )


# The whole model


def released_ran(state, features):
    """Logits, and the attentions of the first stage after their softmax, of the released FERPlus code."""

    def attend(features, name):
        scores = sigmoid(features @ state[f"{name}.0.weight"][0].astype(float) + state[f"{name}.0.bias"])
        return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)

    alpha = attend(features, "alpha")
    mean = (features * alpha[..., None]).sum(1) / alpha.sum(1, keepdims=True)
    both = np.concatenate([features, np.repeat(mean[:, None], features.shape[1], axis=1)], axis=2)
    weights = alpha * attend(both, "beta")
    pooled = (both * weights[..., None]).sum(1) / weights.sum(1, keepdims=True)
    return pooled @ state["fc.weight"].T.astype(float) + state["fc.bias"], alpha


def test_the_whole_model_equals_the_released_code():
    state, width = residual_state("resnet18"), FILTERS[-1]
    images = np.random.default_rng(0).random((3, 40, 40, 3), "float32")
    model = build("resnet18", (40, 40), crops="fixed5", crop_size=50)
    regions = array(sample(images, model(images)["windows"], 50))
    features = np.stack([residual_map(state, channels_first(regions[:, i]), False).mean((2, 3)) for i in range(6)], 1)
    state.linear("alpha.0", width, 1)
    scores = features @ state["alpha.0.weight"][0]  # regions of noise differ little: spread their attentions
    state["alpha.0.weight"] /= scores.std()
    state["alpha.0.bias"] = np.array([-scores.mean() / scores.std()], "float32")
    state.linear("beta.0", 2 * width, 1)
    state.linear("fc", 2 * width, 8)
    assert load_pytorch_weights(model, state) == []
    outputs = model(images)
    logits, alpha = released_ran(state, features)
    np.testing.assert_allclose(array(outputs["emotion"])[:, 0], logits, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(array(outputs["attention"]), alpha, atol=1e-4)
    assert np.abs(alpha - 1 / 6).max() > 0.02


def test_weights_that_do_not_fit_are_named():
    state, model = residual_state("resnet18"), build("resnet18")
    missing = {name: value for name, value in state.items() if name != "layer2.0.bn1.weight"}
    with pytest.raises(UserError, match=r"state: expected layer2\.0\.bn1\.weight"):
        load_pytorch_weights(model, missing)
    with pytest.raises(UserError, match=r"conv1\.weight: expected shape \(4, 3, 7, 7\), got \(4, 1, 7, 7\)"):
        load_pytorch_weights(model, state | residual_state("resnet18", channels=1))
    same = build("iresnet18", padding="same")
    with pytest.raises(UserError, match=r"expected padding='symmetric' and batch_norm_epsilon=1e-05.*got 'same'"):
        load_pytorch_weights(same, state)
    embedding, scaled = build("iresnet18", (32, 48), embedding=True, signed_input=True), embedding_state(6)
    scaled["features.weight"] = scaled["features.weight"] * 2
    with pytest.raises(UserError, match=r"features\.weight: expected 1 everywhere"):
        load_pytorch_weights(embedding, scaled)


# Options


def test_initial_values_are_those_of_the_released_codes():
    """IResNet: N(0, .1); ResNet and VGG: N(0, 2 / fan-out); dense layers: uniform within 1 / sqrt(inputs)."""
    options, filters = LayerOptions(initialisation="pytorch"), (64, 64, 64, 64)
    iresnet = IResNet((1, 1, 0, 0), filters, options=options, embedding=True)
    resnet, vgg = ResNet((1, 1, 0, 0), filters, options=options), VGG((1, 1, 0, 0, 0), filters, options=options)
    for backbone in (iresnet, resnet, vgg):
        backbone(np.zeros((1, 32, 32, 1), "float32"))
    assert array(iresnet.stages[0].first.kernel).std() == pytest.approx(0.1, rel=0.05)
    assert array(iresnet.stages[0].shortcut.kernel).std() == pytest.approx(0.1, rel=0.05)
    assert array(resnet.stages[1].first.kernel).std() == pytest.approx(np.sqrt(2 / 9 / 64), rel=0.05)
    assert array(vgg.stages[2].kernel).std() == pytest.approx(np.sqrt(2 / 9 / 64), rel=0.05)
    for weight in (iresnet.dense.kernel, iresnet.dense.bias):
        limit = iresnet.dense.kernel.shape[0] ** -0.5
        assert np.abs(array(weight)).max() <= limit and array(weight).std() == pytest.approx(
            limit / np.sqrt(3), rel=0.2
        )


def test_dropout_of_the_embedding_is_in_training_only():
    backbone, x = IResNet((1, 0, 0, 0), FILTERS, embedding=True, dropout=0.5), make_images(4, 16, 16, 1)
    backbone(x)
    np.testing.assert_array_equal(array(backbone(x)), array(backbone(x)))
    first, second = (array(backbone(x, training=True)) for _ in range(2))
    assert np.abs(first - second).max() > 1e-3


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"padding": "valid"}, "padding: expected one of same, symmetric, got 'valid'"),
        ({"initialisation": "theirs"}, "initialisation: expected one of ours, pytorch, got 'theirs'"),
        ({"batch_norm_epsilon": 0}, "batch_norm_epsilon: expected a number between 0 and 1, got 0"),
        ({"embedding": True}, "embedding: expected an IResNet as backbone, got 'resnet18'"),
        ({"embedding": 1}, "embedding: expected true or false, got 1"),
        ({"signed_input": "yes"}, "signed_input: expected true or false, got 'yes'"),
        ({"embedding_dropout": 1}, "embedding_dropout"),
        ({"variant": "wang"}, "variant: expected one of ours, wang2020, got 'wang'"),
    ],
)
def test_options_out_of_range_are_named(option, message):
    with pytest.raises(UserError, match=message):
        models.build("ran", image_size=(32, 32), **option)


@pytest.mark.parametrize(
    "layer",
    [
        IBlock(4, 3, 2, options=LayerOptions("symmetric", 1e-5, "pytorch")),
        IResNet((1, 0, 0, 0), FILTERS, options=LayerOptions("symmetric"), embedding=True, dropout=0.3, seed=4),
        VGG((1, 0, 0, 0, 0), FILTERS, options=LayerOptions(initialisation="pytorch")),
        SymmetricConv2D(4, 3, 2),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_config_round_trip(layer):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is type(layer) and again.get_config() == layer.get_config()


def test_a_variant_is_saved_as_its_options(tmp_path, monkeypatch):
    monkeypatch.setitem(BACKBONES, "iresnet18", (IResNet, (1, 0, 0, 0)))
    model = build.__wrapped__("iresnet18", (32, 33), fold_crops=False, embedding=True, signed_input=True)
    images = make_images(2, 32, 33, 3)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    options = {"padding": "symmetric", "batch_norm_epsilon": 1e-5, "attention_norm": "softmax", "fold_crops": False}
    assert options.items() <= loaded.arguments.items()
    for name, value in model(images).items():
        np.testing.assert_array_equal(array(loaded(images)[name]), array(value), err_msg=name)


# Files that do not name these options


# Logits of one face by backbone, computed before the options existed.
OLD_LOGITS = {
    "iresnet18": [-6.75548077, -1.20876205, -0.13780594, -0.38038629],
    "resnet18": [0.12089429, -0.42849922, -0.18823034, 0.20546348],
    "vgg16": [0.08137234, 0.0821358, -0.39565593, -0.98002940],
}
NEW_OPTIONS = (*("padding", "batch_norm_epsilon", "initialisation", "embedding", "embedding_dropout", "signed_input"),)


@pytest.mark.parametrize("backbone", OLD_LOGITS)
def test_files_without_the_options_compute_as_before(backbone, tmp_path):
    options = {} if backbone == "iresnet18" else {"crop_size": 32}
    model = draw_weights(models.build("ran", **TINIES["ran"] | {"backbone": backbone} | options))
    model.save(tmp_path / "new.keras")
    with zipfile.ZipFile(tmp_path / "new.keras") as new, zipfile.ZipFile(tmp_path / "old.keras", "w") as old:
        for name in new.namelist():
            content = new.read(name)
            if name == "config.json":
                config = json.loads(content)
                for option in NEW_OPTIONS:
                    del config["config"][option]
                content = json.dumps(config)
            old.writestr(name, content)
    loaded = keras.saving.load_model(tmp_path / "old.keras")
    logits = array(loaded(inputs(model, 2))["emotion"])[0, 0]
    np.testing.assert_allclose(logits, OLD_LOGITS[backbone], rtol=1e-4, atol=1e-5)
