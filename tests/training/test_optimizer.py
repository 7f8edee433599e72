"""The optimizer of a recipe: weight decay and schedule."""

import keras
import numpy as np
import pytest
from support.tiny import TINY

from edram_fer import models
from edram_fer.recipes import recipe
from edram_fer.training import optimizer


def test_kernels_decay_except_those_of_the_emission_network():
    model = models.build("edram", **TINY)
    adamw = optimizer.make(
        recipe.Recipe(optimizer="adamw", learning_rate=0.1, weight_decay=0.5, schedule="constant"),
        steps=10,
        variables=model.trainable_variables,
    )
    before = [np.array(v.value) for v in model.trainable_variables]
    adamw.apply([keras.ops.zeros(v.shape) for v in model.trainable_variables], model.trainable_variables)
    for variable, old in zip(model.trainable_variables, before, strict=True):
        kernel = variable.path.endswith("kernel") and "emission" not in variable.path
        expected = old * (1 - 0.1 * 0.5) if kernel else old
        np.testing.assert_allclose(np.array(variable.value), expected, rtol=1e-6, err_msg=variable.path)
    assert any("emission" in v.path and v.path.endswith("kernel") for v in model.trainable_variables)


def test_adamw_decays_all_weights_if_set():
    kernel, bias = (keras.Variable(np.ones(2, "float32"), name=name) for name in ("kernel", "bias"))
    for decayed, expected in (("kernels", 1), ("all", 1 - 0.1 * 0.5)):
        settings = {"learning_rate": 0.1, "weight_decay": 0.5, "decayed": decayed, "schedule": "constant"}
        adamw = optimizer.make(recipe.Recipe(optimizer="adamw", **settings), 10, [kernel, bias])
        bias.assign(np.ones(2))
        adamw.apply([keras.ops.zeros(2)] * 2, [kernel, bias])
        np.testing.assert_allclose(np.array(bias.value), expected, rtol=1e-6)


def test_warm_up_and_cosine():
    resolved = recipe.Recipe(learning_rate=0.1, min_learning_rate=0.01, schedule="cosine", warmup_epochs=2, epochs=12)
    rate = optimizer.make(resolved, steps=5, variables=[])._learning_rate
    assert float(rate(0)) == 0 and float(rate(5)) == pytest.approx(0.05) and float(rate(10)) == pytest.approx(0.1)
    halfway = 0.01 + (0.1 - 0.01) * 0.5  # of 50 steps of cosine
    assert float(rate(35)) == pytest.approx(halfway, rel=1e-5) and float(rate(60)) == pytest.approx(0.01)


@pytest.mark.parametrize(("nesterov", "decayed", "clip_norm"), [(True, "kernels", 100), (False, "all", 0)])
def test_sgd_has_momentum_and_the_decay_in_the_gradient(nesterov, decayed, clip_norm):
    kernel, bias = (keras.Variable(np.ones(2, "float32"), name=name) for name in ("kernel", "bias"))
    settings = {
        "learning_rate": 0.1,
        "momentum": 0.8,
        "nesterov": nesterov,
        "weight_decay": 0.5,
        "decayed": decayed,
        "clip_norm": clip_norm,
        "schedule": "constant",
    }
    sgd = optimizer.make(recipe.Recipe(optimizer="sgd", **settings), 10, [kernel, bias])
    sgd.build([kernel, bias])
    gradients = np.random.default_rng(0).normal(0, 1, (4, 2, 2)).astype("float32")
    weights, velocity = np.ones((2, 2)), np.zeros((2, 2))
    for gradient in gradients:
        sgd.apply([keras.ops.convert_to_tensor(part) for part in gradient], [kernel, bias])
        full = gradient + 0.5 * weights * [[1], [decayed == "all"]]
        velocity = 0.8 * velocity + full  # Sutskever et al. 2013 as PyTorch writes it
        weights = weights - 0.1 * (full + 0.8 * velocity if nesterov else velocity)
    np.testing.assert_allclose([np.array(kernel.value), np.array(bias.value)], weights, rtol=1e-5)


@pytest.mark.parametrize(("clip_norm", "scale"), [(0, 1), (10, 10 / 500)])
def test_a_clip_norm_of_0_is_no_limit(clip_norm, scale):
    kernel = keras.Variable(np.zeros(2, "float32"), name="kernel")
    made = recipe.Recipe(
        optimizer="sgd", learning_rate=1, momentum=0, nesterov=False, schedule="constant", clip_norm=clip_norm
    )
    sgd = optimizer.make(made, 10, [kernel])
    sgd.apply([keras.ops.convert_to_tensor(np.array([300.0, -400], "float32"))], [kernel])
    np.testing.assert_allclose(np.array(kernel.value), [-300 * scale, 400 * scale], rtol=1e-5)


def test_decay_of_adam_is_in_the_gradient():
    values, actual = np.array([1.0, -2], "float32"), []
    for decay in (0.3, 0.0):
        kernel, bias = (keras.Variable(values, name=name) for name in ("kernel", "bias"))
        resolved = optimizer.make(
            recipe.Recipe(optimizer="adam", schedule="constant", learning_rate=0.1, clip_norm=100, weight_decay=decay),
            10,
            [kernel, bias],
        )
        resolved.build([kernel, bias])
        for gradient in np.random.default_rng(1).normal(0, 1, (3, 2)).astype("float32"):
            whole = gradient if decay else gradient + 0.3 * np.array(kernel.value)
            resolved.apply([keras.ops.convert_to_tensor(part) for part in (whole, gradient)], [kernel, bias])
        actual.append(np.array([kernel.value, bias.value]))
    np.testing.assert_allclose(*actual, rtol=1e-6)
    assert np.abs(actual[0][0] - actual[0][1]).max() > 1e-3


@pytest.mark.parametrize(("clip_norm", "scale"), [(0, 1), (10, 0.1), (1000, 1)])
@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw"])
def test_a_clip_norm_of_0_leaves_the_gradient(kind, clip_norm, scale):
    """The gradients (60, 0) and (0, 80) have the global norm 100. Adam's first moment shows a tenth of the gradient."""
    settings = {"optimizer": kind, "learning_rate": 0.1, "momentum": 0.0, "schedule": "constant"}
    made = optimizer.make(recipe.Recipe(clip_norm=clip_norm, nesterov=False, **settings), 10, [])
    variables = [keras.Variable(np.zeros(2, "float32")) for _ in range(2)]
    made.build(variables)
    made.apply([keras.ops.convert_to_tensor(np.array(g, "float32")) for g in ((60, 0), (0, 80))], variables)
    seen = [-10 * np.array(v) for v in variables] if kind == "sgd" else [10 * np.array(m) for m in made._momentums]
    np.testing.assert_allclose(seen, scale * np.array([[60, 0], [0, 80]]), rtol=1e-5)


def test_steps_divide_the_rate_by_ten():
    resolved = recipe.Recipe(learning_rate=0.1, schedule="steps", step_epochs=(2, 4.5))
    rate = optimizer.make(resolved, steps=10, variables=[])._learning_rate
    for step, expected in ((0, 0.1), (19, 0.1), (20, 0.01), (44, 0.01), (45, 0.001), (90, 0.001)):
        assert float(rate(step)) == pytest.approx(expected), step


@pytest.mark.parametrize("decay", [None, 0.3])
def test_adam_in_one_pass_is_keras_adam(decay):
    start, rng = [np.ones((3, 2), "float32"), np.ones(4, "float32")], np.random.default_rng(0)
    steps = [[rng.normal(0, 1, values.shape).astype("float32") for values in start] for _ in range(5)]
    actual = []
    for kind in (optimizer.Adam, keras.optimizers.Adam):
        variables = [keras.Variable(values) for values in start]
        adam = kind(keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.9), weight_decay=decay, global_clipnorm=1.0)
        adam.build(variables)
        for gradients in steps:
            adam.apply([keras.ops.convert_to_tensor(gradient) for gradient in gradients], variables)
        actual.append([np.array(variable.value) for variable in (*variables, *adam.variables)])
    assert len(actual[0]) == len(actual[1]) and np.abs(actual[0][0] - 1).max() > 0.1
    for ours, theirs in zip(*actual, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)
