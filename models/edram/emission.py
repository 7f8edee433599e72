"""Emission network: from the state of LSTM 2 to the matrix of the next glimpse, and the zoom restriction."""

from typing import Any

import keras
import numpy as np
from keras import ops

from edram_fer.errors import UserError
from edram_fer.models.contract import check_bool, check_choice, is_number
from edram_fer.models.slow import SlowDense
from edram_fer.models.tensor import Tensor

ZOOM_MODES = ("squash", "clip")
ZOOM_MEASURES = ("entries", "extent")
EMITTED_ZOOMS = ("clipped", "raw")
TINY = 1e-30  # instead of a sigmoid that has underflowed to 0


@keras.saving.register_keras_serializable(package="edram_fer")
class EmissionNetwork(keras.layers.Layer):
    """Dense -> A = [[a0, a1, a2], [a3, a4, a5]], always in float32.

    Published (Ablavatski et al. 2017): six tanh units, kernel 0 and bias (1, 0, 0, 0, 1, 0) at the start, the zooms a0
    and a4 limited to [0, 1]. A new model thus looks at the centre with zoom tanh(1) = .76.

    The restriction `zoom_limit = c` (Forch et al. 2019) applies to the zoom entries, or with `zoom_measure="extent"` to
    the extents |a0| + |a1| and |a3| + |a4|, half the sides of the window's bounding box, which a rotation cannot evade:
        clip: `restrict` clips the window of the sensor to the limit. The emitted matrix, which the where-path and the
            location loss see, is not clipped (as published; no gradient above c).
        squash: zoom = c * sigmoid(pre-activation) is emitted and used by the sensor, with a gradient everywhere. With
            "extent" this value is the extent of the row, divided between zoom and shear in the ratio of sigmoid(a) to
            |tanh(shear)|; without shear the two measures agree.

    Forch's code emits the tanh of the zoom without clipping it (`emitted_zoom="raw"`): a gradient everywhere, and
    negative values mirror the window; only under a limit c < 1 does `restrict` clip it, to [0, c].

    Args:
        zoom_limit: None, or 0 < c <= 1: the largest share of the image's side that a glimpse covers.
        zoom_mode: "squash" or "clip"; has no effect without a limit.
        zoom_measure: "entries" (as published) or "extent".
        rotation: False emits only zoom and translation (a1 = a3 = 0).
        emitted_zoom: "clipped" to [0, 1], or "raw" in (-1, 1); has no effect under a limit in mode "squash".
        rate: share of the learning rate at which the kernel learns, in (0, 1]. Adam moves each weight by about the
            learning rate, and all units of a state together move the window by far more: at 1e-3 the first steps can
            drive it into a corner, where tanh has no slope.

    Call arguments: hidden [B, units]. Returns float32 [B, 2, 3].

    Raises:
        UserError: an argument is out of range.
    """

    def __init__(
        self,
        zoom_limit: float | None = None,
        zoom_mode: str = "squash",
        zoom_measure: str = "entries",
        rotation: bool = True,
        rate: float = 1.0,
        emitted_zoom: str = "clipped",
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        if zoom_limit is not None and not (is_number(zoom_limit) and 0 < zoom_limit <= 1):
            raise UserError(f"zoom_limit: expected None or a number in (0, 1], got {zoom_limit!r}")
        check_choice("zoom_mode", zoom_mode, ZOOM_MODES)
        check_choice("zoom_measure", zoom_measure, ZOOM_MEASURES)
        check_choice("emitted_zoom", emitted_zoom, EMITTED_ZOOMS)
        check_bool("rotation", rotation)
        if not is_number(rate) or not 0 < rate <= 1:
            raise UserError(f"emission_rate: expected a number in (0, 1], got {rate!r}")
        self.zoom_limit, self.zoom_mode, self.zoom_measure = zoom_limit, zoom_mode, zoom_measure
        self.rotation, self.rate, self.emitted_zoom = rotation, rate, emitted_zoom
        bias = np.array([1.0, 0, 0, 0, 1, 0] if rotation else [1.0, 0, 1, 0], "float32")
        start = {"kernel_initializer": "zeros", "bias_initializer": _Constant(bias)}
        self.dense = SlowDense(len(bias), rate=rate, bias_rate=1.0, dtype="float32", **start)

    def call(self, hidden: Tensor) -> Tensor:
        raw = self.dense(ops.cast(hidden, "float32"))
        if self.rotation:
            zoom, shear, shift = raw[:, 0::4], raw[:, 1:4:2], raw[:, 2::3]  # each (x row, y row)
            shear = ops.tanh(shear)
        else:
            zoom, shift = raw[:, 0::2], raw[:, 1::2]
            shear = ops.zeros_like(zoom)
        shift = ops.tanh(shift)
        if self.zoom_limit is None or self.zoom_mode == "clip":
            zoom = ops.tanh(zoom)
            if self.emitted_zoom == "clipped":
                zoom = ops.clip(zoom, 0.0, 1.0)
        else:
            open_zoom = ops.sigmoid(zoom)
            zoom = self.zoom_limit * open_zoom
            if self.zoom_measure == "extent":
                scale = zoom / ops.maximum(open_zoom + ops.abs(shear), TINY)
                zoom, shear = open_zoom * scale, shear * scale
        return _matrix(zoom, shear, shift)

    def restrict(self, emitted: Tensor) -> Tensor:
        """The window that the sensor uses, [B, 2, 3]: clipped to the limit in mode "clip", otherwise as emitted."""
        if self.zoom_limit is None or self.zoom_mode == "squash":
            return emitted
        if self.emitted_zoom == "raw" and self.zoom_limit == 1:  # in Forch's code: no limit
            return emitted
        zoom = ops.stack([emitted[:, 0, 0], emitted[:, 1, 1]], axis=-1)
        shear = ops.stack([emitted[:, 0, 1], emitted[:, 1, 0]], axis=-1)
        zoom = ops.maximum(zoom, 0.0)  # changes raw zooms only
        if self.zoom_measure == "entries":
            zoom = ops.minimum(zoom, self.zoom_limit)
        else:
            extent = ops.abs(zoom) + ops.abs(shear)
            scale = self.zoom_limit / ops.maximum(extent, self.zoom_limit)
            zoom, shear = zoom * scale, shear * scale
        return _matrix(zoom, shear, emitted[:, :, 2])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "zoom_limit": self.zoom_limit,
            "zoom_mode": self.zoom_mode,
            "zoom_measure": self.zoom_measure,
            "rotation": self.rotation,
            "rate": self.rate,
            "emitted_zoom": self.emitted_zoom,
        }


def _matrix(zoom: Tensor, shear: Tensor, shift: Tensor) -> Tensor:
    """[B, 2] each, (x row, y row) -> [B, 2, 3]."""
    x_row = ops.stack([zoom[:, 0], shear[:, 0], shift[:, 0]], axis=-1)
    y_row = ops.stack([shear[:, 1], zoom[:, 1], shift[:, 1]], axis=-1)
    return ops.stack([x_row, y_row], axis=1)


class _Constant(keras.initializers.Initializer):
    """A fixed vector. It is never saved, because the layer recreates it."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __call__(self, shape: Any, dtype: Any = None) -> Tensor:
        return ops.convert_to_tensor(self.values, dtype=dtype)
