"""The names that public PyTorch code gives to the layers of a backbone: torchvision's and InsightFace's."""

import re
from collections.abc import Iterable, Iterator

import keras

from edram_fer.models.region_attention.iresnet import IBlock, IResNet
from edram_fer.models.region_attention.ran import BACKBONES
from edram_fer.models.region_attention.resnet import Block, ResNet
from edram_fer.models.region_attention.vgg import VGG

ENDING = ("bn2", "fc", "features")  # of an IResNet for face recognition, which a RAN without `embedding` leaves out
# Arrays of layers up to the last map. A larger network holds more of them, which a smaller one must not pass over.
OF_A_BACKBONE = re.compile(r"(conv\d+|bn1|prelu|layer\d+|features\.\d+)\.")


def named_layers(backbone: ResNet | VGG) -> dict[str, keras.layers.Layer]:
    """{name of the PyTorch module: layer} of all layers with weights, in the order of the network.

    >>> list(named_layers(ResNet((1, 0, 0, 0))))
    ['conv1', 'bn1', 'layer1.0.conv1', 'layer1.0.conv2', 'layer1.0.bn1', 'layer1.0.bn2']
    """
    return dict(_vgg_layers(backbone) if isinstance(backbone, VGG) else _resnet_layers(backbone))


def _resnet_layers(backbone: ResNet) -> Iterator[tuple[str, keras.layers.Layer]]:
    yield from (("conv1", backbone.convolution), ("bn1", backbone.norm))
    if isinstance(backbone, IResNet):
        yield "prelu", backbone.activation
    blocks = iter(backbone.stages)
    for stage, count in enumerate(backbone.blocks, 1):
        for i in range(count):
            for name, layer in _block_layers(next(blocks)):
                yield f"layer{stage}.{i}.{name}", layer
    if isinstance(backbone, IResNet) and backbone.embedding:
        yield from zip(ENDING, (backbone.last_norm, backbone.dense, backbone.dense_norm), strict=True)


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


def name_of_backbone(names: Iterable[str]) -> str | None:
    """The backbone whose layers bear these names of arrays; None if they are those of no backbone.

    >>> name_of_backbone(f"layer{stage}.{block}.conv1.weight" for stage in (1, 2, 3, 4) for block in (0, 1))
    'resnet18'
    """
    names = list(names)
    if "features.0.weight" in names:
        return "vgg16"
    blocks = {match[0] for name in names if (match := re.match(r"layer\d+\.\d+\.", name))}
    counts = tuple(sum(block.startswith(f"layer{stage}.") for block in blocks) for stage in range(1, 5))
    kind = IResNet if any(name.endswith("prelu.weight") for name in names) else ResNet
    return next((name for name, backbone in BACKBONES.items() if backbone == (kind, counts)), None)
