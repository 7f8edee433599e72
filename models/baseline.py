"""The baseline that attention has to beat: the glimpse CNN on the whole image, with as many parameters."""

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
from edram_fer.models.edram.context import area_average_matrix
from edram_fer.models.edram.glimpse import FILTERS, SMALLEST_GLIMPSE, GlimpseCNN
from edram_fer.models.edram.head import Head
from edram_fer.models.spatial_transformer import IDENTITY


@keras.saving.register_keras_serializable(package="edram_fer")
class CNN(FERModel):
    """Glimpse CNN on the whole image -> area average -> what-path -> one hidden layer -> the heads of EDRAM.

    The area average brings the trunk's output to the size that it has on one glimpse (4x4 for 26x26 points); of a
    smaller image it repeats what there is. The hidden layer takes the place of both LSTMs, the where-path, the context
    and the emission network, and is so wide as to have the parameters of the EDRAM with the same options (within 1 %
    for the default sizes).

    Args:
        image_size: (H, W) in pixels, each at least 14, of which the trunk leaves one point.
        channels, classes, affect, batch_norm_momentum, glimpse_units, head_units, glimpse_filters, dropout, seed: as in
        EDRAM.
        glimpse_size, classification_units, location_units: of the EDRAM that it is compared with.
        hidden_units: width of the hidden layer; None: equal parameters, see above.

    Call arguments: inputs {"image": [B, H, W, C] in [0, 1]}.

    Returns:
        {"emotion": logits [B, 1, K], "affect": [B, 1, 2] (-2 without the head), "windows": [B, 1, 2, 3] the
        identity, "weights": [B, 1] of 1}, all float32.
    """

    def __init__(
        self,
        image_size=(100, 100),
        channels=1,
        classes=7,
        affect=True,
        batch_norm_momentum=0.9,
        glimpse_size=26,
        classification_units=512,
        location_units=512,
        glimpse_units=1024,
        hidden_units=None,
        head_units=1024,
        glimpse_filters=FILTERS,
        dropout=0.0,
        seed=0,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        check_image_and_classes(image_size, channels, classes, smallest_side=SMALLEST_GLIMPSE)
        check_integer("glimpse_size", glimpse_size, SMALLEST_GLIMPSE)
        lstms = {"classification_units": classification_units, "location_units": location_units}
        for name, value in {"glimpse_units": glimpse_units, "head_units": head_units, **lstms}.items():
            check_integer(name, value, 1)
        check_filters("glimpse_filters", glimpse_filters, 6)
        check_bool("affect", affect)
        check_integer("seed", seed, 0)
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

    def call(self, inputs, training=False):
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


def _area_average(x, side):
    """[B, h, w, C] -> [B, side, side, C], each cell the exact average of the area that it covers."""
    down = ops.convert_to_tensor(area_average_matrix(x.shape[1], side), dtype=x.dtype)
    across = ops.convert_to_tensor(area_average_matrix(x.shape[2], side), dtype=x.dtype)
    return ops.einsum("xj,byjc->byxc", across, ops.einsum("yi,bijc->byjc", down, x))


def _equal_width(glimpse_units, head_units, channels, heads, classification_units, location_units):
    """Hidden units n with n * (glimpse_units + heads * head_units) = what EDRAM has instead of that layer."""
    context = 25 * channels * 16 + 9 * 16 * 16 + 9 * 16 * 32 + (512 * location_units if location_units != 512 else 0)
    lstm1 = 4 * classification_units * (glimpse_units + classification_units + 1)
    lstm2 = 4 * location_units * (classification_units + location_units + 1)
    where_and_emission = 6 * glimpse_units + 6 * location_units
    head_inputs = heads * classification_units * head_units
    total = context + lstm1 + lstm2 + where_and_emission + head_inputs
    return max(round(total / (glimpse_units + heads * head_units)), 1)
