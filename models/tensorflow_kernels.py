"""Faster TensorFlow operations that `keras.ops` lacks, with the same results.

This is the only file of the models that imports TensorFlow, and only inside functions.
"""

import functools

import keras
from keras import ops

from edram_fer.models.tensor import Tensor


@functools.cache
def runs_on_cpu() -> bool:
    """Whether TensorFlow is the backend and has no GPU."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.config.list_physical_devices("GPU")


def can_normalise(x: Tensor) -> bool:
    """Whether `batch_normalised` can take x: maps, on TensorFlow, not in float64."""
    return keras.backend.backend() == "tensorflow" and len(x.shape) == 4 and x.dtype != "float64"


def batch_normalised(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """Like `edram_fer.models.batch_norm.normalise`, for maps [B, h, w, C], in one operation."""
    import tensorflow as tf

    y, mean, variance = tf.compat.v1.nn.fused_batch_norm(x, gamma, beta, epsilon=epsilon, is_training=True)
    count = ops.cast(ops.prod(ops.shape(x)[:-1]), "float32")
    variance = variance * (1.0 - 1.0 / count)  # TensorFlow divides by count - 1
    return y, ops.stop_gradient(mean), ops.stop_gradient(variance)
