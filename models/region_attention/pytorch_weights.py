"""Weights of public PyTorch models: torchvision's ResNet-18 and VGG-16, InsightFace's IResNets, released RANs.

`edram_fer.foreign.state_files` reads files with such weights. Of a dict that PyTorch holds already:

    state = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    unused = load_pytorch_weights(model, state)
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import keras
import numpy as np

from edram_fer.errors import UserError
from edram_fer.models.batch_norm import StepBatchNormalization
from edram_fer.models.region_attention.backbone import COLOURS, PYTORCH, Backbone
from edram_fer.models.region_attention.iresnet import IResNet
from edram_fer.models.region_attention.pytorch_names import ENDING, OF_A_BACKBONE, name_of_backbone, named_layers
from edram_fer.models.region_attention.ran import RAN
from edram_fer.models.region_attention.vgg import VGG

PREFIXES = ("module.", "backbone.", "model.")  # of DataParallel, and of models that hold the backbone as a part
NAMED = 4  # arrays that an error names


class _Target(NamedTuple):
    """Arrays that belong together: their shapes by PyTorch's names, and the function that sets variables to them."""

    shapes: dict[str, tuple[int, ...]]
    assign: Callable[[Mapping[str, np.ndarray]], None]


def load_pytorch_weights(model: RAN | Backbone, state: Mapping[str, np.ndarray], source: str = "state") -> list[str]:
    """Set the weights of a model to those of a PyTorch model with the same backbone.

    Set are the backbone and, of a RAN, where the state has them ("alpha", "beta"), both attentions and the last layer.
    A first convolution for three channels becomes that of a model for grey images, which computes what it would for the
    same grey in all three.

    Args:
        model: a Backbone, or a RAN with padding="symmetric" and batch_norm_epsilon=1e-5 (variant="wang2020").
            InsightFace's IResNets also need signed_input=True, and for all of their layers embedding=True and regions
            of 112x112 points.
        state: arrays by PyTorch's names, "layer1.0.conv1.weight"; leading "module.", "backbone." and "model." are
            ignored.
        source: what the messages of errors begin with, such as the name of the file.

    Returns:
        The names that the model has no use for, such as those of the classifier for identities.

    Raises:
        UserError: an option differs from PyTorch, arrays are missing or have other shapes, or the state holds more
            layers than the backbone has. No weight is changed then.

    >>> backbone = Backbone("iresnet18", (4, 4, 8, 8), image_size=(16, 16))
    >>> load_pytorch_weights(backbone, {"conv1.weight": np.zeros((4, 3, 3, 3), "float32")})
    Traceback (most recent call last):
    edram_fer.errors.UserError: state: expected the arrays of iresnet18; it lacks 145 of 146 arrays: bn1.weight ...
    """
    backbone = model.backbone
    options = backbone.options
    if not isinstance(backbone, VGG) and (options.padding, options.epsilon) != (PYTORCH.padding, PYTORCH.epsilon):
        raise UserError(
            f"model: expected padding='symmetric' and batch_norm_epsilon={PYTORCH.epsilon:g}, as in PyTorch "
            f"(variant='wang2020'), got {options.padding!r} and {options.epsilon:g}"
        )
    arrays = plain_names(state, source)
    layers = {name: layer for name, layer in named_layers(backbone).items() if name not in ENDING}
    if isinstance(model, RAN) and "alpha.0.weight" in arrays:
        layers |= _head_layers(model)
    targets = [_target(name, layer) for name, layer in layers.items()]
    if isinstance(backbone, IResNet) and backbone.embedding:
        targets.append(_ending(backbone))
    shapes = {name: shape for target in targets for name, shape in target.shapes.items()}
    _check(source, model.arguments["backbone"], arrays, shapes)
    for target in targets:
        target.assign({name: np.asarray(arrays[name]) for name in target.shapes})
    return [name for name in arrays if name not in shapes]


def plain_names(state: Mapping[str, np.ndarray], source: str = "state") -> dict[str, np.ndarray]:
    """The arrays by names without PREFIXES; without PyTorch's counters of batches, which nothing uses.

    Raises:
        UserError: two arrays then have the same name.
    """
    arrays: dict[str, np.ndarray] = {}
    for name, array in state.items():
        while prefix := next((prefix for prefix in PREFIXES if name.startswith(prefix)), ""):
            name = name.removeprefix(prefix)
        if name in arrays:
            raise UserError(f"{source}: expected one array of each name, got two with the name {name}")
        if not name.endswith("num_batches_tracked"):
            arrays[name] = array
    return arrays


def _check(source: str, backbone: str, arrays: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise a UserError unless the arrays are those that the backbone needs."""
    missing = [f"{name} {shape}" for name, shape in shapes.items() if name not in arrays]
    wrong = [
        f"{name}: expected shape {shape}, got {tuple(arrays[name].shape)}"
        for name, shape in shapes.items()
        if name in arrays and not _fits(tuple(arrays[name].shape), shape)
    ]
    more = [name for name in arrays if name not in shapes and OF_A_BACKBONE.match(name)]
    problems = []
    if missing:
        problems.append(f"lacks {len(missing)} of {len(shapes)} arrays: {_listed(missing)}")
    if wrong:
        problems.append(f"holds {len(wrong)} of another shape: {_listed(wrong)}")
    if more:
        problems.append(f"holds {len(more)} more: {_listed(more)}")
    if problems:
        likely = name_of_backbone(arrays)
        hint = f"; its names are those of {likely}" if likely not in (None, backbone) else ""
        raise UserError(f"{source}: expected the arrays of {backbone}; it {'; it '.join(problems)}{hint}")


def _fits(shape: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    grey = len(expected) == 4 and expected[1] == 1
    return shape == expected or (grey and shape == (expected[0], COLOURS, *expected[2:]))


def _listed(texts: Sequence[str]) -> str:
    more = len(texts) - NAMED
    return ", ".join(texts[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _head_layers(model: RAN) -> dict[str, keras.layers.Layer]:
    attentions = {"alpha.0": model.self_attention, "beta.0": model.relation_attention}
    scores = {name: attention.score for name, attention in attentions.items() if attention is not None}
    return {**scores, "fc": model.emotion_head}


def _target(name: str, layer: keras.layers.Layer) -> _Target:
    """The arrays of the PyTorch module of this name, for a layer."""
    if isinstance(layer, StepBatchNormalization):
        parts = {"weight": layer.gamma, "bias": layer.beta}
        parts |= {"running_mean": layer.moving_mean, "running_var": layer.moving_variance}
        variables = {f"{name}.{part}": variable for part, variable in parts.items()}

        def set_norm(arrays: Mapping[str, np.ndarray]) -> None:
            for key, variable in variables.items():
                variable.assign(arrays[key][None])

        return _Target({key: tuple(variable.shape[1:]) for key, variable in variables.items()}, set_norm)
    weight, bias = f"{name}.weight", f"{name}.bias"
    if isinstance(layer, keras.layers.PReLU):
        return _Target(
            {weight: tuple(layer.alpha.shape[2:])}, lambda arrays: layer.alpha.assign(arrays[weight][None, None])
        )
    *sides, inputs, outputs = layer.kernel.shape  # of a convolution; a dense layer has no sides
    shapes = {weight: (outputs, inputs, *sides)} | ({bias: (outputs,)} if layer.use_bias else {})

    def set_kernel(arrays: Mapping[str, np.ndarray]) -> None:
        kernel = np.moveaxis(arrays[weight], (0, 1), (-1, -2))
        layer.kernel.assign(kernel if kernel.shape[-2] == inputs else kernel.sum(axis=-2, keepdims=True))
        if layer.use_bias:
            layer.bias.assign(arrays[bias])

    return _Target(shapes, set_kernel)


def _ending(backbone: IResNet) -> _Target:
    """The ending of an IResNet; its map is flattened with the channels last here, first in PyTorch.

    The last normalisation has no gamma here. InsightFace keeps it at 1; another one is a factor of the dense layer.
    """
    last, norm = _target("bn2", backbone.last_norm), backbone.dense_norm
    inputs, outputs = backbone.dense.kernel.shape
    vectors = ("fc.bias", *(f"features.{part}" for part in ("weight", "bias", "running_mean", "running_var")))

    def assign(arrays: Mapping[str, np.ndarray]) -> None:
        last.assign(arrays)
        gamma = arrays["features.weight"]
        kernel = (gamma[:, None] * arrays["fc.weight"]).reshape(outputs, backbone.filters[-1], -1)
        backbone.dense.kernel.assign(kernel.transpose(2, 1, 0).reshape(inputs, outputs))
        backbone.dense.bias.assign(gamma * arrays["fc.bias"])
        norm.beta.assign(arrays["features.bias"])
        norm.moving_mean.assign(gamma * arrays["features.running_mean"])
        norm.moving_variance.assign(arrays["features.running_var"])

    return _Target(last.shapes | {"fc.weight": (outputs, inputs)} | dict.fromkeys(vectors, (outputs,)), assign)
