"""Weights of public PyTorch models for RAN: torchvision's ResNet-18 and VGG-16, InsightFace's IResNets, released RANs.

Reading a .pth file needs PyTorch, which is no dependency of this package:

    state = {name: tensor.numpy() for name, tensor in torch.load(path, map_location="cpu", weights_only=True).items()}
    unused = load_pytorch_weights(model, state)

A checkpoint of the released RAN holds that dict under "state_dict".
"""

from collections.abc import Iterator, Mapping

import keras
import numpy as np

from edram_fer.errors import UserError
from edram_fer.models.batch_norm import StepBatchNormalization
from edram_fer.models.region_attention.iresnet import IBlock, IResNet
from edram_fer.models.region_attention.ran import RAN
from edram_fer.models.region_attention.resnet import Block, ResNet
from edram_fer.models.region_attention.vgg import VGG

EPSILON = 1e-5  # of PyTorch's batch normalisation


class _State:
    """The arrays of a PyTorch model by name, and which of them have been read."""

    def __init__(self, state: Mapping[str, np.ndarray]) -> None:
        self.arrays = {name.removeprefix("module."): np.asarray(array) for name, array in state.items()}
        self.read: set[str] = set()

    def array(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """The array of this name, checked to have this shape; 3 instead of 1 is allowed as the second number."""
        if name not in self.arrays:
            raise UserError(f"state: expected {name}, got {', '.join(list(self.arrays)[:5])}, ...")
        array = self.arrays[name]
        colours = (shape[0], 3, *shape[2:]) if len(shape) == 4 and shape[1] == 1 else shape
        if array.shape not in (shape, colours):
            raise UserError(f"{name}: expected shape {shape}, got {array.shape}")
        self.read.add(name)
        return array

    def unread(self) -> list[str]:
        """Names of weights that have not been read; PyTorch's counters of batches are none."""
        return [name for name in self.arrays if name not in self.read and not name.endswith("num_batches_tracked")]


def load_pytorch_weights(model: RAN, state: Mapping[str, np.ndarray]) -> list[str]:
    """Set the weights of a model to those of a PyTorch model with the same backbone.

    Set are the backbone and, where the state has them ("alpha", "beta"), both attentions and the last layer. A first
    convolution for three channels becomes that of a model for grey images, which computes what it would for the same
    grey in all three.

    Args:
        model: a RAN with padding="symmetric" and batch_norm_epsilon=1e-5 (variant="wang2020"). InsightFace's IResNets
            also need signed_input=True, and for all of their layers embedding=True and regions of 112x112 points.
        state: arrays by PyTorch's names, "layer1.0.conv1.weight"; a leading "module." is ignored.

    Returns:
        The names that the model has no use for, such as those of the classifier for identities.

    Raises:
        UserError: an option differs from PyTorch, a name is missing, or an array has another shape. Weights may be set
            in part then.
    """
    backbone = model.backbone
    options = backbone.options
    if not isinstance(backbone, VGG) and (options.padding, options.epsilon) != ("symmetric", EPSILON):
        raise UserError(
            f"model: expected padding='symmetric' and batch_norm_epsilon={EPSILON:g}, as in PyTorch "
            f"(variant='wang2020'), got {options.padding!r} and {options.epsilon:g}"
        )
    arrays = _State(state)
    layers = dict(_vgg_layers(backbone) if isinstance(backbone, VGG) else _resnet_layers(backbone))
    if "alpha.0.weight" in arrays.arrays:
        layers |= _head_layers(model)
    for name, layer in layers.items():
        _set(name, layer, arrays)
    if isinstance(backbone, IResNet) and backbone.embedding:
        _set_embedding(backbone, arrays)
    return arrays.unread()


def _resnet_layers(backbone: ResNet) -> Iterator[tuple[str, keras.layers.Layer]]:
    """(name of a PyTorch module, layer) of all layers with weights up to the last stage."""
    yield from (("conv1", backbone.convolution), ("bn1", backbone.norm))
    if isinstance(backbone, IResNet):
        yield "prelu", backbone.activation
    blocks = iter(backbone.stages)
    for stage, count in enumerate(backbone.blocks, 1):
        for i in range(count):
            for name, layer in _block_layers(next(blocks)):
                yield f"layer{stage}.{i}.{name}", layer


def _block_layers(block: Block) -> Iterator[tuple[str, keras.layers.Layer]]:
    yield from (("conv1", block.first), ("conv2", block.second))
    for i, norm in enumerate(block.norms, 1):
        yield f"bn{i}", norm
    if isinstance(block, IBlock):
        yield "prelu", block.activation
    if block.shortcut is not None and block.shortcut_norm is not None:
        yield from (("downsample.0", block.shortcut), ("downsample.1", block.shortcut_norm))


def _vgg_layers(vgg: VGG) -> Iterator[tuple[str, keras.layers.Layer]]:
    place = 0
    for layer in vgg.stages:
        if isinstance(layer, keras.layers.Conv2D):
            yield f"features.{place}", layer
            place += 2  # torchvision counts the ReLU as well
        else:
            place += 1


def _head_layers(model: RAN) -> dict[str, keras.layers.Layer]:
    attentions = {"alpha.0": model.self_attention, "beta.0": model.relation_attention}
    scores = {name: attention.score for name, attention in attentions.items() if attention is not None}
    return {**scores, "fc": model.emotion_head}


def _set(name: str, layer: keras.layers.Layer, state: _State) -> None:
    """Set the weights of a layer to those of the PyTorch module of this name."""
    if isinstance(layer, StepBatchNormalization):
        parts = {"weight": layer.gamma, "bias": layer.beta}
        parts |= {"running_mean": layer.moving_mean, "running_var": layer.moving_variance}
        for part, variable in parts.items():
            variable.assign(state.array(f"{name}.{part}", variable.shape[1:])[None])
    elif isinstance(layer, keras.layers.PReLU):
        layer.alpha.assign(state.array(f"{name}.weight", layer.alpha.shape[2:])[None, None])
    else:  # convolutions [height, width, inputs, outputs], dense layers [inputs, outputs]
        *sides, inputs, outputs = layer.kernel.shape
        kernel = state.array(f"{name}.weight", (outputs, inputs, *sides))
        kernel = np.moveaxis(kernel, (0, 1), (-1, -2))
        layer.kernel.assign(kernel if kernel.shape[-2] == inputs else kernel.sum(axis=-2, keepdims=True))
        if layer.use_bias:
            layer.bias.assign(state.array(f"{name}.bias", (outputs,)))


def _set_embedding(backbone: IResNet, state: _State) -> None:
    """Set the ending of an IResNet; its map is flattened with the channels last here, first in PyTorch."""
    _set("bn2", backbone.last_norm, state)
    inputs, outputs = backbone.dense.kernel.shape
    kernel = state.array("fc.weight", (outputs, inputs)).reshape(outputs, backbone.filters[-1], -1)
    backbone.dense.kernel.assign(kernel.transpose(2, 1, 0).reshape(inputs, outputs))
    backbone.dense.bias.assign(state.array("fc.bias", (outputs,)))
    norm = backbone.dense_norm
    if not (state.array("features.weight", (outputs,)) == 1).all():
        raise UserError("features.weight: expected 1 everywhere, at which InsightFace keeps it")
    norm.beta.assign(state.array("features.bias", (outputs,)))
    norm.moving_mean.assign(state.array("features.running_mean", (outputs,)))
    norm.moving_variance.assign(state.array("features.running_var", (outputs,)))
