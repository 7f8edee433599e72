"""The weights of a ResNet or an IResNet in an ONNX file, by PyTorch's names.

Whoever exports to ONNX folds batch normalisations into the convolutions before them, and numbers the arrays. So the
names follow from the graph: from the image on, each operation has to be the one that the network has there.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edram_fer.errors import UserError, reason
from edram_fer.runtime import sessions

EPSILON = 1e-5  # of the batch normalisations of the networks here
FLOATS = ("FLOAT", "FLOAT16", "DOUBLE", "BFLOAT16")
PASSED = ("Identity", "Dropout", "Cast")  # operations that change nothing
RESHAPED = ("Unsqueeze", "Squeeze", "Reshape", "Flatten")  # likewise of a slope or a bias, which are read as vectors
PARTS = ("weight", "bias", "running_mean", "running_var")


class _Unexpected(Exception):
    """The graph is not that of such a network; the message says where."""


class _Node(NamedTuple):
    kind: str
    inputs: list[str]
    output: str
    options: dict[str, Any]


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read the arrays of a ResNet or an IResNet.

    A normalisation that is folded into a convolution becomes an identity with the convolution's bias, so that the
    outputs are the same.

    Args:
        path: the file; its image is RGB [B, 3, H, W].

    Returns:
        {PyTorch's name: float32 array}, {name of a folded normalisation: name of the convolution's output}.

    Raises:
        MissingPackageError: the package onnx is not installed.
        UserError: the file is damaged, keeps its arrays in other files, or holds another network.

    """
    model = load(path)
    try:
        walk = _Walk(_Graph(model.graph, sessions.import_package("onnx", path)))
        walk.network()
    except _Unexpected as error:
        raise UserError(f"{path}: expected the graph of a ResNet-18 or an IResNet: {error}") from error
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise UserError(f"{path} is damaged or not an ONNX file: {reason(error)}") from error
    return walk.arrays, walk.folded


def load(path: Path) -> Any:
    """The content of an ONNX file, without that of other files.

    Raises:
        MissingPackageError: the package onnx is not installed.
        UserError: the file is damaged or too large.
    """
    onnx = sessions.import_package("onnx", path)
    decoding = sessions.import_package("google.protobuf.message", path)
    sessions.check_size(path)
    try:
        return onnx.load(path, load_external_data=False)
    except (decoding.DecodeError, ValueError, TypeError) as error:
        raise UserError(f"{path} is damaged or not an ONNX file: {reason(error)}") from error


class _Graph:
    """The operations of an ONNX graph that read each tensor, and its constant arrays."""

    def __init__(self, graph: Any, onnx: Any) -> None:
        self.onnx = onnx
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.readers: dict[str, list[_Node]] = {}
        same: dict[str, str] = {}  # {tensor: the one that it equals}
        for node in graph.node:  # an operation comes after those whose outputs it reads
            inputs: list[Any] = [same.get(name, name) for name in node.input]
            options = {option.name: onnx.helper.get_attribute_value(option) for option in node.attribute}
            if node.op_type == "Constant" and "value" in options:
                self.constants[node.output[0]] = options["value"]
            elif node.op_type in PASSED or (node.op_type in RESHAPED and inputs[0] in self.constants):
                same[node.output[0]] = inputs[0]
            else:
                entry = _Node(node.op_type, inputs, node.output[0], options)
                for name in dict.fromkeys(inputs):
                    self.readers.setdefault(name, []).append(entry)
        images = [value.name for value in graph.input if value.name not in self.constants]
        if len(images) != 1:
            raise _Unexpected(f"it has {len(images)} inputs instead of one")
        self.image = images[0]

    def array(self, name: str) -> np.ndarray:
        """A constant as float32."""
        tensor = self.constants.get(name)
        if tensor is None:
            raise _Unexpected(f"{name or 'a weight'} is no array of the file")
        kind = self.onnx.TensorProto.DataType.Name(tensor.data_type)
        if kind not in FLOATS or tensor.data_location == self.onnx.TensorProto.EXTERNAL:
            where = "in another file" if kind in FLOATS else f"of the type {kind}"
            raise _Unexpected(f"the array {name} is {where}")
        return np.asarray(self.onnx.numpy_helper.to_array(tensor)).astype(np.float32)

    def next(self, tensor: str, *kinds: str) -> _Node:
        """The only operation that reads a tensor."""
        nodes = self.readers.get(tensor, [])
        if len(nodes) != 1 or nodes[0].kind not in kinds:
            raise _Unexpected(f"expected {' or '.join(kinds)} after {tensor}, got {_kinds(nodes) or 'nothing'}")
        return nodes[0]

    def follows(self, tensor: str, kind: str) -> bool:
        """Whether one operation alone, of this kind, reads a tensor."""
        return [node.kind for node in self.readers.get(tensor, [])] == [kind]


def _kinds(nodes: list[_Node]) -> str:
    return ", ".join(sorted(node.kind for node in nodes))


class _Walk:
    """The arrays that are met on the way from the image to the last map."""

    def __init__(self, graph: _Graph) -> None:
        self.graph = graph
        self.arrays: dict[str, np.ndarray] = {}
        self.folded: dict[str, str] = {}

    def network(self) -> None:
        """Walk through the stem, the blocks and, of an IResNet, the ending for face recognition."""
        graph = self.graph
        stem = graph.next(graph.image, "Conv")
        x = self.convolution(stem, "conv1", "bn1")
        activation = graph.next(x, "PRelu", "Relu")
        improved = activation.kind == "PRelu"
        _expect_stride(stem, 1 if improved else 2)
        x = self.activation(activation, "prelu")
        if not improved:
            pool = graph.next(x, "MaxPool")
            window = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 0}
            if any(pool.options.get(name, value) != value for name, value in window.items()):
                raise _Unexpected(f"expected a pool of 3x3 points with stride 2 at {pool.output}")
            x = pool.output
        stage, place = (0, 0) if improved else (1, 0)  # the first stage of a ResNet-18 has no shortcut with weights
        for _ in range(sum(map(len, graph.readers.values()))):  # a damaged graph may be a circle
            readers = graph.readers.get(x, [])
            if len(readers) != 2:
                break
            projects = any(node.kind == "Conv" and _side(graph, node) == 1 for node in readers)
            stage, place = (stage + 1, 0) if projects else (stage, place)
            x = self.block(x, readers, f"layer{stage}.{place}", improved, projects)
            place += 1
        if improved:
            self.ending(x)

    def block(self, x: str, readers: list[_Node], name: str, improved: bool, projects: bool) -> str:
        """Walk through a block; its output."""
        graph = self.graph
        if _kinds(readers) not in ("Add, BatchNormalization", "BatchNormalization, Conv", "Add, Conv", "Conv, Conv"):
            raise _Unexpected(f"expected a block after {x}, got {_kinds(readers)}")
        stride = 2 if projects else 1
        shortcut = x
        if projects:
            projection = next(node for node in readers if node.kind == "Conv" and _side(graph, node) == 1)
            _expect_stride(projection, stride)
            shortcut = self.convolution(projection, f"{name}.downsample.0", f"{name}.downsample.1")
            readers = [node for node in readers if node is not projection]
        first = next(node for node in readers if node.kind != "Add")
        if improved:
            if first.kind != "BatchNormalization":
                raise _Unexpected(f"expected BatchNormalization after {x}, got {first.kind}")
            self.norm(first, f"{name}.bn1")
            first = graph.next(first.output, "Conv")
        _expect_stride(first, 1 if improved else stride)
        y = self.convolution(first, f"{name}.conv1", f"{name}.{'bn2' if improved else 'bn1'}")
        y = self.activation(graph.next(y, "PRelu" if improved else "Relu"), f"{name}.prelu")
        second = graph.next(y, "Conv")
        _expect_stride(second, stride if improved else 1)
        y = self.convolution(second, f"{name}.conv2", f"{name}.{'bn3' if improved else 'bn2'}")
        total = graph.next(y, "Add")
        if sorted(total.inputs) != sorted((y, shortcut)):
            raise _Unexpected(f"expected the sum of {y} and {shortcut} at {total.output}")
        return total.output if improved else graph.next(total.output, "Relu").output

    def convolution(self, node: _Node, name: str, norm: str) -> str:
        """Read a convolution and the normalisation behind it, or in it; the output of both."""
        graph, side = self.graph, _side(self.graph, node)
        pads = node.options.get("pads", [0] * 4)
        plain = {"group": 1, "dilations": [1, 1], "auto_pad": b"NOTSET"}
        if pads != [side // 2] * 4 or any(node.options.get(key, value) != value for key, value in plain.items()):
            raise _Unexpected(f"expected a convolution with {side // 2} points of padding at {node.output}")
        self.arrays[f"{name}.weight"] = kernel = graph.array(node.inputs[1])
        bias = graph.array(node.inputs[2]) if len(node.inputs) > 2 else np.zeros(len(kernel), np.float32)
        if graph.follows(node.output, "BatchNormalization"):
            following = graph.next(node.output, "BatchNormalization")
            self.norm(following, norm)
            self.arrays[f"{norm}.running_mean"] = self.arrays[f"{norm}.running_mean"] - bias.ravel()
            return following.output
        self.identity(norm, bias.ravel())
        self.folded[norm] = node.output
        return node.output

    def norm(self, node: _Node, name: str) -> None:
        """Read a normalisation. Another epsilon becomes a part of the variance."""
        arrays = [self.graph.array(key).ravel() for key in node.inputs[1:5]]
        self.arrays.update(zip((f"{name}.{part}" for part in PARTS), arrays, strict=True))
        self.arrays[f"{name}.running_var"] = arrays[3] + np.float32(node.options.get("epsilon", EPSILON) - EPSILON)

    def identity(self, name: str, bias: np.ndarray) -> None:
        """A normalisation that adds a bias, and changes nothing else."""
        ones = np.ones_like(bias)
        values = (ones, bias, 0 * ones, ones - np.float32(EPSILON))
        self.arrays.update(zip((f"{name}.{part}" for part in PARTS), values, strict=True))

    def activation(self, node: _Node, name: str) -> str:
        """Read the slopes of a PReLU; a ReLU has none. Its output."""
        if node.kind == "PRelu":
            self.arrays[f"{name}.weight"] = self.graph.array(node.inputs[1]).ravel()
        return node.output

    def ending(self, x: str) -> None:
        """Read bn2, fc and features of an IResNet, unless the graph ends in another way."""
        graph, before = self.graph, dict(self.arrays)
        try:
            norm = graph.next(x, "BatchNormalization")
            self.norm(norm, "bn2")
            flat = graph.next(norm.output, "Flatten", "Reshape")
            node = graph.next(flat.output, "Gemm")
            plain = {"alpha": 1.0, "beta": 1.0, "transA": 0}
            if any(node.options.get(key, value) != value for key, value in plain.items()):
                raise _Unexpected(f"expected a dense layer at {node.output}")
            kernel = graph.array(node.inputs[1])
            self.arrays["fc.weight"] = kernel if node.options.get("transB") else kernel.T
            self.arrays["fc.bias"] = graph.array(node.inputs[2]).ravel()
            if graph.follows(node.output, "BatchNormalization"):
                self.norm(graph.next(node.output, "BatchNormalization"), "features")
            else:
                self.identity("features", 0 * self.arrays["fc.bias"])
        except _Unexpected:
            self.arrays = before


def _side(graph: _Graph, node: _Node) -> int:
    """The side of a convolution's square kernel."""
    shape = list(graph.constants[node.inputs[1]].dims) if node.inputs[1] in graph.constants else []
    if len(shape) != 4 or shape[2] != shape[3] or shape[2] % 2 == 0:
        raise _Unexpected(f"expected a square kernel at {node.output}, got {shape}")
    return shape[2]


def _expect_stride(node: _Node, stride: int) -> None:
    if list(node.options.get("strides", [1, 1])) != [stride, stride]:
        raise _Unexpected(f"expected stride {stride} at {node.output}, got {node.options.get('strides')}")


def statistics(
    path: Path, tensors: Mapping[str, str], faces: np.ndarray
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Mean and variance of each channel of tensors in an ONNX graph.

    Args:
        path: the file.
        tensors: {name: name of a tensor [B, C, h, w] in the graph}.
        faces: float32 [N, H, W, 3], as the graph takes them.

    Yields:
        (name, mean [C], variance [C]), float64.

    Raises:
        MissingPackageError: ONNX Runtime is not installed.
        UserError: ONNX Runtime cannot run the file.
    """
    model, onnxruntime = load(path), sessions.import_package("onnxruntime", path)
    onnx = sessions.import_package("onnx", path)
    for value in model.graph.input:
        for axis in value.type.tensor_type.shape.dim[:1]:
            axis.dim_param = "batch"  # files may be made for batches of another size
    del model.graph.value_info[:]
    known = {value.name for value in model.graph.output}
    model.graph.output.extend(
        onnx.helper.make_empty_tensor_value_info(tensor) for tensor in tensors.values() if tensor not in known
    )
    sums: dict[str, Any] = {name: (0.0, 0.0, 0) for name in tensors}
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), sessions.onnx_options(), providers=["CPUExecutionProvider"]
        )
        for face in faces:  # one by one: the maps of a few would fill the memory
            outputs = session.run(list(tensors.values()), {session.get_inputs()[0].name: face.transpose(2, 0, 1)[None]})
            for name, output in zip(tensors, outputs, strict=True):
                values = output.astype(np.float64)
                total, squares, count = sums[name]
                axes = (0, 2, 3)
                sums[name] = (
                    total + values.sum(axes),
                    squares + (values**2).sum(axes),
                    count + math.prod(values.shape) // values.shape[1],
                )
    except sessions.onnx_errors() as error:
        raise UserError(f"{path}: ONNX Runtime cannot run it: {sessions.first_line(error)}") from error
    for name, (total, squares, count) in sums.items():
        mean = total / count
        yield name, mean, np.maximum(squares / count - mean**2, 0)
