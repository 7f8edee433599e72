"""IResNet, a residual network for face recognition (Deng et al. 2019, arXiv 1801.07698), up to the average pool."""

from typing import Any

import keras

from edram_fer.models.region_attention.resnet import Block, ResNet, convolution
from edram_fer.models.tensor import Tensor


def prelu(dtype: Any) -> keras.layers.PReLU:
    """max(x, 0) + a min(x, 0) with one a per channel, initially .25."""
    initializer = keras.initializers.Constant(0.25)
    return keras.layers.PReLU(alpha_initializer=initializer, shared_axes=[1, 2], dtype=dtype)


@keras.saving.register_keras_serializable(package="edram_fer")
class IBlock(Block):
    """BN - conv 3x3 - BN - PReLU - conv 3x3 with the stride - BN, plus the shortcut; nothing follows the sum.

    For the arguments see Block.
    """

    def make_path(self) -> None:
        self.first = convolution(self.filters, 3, 1, self.dtype_policy)
        self.second = convolution(self.filters, 3, self.strides, self.dtype_policy)
        self.norms = [self._norm() for _ in range(3)]
        self.activation = prelu(self.dtype_policy)

    def path(self, x: Tensor, training: bool) -> Tensor:
        before, between, after = self.norms
        x = self.activation(between(self.first(before(x, training=training)), training=training))
        return after(self.second(x), training=training)

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        return self.path(x, training) + self.apply_shortcut(x, training)


@keras.saving.register_keras_serializable(package="edram_fer")
class IResNet(ResNet):
    """Conv 3x3 with stride 1, BN, PReLU; four stages that each begin with stride 2; global average pool.

    For the arguments see ResNet; the stem is always the one for small faces.
    """

    strides = (2, 2, 2, 2)
    block = IBlock

    @classmethod
    def smallest_side(cls, stem: str) -> int:
        """The smallest image side in pixels for which all strides together leave one point."""
        return 16

    def make_stem(self) -> None:
        self.convolution = convolution(self.filters[0], 3, 1, self.dtype_policy)
        self.activation = prelu(self.dtype_policy)

    def apply_stem(self, x: Tensor, training: bool) -> Tensor:
        return self.activation(self.norm(self.convolution(x), training=training))
