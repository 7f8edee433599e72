"""VGG-16, the second backbone of the published RAN (Simonyan, Zisserman 2015, arXiv 1409.1556), up to the last pool."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from edram_fer.models.contract import check_filters
from edram_fer.models.region_attention.layers import DEFAULT, KAIMING_NORMAL, LayerOptions
from edram_fer.models.region_attention.resnet import FILTERS
from edram_fer.models.tensor import Shape, Tensor


@keras.saving.register_keras_serializable(package="edram_fer")
class VGG(keras.layers.Layer):
    """Stages of 3x3 convolutions with bias and ReLU, each followed by a 2x2 max-pool; global average pool.

    The three dense layers of the original are omitted: RAN attends to the features before them.

    Args:
        blocks: number of convolutions in each of the five stages.
        filters: filters of the first four stages; the fifth has as many as the fourth.
        stem, momentum: ignored (there is one stem and no normalisation).
        options: see LayerOptions; only the initialisation counts, nothing has stride 2 and padding.

    Call arguments: x [B, H, W, C]; training. Returns features [B, filters[-1]].

    Raises:
        UserError: `filters` does not hold four numbers.
    """

    def __init__(
        self,
        blocks: Sequence[int] = (2, 2, 3, 3, 3),
        filters: Sequence[int] = FILTERS,
        stem: str = "published",
        momentum: float = 0.9,
        options: LayerOptions | Mapping[str, Any] = DEFAULT,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_filters("backbone_filters", filters, 4)
        self.blocks, self.filters, self.stem, self.momentum = tuple(blocks), tuple(filters), stem, momentum
        self.options = LayerOptions.of(options)
        initializer = KAIMING_NORMAL if self.options.initialisation == "pytorch" else "he_normal"
        settings = {"padding": "same", "activation": "relu", "kernel_initializer": initializer}
        self.stages = []
        for count, width in zip(self.blocks, (*self.filters, self.filters[-1]), strict=True):
            self.stages += [keras.layers.Conv2D(width, 3, dtype=self.dtype_policy, **settings) for _ in range(count)]
            self.stages.append(keras.layers.MaxPooling2D(2, dtype=self.dtype_policy))
        self.pool = keras.layers.GlobalAveragePooling2D(dtype=self.dtype_policy)

    @classmethod
    def smallest_side(cls, stem: str) -> int:
        """The smallest image side in pixels for which all pools together leave one point."""
        return 32

    def build(self, input_shape: Shape) -> None:
        pass

    @property
    def last_map_reader(self) -> keras.layers.Layer:
        """The layer that reads the last map."""
        return self.pool

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        for layer in self.stages:
            x = layer(x)
        return self.pool(x)

    def get_config(self) -> dict[str, Any]:
        config = {"blocks": self.blocks, "filters": self.filters, "stem": self.stem, "momentum": self.momentum}
        return {**super().get_config(), **config, "options": dataclasses.asdict(self.options)}
