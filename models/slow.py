"""Layers that learn at a share of the learning rate, with any optimizer."""

from typing import Any

import keras
from keras import ops

from edram_fer.models.tensor import Tensor


def slow_down(weight: Tensor, rate: float) -> Tensor:
    """The value rate * weight, with the gradient as if it were `weight` itself.

    The variable V represents W = rate * V. Scaled gradients alone would not slow down Adam and similar optimizers,
    which divide by the size of the gradients; they move V by about the learning rate lr, and so W by rate * lr.
    Gradient descent would apply the factor twice, in the gradient of V and in W; because the gradient passes unscaled,
    it moves W by rate * lr * dL/dW as well. Gradient clipping uses the norm of dL/dW. Weight decay reduces V, and so W,
    by the same share as any other weight: it is not slowed down.

    >>> float(slow_down(2.0, 0.5))
    1.0
    """
    return weight if rate == 1 else weight + ops.stop_gradient((rate - 1.0) * weight)


@keras.saving.register_keras_serializable(package="edram_fer")
class SlowConv2D(keras.layers.Conv2D):
    """Conv2D whose kernel and bias are slowed down by `rate`; its `kernel` and `bias` are the variables V."""

    def __init__(self, *args: Any, rate: float = 1.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rate = rate

    def call(self, x: Tensor) -> Tensor:
        x = self.convolution_op(x, slow_down(self.kernel, self.rate)) + slow_down(self.bias, self.rate)
        return self.activation(x)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate}


@keras.saving.register_keras_serializable(package="edram_fer")
class SlowDense(keras.layers.Dense):
    """Dense whose kernel is slowed down by `rate` and its bias by `bias_rate` (None: the same); its `kernel` and `bias`
    are the variables V."""

    def __init__(self, *args: Any, rate: float = 1.0, bias_rate: float | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rate, self.bias_rate = rate, rate if bias_rate is None else bias_rate

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        return self.activation(ops.matmul(x, slow_down(self.kernel, self.rate)) + slow_down(self.bias, self.bias_rate))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "bias_rate": self.bias_rate}
