"""Gradients of every model against finite differences."""

import numpy as np
import pytest
from support.tiny import TINIES, draw_weights, inputs

import edram_fer
from edram_fer.errors import UserError
from edram_fer.models import gradients

STEP = 3e-4


def slope(function, values, direction):
    """Derivative of a function of values along a direction, by central differences."""
    return (function(values + STEP * direction) - function(values - STEP * direction)) / (2 * STEP)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "cnn" else pytest.mark.slow) for name in TINIES]
)
def test_gradients_are_slopes(name):
    model = draw_weights(edram_fer.build(name, **TINIES[name]))
    features, labels, rng = inputs(model, 3), np.array([0, 3, 1]), np.random.default_rng(1)
    outputs = model(features)

    for score, values in (("logit", outputs["emotion"]), ("probability", np.asarray(softmax(outputs["emotion"])))):
        gradient = gradients.InputGradient(model, score=score)
        scores, slopes = gradient(features, labels)
        np.testing.assert_allclose(scores, np.asarray(values)[np.arange(3), -1, labels], atol=1e-5)
        direction = smooth(rng, features["image"].shape)

        def moved(image, gradient=gradient):
            return gradient({**features, "image": image}, labels)[0]

        expected = slope(moved, features["image"], direction)
        np.testing.assert_allclose((slopes * direction).sum(axis=(1, 2, 3)), expected, rtol=0.05, atol=1e-2)

    if name != "cnn":  # windows that end inside the image, at whose border the slope of the sampling changes
        gradient = gradients.InputGradient(model, of="windows", score="logit")
        given = {**features, "windows": 0.9 * np.asarray(outputs["windows"])}
        scores, slopes = gradient(given, labels)
        direction = rng.normal(size=slopes.shape).astype("float32")
        expected = slope(
            lambda windows: gradient({**given, "windows": windows}, labels)[0], given["windows"], direction
        )
        np.testing.assert_allclose((slopes * direction).sum(axis=(1, 2, 3)), expected, rtol=0.05, atol=1e-2)

    maps, slopes, windows = gradients.LastMaps(model)(features, labels)
    np.testing.assert_allclose(windows, outputs["windows"], atol=1e-5)
    assert maps.shape == slopes.shape and maps.shape[:2] == windows.shape[:2]
    direction = rng.normal(size=maps.shape).astype("float32")

    def shifted(values):
        """Logits with the last maps moved by `values`, [n, N, ...]."""
        count = windows.shape[1]
        parts = [values.reshape(-1, *values.shape[2:])] if name == "ran" else [values[:, n] for n in range(count)]
        with gradients._reading(model.last_map_reader, parts):
            logits = np.asarray(model.call({k: np.asarray(v, "float32") for k, v in features.items()})["emotion"])
        return logits[np.arange(3), -1, labels]

    expected = slope(shifted, np.zeros_like(maps), direction)
    np.testing.assert_allclose((slopes * direction).sum(axis=(1, 2, 3, 4)), expected, rtol=0.05, atol=1e-2)

    gradient = gradients.InputGradient(model)  # compiled once, for whatever weights the model has
    before = gradient(features, labels)[1]
    draw_weights(model, seed=1)  # a map must depend on what the model has learned (Adebayo et al. 2018)
    after = gradient(features, labels)[1]
    assert abs(np.corrcoef(before[0].ravel(), after[0].ravel())[0, 1]) < 0.5


def softmax(logits):
    values = np.exp(np.asarray(logits) - np.max(logits, axis=-1, keepdims=True))
    return values / values.sum(axis=-1, keepdims=True)


def smooth(rng, shape):
    """A direction that changes an image as a whole, along which the kinks of single units matter little."""
    return np.broadcast_to(rng.normal(size=(shape[0], 1, 1, 1)), shape).astype("float32") * np.linspace(
        0.5, 1, shape[1], dtype="float32"
    ).reshape(1, -1, 1, 1)


def test_a_model_without_gradient_and_an_unknown_score_are_refused():
    with pytest.raises(UserError, match=r"gradients need a model of edram_fer in a \.keras file, got object"):
        gradients.InputGradient(object())
    with pytest.raises(UserError, match="score: expected probability or logit, got 'loss'"):
        gradients.LastMaps(object(), score="loss")
