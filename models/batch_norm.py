"""Batch normalisation over the steps of a recurrent glimpse model."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from edram_fer.errors import UserError
from edram_fer.models import tensorflow_kernels
from edram_fer.models.tensor import Shape, Tensor

BATCH_NORM_MODES = ("per_step", "shared_affine", "shared")


@keras.saving.register_keras_serializable(package="edram_fer")
class StepBatchNormalization(keras.layers.Layer):
    """Batch normalisation that depends on the step, because glimpses of the whole face and close-ups differ.

    Modes:
        per_step: separate gamma, beta, mean and variance for each step (Forch et al. 2019).
        shared_affine: shared gamma and beta, separate population statistics for each step (Ablavatski et al. 2017).
        shared: everything shared. Averaging the statistics over the steps is known to break evaluation; this mode
            demonstrates it.

    Under mixed precision, inference computes in float32. Training reads and writes maps [B, h, w, C] in the compute
    dtype, and keeps mean, variance and everything else in float32. Keras' BatchNormalization took a large part of
    EDRAM's training step on a CPU, which is limited by memory access. Here TensorFlow normalises maps with its fused
    kernel; elsewhere the sums are matrix products, and the gradient has a closed form.

    Args:
        steps: number of steps T, at least 1.
        mode: one of the above.
        momentum: momentum of the moving statistics. With Keras' .99, validation lags behind training for many epochs.
        epsilon: added to the variance.
        beta_initializer: initialiser of beta.

    Call arguments: x [B, ..., C]; step, a Python int in [0, T); training.

    Raises:
        UserError: an unknown mode.
    """

    def __init__(
        self,
        steps: int = 1,
        mode: str = "per_step",
        momentum: float = 0.9,
        epsilon: float = 1e-3,
        beta_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if mode not in BATCH_NORM_MODES:
            raise UserError(f"batch_norm: expected one of {', '.join(BATCH_NORM_MODES)}, got {mode!r}")
        self.steps, self.mode, self.momentum, self.epsilon = steps, mode, momentum, epsilon
        self.beta_initializer = keras.initializers.get(beta_initializer)

    def build(self, input_shape: Shape) -> None:
        affine = (self.steps if self.mode == "per_step" else 1, input_shape[-1])
        population = (1 if self.mode == "shared" else self.steps, input_shape[-1])
        # One variable for all steps: the graph and the optimizer's work do not grow with the number of steps.
        wide = {"dtype": "float32", "autocast": False}
        self.gamma = self.add_weight(name="gamma", shape=affine, initializer="ones", **wide)
        self.beta = self.add_weight(name="beta", shape=affine, initializer=self.beta_initializer, **wide)
        fixed = {"shape": population, "trainable": False, **wide}
        self.moving_mean = self.add_weight(name="moving_mean", initializer="zeros", **fixed)
        self.moving_variance = self.add_weight(name="moving_variance", initializer="ones", **fixed)

    def call(self, x: Tensor, step: int = 0, training: bool = False) -> Tensor:
        gamma, beta = (w[step % w.shape[0]] for w in (self.gamma, self.beta))
        row = step % self.moving_mean.shape[0]
        if not training:
            scale = gamma * ops.rsqrt(self.moving_variance[row] + self.epsilon)
            shift = beta - self.moving_mean[row] * scale
            return ops.cast(ops.cast(x, "float32") * scale + shift, self.compute_dtype)
        if len(x.shape) == 2:
            x = ops.cast(x, "float32")  # the array is small, so float32 costs little
        y, mean, variance = normalise(x, gamma, beta, self.epsilon)
        share = np.eye(self.moving_mean.shape[0], dtype="float32")[row][:, None] * (1.0 - self.momentum)
        self.moving_mean.assign_add((mean - self.moving_mean) * share)
        self.moving_variance.assign_add((variance - self.moving_variance) * share)
        return ops.cast(y, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape, step: int | None = None) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "steps": self.steps,
            "mode": self.mode,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "beta_initializer": keras.initializers.serialize(self.beta_initializer),
        }


def normalise(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise with the statistics of the batch: gamma * (x - mean) / sqrt(variance + epsilon) + beta.

    Args:
        x: [B, ..., C].
        gamma, beta: float32 [C].
        epsilon: added to the variance.

    Returns:
        The normalised x in its dtype; mean and variance (of the population, without Bessel's correction), float32 [C],
        through which no gradient passes.
    """
    if tensorflow_kernels.can_normalise(x):
        return tensorflow_kernels.batch_normalised(x, gamma, beta, epsilon)
    fixed = _summable(ops.stop_gradient(x))
    mean = _mean(fixed)
    variance = ops.maximum(_mean(ops.square(fixed)) - ops.square(mean), 0.0)
    return _normalise(x, gamma, beta, mean, ops.rsqrt(variance + epsilon)), mean, variance


@ops.custom_gradient
def _normalise(x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, inverse: Tensor) -> Tensor:
    """gamma * (x - mean) * inverse + beta; the gradient of x includes the gradients through mean and inverse = 1 / sd.

    Ioffe, Szegedy 2015 (arXiv 1502.03167), section 3: with z = (x - mean) * inverse,
    dx = gamma * inverse * (dy - mean(dy) - z * mean(dy * z)).

    Args:
        x: [B, ..., C].
        gamma, beta, mean, inverse: float32 [C].
    """
    scale = gamma * inverse

    def gradient(*args, upstream=None):
        dy = args[0] if upstream is None else upstream
        dbeta = _mean(_summable(dy))
        dgamma = (_mean(_summable(dy) * _summable(x)) - dbeta * mean) * inverse
        slope = scale * inverse * dgamma
        dx = _affine(dy, scale, mean * slope - scale * dbeta) - _affine(x, slope)
        count = ops.cast(ops.prod(ops.shape(x)[:-1]), "float32")
        return dx, dgamma * count, dbeta * count, ops.zeros_like(mean), ops.zeros_like(inverse)

    return _affine(x, scale, beta - mean * scale), gradient


def _summable(x: Tensor) -> Tensor:
    """float16 ends at 65,504, which squares and sums of activations exceed; all other types are left as they are."""
    return ops.cast(x, "float32") if keras.backend.standardize_dtype(x.dtype) == "float16" else x


def _mean(x: Tensor) -> Tensor:
    """Mean over all axes but the last, float32 [C].

    Sums over an image are matrix products in the dtype of x, which are faster than reductions; their mean over the
    images is computed in float32, so that the rounding of bfloat16 averages out.
    """
    images = x[None] if len(x.shape) == 2 else ops.reshape(x, (-1, math.prod(x.shape[1:-1]), x.shape[-1]))
    points = ops.shape(images)[1]
    sums = ops.matmul(ops.ones((1, points), dtype=x.dtype), images)
    return ops.mean(ops.cast(sums, "float32"), axis=(0, 1)) / ops.cast(points, "float32")


def _affine(x: Tensor, scale: Tensor, shift: Tensor | None = None) -> Tensor:
    """x * scale + shift per channel, in the dtype of x."""
    y = x * ops.cast(scale, x.dtype)
    return y if shift is None else y + ops.cast(shift, x.dtype)
