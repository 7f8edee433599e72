"""The LSTM of the 2017 model, whose gates see the cell state through peepholes."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from edram_fer.models.tensor import Shape, Tensor


@keras.saving.register_keras_serializable(package="edram_fer")
class PeepholeLSTMCell(keras.layers.Layer):
    """An LSTM cell with diagonal peepholes (Gers, Schraudolph, Schmidhuber 2002): with z = x K + h R + b in four parts,

        i = sigmoid(z_i + c p_i),  f = sigmoid(z_f + c p_f),  c' = f c + i tanh(z_c),
        o = sigmoid(z_o + c' p_o),  h' = o tanh(c').

    Args:
        units: length of h and c.
        kernel_initializer: of K [inputs, 4 * units].
        recurrent_initializer: of R [units, 4 * units] and the peepholes [3, units].

    Call arguments: x [B, inputs]; states [h, c], each [B, units]. Returns h' and [h', c'].
    """

    def __init__(
        self,
        units: int,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)

    def build(self, input_shape: Shape) -> None:
        recurrent = self.recurrent_initializer
        self.kernel = self.add_weight(
            name="kernel", shape=(input_shape[-1], 4 * self.units), initializer=self.kernel_initializer
        )
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel", shape=(self.units, 4 * self.units), initializer=recurrent
        )
        # Cloned: the same initializer object would give equal values where it has a seed.
        self.peepholes = self.add_weight(name="peepholes", shape=(3, self.units), initializer=recurrent.clone())
        self.bias = self.add_weight(name="bias", shape=(4 * self.units,), initializer="zeros")

    def call(self, x: Tensor, states: Sequence[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        h, c = states
        z = ops.matmul(x, self.kernel) + ops.matmul(h, self.recurrent_kernel) + self.bias
        z_i, z_f, z_c, z_o = ops.split(z, 4, axis=-1)
        p_i, p_f, p_o = self.peepholes[0], self.peepholes[1], self.peepholes[2]
        i, f = ops.sigmoid(z_i + c * p_i), ops.sigmoid(z_f + c * p_f)
        c = f * c + i * ops.tanh(z_c)
        h = ops.sigmoid(z_o + c * p_o) * ops.tanh(c)
        return h, [h, c]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": keras.initializers.serialize(self.recurrent_initializer),
        }
