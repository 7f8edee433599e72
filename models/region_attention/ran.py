"""Region attention network: a face and crops of it through one backbone, weighed by two attentions.

Source: Wang, Peng, Yang, Meng, Qiao, "Region Attention Networks for Pose and Occlusion Robust Facial Expression
Recognition", IEEE TIP 2020 (arXiv 1905.04075).
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
from keras import ops

from edram_fer.errors import UserError
from edram_fer.models.contract import (
    LARGEST_COUNT,
    FERModel,
    check_bool,
    check_choice,
    check_fraction,
    check_image_and_classes,
    check_integer,
    check_windows,
    unknown_affect,
)
from edram_fer.models.region_attention.attention import NORMS, RelationAttention, SelfAttention
from edram_fer.models.region_attention.crops import check_radius
from edram_fer.models.region_attention.crops import crops as make_crops
from edram_fer.models.region_attention.iresnet import IResNet
from edram_fer.models.region_attention.layers import LayerOptions, dense
from edram_fer.models.region_attention.resnet import FILTERS, STEMS, ResNet
from edram_fer.models.region_attention.vgg import VGG
from edram_fer.models.spatial_transformer import sample
from edram_fer.models.tensor import Shape, Tensor

BACKBONES: dict[str, tuple[Any, tuple[int, ...]]] = {  # class, number of blocks in each stage
    "vgg16": (VGG, (2, 2, 3, 3, 3)),
    "resnet18": (ResNet, (2, 2, 2, 2)),
    "iresnet18": (IResNet, (2, 2, 2, 2)),
    "iresnet34": (IResNet, (3, 4, 6, 3)),
    "iresnet50": (IResNet, (3, 4, 14, 3)),
    "iresnet100": (IResNet, (3, 13, 30, 3)),
}
ATTENTIONS = ("both", "self", "mean")
# "wang2020": what the released code (github.com/kaiwang960112/Challenge-condition-FER-dataset) does differently;
# docs/fidelity.md tells every point.
VARIANTS: dict[str, dict[str, Any]] = {
    "ours": {},
    "wang2020": {
        "padding": "symmetric",
        "batch_norm_epsilon": 1e-5,
        "initialisation": "pytorch",
        "attention_norm": "softmax",
        "fold_crops": False,
    },
}


@keras.saving.register_keras_serializable(package="edram_fer")
class RAN(FERModel):
    """The whole face and k crops -> features F_0 to F_k -> self-attention -> relation-attention -> emotion.

    Args:
        image_size: (H, W) in pixels.
        channels: C of the image.
        classes: K emotions.
        backbone: "vgg16", "resnet18", "iresnet18", "iresnet34", "iresnet50" or "iresnet100", its weights shared by all
            regions.
        crops: "fixed5", "fixed7", "landmarks" or "random", see edram_fer.models.region_attention.crops; "face" is the
            whole face alone, the published baseline without attention.
        attention: "both" (published), "self" (only F_m is classified) or "mean" (the mean of all F_i); the last two
            show the contribution of each attention.
        attention_norm: "sigmoid" (the paper's equations) or "softmax" (over the regions, the released code).
        margin: margin of the region-biased loss, in [0, 1). The model does not use it; training reads it here.
        crop_size: (h, w) sample points of each region, or one number for both; None: image_size.
        crop_count: number of crops k for "random".
        landmark_radius: radius for "landmarks", see LandmarkCrops.
        stem: "published" or "small" (for faces below about 112 pixels), see ResNet.
        fold_crops: True passes all regions through the backbone as one batch, which is faster and normalises all
            regions together. False calls the backbone for each region, as in the released code, which in training
            normalises each region separately. At inference both are equivalent.
        backbone_filters: filters of the first four stages.
        affect: adds a dense layer for valence and arousal parallel to the last layer (not published).
        dropout: share of the inputs of the last layer set to 0 in training.
        batch_norm_momentum: momentum of the moving statistics.
        batch_norm_epsilon, padding, initialisation: see edram_fer.models.region_attention.layers.LayerOptions. The
            defaults are those of files that do not name them.
        embedding: the features are those for face recognition instead of the average of the last map, see IResNet.
        embedding_dropout: share of the inputs of its dense layer set to 0 in training.
        signed_input: the backbone sees 2 x - 1 instead of x in [0, 1], as InsightFace's weights expect.
        seed: seed of dropout and of random crops.
        **kwargs: see FERModel; `dtype`.

    Call arguments:
        inputs: {"image": [B, H, W, C]}; with crops="landmarks" also "landmarks" [B, 68, 2] = (x, y) in pixels of the
            face, nan where unknown (that crop is then the whole face); optionally "windows" [B, k + 1, 2, 3], the
            whole face first, instead of the crops.

    Returns:
        A dict, all float32: "emotion" logits [B, 1, K]; "affect" [B, 1, 2] in [-1, 1] (-2 without that layer);
        "windows" [B, k + 1, 2, 3], the whole face first; "weights" [B, k + 1] = mu nu / sum(mu nu) ("self": from mu
        alone; "mean": all equal); "attention" [B, k + 1] = mu, for the region-biased loss (absent for "mean" and
        "face").

    Raises:
        UserError: an argument is out of range (the message names it), or the inputs lack landmarks.

    >>> import numpy as np
    >>> model = RAN((48, 48), backbone="resnet18", crops="fixed5", stem="small", backbone_filters=(4, 4, 8, 8))
    >>> weights = model(np.zeros((2, 48, 48, 1), "uint8"))["weights"]  # of the face and its five crops
    >>> tuple(weights.shape), round(float(weights[0].numpy().sum()), 3)
    ((2, 6), 1.0)
    """

    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = VARIANTS

    def __init__(
        self,
        image_size: Sequence[int] = (100, 100),
        channels: int = 1,
        classes: int = 7,
        backbone: str = "resnet18",
        crops: str = "fixed5",
        attention: str = "both",
        attention_norm: str = "sigmoid",
        margin: float = 0.1,
        crop_size: int | Sequence[int] | None = None,
        crop_count: int = 5,
        landmark_radius: float = 0.25,
        stem: str = "published",
        fold_crops: bool = True,
        backbone_filters: Sequence[int] = FILTERS,
        affect: bool = False,
        dropout: float = 0.0,
        batch_norm_momentum: float = 0.9,
        batch_norm_epsilon: float = 1e-3,
        padding: str = "same",
        initialisation: str = "ours",
        embedding: bool = False,
        embedding_dropout: float = 0.0,
        signed_input: bool = False,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.arguments = {
            "image_size": image_size,
            "channels": channels,
            "classes": classes,
            "backbone": backbone,
            "crops": crops,
            "attention": attention,
            "attention_norm": attention_norm,
            "margin": margin,
            "crop_size": crop_size,
            "crop_count": crop_count,
            "landmark_radius": landmark_radius,
            "stem": stem,
            "fold_crops": fold_crops,
            "backbone_filters": backbone_filters,
            "affect": affect,
            "dropout": dropout,
            "batch_norm_momentum": batch_norm_momentum,
            "batch_norm_epsilon": batch_norm_epsilon,
            "padding": padding,
            "initialisation": initialisation,
            "embedding": embedding,
            "embedding_dropout": embedding_dropout,
            "signed_input": signed_input,
            "seed": seed,
        }
        _check(**self.arguments)
        policy = self.dtype_policy
        points = image_size if crop_size is None else crop_size
        self.points = tuple(points) if isinstance(points, Sequence) else (points, points)
        options = {"count": crop_count, "radius": landmark_radius, "seed": seed + 1}
        self.crops = make_crops(crops, image_size=image_size, **options)
        backbone_class, blocks = BACKBONES[backbone]
        layer_options = LayerOptions(padding, batch_norm_epsilon, initialisation)
        ending = {"embedding": True, "dropout": embedding_dropout, "seed": seed + 2} if embedding else {}
        self.backbone = backbone_class(
            blocks, backbone_filters, stem, batch_norm_momentum, layer_options, dtype=policy, **ending
        )
        attention = attention if self.crops.regions > 1 else "mean"  # a single region needs no attention
        self.self_attention = None if attention == "mean" else SelfAttention(attention_norm, initialisation)
        self.relation_attention = RelationAttention(attention_norm, initialisation) if attention == "both" else None
        self.drop = keras.layers.Dropout(dropout, seed=seed, dtype="float32")
        self.emotion_head = dense(classes, initialisation, dtype="float32")
        self.affect_head = dense(2, initialisation, "tanh", dtype="float32") if affect else None
        self.build_for_image()

    def input_shapes(self) -> dict[str, Shape]:
        landmarks = {"landmarks": (None, 68, 2)} if self.arguments["crops"] == "landmarks" else {}
        return {**super().input_shapes(), **landmarks}

    @property
    def last_map_reader(self) -> keras.layers.Layer:
        """Reads the backbone's last maps, one for each region."""
        return self.backbone.last_map_reader

    def call(self, inputs: Mapping[str, Tensor], training: bool = False) -> dict[str, Tensor]:
        windows = self._windows(inputs, training)
        features = self._features(inputs["image"], windows, training)
        pooled, outputs = self._attend(features)
        pooled = self.drop(pooled, training=training)
        outputs |= {"emotion": self.emotion_head(pooled)[:, None], "windows": windows}
        if self.affect_head is None:
            return {**outputs, "affect": unknown_affect(outputs["emotion"])}
        return {**outputs, "affect": self.affect_head(pooled)[:, None]}

    def _windows(self, inputs: Mapping[str, Tensor], training: bool) -> Tensor:
        if "windows" in inputs:
            windows = inputs["windows"]
            check_windows("windows", windows, self.crops.regions)
            return ops.cast(windows, "float32")
        if self.arguments["crops"] != "landmarks":
            return self.crops(inputs["image"], training=training)
        if "landmarks" not in inputs:
            raise UserError(
                "inputs: crops='landmarks' needs `landmarks` [B, 68, 2] in pixels in addition to `image`, got "
                f"{', '.join(inputs)}"
            )
        if tuple(inputs["landmarks"].shape[1:]) != (68, 2):
            raise UserError(f"landmarks: expected [B, 68, 2], got {list(inputs['landmarks'].shape)}")
        return self.crops(inputs["image"], inputs["landmarks"], training=training)

    def _features(self, image: Tensor, windows: Tensor, training: bool) -> Tensor:
        """F [B, k + 1, D] in float32."""
        regions = sample(image, windows, self.points)
        regions = ops.cast(2 * regions - 1 if self.arguments["signed_input"] else regions, self.compute_dtype)
        count, shape = self.crops.regions, (*self.points, image.shape[-1])
        if self.arguments["fold_crops"]:
            features = self.backbone(ops.reshape(regions, (-1, *shape)), training=training)
            features = ops.reshape(features, (-1, count, features.shape[-1]))
        else:
            features = ops.stack([self.backbone(regions[:, i], training=training) for i in range(count)], axis=1)
        return ops.cast(features, "float32")

    def _attend(self, features: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Pooled features to classify, [B, D] or [B, 2 D], and {"weights", "attention"}."""
        if self.self_attention is None:
            weights = ops.ones_like(features[:, :, 0]) / self.crops.regions
            return ops.mean(features, axis=1), {"weights": weights}
        pooled, log_mu, weights = self.self_attention(features)
        if self.relation_attention is not None:
            pooled, weights = self.relation_attention(features, pooled, log_mu)
        return pooled, {"weights": weights, "attention": ops.exp(log_mu)}


def _check(*, image_size: Any, channels: Any, classes: Any, crop_size: Any, **arguments: Any) -> None:
    """Check the arguments that the components do not check themselves."""
    choices = {"backbone": BACKBONES, "attention": ATTENTIONS, "attention_norm": NORMS, "stem": STEMS}
    for name, known in choices.items():
        check_choice(name, arguments[name], known)
    for name in ("fold_crops", "affect", "embedding", "signed_input"):
        check_bool(name, arguments[name])
    check_integer("seed", arguments["seed"], 0, None)
    check_integer("crop_count", arguments["crop_count"], 1, LARGEST_COUNT)
    check_radius(arguments["landmark_radius"])
    smallest = BACKBONES[arguments["backbone"]][0].smallest_side(arguments["stem"])
    check_image_and_classes(image_size, channels, classes, 2 if crop_size is not None else smallest)
    if crop_size is not None:
        pair = isinstance(crop_size, (tuple, list)) and len(crop_size) == 2
        for side in crop_size if pair else (crop_size,):
            check_integer("crop_size", side, smallest)
    for name in ("margin", "dropout", "batch_norm_momentum", "embedding_dropout"):
        check_fraction(name, arguments[name])
    if arguments["embedding"] and BACKBONES[arguments["backbone"]][0] is not IResNet:
        raise UserError(f"embedding: expected an IResNet as backbone, got {arguments['backbone']!r}")
