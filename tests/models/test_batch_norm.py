"""StepBatchNormalization against Keras' BatchNormalization: outputs, gradients, moving statistics."""

import keras
import numpy as np
import pytest
from keras import ops
from support import oracles

from edram_fer.models import tensorflow_kernels
from edram_fer.models.batch_norm import BATCH_NORM_MODES, StepBatchNormalization

SHAPES = ((16, 5), (4, 3, 3, 5))
STEPS = 2


def activations(shape, seed=0):
    return (3.0 + 2.0 * np.random.default_rng(seed).normal(size=shape)).astype("float32")


def make_layers(shape, mode, seed=1):
    """A layer with random weights that differ by step, and for each step Keras' layer with the same weights."""
    layer = StepBatchNormalization(STEPS, mode, momentum=0.8)
    layer.build(shape)
    rng = np.random.default_rng(seed)
    for weight in layer.weights:
        weight.assign(rng.uniform(0.5, 2.0, weight.shape))
    twins = [keras.layers.BatchNormalization(momentum=0.8) for _ in range(1 if mode == "shared" else STEPS)]
    for step, twin in enumerate(twins):
        twin.build(shape)
        for name in ("gamma", "beta", "moving_mean", "moving_variance"):
            values = getattr(layer, name)
            getattr(twin, name).assign(values[step % values.shape[0]])
    return layer, [twins[step % len(twins)] for step in range(STEPS)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mode", BATCH_NORM_MODES)
def test_equals_keras_layers(mode, shape):
    layer, twins = make_layers(shape, mode)
    for round_ in range(2):
        for step, twin in enumerate(twins):
            x = activations(shape, seed=10 * round_ + step)
            outputs, expected = layer(x, step=step, training=True), twin(x, training=True)
            np.testing.assert_allclose(oracles.array(outputs), oracles.array(expected), atol=1e-4)
    for step, twin in enumerate(twins):
        row = 0 if mode == "shared" else step
        np.testing.assert_allclose(layer.moving_mean[row], twin.moving_mean, rtol=1e-5)
        np.testing.assert_allclose(layer.moving_variance[row], twin.moving_variance, rtol=1e-4)
        x = activations(shape, seed=step)
        np.testing.assert_allclose(layer(x, step=step), twin(x), atol=1e-5)


@pytest.mark.parametrize("step", range(STEPS))
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("mode", BATCH_NORM_MODES)
def test_gradients_equal_keras_layers(mode, training, shape, step):
    layer, twins = make_layers(shape, mode)
    x, direction, twin = activations(shape), activations(shape, seed=5), twins[step]

    def of_layer(x):
        return ops.sum(layer(x, step=step, training=training) * direction)

    def of_twin(x):
        return ops.sum(twin(x, training=training) * direction)

    np.testing.assert_allclose(*(oracles.gradients(f, [x])[0] for f in (of_layer, of_twin)), atol=2e-4)
    ours = oracles.weight_gradients(lambda: of_layer(x), [layer.gamma, layer.beta])
    theirs = oracles.weight_gradients(lambda: of_twin(x), [twin.gamma, twin.beta])
    for one, other in zip(ours, theirs):
        row = step % len(one)
        np.testing.assert_allclose(one[row], other, rtol=1e-4, atol=1e-3)
        assert not np.delete(one, row, axis=0).any()


def test_number_of_weights_per_mode():
    """Separate gamma, beta, mean and variance for each step; shared gamma and beta; or everything shared."""
    expected = {"per_step": (3 * 10, 3 * 10), "shared_affine": (10, 3 * 10), "shared": (10, 10)}
    for mode, (trainable, fixed) in expected.items():
        layer = StepBatchNormalization(3, mode)
        layer.build((None, 5))
        assert sum(int(np.prod(w.shape)) for w in layer.trainable_weights) == trainable
        assert sum(int(np.prod(w.shape)) for w in layer.non_trainable_weights) == fixed


def test_mixed_precision_keeps_statistics_in_float32():
    layer = StepBatchNormalization(STEPS, dtype="mixed_bfloat16")
    x = ops.cast(activations((512, 5)) + 100, "bfloat16")
    out = layer(x, step=1, training=True)
    assert ops.dtype(out) == "bfloat16" and {w.dtype for w in layer.weights} == {"float32"}
    exact = oracles.array(x)
    np.testing.assert_allclose(layer.moving_mean[1], 0.1 * exact.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(layer.moving_variance[1], 0.9 + 0.1 * exact.var(axis=0), rtol=1e-2)
    assert not oracles.array(layer.moving_mean)[0].any()
    expected = oracles.normalised(exact, 1, 0, exact.mean(axis=0), exact.var(axis=0))
    np.testing.assert_allclose(oracles.array(out), expected, atol=0.03)


def test_sums_beyond_the_range_of_float16(monkeypatch):
    monkeypatch.setattr(tensorflow_kernels, "can_normalise", lambda x: False)  # its kernel sums in float32
    layer, rng = StepBatchNormalization(dtype="mixed_float16"), np.random.default_rng(0)
    x = (20 + 5 * rng.normal(size=(4, 40, 40, 2))).astype("float16")
    out, exact = layer(x, training=True), x.astype("float64")
    mean, variance = exact.mean(axis=(0, 1, 2)), exact.var(axis=(0, 1, 2))
    np.testing.assert_allclose(layer.moving_mean[0], 0.1 * mean, rtol=1e-3)
    np.testing.assert_allclose(layer.moving_variance[0], 0.9 + 0.1 * variance, rtol=1e-3)
    np.testing.assert_allclose(oracles.array(out), oracles.normalised(exact, 1, 0, mean, variance), atol=0.02)
    (gradient,) = oracles.gradients(lambda x: ops.sum(layer(x, training=True) * 100), [x])
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("shape", SHAPES)
def test_statistics_are_float32_whatever_the_dtype(shape, dtype):
    layer, x = StepBatchNormalization(dtype=dtype), activations(shape)
    for training in (True, False):
        assert ops.dtype(layer(x, training=training)) == dtype
    assert {weight.dtype for weight in layer.weights} == {"float32"}


def test_a_constant_batch_gives_beta_and_a_finite_gradient():
    """As in the where-path of a new model: all matrices of the batch are equal."""
    layer = StepBatchNormalization(beta_initializer="ones")
    x = np.full((8, 5), 0.7616, "float32")
    np.testing.assert_allclose(layer(x, training=True), np.ones((8, 5)), atol=1e-3)
    (gradient,) = oracles.gradients(lambda x: ops.sum(layer(x, training=True) ** 2), [x])
    assert np.isfinite(gradient).all()


def test_an_unknown_mode_is_named():
    with pytest.raises(ValueError, match="batch_norm.*per_step"):
        StepBatchNormalization(mode="per_batch")
