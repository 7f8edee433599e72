"""Batch normalisation over the steps of a recurrent glimpse model."""

import keras
import numpy as np
from keras import ops

CHOICES = ("per_step", "shared_affine", "shared")


@keras.saving.register_keras_serializable(package="edram_fer")
class StepBatchNormalization(keras.layers.Layer):
    """Batch normalisation that knows the step: a whole-face glimpse and a close-up have other statistics.

    Choices:
        per_step: gamma, beta, mean and variance of its own for each step (Forch et al. 2019).
        shared_affine: gamma and beta shared, population statistics for each step (Ablavatski et al. 2017).
        shared: one of everything. Averaging the statistics over the steps is known to break evaluation; it is here to
            show that.

    Statistics and arithmetic are float32 under mixed precision. The layer is not a set of Keras' BatchNormalization
    because those took a large part of an EDRAM's training step on a CPU: here the sums are matrix products and the
    gradient is the closed form, which took about half of the processor time for a batch of 128 26x26x64 maps.

    Args:
        steps: number of steps T, at least 1.
        choice: one of the above.
        momentum: of the moving statistics. With Keras' .99 validation lags behind training for many epochs.
        epsilon: added to the variance.
        beta_initializer: start of beta.

    Call arguments: x [B, ..., C]; step, a Python int in [0, T); training.

    Raises:
        ValueError: an unknown choice.
    """

    def __init__(self, steps=1, choice="per_step", momentum=0.9, epsilon=1e-3, beta_initializer="zeros", **kwargs):
        super().__init__(**kwargs)
        if choice not in CHOICES:
            raise ValueError(f"batch_norm: expected one of {', '.join(CHOICES)}, got {choice!r}")
        self.steps, self.choice, self.momentum, self.epsilon = steps, choice, momentum, epsilon
        self.beta_initializer = keras.initializers.get(beta_initializer)

    def build(self, input_shape):
        affine = (self.steps if self.choice == "per_step" else 1, input_shape[-1])
        population = (1 if self.choice == "shared" else self.steps, input_shape[-1])
        # One variable for all steps, not one per step: the graph and the optimizer's work do not grow with them.
        self.gamma = self.add_weight(name="gamma", shape=affine, initializer="ones", autocast=False)
        self.beta = self.add_weight(name="beta", shape=affine, initializer=self.beta_initializer, autocast=False)
        fixed = {"shape": population, "trainable": False, "autocast": False}
        self.moving_mean = self.add_weight(name="moving_mean", initializer="zeros", **fixed)
        self.moving_variance = self.add_weight(name="moving_variance", initializer="ones", **fixed)

    def call(self, x, step=0, training=False):
        gamma, beta = (w[step % w.shape[0]] for w in (self.gamma, self.beta))
        row = step % self.moving_mean.shape[0]
        if not training:
            scale = gamma * ops.rsqrt(self.moving_variance[row] + self.epsilon)
            shift = beta - self.moving_mean[row] * scale
            return ops.cast(ops.cast(x, "float32") * scale + shift, self.compute_dtype)
        rows = ops.cast(ops.reshape(x, (-1, x.shape[-1])), "float32")
        count = ops.shape(rows)[0]
        mean_of = ops.ones((1, count), dtype="float32") / ops.cast(count, "float32")
        fixed = ops.stop_gradient(rows)
        mean = ops.matmul(mean_of, fixed)
        variance = ops.maximum(ops.matmul(mean_of, ops.square(fixed)) - ops.square(mean), 0.0)
        here = np.eye(self.moving_mean.shape[0], dtype="float32")[row][:, None] * (1.0 - self.momentum)
        self.moving_mean.assign_add((mean - self.moving_mean) * here)
        self.moving_variance.assign_add((variance - self.moving_variance) * here)
        y = _normalise(rows, gamma, beta, mean[0], ops.rsqrt(variance[0] + self.epsilon), mean_of)
        return ops.cast(ops.reshape(y, ops.shape(x)), self.compute_dtype)

    def compute_output_shape(self, input_shape, step=None):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "steps": self.steps,
            "choice": self.choice,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "beta_initializer": keras.initializers.serialize(self.beta_initializer),
        }


@ops.custom_gradient
def _normalise(rows, gamma, beta, mean, inverse, mean_of):
    """gamma * (x - mean) * inverse + beta, with the gradient through mean and inverse = 1 / sd folded into that of x.

    Ioffe, Szegedy 2015 (arXiv 1502.03167), section 3: with z = (x - mean) * inverse,
    dx = gamma * inverse * (dy - mean(dy) - z * mean(dy * z)).

    Args:
        rows: x, float32 [n, C].
        gamma, beta, mean, inverse: float32 [C].
        mean_of: float32 [1, n] of 1 / n, whose product with rows is their mean: faster than a reduction.
    """
    scale = gamma * inverse

    def gradient(*args, upstream=None):
        dy = args[0] if upstream is None else upstream
        dbeta = ops.matmul(mean_of, dy)[0]
        dgamma = (ops.matmul(mean_of, dy * rows)[0] - dbeta * mean) * inverse
        slope = scale * inverse * dgamma
        dx = dy * scale - rows * slope + (mean * slope - scale * dbeta)
        count = ops.cast(ops.shape(rows)[0], "float32")
        nothing = (ops.zeros_like(fixed) for fixed in (mean, inverse, mean_of))
        return dx, dgamma * count, dbeta * count, *nothing

    return rows * scale + (beta - mean * scale), gradient
