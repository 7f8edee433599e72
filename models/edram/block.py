"""What all convolutions and dense layers of EDRAM share: the place of the normalisation, biases, initial values."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from edram_fer.errors import UserError
from edram_fer.models.contract import check_bool, check_choice, is_number
from edram_fer.models.tensor import Shape, Tensor

POSITIONS = ("before_relu", "after_relu")


def _uniform(limit: float) -> dict[str, Any]:
    return {"class_name": "RandomUniform", "config": {"minval": -limit, "maxval": limit}}


def _normal(deviation: float) -> dict[str, Any]:
    return {"class_name": "RandomNormal", "config": {"stddev": deviation}}


# By scheme and kind of weight. "where_beta" is that of the where-path's normalisation: while all matrices of a batch
# are equal, as in a new model, it is the whole output of that normalisation, and a ReLU behind it would stop the
# product and its gradient at 0. (Theano, with which the 2017 model was trained, gives ReLU the slope 1/2 at 0.)
INITIALISATIONS = {
    "he_normal": {
        "glimpse_convolution": "he_normal",
        "context_convolution": "glorot_uniform",
        "position_bias": "zeros",
        "dense": "he_normal",
        "where_beta": "ones",
        "output": "glorot_uniform",
        "lstm_kernel": "glorot_uniform",
        "lstm_recurrent_kernel": "orthogonal",
        "forget_bias": True,
    },
    "glorot_uniform": {  # Keras' defaults
        "glimpse_convolution": "glorot_uniform",
        "context_convolution": "glorot_uniform",
        "position_bias": "glorot_uniform",
        "dense": "glorot_uniform",
        "where_beta": "zeros",
        "output": "glorot_uniform",
        "lstm_kernel": "glorot_uniform",
        "lstm_recurrent_kernel": "orthogonal",
        "forget_bias": True,
    },
    "ablavatski2017": {
        "glimpse_convolution": _uniform(0.1),
        "context_convolution": _uniform(0.1),
        "position_bias": "zeros",
        "dense": _normal(0.001),
        "where_beta": "ones",
        "output": _normal(0.001),
        "lstm_kernel": _normal(0.001),
        "lstm_recurrent_kernel": _uniform(0.01),
        "forget_bias": False,
    },
}


@dataclasses.dataclass(frozen=True)
class BlockOptions:
    """How convolutions and dense layers are normalised, biased and initialised.

    Attributes:
        batch_norm_position: "before_relu": convolution or dense layer, batch normalisation, ReLU. "after_relu": the
            normalisation comes last. A convolution's bias per position is added right before the normalisation, in both
            cases.
        epsilon: added to the variance.
        biases: each convolution has a bias per position and filter, each dense layer one per unit. Without them the
            only biases are those of the normalisations.
        initialisation: a key of INITIALISATIONS.

    Raises:
        UserError: a value out of its range.
    """

    batch_norm_position: str = "before_relu"
    epsilon: float = 1e-3
    biases: bool = False
    initialisation: str = "he_normal"

    def __post_init__(self) -> None:
        check_choice("batch_norm_position", self.batch_norm_position, POSITIONS)
        check_choice("initialisation", self.initialisation, INITIALISATIONS)
        check_bool("biases", self.biases)
        if not is_number(self.epsilon) or not 0 < self.epsilon < 1:
            raise UserError(f"batch_norm_epsilon: expected a number between 0 and 1, got {self.epsilon!r}")

    @classmethod
    def of(cls, options: "BlockOptions | Mapping[str, Any]") -> "BlockOptions":
        """The options themselves, or those in a layer's configuration."""
        return options if isinstance(options, BlockOptions) else cls(**options)

    def initial(self, kind: str) -> Any:
        """The initial values of a kind of weight, as the argument of a Keras layer."""
        return INITIALISATIONS[self.initialisation][kind]

    def position_bias(self, policy: Any) -> "PositionBias | None":
        """The bias of a convolution, or None."""
        return PositionBias(self.initial("position_bias"), dtype=policy) if self.biases else None

    def activate(self, x: Tensor, norm: keras.layers.Layer, bias: "PositionBias | None" = None, **call: Any) -> Tensor:
        """Normalise and rectify the output of a convolution or dense layer.

        Args:
            x: the output, [B, ..., C].
            norm: the normalisation.
            bias: of a convolution.
            **call: arguments of the normalisation: step, training.
        """
        if self.batch_norm_position == "after_relu":
            x = ops.relu(x)
        x = norm(x if bias is None else bias(x), **call)
        return ops.relu(x) if self.batch_norm_position == "before_relu" else x


DEFAULT_BLOCK = BlockOptions()


@keras.saving.register_keras_serializable(package="edram_fer")
class PositionBias(keras.layers.Layer):
    """Adds one bias for each position and filter of a map ("untied biases").

    Args:
        initializer: of the biases, [positions, 1, filters]: a scheme that depends on fan-in and fan-out takes the
            positions for those of a convolution kernel.

    Call arguments: x [B, h, w, C]. Returns the same shape.
    """

    def __init__(self, initializer: Any = "zeros", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape: tuple[int | None, int, int, int]) -> None:
        positions, filters = input_shape[1] * input_shape[2], input_shape[3]
        self.bias = self.add_weight(name="bias", shape=(positions, 1, filters), initializer=self.initializer)

    def call(self, x: Tensor) -> Tensor:
        return x + ops.reshape(self.bias, (1, *x.shape[1:]))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "initializer": keras.initializers.serialize(self.initializer)}
