"""Layers that learn at a share of the learning rate, whatever the optimizer."""

import keras
from keras import ops


def slowed(weight, rate):
    """rate * weight, with the gradient as if it were `weight` itself.

    The variable V holds W = rate * V. Scaled gradients alone would not slow Adam and its like, which divide the size of
    a gradient out again: they move V by the learning rate lr, and so W by rate * lr. Gradient descent would see the
    factor twice, in the gradient of V and in W; since the gradient passes unscaled it moves W by
    rate * lr * dL/dW, too. The norm of the gradient, by which it may be clipped, is that of dL/dW. Weight decay takes
    from V what it takes from any other weight, and so from W the same share: it is not slowed.
    """
    return weight if rate == 1 else weight + ops.stop_gradient((rate - 1.0) * weight)


@keras.saving.register_keras_serializable(package="edram_fer")
class SlowConv2D(keras.layers.Conv2D):
    """Conv2D whose kernel and bias are `slowed` by `rate`; its `kernel` and `bias` are the variables V."""

    def __init__(self, *args, rate=1.0, **kwargs):
        super().__init__(*args, **kwargs)
        self.rate = rate

    def call(self, x):
        x = self.convolution_op(x, slowed(self.kernel, self.rate)) + slowed(self.bias, self.rate)
        return self.activation(x)

    def get_config(self):
        return {**super().get_config(), "rate": self.rate}


@keras.saving.register_keras_serializable(package="edram_fer")
class SlowDense(keras.layers.Dense):
    """Dense whose kernel is `slowed` by `rate` and whose bias by `bias_rate` (None: the same); its `kernel` and `bias`
    are the variables V."""

    def __init__(self, *args, rate=1.0, bias_rate=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.rate, self.bias_rate = rate, rate if bias_rate is None else bias_rate

    def call(self, x, training=None):
        return self.activation(ops.matmul(x, slowed(self.kernel, self.rate)) + slowed(self.bias, self.bias_rate))

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "bias_rate": self.bias_rate}
