"""A trunk of convolutions: the features of the whole image, in which a model then looks."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from edram_fer.models.batch_norm import StepBatchNormalization
from edram_fer.models.initializers import make_initializer
from edram_fer.models.tensor import Shape, Tensor


@keras.saving.register_keras_serializable(package="edram_fer")
class Trunk(keras.layers.Layer):
    """Stages of two 3x3 `same` convolutions, each with BN and ReLU, and a 2x2 max-pool.

    Args:
        filters: filters of each stage.
        initializer: initialiser of the kernels, see `make_initializer`.
        momentum: momentum of the batch normalisation.
        epsilon: added to the variance in the batch normalisation.

    Call arguments: x [B, H, W, C]; training. Returns [B, H / 2^stages, W / 2^stages, filters[-1]], rounded down.
    """

    def __init__(
        self,
        filters: Sequence[int] = (64, 128),
        initializer: str = "he",
        momentum: float = 0.9,
        epsilon: float = 1e-3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters, self.initializer, self.momentum, self.epsilon = tuple(filters), initializer, momentum, epsilon
        policy = self.dtype_policy
        widths = [n for n in self.filters for _ in range(2)]
        self.convolutions = [
            keras.layers.Conv2D(
                n, 3, padding="same", use_bias=False, kernel_initializer=make_initializer(initializer), dtype=policy
            )
            for n in widths
        ]
        self.norms = [StepBatchNormalization(momentum=momentum, epsilon=epsilon, dtype=policy) for _ in widths]
        self.pool = keras.layers.MaxPooling2D(2, dtype=policy)

    def build(self, input_shape: Shape) -> None:
        pass

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        for i, (convolution, norm) in enumerate(zip(self.convolutions, self.norms)):
            x = ops.relu(norm(convolution(x), training=training))
            x = self.pool(x) if i % 2 else x
        return x

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "initializer": self.initializer,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
        }
