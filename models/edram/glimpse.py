"""Glimpse network: the product of a what-path and a where-path (Ablavatski et al. 2017, section 3.1, table 1)."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from edram_fer.models.batch_norm import StepBatchNormalization
from edram_fer.models.convolution import Conv2D
from edram_fer.models.edram.block import DEFAULT_BLOCK, BlockOptions
from edram_fer.models.tensor import Shape, Tensor

FILTERS = (64, 64, 128, 128, 160, 192)
_PADDING = ("same", "valid", "same", "same", "same", "valid")
_POOLED = (1, 3)  # the convolutions followed by a 2x2 max-pool
SMALLEST_GLIMPSE = 14


@keras.saving.register_keras_serializable(package="edram_fer")
class GlimpseCNN(keras.layers.Layer):
    """Six 3x3 convolutions with BN and ReLU; 26x26xC -> 4x4x192.

    Args:
        filters: filters of the six convolutions.
        steps, batch_norm, momentum: see StepBatchNormalization (its `mode` is `batch_norm`).
        block: BlockOptions, or a dict of their values.

    Call arguments: glimpse [B, h, w, C]; step; training. Returns [B, h', w', filters[-1]].
    """

    def __init__(
        self,
        filters: Sequence[int] = FILTERS,
        steps: int = 1,
        batch_norm: str = "per_step",
        momentum: float = 0.9,
        block: BlockOptions | Mapping[str, Any] = DEFAULT_BLOCK,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters, self.steps, self.batch_norm, self.momentum = tuple(filters), steps, batch_norm, momentum
        self.block = block = BlockOptions.of(block)
        policy, initial = self.dtype_policy, block.initial("glimpse_convolution")
        self.convolutions = [
            Conv2D(n, 3, padding=padding, use_bias=False, kernel_initializer=initial, dtype=policy)
            for n, padding in zip(self.filters, _PADDING, strict=True)
        ]
        self.biases = [block.position_bias(policy) for _ in self.filters]
        self.norms = [
            StepBatchNormalization(steps, batch_norm, momentum, block.epsilon, dtype=policy) for _ in self.filters
        ]
        self.pool = keras.layers.MaxPooling2D(2, dtype=policy)

    def build(self, glimpse_shape: Shape) -> None:
        pass

    def call(self, x: Tensor, step: int = 0, training: bool = False) -> Tensor:
        for i, (convolution, bias, norm) in enumerate(zip(self.convolutions, self.biases, self.norms)):
            x = self.block.activate(convolution(x), norm, bias, step=step, training=training)
            x = self.pool(x) if i in _POOLED else x
        return x

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "steps": self.steps,
            "batch_norm": self.batch_norm,
            "momentum": self.momentum,
            "block": dataclasses.asdict(self.block),
        }


@keras.saving.register_keras_serializable(package="edram_fer")
class GlimpseNetwork(keras.layers.Layer):
    """what(glimpse) * where(matrix): the merged vector that LSTM 1 reads. The where-path computes in float32.

    Args:
        units: length of the merged vector.
        filters, steps, batch_norm, momentum, block: see GlimpseCNN.

    Call arguments: glimpse [B, h, w, C]; matrix [B, 2, 3]; step; training. Returns [B, units].
    """

    def __init__(
        self,
        units: int = 1024,
        filters: Sequence[int] = FILTERS,
        steps: int = 1,
        batch_norm: str = "per_step",
        momentum: float = 0.9,
        block: BlockOptions | Mapping[str, Any] = DEFAULT_BLOCK,
        **kwargs: Any,
    ) -> None:
        # Without autocast, the matrix stays float32 under mixed precision.
        super().__init__(autocast=False, **kwargs)
        self.units, self.filters, self.steps = units, tuple(filters), steps
        self.batch_norm, self.momentum = batch_norm, momentum
        self.block = block = BlockOptions.of(block)
        policy, norm = self.dtype_policy, (steps, batch_norm, momentum, block.epsilon)
        dense = {"use_bias": block.biases, "kernel_initializer": block.initial("dense")}
        self.cnn = GlimpseCNN(filters, steps, batch_norm, momentum, block, dtype=policy)
        self.flatten = keras.layers.Flatten(dtype=policy)
        self.what = keras.layers.Dense(units, **dense, dtype=policy)
        self.what_norm = StepBatchNormalization(*norm, dtype=policy)
        self.where = keras.layers.Dense(units, **dense, dtype="float32")
        self.where_norm = StepBatchNormalization(*norm, block.initial("where_beta"), dtype="float32")

    def build(self, glimpse_shape: Shape, matrix_shape: Shape | None = None) -> None:
        pass

    def call(self, glimpse: Tensor, matrix: Tensor, step: int = 0, training: bool = False) -> Tensor:
        what = self.what(self.flatten(self.cnn(glimpse, step=step, training=training)))
        what = self.block.activate(what, self.what_norm, step=step, training=training)
        where = self.where(ops.reshape(ops.cast(matrix, "float32"), (-1, 6)))
        where = self.block.activate(where, self.where_norm, step=step, training=training)
        return what * ops.cast(where, what.dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "filters": self.filters,
            "steps": self.steps,
            "batch_norm": self.batch_norm,
            "momentum": self.momentum,
            "block": dataclasses.asdict(self.block),
        }
