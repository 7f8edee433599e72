"""The convolution with its special kernel gradient against automatic differentiation."""

import keras
import numpy as np
import pytest
from keras import ops
from support import oracles

from edram_fer.models.convolution import Conv2D, convolve


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_gradients_equal_those_of_the_library(padding):
    rng = np.random.default_rng(0)
    x, kernel = (rng.normal(size=shape).astype("float32") for shape in ((3, 6, 5, 4), (3, 3, 4, 7)))
    out = ops.conv(x, kernel, padding=padding)
    direction = rng.normal(size=out.shape).astype("float32")
    np.testing.assert_allclose(convolve(x, kernel, padding), out, atol=1e-5)
    gradients, expected = (
        oracles.gradients(lambda x, kernel, f=f: ops.sum(f(x, kernel, padding=padding) * direction), [x, kernel])
        for f in (convolve, ops.conv)
    )
    for one, other in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("side", [6, 9])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_layer_in_bfloat16_learns_as_keras_layer(padding, side):
    """On a small map (the products) and on a larger one (the library)."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(8, side, side, 16)).astype("float32")
    mine, theirs = (kind(8, 3, padding=padding, dtype="mixed_bfloat16") for kind in (Conv2D, keras.layers.Conv2D))
    for layer in (mine, theirs):
        layer.build(x.shape)
    theirs.set_weights(mine.get_weights())
    direction = rng.normal(size=mine(x).shape)

    def loss(layer):
        return lambda: ops.sum(ops.cast(layer(x), "float32") * direction)

    gradients, expected = (
        oracles.weight_gradients(loss(layer), [layer.kernel, layer.bias]) for layer in (mine, theirs)
    )
    for one, other in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=0.02 * np.abs(other).max())
