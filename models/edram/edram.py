"""The Enriched Deep Recurrent Visual Attention Model for facial expressions.

Sources: Ablavatski, Lu, Cai, "Enriched Deep Recurrent Visual Attention Model", WACV 2017 (arXiv 1706.03581); Forch,
Vitay, Hamker, "Recurrent Spatial Attention for Facial Emotion Recognition", 2019.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from edram_fer.errors import UserError
from edram_fer.models.batch_norm import BATCH_NORM_MODES
from edram_fer.models.contract import (
    LARGEST_COUNT,
    FERModel,
    check_bool,
    check_choice,
    check_filters,
    check_fraction,
    check_image_and_classes,
    check_integer,
    check_windows,
    unknown_affect,
)
from edram_fer.models.edram.block import BlockOptions
from edram_fer.models.edram.cell import EDRAMCell
from edram_fer.models.edram.context import SMALLEST_CONTEXT, ContextNetwork
from edram_fer.models.edram.glimpse import FILTERS, SMALLEST_GLIMPSE
from edram_fer.models.edram.head import Head
from edram_fer.models.edram.variants import VARIANTS
from edram_fer.models.spatial_transformer import IDENTITY, SENSORS
from edram_fer.models.tensor import Tensor
from edram_fer.models.trunk import Trunk

FIRST_GLIMPSES = ("context", "whole")


@keras.saving.register_keras_serializable(package="edram_fer")
class EDRAM(FERModel):
    """Takes T glimpses of an image and predicts emotion and affect after each.

    The defaults are ours. `edram_fer.build("edram", variant="ablavatski2017")` and `variant="forch2019"` give the
    models of the two released implementations: the options that they set are in `VARIANTS`, and docs/fidelity.md
    compares all three.

    Args:
        image_size: (H, W) in pixels, each at least 12.
        channels: C of the image.
        classes: K emotions.
        glimpses: T, at least 1.
        glimpse_size: sample points on a side, at least 14.
        batch_norm: "per_step" (Forch), "shared_affine" (Ablavatski) or "shared" (breaks evaluation).
        batch_norm_momentum: momentum of the moving statistics.
        batch_norm_epsilon, batch_norm_position, biases, initialisation: see BlockOptions (its `epsilon` is
            `batch_norm_epsilon`).
        peepholes: in both LSTMs, see PeepholeLSTMCell.
        zoom_limit, zoom_mode, zoom_measure, rotation, emission_rate (its `rate`), emitted_zoom: see EmissionNetwork.
        first_glimpse: "context" (emitted from the context vector) or "whole" (the whole image; with a zoom limit c a
            centred square of side c).
        affect: adds the head for valence and arousal.
        context_activation: None (published) or "tanh", context_input, context_size (its `size`), context_relu (its
            `relu`): see ContextNetwork.
        classification_units, location_units: sizes of LSTM 1 and 2.
        glimpse_units: width of the what- and the where-path.
        head_units: width of the hidden layers of the heads.
        glimpse_filters: filters of the six convolutions of the glimpse CNN.
        context_filters: filters of the three convolutions of the context network.
        trunk_filters: filters of the stages of a `Trunk` whose feature map the glimpses are read from, instead of the
            image, so that the trunk is computed once for all of them; each stage halves the map. The context network
            reads the image. (): no trunk, as published.
        dropout: dropout in the heads during training.
        seed: seed of dropout.
        sensor: "gather", "forch2019", "pytorch", or with rotation=False "separable", see spatial_transformer.sample.
        **kwargs: see FERModel; `dtype`.

    Call arguments:
        inputs: {"image": [B, H, W, C]}; optionally "windows" [B, T, 2, 3], which the sensor uses instead of the emitted
            windows, regardless of the zoom limit, and in addition "emitted" [B, T, 2, 3], the input of the where-path
            (default: the windows). The states are computed as usual.

    Returns:
        A dict, all float32: "emotion" logits [B, T, K]; "affect" [B, T, 2] = (valence, arousal) in [-1, 1] (-2
        without the head); "windows" [B, T, 2, 3], used by the sensor; "weights" [B, T] = 1 / T; "emitted"
        [B, T + 1, 2, 3], the matrices A_0 to A_T for the location loss.

    Raises:
        UserError: an argument is out of range, or windows have another shape; the message names it.

    >>> import numpy as np
    >>> model = EDRAM(image_size=(48, 48), glimpses=3, glimpse_size=14, glimpse_units=64, head_units=64)
    >>> outputs = model(np.zeros((2, 48, 48, 1), "uint8"))
    >>> tuple(outputs["emotion"].shape), tuple(outputs["windows"].shape)
    ((2, 3, 7), (2, 3, 2, 3))
    """

    variants = VARIANTS

    def __init__(
        self,
        image_size: Sequence[int] = (100, 100),
        channels: int = 1,
        classes: int = 7,
        glimpses: int = 6,
        glimpse_size: int = 26,
        batch_norm: str = "per_step",
        batch_norm_momentum: float = 0.9,
        zoom_limit: float | None = None,
        zoom_mode: str = "squash",
        zoom_measure: str = "entries",
        first_glimpse: str = "context",
        affect: bool = True,
        rotation: bool = True,
        emission_rate: float = 1.0,
        context_activation: str | None = None,
        classification_units: int = 512,
        location_units: int = 512,
        glimpse_units: int = 1024,
        head_units: int = 1024,
        glimpse_filters: Sequence[int] = FILTERS,
        context_filters: Sequence[int] = (16, 16, 32),
        trunk_filters: Sequence[int] = (),
        dropout: float = 0.0,
        seed: int = 0,
        sensor: str = "gather",
        batch_norm_epsilon: float = 1e-3,
        batch_norm_position: str = "before_relu",
        biases: bool = False,
        initialisation: str = "he_normal",
        peepholes: bool = False,
        emitted_zoom: str = "clipped",
        context_input: str = "area",
        context_size: int = SMALLEST_CONTEXT,
        context_relu: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.arguments = {
            "image_size": image_size,
            "channels": channels,
            "classes": classes,
            "glimpses": glimpses,
            "glimpse_size": glimpse_size,
            "batch_norm": batch_norm,
            "batch_norm_momentum": batch_norm_momentum,
            "zoom_limit": zoom_limit,
            "zoom_mode": zoom_mode,
            "zoom_measure": zoom_measure,
            "first_glimpse": first_glimpse,
            "affect": affect,
            "rotation": rotation,
            "emission_rate": emission_rate,
            "classification_units": classification_units,
            "location_units": location_units,
            "glimpse_units": glimpse_units,
            "head_units": head_units,
            "glimpse_filters": glimpse_filters,
            "context_filters": context_filters,
            "trunk_filters": trunk_filters,
            "context_activation": context_activation,
            "dropout": dropout,
            "seed": seed,
            "sensor": sensor,
            "batch_norm_epsilon": batch_norm_epsilon,
            "batch_norm_position": batch_norm_position,
            "biases": biases,
            "initialisation": initialisation,
            "peepholes": peepholes,
            "emitted_zoom": emitted_zoom,
            "context_input": context_input,
            "context_size": context_size,
            "context_relu": context_relu,
        }
        _check(**self.arguments)
        block = BlockOptions(batch_norm_position, batch_norm_epsilon, biases, initialisation)
        steps = {"steps": glimpses, "batch_norm": batch_norm, "momentum": batch_norm_momentum}
        policy = self.dtype_policy
        self.context = ContextNetwork(
            location_units,
            context_filters,
            context_activation,
            batch_norm_momentum,
            context_input,
            sensor,
            block,
            context_size,
            context_relu,
            dtype=policy,
        )
        self.trunk = None
        if trunk_filters:
            self.trunk = Trunk(trunk_filters, momentum=batch_norm_momentum, epsilon=batch_norm_epsilon, dtype=policy)
        self.cell = EDRAMCell(
            glimpse_size,
            classification_units,
            location_units,
            glimpse_units,
            glimpse_filters,
            **steps,
            zoom_limit=zoom_limit,
            zoom_mode=zoom_mode,
            zoom_measure=zoom_measure,
            rotation=rotation,
            emission_rate=emission_rate,
            emitted_zoom=emitted_zoom,
            sensor=sensor,
            peepholes=peepholes,
            block=block,
            dtype=policy,
        )
        head = {"units": head_units, **steps, "dropout": dropout, "block": block, "dtype": policy}
        self.emotion_head = Head(classes, seed=seed, **head)
        self.affect_head = Head(2, activation="tanh", seed=seed + 1, **head) if affect else None
        self.build_for_image()

    @property
    def last_map_reader(self) -> keras.layers.Layer:
        """Reads the maps of the glimpse CNN, one for each glimpse."""
        return self.cell.glimpse.flatten

    def slow_weights(self) -> dict[str, list[keras.Variable]]:
        return {"emission_rate": [self.cell.emission.dense.kernel]}

    def call(self, inputs: Mapping[str, Tensor], training: bool = False) -> dict[str, Tensor]:
        image = ops.cast(inputs["image"], "float32")
        given_windows = inputs.get("windows")
        given_matrices = inputs.get("emitted", given_windows)
        if given_windows is not None:
            check_windows("windows", given_windows, self.arguments["glimpses"])
            check_windows("emitted", given_matrices, self.arguments["glimpses"])
        context = self.context(image, training=training)
        states = self.cell.get_initial_state(context)
        seen = image if self.trunk is None else ops.cast(self.trunk(image, training=training), "float32")
        emitted = [self._first_matrix(image, context)]
        used, hidden = [], []
        for step in range(self.arguments["glimpses"]):
            if given_windows is None:
                matrix = emitted[step]
                window = self.cell.emission.restrict(matrix)
            else:
                matrix = ops.cast(given_matrices[:, step], "float32")
                window = ops.cast(given_windows[:, step], "float32")
            used.append(window)
            h1, next_matrix, states = self.cell(seen, states, matrix, window, step=step, training=training)
            emitted.append(next_matrix)
            hidden.append(h1)
        windows, hidden = ops.stack(used, axis=1), ops.stack(hidden, axis=1)
        outputs = {
            "emotion": self.emotion_head(hidden, training=training),
            "windows": windows,
            "weights": ops.ones_like(windows[:, :, 0, 0]) / len(used),
            "emitted": ops.stack(emitted, axis=1),
        }
        if self.affect_head is None:
            return {**outputs, "affect": unknown_affect(outputs["emotion"])}
        return {**outputs, "affect": self.affect_head(hidden, training=training)}

    def _first_matrix(self, image: Tensor, context: Tensor) -> Tensor:
        if self.arguments["first_glimpse"] == "context":
            return self.cell.emission(context)
        zoom = self.arguments["zoom_limit"] or 1.0
        centred = zoom * ops.convert_to_tensor(IDENTITY, dtype="float32")
        return ops.tile(centred[None], (ops.shape(image)[0], 1, 1))


def _check(
    *,
    image_size: Any,
    channels: Any,
    classes: Any,
    batch_norm: Any,
    first_glimpse: Any,
    rotation: Any,
    sensor: Any,
    **arguments: Any,
) -> None:
    check_image_and_classes(image_size, channels, classes, smallest_side=12)
    check_integer("glimpse_size", arguments["glimpse_size"], SMALLEST_GLIMPSE)
    check_integer("glimpses", arguments["glimpses"], 1, LARGEST_COUNT)
    for name in ("classification_units", "location_units", "glimpse_units", "head_units"):
        check_integer(name, arguments[name], 1)
    check_filters("glimpse_filters", arguments["glimpse_filters"], 6)
    check_filters("context_filters", arguments["context_filters"], 3)
    stages = arguments["trunk_filters"]
    if not isinstance(stages, (tuple, list)) or min(image_size) >> len(stages) < 2:
        raise UserError(f"trunk_filters: expected filters of stages that leave a map of two points, got {stages!r}")
    check_filters("trunk_filters", stages, len(stages))
    for name in ("batch_norm_momentum", "dropout"):
        check_fraction(name, arguments[name])
    check_choice("batch_norm", batch_norm, BATCH_NORM_MODES)
    check_choice("first_glimpse", first_glimpse, FIRST_GLIMPSES)
    if arguments["context_activation"] not in (None, "tanh"):
        raise UserError(f"context_activation: expected None or 'tanh', got {arguments['context_activation']!r}")
    check_bool("affect", arguments["affect"])
    check_bool("rotation", rotation)
    check_bool("peepholes", arguments["peepholes"])
    check_integer("seed", arguments["seed"], 0, None)
    if sensor not in SENSORS or (sensor == "separable" and rotation):
        raise UserError(
            f"sensor: expected 'gather', 'forch2019', 'pytorch' or with rotation=False 'separable', got {sensor!r}"
        )
