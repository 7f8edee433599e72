"""The moving average of a model's weights, which is validated and saved instead of the weights themselves."""

from typing import Any

import keras
import numpy as np
from keras import ops


class MovingAverage(keras.callbacks.Callback):
    """Averages the weights after each training step: theta' <- d theta' + (1 - d) theta.

    d = min(decay, (1 + n) / (10 + n)) after n steps, as in tf.train.ExponentialMovingAverage, so that the initial
    weights are soon forgotten. Averages of weights: Polyak, Juditsky 1992 (SIAM J. Control Optim. 30:838). The moving
    statistics of batch normalisation are averaged, too, because the latest statistics would not fit averaged kernels.

    Keras' `use_ema` is not suitable: it omits these statistics, replaces the weights by the average at the end of each
    `fit`, which a resumed run calls twice, and swaps the two with additions, which round.

    In the list of callbacks it follows the callbacks that use the validated model (`Best`) and precedes Checkpoint,
    which saves its `variables`.

    Args:
        model: A built model.
        decay: The limit of d, in (0, 1).
    """

    def __init__(self, model: keras.Model, decay: float) -> None:
        super().__init__()
        self.decay, self.trained = decay, None
        self.averaged = [weight for weight in model.weights if keras.backend.is_float_dtype(weight.dtype)]
        start = _copies(self.averaged)
        self.variables = [keras.Variable(value, trainable=False, name="average") for value in start]
        self.move = _compile_update(self.variables, self.averaged)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()  # inside `fit` the variables do not hold the current values
        steps = int(self.model.optimizer.iterations)
        rate = 1 - min(self.decay, (1 + steps) / (10 + steps))
        self.move(np.float32(rate))

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.trained = _copies(self.averaged)
        self._put(_copies(self.variables))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._put(self.trained)

    def _put(self, values):
        for variable, value in zip(self.averaged, values, strict=True):
            variable.assign(value)


def _compile_update(averages, weights):
    """A function of a rate that updates all averages in one call; separate operations would take longer than the
    training step of a small model."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        @tf.function(autograph=False)  # traces the loop as it is; converting it takes a second
        def move(rate):
            for average, weight in zip(averages, weights, strict=True):
                average.assign_add(rate * (ops.convert_to_tensor(weight) - average))

        return move
    import jax

    moved = jax.jit(lambda rate, old, new: [a + rate * (b - a) for a, b in zip(old, new, strict=True)])

    def move(rate):
        values = moved(rate, [average.value for average in averages], [weight.value for weight in weights])
        for average, value in zip(averages, values, strict=True):
            average.assign(value)

    return move


def _copies(variables):
    """The values as NumPy arrays; on JAX a test step deletes the arrays that variables hold."""
    return [np.array(ops.convert_to_numpy(variable)) for variable in variables]
