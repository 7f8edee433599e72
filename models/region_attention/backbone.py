"""A backbone by itself, such as one trained for face recognition, and how a RAN takes over its weights."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from edram_fer.errors import UserError
from edram_fer.models.contract import check_bool, check_choice, check_integer
from edram_fer.models.region_attention.iresnet import IResNet
from edram_fer.models.region_attention.layers import LayerOptions
from edram_fer.models.region_attention.pytorch_names import ENDING, named_layers
from edram_fer.models.region_attention.ran import BACKBONES, RAN
from edram_fer.models.region_attention.resnet import FILTERS
from edram_fer.models.region_attention.vgg import VGG
from edram_fer.models.tensor import Tensor

PYTORCH = LayerOptions("symmetric", 1e-5, "pytorch")  # as every backbone that comes from PyTorch computes
COLOURS = 3
# Parts of a RAN that no backbone holds.
HEADS = ("self_attention", "relation_attention", "emotion_head", "affect_head")


@keras.saving.register_keras_serializable(package="edram_fer")
class Backbone(keras.Model):
    """Faces of three colours to the features that a RAN computes of each region; it has no classes.

    `edram-fer backbone` writes one, and the setting `initial_weights` of a recipe takes its file.

    Args:
        backbone: see RAN.
        backbone_filters: see RAN.
        signed_input: see RAN.
        embedding: see RAN.
        image_size: (H, W) for which it is built; only with `embedding` can it not be called with another size.

    Call arguments:
        x: RGB [B, H, W, 3] in [0, 1].

    Returns:
        Features float32 [B, backbone_filters[-1]].

    Raises:
        UserError: an argument is out of range.

    >>> import numpy as np
    >>> features = Backbone("iresnet18", (4, 4, 8, 8), signed_input=True)(np.zeros((2, 32, 40, 3), "float32"))
    >>> tuple(features.shape)
    (2, 8)
    """

    def __init__(
        self,
        backbone: str,
        backbone_filters: Sequence[int] = FILTERS,
        signed_input: bool = False,
        embedding: bool = False,
        image_size: Sequence[int] = (112, 112),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_choice("backbone", backbone, BACKBONES)
        check_bool("signed_input", signed_input)
        check_bool("embedding", embedding)
        kind, blocks = BACKBONES[backbone]
        if embedding and kind is not IResNet:
            raise UserError(f"embedding: expected an IResNet as backbone, got {backbone!r}")
        for side in image_size:
            check_integer("image_size", side, kind.smallest_side("published"))
        self.arguments = {
            "backbone": backbone,
            "backbone_filters": list(backbone_filters),
            "signed_input": signed_input,
            "embedding": embedding,
            "image_size": list(image_size),
        }
        ending: dict[str, Any] = {"embedding": True} if embedding else {}
        self.backbone = kind(blocks, backbone_filters, options=PYTORCH, dtype=self.dtype_policy, **ending)
        self.backbone(ops.zeros((1, *image_size, COLOURS)))
        self.built = True

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        x = 2 * x - 1 if self.arguments["signed_input"] else x
        return ops.cast(self.backbone(x, training=training), "float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.arguments}


class TakenOver(NamedTuple):
    """What `take_over` did, in sentences.

    Attributes:
        done: what was taken over, what was left out, and what begins at random.
        warnings: options in which the model differs from the one that was trained.
    """

    done: list[str]
    warnings: list[str]


def take_over(model: keras.Model, source: Backbone) -> TakenOver:
    """Set the weights of a RAN's backbone to those of a backbone by itself; no other weight changes.

    The first kernels of a model for grey faces become the sums over the three colours, so that it computes what the
    backbone computes for the same grey in all three.

    Args:
        model: a RAN with the same backbone and filters.
        source: the backbone.

    Raises:
        UserError: it is no RAN, or its backbone is another one; nothing is changed then.
    """
    if not isinstance(model, RAN):
        raise UserError(f"it holds a backbone for RAN, the model is {type(model).__name__}")
    wanted, offered = model.arguments, source.arguments
    stems = {"stem": "published"} if wanted["backbone"] == "resnet18" else {}
    for name, value in {"backbone": None, "backbone_filters": None, **stems}.items():
        theirs, ours = value or offered[name], wanted[name]
        if _plain(theirs) != _plain(ours):
            raise UserError(
                f"it holds a backbone with {name}={_text(theirs)}, the model has {_text(ours)}: "
                f"--set {name}={_text(theirs)}"
            )
    layers, others = named_layers(model.backbone), named_layers(source.backbone)
    common = {name: layer for name, layer in layers.items() if name in others}
    pairs = [
        (name, target, value)
        for name, layer in common.items()
        for target, value in zip(layer.variables, others[name].variables, strict=True)
    ]
    summed, values = False, []
    for name, target, value in pairs:
        if len(value.shape) == 4 and value.shape[2] == COLOURS and target.shape[2] == 1:
            value, summed = ops.sum(value, axis=2, keepdims=True), True
        if tuple(value.shape) != tuple(target.shape):
            size = "x".join(map(str, offered["image_size"]))
            raise UserError(
                f"{name}: expected shape {tuple(target.shape)}, got {tuple(value.shape)}: regions of {size}"
            )
        values.append(value)
    for (_, target, _), value in zip(pairs, values, strict=True):
        target.assign(value)
    return TakenOver(_done(model, source, len(pairs), summed), _warnings(model, source))


def _done(model: RAN, source: Backbone, count: int, summed: bool) -> list[str]:
    grey = ", the first kernels summed over the colours for grey faces" if summed else ""
    done = [f"all {count} arrays of the {source.arguments['backbone']} taken over{grey}"]
    if source.arguments["embedding"] and not _keeps_ending(model):
        side = source.arguments["image_size"][0]
        done.append(
            f"left out: {', '.join(ENDING)}, the ending for face recognition (--set embedding=true --set "
            f"crop_size={side} keeps it)"
        )
    random = [name for name in HEADS if getattr(model, name) is not None]
    if _keeps_ending(model) and not source.arguments["embedding"]:
        random = [*(f"backbone.{name}" for name in ENDING), *random]
    done.append(f"not in the file, so random at the start: {', '.join(random)}")
    return done


def _keeps_ending(model: RAN) -> bool:
    """Whether a RAN keeps the ending for face recognition."""
    return bool(model.arguments["embedding"])


def _warnings(model: RAN, source: Backbone) -> list[str]:
    made_for = {"signed_input": source.arguments["signed_input"]}
    if not isinstance(model.backbone, VGG):
        made_for |= {"padding": PYTORCH.padding, "batch_norm_epsilon": PYTORCH.epsilon}
    return [
        f"the backbone was trained with {name}={_text(value)}, the model has {_text(model.arguments[name])} and "
        f"computes other features: --set {name}={_text(value)}"
        for name, value in made_for.items()
        if model.arguments[name] != value
    ]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _text(value: Any) -> str:
    """A value as `--set` takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(_plain(value)).replace(" ", "")
