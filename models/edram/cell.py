"""One step of the EDRAM: from a glimpse through both LSTMs to the next matrix."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from edram_fer.models.edram.block import DEFAULT_BLOCK, BlockOptions
from edram_fer.models.edram.emission import EmissionNetwork
from edram_fer.models.edram.glimpse import FILTERS, GlimpseNetwork
from edram_fer.models.edram.lstm import PeepholeLSTMCell
from edram_fer.models.spatial_transformer import sample
from edram_fer.models.tensor import Shape, Tensor


@keras.saving.register_keras_serializable(package="edram_fer")
class EDRAMCell(keras.layers.Layer):
    """glimpse(A_t) -> what * where -> LSTM 1 -> LSTM 2 -> A_{t+1} (Ablavatski et al. 2017, equations 1 to 6).

    Args:
        glimpse_size: sample points on a side of the glimpse.
        classification_units, location_units: sizes of LSTM 1 and LSTM 2.
        glimpse_units, filters, steps, batch_norm, momentum: see GlimpseNetwork (its `units` is `glimpse_units`).
        zoom_limit, zoom_mode, zoom_measure, rotation, emission_rate (its `rate`), emitted_zoom: see EmissionNetwork.
        sensor: the `method` of spatial_transformer.sample.
        peepholes: the LSTMs of the 2017 model, see PeepholeLSTMCell, instead of Keras' own.
        block: BlockOptions, or a dict of their values.

    Call arguments:
        image: float32 [B, H, W, C].
        states: [h1, c1, h2, c2], each [B, units]; their sizes are `state_size`.
        matrix: float32 [B, 2, 3], the emitted matrix of this glimpse, for the where-path.
        window: float32 [B, 2, 3], the matrix that the sensor uses (see EmissionNetwork.restrict).
        step: Python int; training: bool.

    Returns:
        h1 [B, classification_units], the next emitted matrix [B, 2, 3], and the new states.
    """

    def __init__(
        self,
        glimpse_size: int = 26,
        classification_units: int = 512,
        location_units: int = 512,
        glimpse_units: int = 1024,
        filters: Sequence[int] = FILTERS,
        steps: int = 1,
        batch_norm: str = "per_step",
        momentum: float = 0.9,
        zoom_limit: float | None = None,
        zoom_mode: str = "squash",
        zoom_measure: str = "entries",
        rotation: bool = True,
        sensor: str = "gather",
        emission_rate: float = 1.0,
        emitted_zoom: str = "clipped",
        peepholes: bool = False,
        block: BlockOptions | Mapping[str, Any] = DEFAULT_BLOCK,
        **kwargs: Any,
    ) -> None:
        # Without autocast, image and matrix stay float32 under mixed precision.
        super().__init__(autocast=False, **kwargs)
        policy = self.dtype_policy
        self.glimpse_size, self.sensor, self.steps = glimpse_size, sensor, steps
        self.block, self.peepholes = BlockOptions.of(block), peepholes
        self.glimpse = GlimpseNetwork(glimpse_units, filters, steps, batch_norm, momentum, self.block, dtype=policy)
        self.lstm1, self.lstm2 = (self._lstm(units) for units in (classification_units, location_units))
        self.emission = EmissionNetwork(zoom_limit, zoom_mode, zoom_measure, rotation, emission_rate, emitted_zoom)
        self.state_size = [classification_units, classification_units, location_units, location_units]

    def _lstm(self, units: int) -> keras.layers.Layer:
        kernel, recurrent = self.block.initial("lstm_kernel"), self.block.initial("lstm_recurrent_kernel")
        options = {"kernel_initializer": kernel, "recurrent_initializer": recurrent, "dtype": self.dtype_policy}
        if self.peepholes:
            return PeepholeLSTMCell(units, **options)
        return keras.layers.LSTMCell(units, unit_forget_bias=self.block.initial("forget_bias"), **options)

    def build(self, image_shape: Shape) -> None:
        pass

    def get_initial_state(self, context: Tensor) -> list[Tensor]:
        """States before the first glimpse: h2 is the context vector [B, location_units], all others are 0."""
        dtype = self.compute_dtype
        zeros = [ops.zeros((ops.shape(context)[0], units), dtype=dtype) for units in self.state_size]
        return [zeros[0], zeros[1], ops.cast(context, dtype), zeros[3]]

    def call(
        self,
        image: Tensor,
        states: Sequence[Tensor],
        matrix: Tensor,
        window: Tensor,
        step: int = 0,
        training: bool = False,
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        h1, c1, h2, c2 = states
        glimpse = sample(image, window[:, None], self.glimpse_size, self.sensor)[:, 0]
        merged = self.glimpse(glimpse, matrix, step=step, training=training)
        h1, (h1, c1) = self.lstm1(merged, [h1, c1], training=training)
        h2, (h2, c2) = self.lstm2(h1, [h2, c2], training=training)
        return h1, self.emission(h2), [h1, c1, h2, c2]

    def get_config(self) -> dict[str, Any]:
        cnn, emission = self.glimpse.cnn, self.emission.get_config()
        return {
            **super().get_config(),
            "glimpse_size": self.glimpse_size,
            "classification_units": self.lstm1.units,
            "location_units": self.lstm2.units,
            "glimpse_units": self.glimpse.units,
            "filters": cnn.filters,
            "steps": self.steps,
            "batch_norm": cnn.batch_norm,
            "momentum": cnn.momentum,
            **{key: emission[key] for key in ("zoom_limit", "zoom_mode", "zoom_measure", "rotation")},
            "emission_rate": self.emission.rate,
            "emitted_zoom": self.emission.emitted_zoom,
            "sensor": self.sensor,
            "peepholes": self.peepholes,
            "block": dataclasses.asdict(self.block),
        }
