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
    because those took over half of an EDRAM's training step on a CPU: here the sums are matrix products and the
    gradient is the closed form, about half the memory traffic.

    Args:
        steps: number of steps T, at least 1.
        choice: one of the above.
        momentum: of the moving statistics. Keras' .99 leaves validation far behind training for many epochs; .9 follows.
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
        mean, variance = _moments(ops.stop_gradient(x))
        self._move(self.moving_mean, row, mean)
        self._move(self.moving_variance, row, variance)
        return _normalise(x, gamma, beta, mean, ops.rsqrt(variance + self.epsilon))

    def _move(self, statistic, row, value):
        change = (1.0 - self.momentum) * (value - statistic[row])
        here = np.eye(statistic.shape[0], dtype="float32")[row]
        statistic.assign_add(ops.convert_to_tensor(here)[:, None] * change)

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


def _rows(x):
    """[B, ..., C] -> float32 [n, C], and the [1, n] row of 1 / n whose product with it is the mean over all but C."""
    rows = ops.cast(ops.reshape(x, (-1, x.shape[-1])), "float32")
    count = ops.cast(ops.shape(rows)[0], "float32")
    return rows, ops.ones((1, ops.shape(rows)[0]), dtype="float32") / count


def _moments(x):
    rows, mean_of = _rows(x)
    mean = ops.matmul(mean_of, rows)[0]
    return mean, ops.maximum(ops.matmul(mean_of, rows * rows)[0] - mean * mean, 0.0)


@ops.custom_gradient
def _normalise(x, gamma, beta, mean, inverse):
    """gamma * (x - mean) * inverse + beta, with the gradient through mean and inverse = 1 / sd folded into that of x.

    Ioffe, Szegedy 2015 (arXiv 1502.03167), section 3: with z = (x - mean) * inverse,
    dx = gamma * inverse * (dy - mean(dy) - z * mean(dy * z)).
    """
    rows, mean_of = _rows(x)
    scale = gamma * inverse
    y = ops.cast(rows * scale + (beta - mean * scale), x.dtype)

    def gradient(*args, upstream=None):
        upstream = args[0] if upstream is None else upstream
        dy, _ = _rows(upstream)
        count = ops.cast(ops.shape(dy)[0], "float32")
        dbeta = ops.matmul(mean_of, dy)[0]
        dgamma = (ops.matmul(mean_of, dy * rows)[0] - dbeta * mean) * inverse
        slope = scale * inverse * dgamma
        dx = dy * scale - rows * slope + (mean * slope - scale * dbeta)
        dx = ops.reshape(ops.cast(dx, x.dtype), ops.shape(x))
        return dx, dgamma * count, dbeta * count, ops.zeros_like(mean), ops.zeros_like(inverse)

    return ops.reshape(y, ops.shape(x)), gradient
