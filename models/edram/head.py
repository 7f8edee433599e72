"""Output heads on the state of LSTM 1, at every step (Ablavatski et al. 2017; the affect head: Forch et al. 2019)."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from edram_fer.models.batch_norm import StepBatchNormalization
from edram_fer.models.edram.block import DEFAULT_BLOCK, BlockOptions
from edram_fer.models.tensor import Shape, Tensor


@keras.saving.register_keras_serializable(package="edram_fer")
class Head(keras.layers.Layer):
    """Twice dense -> BN -> ReLU, then a dense layer in float32: emotion logits, or (valence, arousal) through tanh.

    Each dense layer processes all steps at once; the normalisation differs by step.

    Args:
        outputs: K for emotions, 2 for affect.
        units: width of the two hidden layers.
        activation: activation of the output: None for logits, "tanh" for affect.
        steps, batch_norm, momentum: see StepBatchNormalization (its `mode` is `batch_norm`).
        dropout: share of the inputs of each dense layer set to 0 in training.
        seed: seed of the dropout.
        block: BlockOptions, or a dict of their values.

    Call arguments: x [B, T, units], the steps in order; training. Returns float32 [B, T, outputs].
    """

    def __init__(
        self,
        outputs: int,
        units: int = 1024,
        activation: str | None = None,
        steps: int = 1,
        batch_norm: str = "per_step",
        momentum: float = 0.9,
        dropout: float = 0.0,
        seed: int = 0,
        block: BlockOptions | Mapping[str, Any] = DEFAULT_BLOCK,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.outputs, self.units, self.steps, self.batch_norm = outputs, units, steps, batch_norm
        self.momentum, self.dropout, self.seed = momentum, dropout, seed
        self.activation = keras.activations.get(activation)
        self.block = block = BlockOptions.of(block)
        policy, dense = self.dtype_policy, {"use_bias": block.biases, "kernel_initializer": block.initial("dense")}
        self.hidden = [keras.layers.Dense(units, **dense, dtype=policy) for _ in range(2)]
        self.norms = [
            StepBatchNormalization(steps, batch_norm, momentum, block.epsilon, dtype=policy) for _ in range(2)
        ]
        self.drop = keras.layers.Dropout(dropout, seed=seed, dtype=policy)
        self.output_layer = keras.layers.Dense(
            outputs, activation=self.activation, kernel_initializer=block.initial("output"), dtype="float32"
        )

    def build(self, input_shape: Shape) -> None:
        pass

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        for dense, norm in zip(self.hidden, self.norms):
            x = dense(self.drop(x, training=training))
            steps = [self.block.activate(x[:, step], norm, step=step, training=training) for step in range(self.steps)]
            x = ops.stack(steps, axis=1)
        return self.output_layer(ops.cast(self.drop(x, training=training), "float32"))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "outputs": self.outputs,
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "steps": self.steps,
            "batch_norm": self.batch_norm,
            "momentum": self.momentum,
            "dropout": self.dropout,
            "seed": self.seed,
            "block": dataclasses.asdict(self.block),
        }
