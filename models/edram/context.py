"""Context network: a coarse view of the whole image that determines the first glimpse (Ablavatski et al. 2017)."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from edram_fer.models.contract import check_bool, check_choice, check_integer
from edram_fer.models.edram.block import DEFAULT_BLOCK, BlockOptions
from edram_fer.models.spatial_transformer import IDENTITY, sample
from edram_fer.models.tensor import Tensor

SMALLEST_CONTEXT = 12  # and the published one
CONTEXT_INPUTS = ("area", "bilinear", "points")


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


def reduced(image: Tensor, down: np.ndarray, across: np.ndarray) -> Tensor:
    """[B, H, W, C] -> [B, h, w, C] with the weights `down` [h, H] and `across` [w, W]; LiteRT cannot use an einsum."""
    _, height, width, channels = image.shape
    rows = ops.reshape(image, (-1, height, width * channels))
    rows = ops.matmul(ops.convert_to_tensor(down, dtype=image.dtype), rows)
    rows = ops.reshape(rows, (-1, down.shape[0], width, channels))
    return ops.matmul(ops.convert_to_tensor(across, dtype=image.dtype), rows)


def triangle_matrix(source: int, target: int) -> np.ndarray:
    """Weights of Pillow's bilinear reduction of `source` pixels to `target`, float32 [target, source].

    Each cell is an average weighted by a triangle, two cells wide, about its centre. To enlarge, the triangle is two
    pixels wide: linear interpolation.

    >>> triangle_matrix(4, 2).round(3)
    array([[0.429, 0.429, 0.143, 0.   ],
           [0.   , 0.143, 0.429, 0.429]], dtype=float32)
    """
    scale = source / target
    centres = (np.arange(target) + 0.5) * scale
    distance = np.abs(np.arange(source) + 0.5 - centres[:, None]) / max(scale, 1.0)
    weights = np.clip(1.0 - distance, 0.0, None)
    return (weights / weights.sum(axis=1, keepdims=True)).astype("float32")


@keras.saving.register_keras_serializable(package="edram_fer")
class ContextNetwork(keras.layers.Layer):
    """Whole image, reduced to 12x12 -> three convolutions with BN and without activation -> vector.

    The vector is the initial hidden state of LSTM 2. With the published filters it has 4 * 4 * 32 = 512 entries; a
    dense layer maps it to other lengths. As published, it is linear in the reduced image, which suffices for images
    whose target stands out, like digits on black; `relu` and a larger `size` find one kind of thing among others.

    Args:
        units: length of the vector, the units of LSTM 2.
        filters: filters of the convolutions 5x5, 3x3, 3x3 (all valid); the first has stride size // 12.
        activation: activation of the vector: None as published; "tanh" bounds the input of the emission network at
            t = 0, which otherwise diverges at learning rates of about 1e-3.
        momentum: momentum of the batch normalisation.
        context_input: reduction of the image: "area" (averages of equal areas), "bilinear" (as Pillow, see
            `triangle_matrix`: the 2017 code) or "points" (the glimpse sensor with the identity matrix: Forch's code).
        sensor: for "points", see `spatial_transformer.sample`.
        block: BlockOptions, or a dict of their values; as published, there are no activations whose position it could
            change.
        size: side of the reduced image, at least 12.
        relu: a ReLU after each convolution, before or after its BN as `block` says.

    Call arguments: image [B, H, W, C] in [0, 1]; training. Returns [B, units].
    """

    def __init__(
        self,
        units: int = 512,
        filters: Sequence[int] = (16, 16, 32),
        activation: str | None = None,
        momentum: float = 0.9,
        context_input: str = "area",
        sensor: str = "gather",
        block: BlockOptions | Mapping[str, Any] = DEFAULT_BLOCK,
        size: int = SMALLEST_CONTEXT,
        relu: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_choice("context_input", context_input, CONTEXT_INPUTS)
        check_integer("context_size", size, SMALLEST_CONTEXT)
        check_bool("context_relu", relu)
        self.units, self.filters, self.momentum = units, tuple(filters), momentum
        self.context_input, self.sensor = context_input, sensor
        self.size, self.relu = size, relu
        self.block = block = BlockOptions.of(block)
        self.activation = keras.activations.get(activation)
        policy, initial = self.dtype_policy, block.initial("context_convolution")
        stride = size // SMALLEST_CONTEXT
        self.convolutions = [
            keras.layers.Conv2D(n, side, stride, use_bias=False, kernel_initializer=initial, dtype=policy)
            for n, side, stride in zip(self.filters, (5, 3, 3), (stride, 1, 1), strict=True)
        ]
        self.biases = [block.position_bias(policy) for _ in self.filters]
        self.norms = [
            keras.layers.BatchNormalization(momentum=momentum, epsilon=block.epsilon, dtype=policy)
            for _ in self.filters
        ]
        self.flatten = keras.layers.Flatten(dtype=policy)
        flat = ((size - 5) // stride - 3) ** 2 * self.filters[-1]
        self.projection = None if flat == units else keras.layers.Dense(units, dtype=policy)

    def build(self, image_shape: tuple[int | None, int, int, int]) -> None:
        _, height, width, _ = image_shape
        reduction = triangle_matrix if self.context_input == "bilinear" else area_average_matrix
        self.down, self.across = reduction(height, self.size), reduction(width, self.size)

    def call(self, image: Tensor, training: bool = False) -> Tensor:
        x = self._reduced(image)
        for convolution, bias, norm in zip(self.convolutions, self.biases, self.norms):
            x = convolution(x)
            if self.relu:
                x = self.block.activate(x, norm, bias, training=training)
            else:
                x = norm(x if bias is None else bias(x), training=training)
        x = self.flatten(x)
        return self.activation(x if self.projection is None else self.projection(x))

    def _reduced(self, image: Tensor) -> Tensor:
        if self.context_input == "points":
            identity = ops.convert_to_tensor(np.array(IDENTITY, "float32"))
            windows = ops.tile(identity[None, None], (ops.shape(image)[0], 1, 1, 1))
            return ops.cast(sample(image, windows, self.size, self.sensor)[:, 0], image.dtype)
        return reduced(image, self.down, self.across)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "filters": self.filters,
            "activation": keras.activations.serialize(self.activation),
            "momentum": self.momentum,
            "context_input": self.context_input,
            "sensor": self.sensor,
            "block": dataclasses.asdict(self.block),
            "size": self.size,
            "relu": self.relu,
        }
