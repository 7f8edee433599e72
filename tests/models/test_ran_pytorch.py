"""RAN as in PyTorch: the backbones and the whole model compared with a restatement in NumPy of the released codes.

The restatement (`support.pytorch_nets`) works on PyTorch's names and axis order ([B, C, H, W]), so that it also tests
the transfer of weights.
"""

import functools
import json
import zipfile

import keras
import numpy as np
import pytest
from support.oracles import array, relu, sigmoid
from support.pytorch_nets import (
    FILTERS,
    STAGES,
    State,
    channels_first,
    convolve,
    embed,
    embedding_state,
    max_pool,
    residual_map,
    residual_state,
)
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


@functools.cache
def build(backbone, size=(48, 48), channels=3, **options):
    """A model of the released code with few filters, built once; each test sets its weights."""
    settings = {"backbone_filters": FILTERS, "crops": "face", "classes": 8, "fold_crops": True, **options}
    return models.build("ran", variant="wang2020", backbone=backbone, image_size=size, channels=channels, **settings)


# Backbones


@pytest.mark.parametrize(
    "backbone", [pytest.param(name, marks=pytest.mark.slow) if name == "iresnet100" else name for name in STAGES]
)
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


@pytest.mark.parametrize("size", [(32, 48), (35, 20)])
def test_embedding_equals_insightface(size):
    """Inputs in [-1, 1], a map that is no square, and the ending of face recognition."""
    images, points = make_images(3, *size, 3), np.prod([-(-side // 16) for side in size])
    state = embedding_state(points)
    state["features.weight"] = np.linspace(-1, 2, FILTERS[-1]).astype("float32")  # 1 in InsightFace
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
    load_pytorch_weights(model, state)
    expected = r"state: expected the arrays of resnet18; it "
    before = [array(weight) for weight in model.weights]
    changed = {name: value + 1 for name, value in missing.items() if not name.endswith("tracked")}
    with pytest.raises(UserError, match=expected + r"lacks 1 of 100 arrays: layer2\.0\.bn1\.weight \(5,\)$"):
        load_pytorch_weights(model, changed)
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(array(weight), value)
    shapes = r"holds 1 of another shape: conv1\.weight: expected shape \(4, 3, 7, 7\), got \(4, 1, 7, 7\)$"
    with pytest.raises(UserError, match=expected + shapes):
        load_pytorch_weights(model, state | residual_state("resnet18", channels=1))
    same = build("iresnet18", padding="same")
    with pytest.raises(UserError, match=r"expected padding='symmetric' and batch_norm_epsilon=1e-05.*got 'same'"):
        load_pytorch_weights(same, state)


def test_more_layers_than_the_backbone_has_are_named():
    """An IResNet-50 holds all arrays of an IResNet-18."""
    message = r"expected the arrays of iresnet18; it holds \d+ more: layer1\.2\..*; its names are those of iresnet50$"
    with pytest.raises(UserError, match=message):
        load_pytorch_weights(build("iresnet18"), residual_state("iresnet50"))


def test_two_arrays_of_one_name_are_refused():
    state = residual_state("resnet18")
    with pytest.raises(UserError, match=r"state: expected one array of each name, got two with the name conv1\.weight"):
        load_pytorch_weights(build("resnet18"), state | {"module.conv1.weight": state["conv1.weight"]})


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
