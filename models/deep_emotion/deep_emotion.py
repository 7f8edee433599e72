"""Deep-Emotion: a small CNN with one spatial transformer.

Source: Minaee, Abdolrashidi, "Deep-Emotion: Facial Expression Recognition Using Attentional Convolutional Network",
2019 (arXiv 1902.01019); Sensors 2021, 21(9), 3046.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from edram_fer.errors import UserError
from edram_fer.models.contract import (
    FERModel,
    check_bool,
    check_choice,
    check_fraction,
    check_image_and_classes,
    check_integer,
    is_number,
    unknown_affect,
)
from edram_fer.models.deep_emotion.features import FeatureExtractor, Trunk
from edram_fer.models.deep_emotion.initializers import make_initializer
from edram_fer.models.deep_emotion.localisation import INTERPRETATIONS, LocalisationNetwork
from edram_fer.models.spatial_transformer import IDENTITY, sample
from edram_fer.models.tensor import Tensor

VARIANTS: dict[str, dict[str, Any]] = {  # the defaults of each variant, which replace None
    "paper": {"localisation": "narrow", "bound": None, "localisation_rate": 1.0, "initializer": "normal", "units": 50},
    "image": {"localisation": "public", "bound": None, "localisation_rate": 1.0, "initializer": "he", "units": 50},
    "plus": {"localisation": "narrow", "bound": 0.4, "localisation_rate": 0.1, "initializer": "he", "units": 256},
}
SMALLEST_IMAGE = 16  # smallest image side for which the feature extractor leaves one point


@keras.saving.register_keras_serializable(package="edram_fer")
class DeepEmotion(FERModel):
    """One affine window on the image or its feature map, then two dense layers.

    Variants:
        paper: two parallel branches on the image. Theta, the output of the localisation network, samples the 9x9x10
            map of the feature extractor. 47,657 parameters at 48x48x1 and K = 7.
        image: as in most public code: theta samples the image, and the feature extractor, with batch normalisation,
            processes the sample. 66,877 trainable parameters.
        plus: not published: a `Trunk` with 64-128-256 filters; a bounded theta samples the map after its second stage;
            the localisation network learns at a tenth of the learning rate.

    The window in the outputs is theta in the coordinates of the image. In `paper` and `plus` the same matrix samples
    the feature map, with aligned corners on both. Both positions agree except for the border that valid convolutions
    remove (`paper`) and the half pixels by which pooling shifts the map.

    Args:
        image_size: (H, W) in pixels, each at least 16, or 18 with the "public" localisation.
        channels: C of the image.
        classes: K emotions.
        variant: "paper", "image" or "plus".
        transformer: False omits localisation network and sampling: the same network without attention.
        affect: adds a dense layer for valence and arousal parallel to the last layer (not published).
        localisation: "narrow", "wide" or "public", see LocalisationNetwork; None: "public" in `image`, else "narrow".
        bound: bound on theta, see LocalisationNetwork: None, or in (0, 1]; in `plus`, None means .4.
        localisation_rate: share of the learning rate, in (0, 1], see edram_fer.models.slow; None: 1, in `plus` .1.
        initializer: initialiser of the kernels: "normal", N(0, .05) as published, or "he"; None: "normal" in `paper`,
            else "he".
        dropout: share of the features set to 0 in training (the paper's value is unknown).
        l2_penalty: lambda of the paper's loss, lambda * squared norm of the kernels of the last two dense layers
            (except the affect layer); it is part of model.losses, so that `fit` adds it.
        units: width of the first dense layer; None: 50, in `plus` 256.
        hidden_activation: activation of the first dense layer: "relu", as in public code, or "linear", with which both
            dense layers are equivalent to one layer of rank 50; the paper does not name it.
        trunk_filters: filters of the three or four stages of `plus`.
        batch_norm_momentum: momentum of the moving statistics in `image` and `plus`.
        seed: seed of dropout.
        **kwargs: see FERModel; `dtype`.

    Call arguments:
        inputs: {"image": [B, H, W, C]}; optionally "windows" [B, 1, 2, 3] instead of theta.

    Returns:
        A dict, all float32: "emotion" logits [B, 1, K]; "affect" [B, 1, 2] in [-1, 1] (-2 without that layer);
        "windows" [B, 1, 2, 3]; "weights" [B, 1], all 1.

    Raises:
        UserError: an argument is out of range; the message names it.

    The window of a new model is the whole image:

    >>> model = DeepEmotion(image_size=(48, 48), variant="plus", units=32)
    >>> np.asarray(model(np.zeros((1, 48, 48, 1), "uint8"))["windows"])[0, 0].tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """

    def __init__(
        self,
        image_size: Sequence[int] = (48, 48),
        channels: int = 1,
        classes: int = 7,
        variant: str = "paper",
        transformer: bool = True,
        affect: bool = False,
        localisation: str | None = None,
        bound: float | None = None,
        localisation_rate: float | None = None,
        initializer: str | None = None,
        dropout: float = 0.5,
        l2_penalty: float = 0.0,
        units: int | None = None,
        hidden_activation: str = "relu",
        trunk_filters: Sequence[int] = (64, 128, 256),
        batch_norm_momentum: float = 0.9,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        check_choice("variant", variant, VARIANTS)
        defaults = VARIANTS[variant]
        self.arguments = {
            "image_size": image_size,
            "channels": channels,
            "classes": classes,
            "variant": variant,
            "transformer": transformer,
            "affect": affect,
            "localisation": defaults["localisation"] if localisation is None else localisation,
            "bound": defaults["bound"] if bound is None else bound,
            "localisation_rate": defaults["localisation_rate"] if localisation_rate is None else localisation_rate,
            "initializer": defaults["initializer"] if initializer is None else initializer,
            "dropout": dropout,
            "l2_penalty": l2_penalty,
            "units": defaults["units"] if units is None else units,
            "hidden_activation": hidden_activation,
            "trunk_filters": trunk_filters,
            "batch_norm_momentum": batch_norm_momentum,
            "seed": seed,
        }
        _check(**self.arguments)
        policy = self.dtype_policy
        self.localisation = None
        if transformer:
            self.localisation = LocalisationNetwork(
                interpretation=self.arguments["localisation"],
                bound=self.arguments["bound"],
                rate=self.arguments["localisation_rate"],
                initializer=self.arguments["initializer"],
            )
        self._make_features(policy)
        self.flatten = keras.layers.Flatten(dtype=policy)
        self.drop = keras.layers.Dropout(dropout, seed=seed, dtype=policy)
        self.hidden = self._dense(self.arguments["units"], l2_penalty, activation=hidden_activation, dtype=policy)
        self.emotion_head = self._dense(classes, l2_penalty, dtype="float32")
        self.affect_head = self._dense(2, 0.0, activation="tanh", dtype="float32") if affect else None
        self.build_for_image()

    def _make_features(self, policy: Any) -> None:
        """Make the feature extractors `before` and `after` the sampling."""
        variant, initializer = self.arguments["variant"], self.arguments["initializer"]
        options = {"initializer": initializer, "momentum": self.arguments["batch_norm_momentum"], "dtype": policy}
        self.before = self.after = None
        if variant == "paper":
            self.before = FeatureExtractor(**options)
        elif variant == "image":
            self.after = FeatureExtractor(batch_norm=True, **options)
        else:
            filters = self.arguments["trunk_filters"]
            self.before, self.after = Trunk(filters[:2], **options), Trunk(filters[2:], **options)

    def _dense(self, units: int, l2_penalty: float, **options: Any) -> keras.layers.Dense:
        regularizer = keras.regularizers.L2(l2_penalty) if l2_penalty else None
        initializer = make_initializer(self.arguments["initializer"])
        return keras.layers.Dense(units, kernel_initializer=initializer, kernel_regularizer=regularizer, **options)

    def call(self, inputs: Mapping[str, Tensor], training: bool = False) -> dict[str, Tensor]:
        image = inputs["image"]
        theta = self._theta(inputs)
        x = ops.cast(image, self.compute_dtype) if self.before is None else self.before(image, training=training)
        if self.after is None:
            x = self.drop(x, training=training)  # in the feature branch, so before the sampling
        if self.localisation is not None:
            x = ops.cast(sample(x, theta[:, None], (x.shape[1], x.shape[2]))[:, 0], self.compute_dtype)
        if self.after is not None:
            x = self.drop(self.after(x, training=training), training=training)
        hidden = self.hidden(self.flatten(x))
        outputs = {
            "emotion": self.emotion_head(hidden)[:, None],
            "windows": theta[:, None],
            "weights": ops.ones_like(theta[:, :1, 0]),
        }
        if self.affect_head is None:
            return {**outputs, "affect": unknown_affect(outputs["emotion"])}
        return {**outputs, "affect": self.affect_head(hidden)[:, None]}

    def _theta(self, inputs: Mapping[str, Tensor]) -> Tensor:
        if self.localisation is None:
            identity = ops.convert_to_tensor(np.array(IDENTITY, "float32"))
            return ops.tile(identity[None], (ops.shape(inputs["image"])[0], 1, 1))
        if "windows" in inputs:
            return ops.cast(inputs["windows"], "float32")[:, 0]
        return self.localisation(inputs["image"])


def _check(
    *,
    image_size: Any,
    channels: Any,
    classes: Any,
    transformer: Any,
    localisation: Any,
    bound: Any,
    localisation_rate: Any,
    **arguments: Any,
) -> None:
    check_choice("localisation", localisation, INTERPRETATIONS)
    check_choice("initializer", arguments["initializer"], ("normal", "he"))
    check_choice("hidden_activation", arguments["hidden_activation"], ("relu", "linear"))
    check_bool("transformer", transformer)
    check_bool("affect", arguments["affect"])
    check_integer("seed", arguments["seed"], 0)
    smallest = max(SMALLEST_IMAGE, INTERPRETATIONS[localisation][-1] if transformer else 0)
    check_image_and_classes(image_size, channels, classes, smallest)
    for name in ("dropout", "batch_norm_momentum"):
        check_fraction(name, arguments[name])
    check_integer("units", arguments["units"], 1)
    for name, value in {"localisation_rate": localisation_rate, "bound": 1 if bound is None else bound}.items():
        if not is_number(value) or not 0 < value <= 1:
            raise UserError(f"{name}: expected a number in (0, 1], got {value!r}")
    l2_penalty, filters = arguments["l2_penalty"], arguments["trunk_filters"]
    if not is_number(l2_penalty) or not 0 <= l2_penalty < float("inf"):
        raise UserError(f"l2_penalty: expected a number of at least 0, got {l2_penalty!r}")
    if not isinstance(filters, (tuple, list)) or len(filters) not in (3, 4):
        raise UserError(f"trunk_filters: expected three or four numbers of filters, got {filters!r}")
    for count in filters:
        check_integer("trunk_filters", count, 1)
