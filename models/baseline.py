"""The parameter-matched CNN baseline that attention has to beat: EDRAM's glimpse CNN on the whole image."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from edram_fer.models.batch_norm import StepBatchNormalization
from edram_fer.models.contract import (
    FERModel,
    check_bool,
    check_filters,
    check_fraction,
    check_image_and_classes,
    check_integer,
    unknown_affect,
)
from edram_fer.models.edram.context import area_average_matrix, reduced
from edram_fer.models.edram.glimpse import FILTERS, SMALLEST_GLIMPSE, GlimpseCNN
from edram_fer.models.edram.head import Head
from edram_fer.models.spatial_transformer import IDENTITY
from edram_fer.models.tensor import Tensor


@keras.saving.register_keras_serializable(package="edram_fer")
class CNN(FERModel):
    """Glimpse CNN on the whole image -> area average -> what-path -> one hidden layer -> the heads of EDRAM.

    The area average resizes the output of the convolutions to the size that it has for one glimpse (4x4 for 26x26
    points); smaller outputs are enlarged by repetition. The hidden layer replaces both LSTMs, the where-path, the
    context network and the emission network. Its width gives the model as many parameters as the EDRAM with the same
    options (within 1 % for the default sizes).

    Args:
        image_size: (H, W) in pixels, each at least 14, for which the convolutions leave one point.
        channels, classes, affect, batch_norm_momentum, glimpse_units, head_units, glimpse_filters, dropout, seed: see
            EDRAM.
        glimpse_size, classification_units, location_units: sizes of the EDRAM that it is compared with.
        hidden_units: width of the hidden layer; None: matches the number of parameters, see above.
        **kwargs: see FERModel; `dtype`.

    Call arguments: inputs {"image": [B, H, W, C]}.

    Returns:
        {"emotion": logits [B, 1, K], "affect": [B, 1, 2] (-2 without the head), "windows": [B, 1, 2, 3], the identity,
        "weights": [B, 1], all 1}, all float32.

    Raises:
        UserError: an argument is out of range; the message names it.

    Its only window is the whole image:

    >>> model = CNN(image_size=(48, 48), glimpse_units=64, hidden_units=32, head_units=64)
    >>> np.asarray(model(np.zeros((1, 48, 48, 1), "uint8"))["windows"])[0, 0].tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """

    def __init__(
        self,
        image_size: Sequence[int] = (100, 100),
        channels: int = 1,
        classes: int = 7,
        affect: bool = True,
        batch_norm_momentum: float = 0.9,
        glimpse_size: int = 26,
        classification_units: int = 512,
        location_units: int = 512,
        glimpse_units: int = 1024,
        hidden_units: int | None = None,
        head_units: int = 1024,
        glimpse_filters: Sequence[int] = FILTERS,
        dropout: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        check_image_and_classes(image_size, channels, classes, smallest_side=SMALLEST_GLIMPSE)
        check_integer("glimpse_size", glimpse_size, SMALLEST_GLIMPSE)
        lstms = {"classification_units": classification_units, "location_units": location_units}
        for name, value in {"glimpse_units": glimpse_units, "head_units": head_units, **lstms}.items():
            check_integer(name, value, 1)
        check_filters("glimpse_filters", glimpse_filters, 6)
        check_bool("affect", affect)
        check_integer("seed", seed, 0, None)
        for name, value in (("batch_norm_momentum", batch_norm_momentum), ("dropout", dropout)):
            check_fraction(name, value)
        if hidden_units is None:
            hidden_units = _equal_width(glimpse_units, head_units, channels, 1 + bool(affect), **lstms)
        check_integer("hidden_units", hidden_units, 1)
        self.arguments = {
            "image_size": image_size,
            "channels": channels,
            "classes": classes,
            "affect": affect,
            "batch_norm_momentum": batch_norm_momentum,
            "glimpse_size": glimpse_size,
            **lstms,
            "glimpse_units": glimpse_units,
            "hidden_units": hidden_units,
            "head_units": head_units,
            "glimpse_filters": glimpse_filters,
            "dropout": dropout,
            "seed": seed,
        }
        policy = self.dtype_policy
        self.cnn = GlimpseCNN(glimpse_filters, momentum=batch_norm_momentum, dtype=policy)
        self.pooled_side = (glimpse_size - 2) // 2 // 2 - 2
        self.flatten = keras.layers.Flatten(dtype=policy)
        widths = (glimpse_units, hidden_units)
        self.dense = [
            keras.layers.Dense(n, use_bias=False, kernel_initializer="he_normal", dtype=policy) for n in widths
        ]
        self.norms = [StepBatchNormalization(1, momentum=batch_norm_momentum, dtype=policy) for _ in widths]
        head = {"units": head_units, "momentum": batch_norm_momentum, "dropout": dropout, "dtype": policy}
        self.emotion_head = Head(classes, seed=seed, **head)
        self.affect_head = Head(2, activation="tanh", seed=seed + 1, **head) if affect else None
        self.build_for_image()

    @property
    def last_map_reader(self) -> keras.layers.Layer:
        """Reads the averaged map of the whole image."""
        return self.flatten

    def call(self, inputs: Mapping[str, Tensor], training: bool = False) -> dict[str, Tensor]:
        image = ops.cast(inputs["image"], self.compute_dtype)
        x = self.flatten(_area_average(self.cnn(image, training=training), self.pooled_side))
        for dense, norm in zip(self.dense, self.norms):
            x = ops.relu(norm(dense(x), training=training))
        x = x[:, None]  # the only step
        identity = ops.convert_to_tensor(np.array(IDENTITY, "float32"))
        outputs = {
            "emotion": self.emotion_head(x, training=training),
            "windows": ops.tile(identity[None, None], (ops.shape(image)[0], 1, 1, 1)),
            "weights": ops.ones((ops.shape(image)[0], 1), dtype="float32"),
        }
        if self.affect_head is None:
            return {**outputs, "affect": unknown_affect(outputs["emotion"])}
        return {**outputs, "affect": self.affect_head(x, training=training)}


def _area_average(x: Tensor, side: int) -> Tensor:
    """[B, h, w, C] -> [B, side, side, C], each cell the exact average of the area that it covers."""
    return reduced(x, area_average_matrix(x.shape[1], side), area_average_matrix(x.shape[2], side))


def _equal_width(
    glimpse_units: int, head_units: int, channels: int, heads: int, classification_units: int, location_units: int
) -> int:
    """Hidden units n for which n * (glimpse_units + heads * head_units) is the number of EDRAM's other parameters."""
    context = 25 * channels * 16 + 9 * 16 * 16 + 9 * 16 * 32 + (512 * location_units if location_units != 512 else 0)
    lstm1 = 4 * classification_units * (glimpse_units + classification_units + 1)
    lstm2 = 4 * location_units * (classification_units + location_units + 1)
    where_and_emission = 6 * glimpse_units + 6 * location_units
    head_inputs = heads * classification_units * head_units
    total = context + lstm1 + lstm2 + where_and_emission + head_inputs
    return max(round(total / (glimpse_units + heads * head_units)), 1)
