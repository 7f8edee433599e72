"""IResNet, the residual network of face recognition (Deng et al. 2019, arXiv 1801.07698), up to the average pool."""

import keras

from edram_fer.models.region_attention.resnet import Block, ResNet, convolution


def prelu(dtype):
    """max(x, 0) + a min(x, 0) with one a per channel, .25 at the start."""
    start = keras.initializers.Constant(0.25)
    return keras.layers.PReLU(alpha_initializer=start, shared_axes=[1, 2], dtype=dtype)


@keras.saving.register_keras_serializable(package="edram_fer")
class IBlock(Block):
    """BN - conv 3x3 - BN - PReLU - conv 3x3 with the stride - BN, plus the shortcut, nothing after the sum.

    Arguments as of Block.
    """

    def make_path(self):
        self.first = convolution(self.filters, 3, 1, self.dtype_policy)
        self.second = convolution(self.filters, 3, self.strides, self.dtype_policy)
        self.norms = [self._norm() for _ in range(3)]
        self.activation = prelu(self.dtype_policy)

    def path(self, x, training):
        before, between, after = self.norms
        x = self.activation(between(self.first(before(x, training=training)), training=training))
        return after(self.second(x), training=training)

    def call(self, x, training=False):
        return self.path(x, training) + self.through_shortcut(x, training)


@keras.saving.register_keras_serializable(package="edram_fer")
class IResNet(ResNet):
    """Conv 3x3 with stride 1, BN, PReLU; four stages that each begin with stride 2; global average pool.

    Arguments as of ResNet; its stem is that of small faces, whatever `stem` says.
    """

    strides = (2, 2, 2, 2)
    block = IBlock

    @classmethod
    def smallest_side(cls, stem):
        """Pixels that all strides together leave one point of."""
        return 16

    def make_stem(self):
        self.convolution = convolution(self.filters[0], 3, 1, self.dtype_policy)
        self.activation = prelu(self.dtype_policy)

    def through_stem(self, x, training):
        return self.activation(self.norm(self.convolution(x), training=training))
