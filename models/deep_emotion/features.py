"""The feature extractor of the paper, with ten channels."""

from typing import Any

import keras
from keras import ops

from edram_fer.models.batch_norm import StepBatchNormalization
from edram_fer.models.initializers import make_initializer
from edram_fer.models.tensor import Shape, Tensor

FILTERS = 10


@keras.saving.register_keras_serializable(package="edram_fer")
class FeatureExtractor(keras.layers.Layer):
    """Twice: conv 3x3, ReLU; conv 3x3, max-pool 2, ReLU; all valid, ten filters. 48x48xC -> 9x9x10.

    Args:
        batch_norm: adds batch normalisation after the fourth convolution, as in public code; the paper has none.
        initializer: initialiser of the kernels, see `make_initializer`.
        momentum: momentum of the batch normalisation.
        epsilon: added to the variance in the batch normalisation.

    Call arguments: x [B, H, W, C]; training. Returns [B, h, w, 10].
    """

    def __init__(
        self,
        batch_norm: bool = False,
        initializer: str = "normal",
        momentum: float = 0.9,
        epsilon: float = 1e-3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.batch_norm, self.initializer, self.momentum, self.epsilon = batch_norm, initializer, momentum, epsilon
        policy = self.dtype_policy
        self.convolutions = [
            keras.layers.Conv2D(FILTERS, 3, kernel_initializer=make_initializer(initializer), dtype=policy)
            for _ in range(4)
        ]
        norm = {"momentum": momentum, "epsilon": epsilon, "dtype": policy}
        self.norm = StepBatchNormalization(**norm) if batch_norm else None
        self.pool = keras.layers.MaxPooling2D(2, dtype=policy)

    def build(self, input_shape: Shape) -> None:
        pass

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        first, second, third, fourth = self.convolutions
        x = ops.relu(self.pool(second(ops.relu(first(x)))))
        x = fourth(ops.relu(third(x)))
        if self.norm is not None:
            x = self.norm(x, training=training)
        return ops.relu(self.pool(x))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "batch_norm": self.batch_norm,
            "initializer": self.initializer,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
        }
