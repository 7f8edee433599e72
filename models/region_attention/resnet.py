"""ResNet-18, the backbone of the published RAN (He, Zhang, Ren, Sun 2016, arXiv 1512.03385), up to the average pool."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from edram_fer.models.contract import check_choice, check_filters
from edram_fer.models.region_attention.layers import DEFAULT, BackboneLayer, LayerOptions, pad
from edram_fer.models.tensor import Tensor

FILTERS = (64, 128, 256, 512)
STEMS = ("published", "small")


@keras.saving.register_keras_serializable(package="edram_fer")
class Block(BackboneLayer):
    """Two 3x3 convolutions and a shortcut; a 1x1 convolution with BN on the shortcut where the shape changes.

    Here: conv with the stride - BN - ReLU - conv - BN, sum, ReLU.

    Args:
        filters: filters of both convolutions.
        inputs: number of input channels.
        strides: 1 or 2.
        momentum: momentum of the batch normalisation.
        options: see LayerOptions.

    Call arguments: x [B, H, W, inputs]; training. Returns [B, H / strides, W / strides, filters], rounded up.
    """

    def __init__(
        self,
        filters: int,
        inputs: int,
        strides: int = 1,
        momentum: float = 0.9,
        options: LayerOptions | Mapping[str, Any] = DEFAULT,
        **kwargs: Any,
    ) -> None:
        super().__init__(momentum, options, **kwargs)
        self.filters, self.inputs, self.strides = filters, inputs, strides
        self.shortcut = self.shortcut_norm = None
        if strides != 1 or inputs != filters:
            self.shortcut = self.make_convolution(filters, 1)
            self.shortcut_norm = self.make_norm()
        self.make_path()

    def make_path(self) -> None:
        """Make the layers of `path`."""
        self.first = self.make_convolution(self.filters, 3, self.strides)
        self.second = self.make_convolution(self.filters, 3)
        self.norms = [self.make_norm() for _ in range(2)]

    def path(self, x: Tensor, training: bool) -> Tensor:
        """The residual: x [B, H, W, inputs] through both convolutions to [B, H / strides, W / strides, filters]."""
        x = ops.relu(self.norms[0](self.first(x), training=training))
        return self.norms[1](self.second(x), training=training)

    def apply_shortcut(self, x: Tensor, training: bool) -> Tensor:
        """x itself, or projected to the shape of the residual where that differs."""
        if self.shortcut is None or self.shortcut_norm is None:
            return x
        # Not a convolution with the stride: with fewer than 8 (AVX2) or 16 (AVX-512) channels, oneDNN's gradient of
        # its kernel is wrong and writes beyond its memory (its issue 6035).
        x = x[:, :: self.strides, :: self.strides]
        return self.shortcut_norm(self.shortcut(x), training=training)

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        return ops.relu(self.path(x, training) + self.apply_shortcut(x, training))

    def get_config(self) -> dict[str, Any]:
        config = {"filters": self.filters, "inputs": self.inputs, "strides": self.strides}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable(package="edram_fer")
class ResNet(BackboneLayer):
    """Stem, four stages of blocks, global average pool.

    Args:
        blocks: number of blocks in each stage.
        filters: filters of each stage, four numbers.
        stem: "published": conv 7x7 with stride 2, BN, ReLU, max-pool 3x3 with stride 2, for faces of 224 pixels;
            "small": conv 3x3 with stride 1, BN, ReLU, for faces of 32 to 112 pixels.
        momentum: momentum of the batch normalisation.
        options: see LayerOptions.

    Call arguments: x [B, H, W, C]; training. Returns features [B, filters[-1]].

    Raises:
        UserError: the stem is unknown, or `filters` does not hold four numbers.
    """

    strides = (1, 2, 2, 2)
    block = Block

    def __init__(
        self,
        blocks: Sequence[int] = (2, 2, 2, 2),
        filters: Sequence[int] = FILTERS,
        stem: str = "published",
        momentum: float = 0.9,
        options: LayerOptions | Mapping[str, Any] = DEFAULT,
        **kwargs: Any,
    ) -> None:
        super().__init__(momentum, options, **kwargs)
        check_filters("backbone_filters", filters, 4)
        check_choice("stem", stem, STEMS)
        self.blocks, self.filters, self.stem = tuple(blocks), tuple(filters), stem
        policy = self.dtype_policy
        self.make_stem()
        self.norm = self.make_norm()
        self.stages, inputs = [], filters[0]
        for count, width, strides in zip(self.blocks, self.filters, self.strides, strict=True):
            for i in range(count):
                self.stages.append(self.block(width, inputs, 1 if i else strides, momentum, self.options, dtype=policy))
                inputs = width
        self.make_end()

    @classmethod
    def smallest_side(cls, stem: str) -> int:
        """The smallest image side in pixels for which all strides together leave one point."""
        return 8 if stem == "small" else 32

    def make_stem(self) -> None:
        """Make the layers of `apply_stem` but for its normalisation, `norm`."""
        small = self.stem == "small"
        self.convolution = self.make_convolution(self.filters[0], *((3, 1) if small else (7, 2)))
        padding = "same" if self.options.padding == "same" else "valid"
        self.first_pool = None if small else keras.layers.MaxPooling2D(3, 2, padding, dtype=self.dtype_policy)

    def make_end(self) -> None:
        """Make the layers of `apply_end`."""
        self.pool = keras.layers.GlobalAveragePooling2D(dtype=self.dtype_policy)

    def apply_stem(self, x: Tensor, training: bool) -> Tensor:
        """Images [B, H, W, C] to the maps [B, h, w, filters[0]] that the first stage takes."""
        x = ops.relu(self.norm(self.convolution(x), training=training))
        if self.first_pool is None:
            return x
        # Zeros are no larger than any output of the ReLU, so they stand for the -inf of PyTorch's pools.
        return self.first_pool(pad(x, 3) if self.options.padding == "symmetric" else x)

    def apply_end(self, x: Tensor, training: bool) -> Tensor:
        """The map of the last stage [B, h, w, filters[-1]] to the features [B, filters[-1]]."""
        return self.pool(x)

    @property
    def last_map_reader(self) -> keras.layers.Layer:
        """The layer that reads the last map."""
        return self.pool

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        x = self.apply_stem(x, training)
        for block in self.stages:
            x = block(x, training=training)
        return self.apply_end(x, training)

    def get_config(self) -> dict[str, Any]:
        config = {"blocks": self.blocks, "filters": self.filters, "stem": self.stem}
        return {**super().get_config(), **config}
