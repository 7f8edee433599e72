"""IResNet, a residual network for face recognition (Deng et al. 2019, arXiv 1801.07698).

As in the released code (github.com/deepinsight/insightface, recognition/arcface_torch). Its ending is an option: the
public RAN with this backbone averages the last map.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
from keras import ops

from edram_fer.models.region_attention.layers import DEFAULT, LayerOptions, dense
from edram_fer.models.region_attention.resnet import FILTERS, Block, ResNet
from edram_fer.models.tensor import Tensor

NORMAL = {"class_name": "RandomNormal", "config": {"stddev": 0.1}}


def prelu(dtype: Any) -> keras.layers.PReLU:
    """max(x, 0) + a min(x, 0) with one a per channel, initially .25."""
    initializer = keras.initializers.Constant(0.25)
    return keras.layers.PReLU(alpha_initializer=initializer, shared_axes=[1, 2], dtype=dtype)


@keras.saving.register_keras_serializable(package="edram_fer")
class IBlock(Block):
    """BN - conv 3x3 - BN - PReLU - conv 3x3 with the stride - BN, plus the shortcut; nothing follows the sum.

    For the arguments see Block.
    """

    pytorch_initializer: ClassVar[Mapping[str, Any]] = NORMAL

    def make_path(self) -> None:
        self.first = self.make_convolution(self.filters, 3)
        self.second = self.make_convolution(self.filters, 3, self.strides)
        self.norms = [self.make_norm() for _ in range(3)]
        self.activation = prelu(self.dtype_policy)

    def path(self, x: Tensor, training: bool) -> Tensor:
        before, between, after = self.norms
        x = self.activation(between(self.first(before(x, training=training)), training=training))
        return after(self.second(x), training=training)

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        return self.path(x, training) + self.apply_shortcut(x, training)


@keras.saving.register_keras_serializable(package="edram_fer")
class IResNet(ResNet):
    """Conv 3x3 with stride 1, BN, PReLU; four stages that each begin with stride 2; average pool or embedding.

    The stem is always the one for small faces.

    Args:
        blocks, filters, stem, momentum, options: see ResNet.
        embedding: False: global average pool, as in the public RAN with this backbone. True: the ending for face
            recognition, BN, flatten, dropout, dense layer, BN without gamma; the image size is then fixed, and the
            outputs are as many as the filters of the last stage.
        dropout: share of the inputs of that dense layer set to 0 in training; 0 in the released code.
        seed: seed of the dropout.
    """

    strides = (2, 2, 2, 2)
    block = IBlock
    pytorch_initializer: ClassVar[Mapping[str, Any]] = NORMAL

    def __init__(
        self,
        blocks: Sequence[int] = (2, 2, 2, 2),
        filters: Sequence[int] = FILTERS,
        stem: str = "published",
        momentum: float = 0.9,
        options: LayerOptions | Mapping[str, Any] = DEFAULT,
        embedding: bool = False,
        dropout: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        self.embedding, self.dropout, self.seed = embedding, dropout, seed
        super().__init__(blocks, filters, stem, momentum, options, **kwargs)

    @classmethod
    def smallest_side(cls, stem: str) -> int:
        """The smallest image side in pixels for which all strides together leave one point."""
        return 16

    @property
    def last_map_reader(self) -> keras.layers.Layer:
        """The layer that reads the last map."""
        return self.last_norm if self.embedding else self.pool

    def make_stem(self) -> None:
        self.convolution = self.make_convolution(self.filters[0], 3)
        self.activation = prelu(self.dtype_policy)

    def make_end(self) -> None:
        if not self.embedding:
            return super().make_end()
        self.last_norm = self.make_norm()
        self.drop = keras.layers.Dropout(self.dropout, seed=self.seed, dtype=self.dtype_policy)
        self.dense = dense(self.filters[-1], self.options.initialisation, dtype=self.dtype_policy)
        self.dense_norm = keras.layers.BatchNormalization(
            momentum=self.momentum, epsilon=self.options.epsilon, scale=False, dtype=self.dtype_policy
        )

    def apply_stem(self, x: Tensor, training: bool) -> Tensor:
        return self.activation(self.norm(self.convolution(x), training=training))

    def apply_end(self, x: Tensor, training: bool) -> Tensor:
        if not self.embedding:
            return super().apply_end(x, training)
        x = self.last_norm(x, training=training)
        x = self.drop(ops.reshape(x, (-1, x.shape[1] * x.shape[2] * x.shape[3])), training=training)
        return self.dense_norm(self.dense(x), training=training)

    def get_config(self) -> dict[str, Any]:
        config = {"embedding": self.embedding, "dropout": self.dropout, "seed": self.seed}
        return {**super().get_config(), **config}
