"""Files of weights that others trained, mostly for face recognition, made into backbones from which a RAN can start."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from edram_fer import files, keras_file
from edram_fer.errors import UserError
from edram_fer.foreign import onnx_graph, state_files
from edram_fer.models.contract import check_choice
from edram_fer.models.region_attention import Backbone, load_pytorch_weights
from edram_fer.models.region_attention.backbone import COLOURS, PYTORCH
from edram_fer.models.region_attention.iresnet import IResNet
from edram_fer.models.region_attention.pytorch_names import ENDING
from edram_fer.models.region_attention.pytorch_weights import plain_names
from edram_fer.models.region_attention.ran import BACKBONES
from edram_fer.models.region_attention.resnet import FILTERS

SIDES = {"iresnet": 112, "resnet": 224, "vgg": 224}  # pixels of the faces that the published weights were trained on
FACES = 256  # that estimate the scales of folded normalisations


class Conversion(NamedTuple):
    """What `convert` did.

    Attributes:
        backbone: the backbone, as it was written.
        unused: names of arrays that it has no use for, such as the classifier of identities.
        folded: number of batch normalisations that the file held as a part of convolutions.
    """

    backbone: Backbone
    unused: list[str]
    folded: int


def convert(
    source: Path | str,
    target: Path | str,
    backbone: str,
    *,
    signed_input: bool | None = None,
    faces: np.ndarray | None = None,
    filters: Sequence[int] = FILTERS,
) -> Conversion:
    """Write the backbone in a file of PyTorch, safetensors or ONNX as a .keras file, for `initial_weights`.

    Its outputs are those of the network that was trained. The ending of an IResNet for face recognition is kept where
    the file has it; a classifier of identities never is.

    Args:
        source: see `state_files.read`.
        target: the .keras file to write.
        backbone: "resnet18", "iresnet18", "iresnet34", "iresnet50", "iresnet100" or "vgg16".
        signed_input: whether the network was trained with images in [-1, 1] instead of [0, 1]; None: IResNets were.
        faces: uint8 [N, H, W, C] as in a prepared data set, of which FACES give the scales of batch normalisations that
            an ONNX file has folded into its convolutions. Without them these are 1; the outputs are the same, but
            training begins as another network, because it normalises with the statistics of each batch.
        filters: filters of the first four stages.

    Raises:
        MissingFileError, MissingPackageError: see `state_files.read`.
        UserError: see `state_files.read`; or arrays are missing, have other shapes, or belong to more layers than the
            backbone has.

    >>> convert("backbone.pth", "faces.keras", "iresnet50").backbone.arguments["signed_input"]
    Traceback (most recent call last):
    edram_fer.errors.MissingFileError: backbone.pth is missing; expected a file of weights (.pth, .safetensors, .onnx)
    """
    source, target = Path(source), Path(target)
    check_choice("backbone", backbone, BACKBONES)
    if target.suffix != ".keras":
        raise UserError(f"{target}: expected a file to write that ends in .keras")
    kind = BACKBONES[backbone][0]
    signed = kind is IResNet if signed_input is None else signed_input
    state = state_files.read(source)
    arrays = plain_names(state.arrays, str(source))
    side = _ending_side(arrays, filters[-1]) if kind is IResNet else None
    size = side or published_side(backbone)
    if faces is not None and state.folded:
        arrays |= _unfolded(source, state, _inputs(faces, size, signed))
    ending = {"embedding": True} if side else {}
    model = Backbone(backbone, filters, signed, image_size=(size, size), **ending)
    unused = load_pytorch_weights(model, arrays, str(source))
    with files.replace(target) as temporary:
        model.save(temporary)
        keras_file.strip(temporary, temporary)
    return Conversion(model, unused, len(state.folded))


def published_side(backbone: str) -> int:
    """The side in pixels of the faces that the published weights of a backbone were trained on.

    >>> published_side("iresnet50"), published_side("resnet18")
    (112, 224)
    """
    return SIDES[backbone.rstrip("0123456789")]


def _ending_side(arrays: Mapping[str, np.ndarray], filters: int) -> int | None:
    """The side of the faces for which the ending of an IResNet was made; None if the file has no such ending."""
    if not all(f"{name}.weight" in arrays for name in ENDING):
        return None
    outputs, inputs = arrays["fc.weight"].shape if arrays["fc.weight"].ndim == 2 else (0, 0)
    points = math.isqrt(inputs // filters)
    return 16 * points if outputs == filters and points and inputs == filters * points**2 else None


def _inputs(faces: np.ndarray, side: int, signed: bool) -> np.ndarray:
    """FACES of the faces as the network takes them, float32 [N, side, side, 3]."""
    chosen = faces[np.linspace(0, len(faces) - 1, min(len(faces), FACES)).astype(int)]
    resized = [cv2.resize(face, (side, side), interpolation=cv2.INTER_LINEAR) for face in chosen]
    images = np.stack(resized).reshape(len(chosen), side, side, -1).astype(np.float32) / 255
    images = np.broadcast_to(images, (*images.shape[:3], COLOURS))
    return 2 * images - 1 if signed else images


def _unfolded(source: Path, state: state_files.State, images: np.ndarray) -> dict[str, np.ndarray]:
    """Arrays of the folded normalisations, with which they compute the same, and their outputs have mean beta and
    standard deviation gamma on these images, as those that were trained."""
    arrays = {}
    for name, mean, variance in onnx_graph.statistics(source, state.folded, images):
        bias = state.arrays[f"{name}.bias"]
        parts = (np.sqrt(variance + PYTORCH.epsilon), mean, mean - bias, variance)
        arrays.update({f"{name}.{part}": value.astype(np.float32) for part, value in zip(onnx_graph.PARTS, parts)})
    return arrays
