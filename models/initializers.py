"""The initialisers of Deep-Emotion."""

from collections.abc import Iterable

import keras
import numpy as np

INITIALIZERS = ("normal", "he", "pytorch")
PUBLISHED_SD = 0.05  # Minaee, Abdolrashidi 2019: weights drawn from N(0, .05)


def make_initializer(initializer: str, rate: float = 1.0) -> keras.initializers.Initializer:
    """Make the initialiser of a kernel.

    Args:
        initializer: "normal", N(0, .05); "he" (He et al. 2015); or "pytorch", the default of PyTorch's layers, uniform
            between -1 / sqrt(fan-in) and 1 / sqrt(fan-in).
        rate: rate of a slow kernel W = rate * V, see `edram_fer.models.slow`.

    Returns:
        Keras initialiser for V that gives W this distribution. Use a new one for every kernel, because one object draws
        the same numbers each time.
    """
    if initializer == "normal":
        return keras.initializers.RandomNormal(stddev=PUBLISHED_SD / rate)
    if initializer == "pytorch":
        return keras.initializers.VarianceScaling(1 / 3 / rate**2, "fan_in", "uniform")
    return keras.initializers.VarianceScaling(2.0 / rate**2, "fan_in", "truncated_normal")


def draw_biases(layers: Iterable[keras.layers.Layer]) -> None:
    """Draw the biases of built layers as PyTorch does, from the interval of their kernels (see `make_initializer`)."""
    for layer in layers:
        rate = getattr(layer, "rate", 1.0)  # of a slow layer
        limit = 1 / np.sqrt(np.prod(layer.kernel.shape[:-1])) / rate
        layer.bias.assign(keras.initializers.RandomUniform(-limit, limit)(layer.bias.shape))
