"""Deep-Emotion: a small CNN with one spatial transformer.

Source: Minaee, Abdolrashidi, "Deep-Emotion: Facial Expression Recognition Using Attentional Convolutional Network",
2019 (arXiv 1902.01019); Sensors 2021, 21(9), 3046. We know of no code by the authors. The variant `release` follows the
common public code, in PyTorch (github.com/omarsayed7/Deep-Emotion). docs/fidelity.md names every point in which paper,
public code and this package differ.
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
    check_windows,
    is_number,
    unknown_affect,
)
from edram_fer.models.deep_emotion.features import FeatureExtractor
from edram_fer.models.deep_emotion.localisation import INTERPRETATIONS, LocalisationNetwork
from edram_fer.models.initializers import INITIALIZERS, draw_biases, make_initializer
from edram_fer.models.spatial_transformer import IDENTITY, sample
from edram_fer.models.tensor import Tensor
from edram_fer.models.trunk import Trunk

_COMMON: dict[str, Any] = {
    "localisation": "narrow",
    "bound": None,
    "localisation_rate": 1.0,
    "initializer": "he",
    "units": 50,
    "batch_norm": True,
    "batch_norm_epsilon": 1e-3,
    "sampler": "gather",
    "input_range": (0.0, 1.0),
}
VARIANTS: dict[str, dict[str, Any]] = {  # the defaults of each variant, which replace None
    "paper": _COMMON | {"initializer": "normal", "batch_norm": False},
    "image": _COMMON | {"localisation": "public"},
    "release": _COMMON
    | {
        "localisation": "public",
        "initializer": "pytorch",
        "batch_norm_epsilon": 1e-5,
        "sampler": "pytorch",
        "input_range": (-1.0, 1.0),
    },
    "plus": _COMMON | {"bound": 0.4, "localisation_rate": 0.1, "units": 256},
}
SAMPLERS = ("gather", "pytorch")
SMALLEST_IMAGE = 16  # smallest image side for which the feature extractor leaves one point


@keras.saving.register_keras_serializable(package="edram_fer")
class DeepEmotion(FERModel):
    """One affine window on the image or its feature map, then two dense layers.

    The paper can be read in two ways: a figure suggests that theta, the output of the localisation network, samples the
    map of the feature extractor; the text says that the input is transformed.

    Variants:
        paper: our reading of the figure: two parallel branches on the image; theta samples the 9x9x10 map of the
            feature extractor. 47,657 parameters at 48x48x1 and K = 7.
        image: our reading of the text: theta samples the image, and the feature extractor processes the sample. Layer
            sizes and batch normalisation are those of public code: 66,877 trainable parameters. With
            `localisation="narrow", batch_norm=False, initializer="normal"` it has the layers of `paper` and differs
            from it only in the input of the sampler.
        release: `image` as the common public code computes it: images in [-1, 1], PyTorch's sampler with zeros outside
            the image (mid-grey, after that scaling), PyTorch's initial weights and epsilon.
        plus: not published: a `Trunk` with 64-128-256 filters; a bounded theta samples the map after its second stage;
            the localisation network learns at a tenth of the learning rate.

    The paper does not give the pools and the padding of the localisation network, the activation between the two dense
    layers, the rate of the dropout and the size of the penalty. They are ours.

    The window in the outputs is theta in the coordinates of the image. In `paper` and `plus` the same matrix samples
    the feature map, with aligned corners on both. Both positions agree except for the border that valid convolutions
    remove (`paper`) and the half pixels by which pooling shifts the map. With the sampler "pytorch" -1 and 1 are the
    outer edges of the image, so that the window is off by up to half a pixel in figures.

    Args:
        image_size: (H, W) in pixels, each at least 16, or 18 with the "public" localisation.
        channels: C of the image.
        classes: K emotions.
        variant: "paper", "image", "release" or "plus": the input of the sampler, and the defaults that replace None
            (VARIANTS).
        transformer: False omits localisation network and sampling: the same network without attention.
        affect: adds a dense layer for valence and arousal parallel to the last layer (not published).
        localisation: "narrow", "wide" or "public", see LocalisationNetwork; None: "public" in `image` and `release`,
            else "narrow".
        bound: bound on theta, see LocalisationNetwork: None, or in (0, 1]; in `plus`, None means .4.
        localisation_rate: share of the learning rate, in (0, 1], see edram_fer.models.slow; None: 1, in `plus` .1.
        initializer: initialiser of the kernels: "normal", N(0, .05) as published; "he"; or "pytorch", also of the
            biases; None: "normal" in `paper`, "pytorch" in `release`, else "he".
        dropout: share of the features set to 0 in training. The paper does not give its rate; .5 is that of public
            code.
        l2_penalty: lambda of the paper's loss, lambda * squared norm of the kernels of the last two dense layers
            (except the affect layer); it is part of model.losses, so that `fit` adds it.
        units: width of the first dense layer; None: 50, in `plus` 256.
        hidden_activation: activation of the first dense layer: "relu", as in public code, or "linear", with which both
            dense layers are equivalent to one layer of rank 50; the paper does not name it.
        trunk_filters: filters of the three or four stages of `plus`.
        batch_norm_momentum: momentum of the moving statistics of batch normalisation.
        seed: seed of dropout.
        batch_norm: adds batch normalisation after the fourth convolution of the ten-channel network; None: False in
            `paper`, else True. The trunk of `plus` always has it.
        batch_norm_epsilon: added to the variance in batch normalisation; None: 1e-3, in `release` 1e-5.
        sampler: "gather" or "pytorch", see spatial_transformer.sample; None: "pytorch" in `release`, else "gather".
        input_range: (low, high), to which the images are scaled from [0, 1]; None: (-1, 1) in `release`, else (0, 1).
        **kwargs: see FERModel; `dtype`.

    Call arguments:
        inputs: {"image": [B, H, W, C]}; optionally "windows" [B, 1, 2, 3] instead of theta (not used without the
            transformer).

    Returns:
        A dict, all float32: "emotion" logits [B, 1, K]; "affect" [B, 1, 2] in [-1, 1] (-2 without that layer);
        "windows" [B, 1, 2, 3]; "weights" [B, 1], all 1.

    Raises:
        UserError: an argument is out of range, or windows have another shape; the message names it.

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
        batch_norm: bool | None = None,
        batch_norm_epsilon: float | None = None,
        sampler: str | None = None,
        input_range: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        check_choice("variant", variant, VARIANTS)
        chosen = {
            "localisation": localisation,
            "bound": bound,
            "localisation_rate": localisation_rate,
            "initializer": initializer,
            "units": units,
            "batch_norm": batch_norm,
            "batch_norm_epsilon": batch_norm_epsilon,
            "sampler": sampler,
            "input_range": input_range,
        }
        defaults = VARIANTS[variant]
        self.arguments = {
            "image_size": image_size,
            "channels": channels,
            "classes": classes,
            "variant": variant,
            "transformer": transformer,
            "affect": affect,
            **{name: defaults[name] if value is None else value for name, value in chosen.items()},
            "dropout": dropout,
            "l2_penalty": l2_penalty,
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
        if self.arguments["initializer"] == "pytorch":
            draw_biases(self._layers_with_drawn_biases())

    def _make_features(self, policy: Any) -> None:
        """Make the feature extractors `before` and `after` the sampling."""
        variant, initializer = self.arguments["variant"], self.arguments["initializer"]
        options = {
            "initializer": initializer,
            "momentum": self.arguments["batch_norm_momentum"],
            "epsilon": self.arguments["batch_norm_epsilon"],
            "dtype": policy,
        }
        self.before = self.after = None
        if variant == "paper":
            self.before = FeatureExtractor(self.arguments["batch_norm"], **options)
        elif variant in ("image", "release"):
            self.after = FeatureExtractor(self.arguments["batch_norm"], **options)
        else:
            filters = self.arguments["trunk_filters"]
            self.before, self.after = Trunk(filters[:2], **options), Trunk(filters[2:], **options)

    def _dense(self, units: int, l2_penalty: float, **options: Any) -> keras.layers.Dense:
        regularizer = keras.regularizers.L2(l2_penalty) if l2_penalty else None
        initializer = make_initializer(self.arguments["initializer"])
        return keras.layers.Dense(units, kernel_initializer=initializer, kernel_regularizer=regularizer, **options)

    def _layers_with_drawn_biases(self) -> list[keras.layers.Layer]:
        """All layers with a bias but the last one of the localisation network, whose bias is the identity."""
        layers = [self.hidden, self.emotion_head, self.affect_head]
        if self.localisation is not None:
            layers += [*self.localisation.convolutions, self.localisation.hidden]
        for extractor in (self.before, self.after):
            layers += [] if extractor is None else extractor.convolutions
        return [layer for layer in layers if layer is not None and layer.bias is not None]

    @property
    def last_map_reader(self) -> keras.layers.Layer:
        """Reads the last map, which lies in the window."""
        return self.flatten

    def slow_weights(self) -> dict[str, list[keras.Variable]]:
        return {} if self.localisation is None else {"localisation_rate": self.localisation.weights}

    def call(self, inputs: Mapping[str, Tensor], training: bool = False) -> dict[str, Tensor]:
        image = inputs["image"]
        low, high = self.arguments["input_range"]
        if (low, high) != (0, 1):
            image = low + (high - low) * image
        theta = self._theta(image, inputs.get("windows"))
        x = ops.cast(image, self.compute_dtype) if self.before is None else self.before(image, training=training)
        if self.after is None:
            x = self.drop(x, training=training)  # in the feature branch, so before the sampling
        if self.localisation is not None:
            x = ops.cast(self._sampled(x, theta), self.compute_dtype)
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

    def _theta(self, image: Tensor, windows: Tensor | None) -> Tensor:
        if self.localisation is None:
            identity = ops.convert_to_tensor(np.array(IDENTITY, "float32"))
            return ops.tile(identity[None], (ops.shape(image)[0], 1, 1))
        if windows is None:
            return self.localisation(image)
        check_windows("windows", windows, 1)
        return ops.cast(windows, "float32")[:, 0]

    def _sampled(self, x: Tensor, theta: Tensor) -> Tensor:
        return sample(x, theta[:, None], (x.shape[1], x.shape[2]), self.arguments["sampler"])[:, 0]


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
    check_choice("initializer", arguments["initializer"], INITIALIZERS)
    check_choice("sampler", arguments["sampler"], SAMPLERS)
    check_choice("hidden_activation", arguments["hidden_activation"], ("relu", "linear"))
    check_bool("transformer", transformer)
    check_bool("affect", arguments["affect"])
    check_bool("batch_norm", arguments["batch_norm"])
    if arguments["variant"] == "plus" and not arguments["batch_norm"]:
        raise UserError("batch_norm: expected true for the variant plus, got False")
    check_integer("seed", arguments["seed"], 0, None)
    smallest = max(SMALLEST_IMAGE, INTERPRETATIONS[localisation][-1] if transformer else 0)
    check_image_and_classes(image_size, channels, classes, smallest)
    for name in ("dropout", "batch_norm_momentum"):
        check_fraction(name, arguments[name])
    check_integer("units", arguments["units"], 1)
    for name, value in {"localisation_rate": localisation_rate, "bound": 1 if bound is None else bound}.items():
        if not is_number(value) or not 0 < value <= 1:
            raise UserError(f"{name}: expected a number in (0, 1], got {value!r}")
    epsilon, input_range = arguments["batch_norm_epsilon"], arguments["input_range"]
    if not is_number(epsilon) or not 0 < epsilon < 1:
        raise UserError(f"batch_norm_epsilon: expected a number between 0 and 1, got {epsilon!r}")
    pair = isinstance(input_range, (tuple, list)) and len(input_range) == 2 and all(map(is_number, input_range))
    if not pair or not -float("inf") < input_range[0] < input_range[1] < float("inf"):
        raise UserError(f"input_range: expected (low, high), got {input_range!r}")
    l2_penalty, filters = arguments["l2_penalty"], arguments["trunk_filters"]
    if not is_number(l2_penalty) or not 0 <= l2_penalty < float("inf"):
        raise UserError(f"l2_penalty: expected a number of at least 0, got {l2_penalty!r}")
    if not isinstance(filters, (tuple, list)) or len(filters) not in (3, 4):
        raise UserError(f"trunk_filters: expected three or four numbers of filters, got {filters!r}")
    for count in filters:
        check_integer("trunk_filters", count, 1)
