"""Context network: a coarse view of the whole image that determines the first glimpse (Ablavatski et al. 2017)."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from edram_fer.models.tensor import Tensor

CONTEXT_SIDE = 12


def area_average_matrix(source: int, target: int) -> np.ndarray:
    """Weights that average `source` pixels into `target` cells by exact overlap, float32 [target, source].

    >>> area_average_matrix(3, 2).round(2)
    array([[0.67, 0.33, 0.  ],
           [0.  , 0.33, 0.67]], dtype=float32)
    """
    edges = np.linspace(0.0, source, target + 1)
    pixels = np.arange(source)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (np.clip(overlap, 0.0, None) * target / source).astype("float32")


@keras.saving.register_keras_serializable(package="edram_fer")
class ContextNetwork(keras.layers.Layer):
    """Whole image, area-averaged to 12x12 -> three convolutions with BN and without activation -> vector.

    The vector is the initial hidden state of LSTM 2. With the published filters it has 4 * 4 * 32 = 512 entries; a
    dense layer maps it to other lengths.

    Args:
        units: length of the vector, the units of LSTM 2.
        filters: filters of the convolutions 5x5, 3x3, 3x3 (all valid).
        activation: activation of the vector: None as published; "tanh" bounds the input of the emission network at
            t = 0, which otherwise diverges at learning rates of about 1e-3.
        momentum: momentum of the batch normalisation.

    Call arguments: image [B, H, W, C] in [0, 1]; training. Returns [B, units].
    """

    def __init__(
        self,
        units: int = 512,
        filters: Sequence[int] = (16, 16, 32),
        activation: str | None = None,
        momentum: float = 0.9,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units, self.filters, self.momentum = units, tuple(filters), momentum
        self.activation = keras.activations.get(activation)
        policy = self.dtype_policy
        self.convolutions = [
            keras.layers.Conv2D(n, side, use_bias=False, dtype=policy)
            for n, side in zip(self.filters, (5, 3, 3), strict=True)
        ]
        self.norms = [keras.layers.BatchNormalization(momentum=momentum, dtype=policy) for _ in self.filters]
        self.flatten = keras.layers.Flatten(dtype=policy)
        flat = (CONTEXT_SIDE - 8) ** 2 * self.filters[-1]
        self.projection = None if flat == units else keras.layers.Dense(units, dtype=policy)

    def build(self, image_shape: tuple[int | None, int, int, int]) -> None:
        _, height, width, _ = image_shape
        self.down = area_average_matrix(height, CONTEXT_SIDE)
        self.across = area_average_matrix(width, CONTEXT_SIDE)

    def call(self, image: Tensor, training: bool = False) -> Tensor:
        x = ops.einsum("yi,bijc->byjc", ops.convert_to_tensor(self.down, dtype=image.dtype), image)
        x = ops.einsum("xj,byjc->byxc", ops.convert_to_tensor(self.across, dtype=image.dtype), x)
        for convolution, norm in zip(self.convolutions, self.norms):
            x = norm(convolution(x), training=training)
        x = self.flatten(x)
        return self.activation(x if self.projection is None else self.projection(x))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "filters": self.filters,
            "activation": keras.activations.serialize(self.activation),
            "momentum": self.momentum,
        }
