"""Convolutions, normalisations and dense layers of the backbones: padding, epsilon and initial values are options.

TensorFlow pads a convolution with stride 2 on an image of even size at its end only, PyTorch at both ends, so that
weights trained with one give other outputs with the other.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import keras
from keras import ops

from edram_fer.errors import UserError
from edram_fer.models.batch_norm import StepBatchNormalization
from edram_fer.models.contract import check_choice, is_number
from edram_fer.models.tensor import Shape, Tensor

PADDINGS = ("same", "symmetric")
INITIALISATIONS = ("ours", "pytorch")
KAIMING_NORMAL = {
    "class_name": "VarianceScaling",
    "config": {"scale": 2.0, "mode": "fan_out", "distribution": "untruncated_normal"},
}


@dataclasses.dataclass(frozen=True)
class LayerOptions:
    """How the layers of a backbone pad, normalise and start.

    Attributes:
        padding: of convolutions and pools with stride 2. "same": TensorFlow's, on even sizes one row and column at the
            end. "symmetric": PyTorch's, half the kernel at both ends. Sizes of the outputs are equal.
        epsilon: added to the variance in batch normalisation.
        initialisation: "ours": Kaiming normal convolutions, Glorot uniform dense layers. "pytorch": as the released
            codes, which for an IResNet is N(0, .1), and for dense layers PyTorch's default.

    Raises:
        UserError: a value out of its range.
    """

    padding: str = "same"
    epsilon: float = 1e-3
    initialisation: str = "ours"

    def __post_init__(self) -> None:
        check_choice("padding", self.padding, PADDINGS)
        check_choice("initialisation", self.initialisation, INITIALISATIONS)
        if not is_number(self.epsilon) or not 0 < self.epsilon < 1:
            raise UserError(f"batch_norm_epsilon: expected a number between 0 and 1, got {self.epsilon!r}")

    @classmethod
    def of(cls, options: "LayerOptions | Mapping[str, Any]") -> "LayerOptions":
        """The options themselves, or those in a layer's configuration."""
        return cls(**options) if isinstance(options, Mapping) else options


DEFAULT = LayerOptions()


def dense(units: int, initialisation: str, activation: str | None = None, dtype: Any = None) -> keras.layers.Dense:
    """A dense layer with the initial values of `LayerOptions.initialisation`."""
    return (Dense if initialisation == "pytorch" else keras.layers.Dense)(units, activation, dtype=dtype)


@keras.saving.register_keras_serializable(package="edram_fer")
class Dense(keras.layers.Dense):
    """Keras' Dense that starts as PyTorch's Linear: kernel and bias uniform within 1 / sqrt(inputs)."""

    def build(self, input_shape: tuple[int, ...]) -> None:
        limit = input_shape[-1] ** -0.5
        self.kernel_initializer = keras.initializers.RandomUniform(-limit, limit)
        self.bias_initializer = keras.initializers.RandomUniform(-limit, limit)
        super().build(input_shape)


@keras.saving.register_keras_serializable(package="edram_fer")
class SymmetricConv2D(keras.layers.Conv2D):
    """Keras' Conv2D with `padding="valid"` on an image with half the kernel of zeros added at both ends, as PyTorch."""

    def convolution_op(self, x: Tensor, kernel: Tensor) -> Tensor:
        return super().convolution_op(pad(x, self.kernel_size[0]), kernel)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, height, width, channels = input_shape
        margin = self.kernel_size[0] - 1
        return super().compute_output_shape((batch, height + margin, width + margin, channels))


def pad(x: Tensor, side: int) -> Tensor:
    """Zeros at both ends of the rows and columns of x [B, H, W, C] for a kernel with this odd side."""
    margin = (side // 2, side // 2)
    return ops.pad(x, ((0, 0), margin, margin, (0, 0)))


class BackboneLayer(keras.layers.Layer):
    """A layer that is made of convolutions without bias and of batch normalisations.

    Args:
        momentum: momentum of the batch normalisation.
        options: see LayerOptions.
    """

    pytorch_initializer: ClassVar[Mapping[str, Any]] = KAIMING_NORMAL  # of convolutions, with initialisation "pytorch"

    def __init__(
        self, momentum: float = 0.9, options: LayerOptions | Mapping[str, Any] = DEFAULT, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.momentum, self.options = momentum, LayerOptions.of(options)

    def build(self, input_shape: Shape) -> None:
        pass

    def make_convolution(self, filters: int, side: int, strides: int = 1) -> keras.layers.Conv2D:
        """A convolution that keeps the size of the image, divided by the stride and rounded up."""
        ours = self.options.initialisation == "ours"
        settings = {
            "use_bias": False,
            "kernel_initializer": KAIMING_NORMAL if ours else self.pytorch_initializer,
            "dtype": self.dtype_policy,
        }
        if self.options.padding == "symmetric" and strides > 1:
            return SymmetricConv2D(filters, side, strides, **settings)
        return keras.layers.Conv2D(filters, side, strides, padding="same", **settings)

    def make_norm(self) -> StepBatchNormalization:
        """A batch normalisation."""
        return StepBatchNormalization(momentum=self.momentum, epsilon=self.options.epsilon, dtype=self.dtype_policy)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "options": dataclasses.asdict(self.options)}
