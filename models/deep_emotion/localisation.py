"""Localisation network: from the image to theta, the matrix of the window (Jaderberg et al. 2015, section 3.1)."""

from typing import Any

import keras
import numpy as np
from keras import ops

from edram_fer.models.initializers import make_initializer
from edram_fer.models.slow import SlowConv2D, SlowDense
from edram_fer.models.spatial_transformer import IDENTITY
from edram_fer.models.tensor import Shape, Tensor

INTERPRETATIONS = {  # sides of the two kernels, padding, pool, smallest image side that leaves one point
    "narrow": ((3, 3), "same", 4, 16),
    "wide": ((3, 3), "valid", 2, 10),
    "public": ((7, 5), "valid", 2, 18),
}
FILTERS = (8, 10)
UNITS = 32


@keras.saving.register_keras_serializable(package="edram_fer")
class LocalisationNetwork(keras.layers.Layer):
    """Conv 8, max-pool, ReLU; conv 10, max-pool, ReLU; dense 32, ReLU; dense 6 = theta. Always in float32.

    Interpretations of the paper, in which the dense layer has 90 = 10 x 3 x 3 inputs, which 2x2 pools at 48 pixels
    would not give:
        narrow: 3x3 `same` convolutions and 4x4 pools, 90 inputs. The paper gives neither pools nor padding; these are
            ours.
        wide: 3x3 `valid` convolutions and 2x2 pools, as in the paper's figure, 1,000 inputs.
        public: 7x7 and 5x5 `valid` convolutions and 2x2 pools, as in the common public code, 640 inputs.

    A new network outputs the identity for every image: the last kernel starts at 0, and without a bound the last bias
    at (1, 0, 0, 0, 1, 0). With a bound the bias starts at 0 and theta = identity + bound * tanh(last layer); for bounds
    below .5 no window is mirrored or degenerate.

    Args:
        interpretation: "narrow", "wide" or "public".
        bound: None, or the largest distance of theta's entries from the identity's entries.
        rate: share of the learning rate at which this network learns, see edram_fer.models.slow.
        initializer: initialiser of the other kernels, see `make_initializer`.

    Call arguments: image [B, H, W, C]. Returns theta float32 [B, 2, 3].
    """

    def __init__(
        self,
        interpretation: str = "narrow",
        bound: float | None = None,
        rate: float = 1.0,
        initializer: str = "normal",
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.interpretation, self.bound, self.rate, self.initializer = interpretation, bound, rate, initializer
        sides, padding, pool, _ = INTERPRETATIONS[interpretation]
        options = {"rate": rate, "dtype": "float32"}
        self.convolutions = [
            SlowConv2D(n, side, padding=padding, kernel_initializer=make_initializer(initializer, rate), **options)
            for n, side in zip(FILTERS, sides, strict=True)
        ]
        self.pool = keras.layers.MaxPooling2D(pool, dtype="float32")
        self.flatten = keras.layers.Flatten(dtype="float32")
        self.hidden = SlowDense(UNITS, "relu", kernel_initializer=make_initializer(initializer, rate), **options)
        start = np.ravel(IDENTITY).astype("float32") / rate if bound is None else np.zeros(6, "float32")
        self.theta = SlowDense(6, kernel_initializer="zeros", bias_initializer=start, **options)

    def build(self, image_shape: Shape) -> None:
        pass

    def call(self, image: Tensor) -> Tensor:
        x = ops.cast(image, "float32")
        for convolution in self.convolutions:
            x = ops.relu(self.pool(convolution(x)))
        theta = ops.reshape(self.theta(self.hidden(self.flatten(x))), (-1, 2, 3))
        if self.bound is None:
            return theta
        return ops.convert_to_tensor(np.array(IDENTITY, "float32")) + self.bound * ops.tanh(theta)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "interpretation": self.interpretation,
            "bound": self.bound,
            "rate": self.rate,
            "initializer": self.initializer,
        }
