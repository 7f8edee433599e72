"""Write a model as an ONNX file, a LiteRT file or a SavedModel, with its description."""

import logging
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from edram_fer.exporting import graph
from edram_fer.models import FERModel
from edram_fer.preprocessing import quiet
from edram_fer.runtime.description import FILE, Description
from edram_fer.runtime.models import LiteRTModel, OnnxModel
from edram_fer.runtime.sessions import onnx_options

OPSET = 17  # of ONNX; every ONNX Runtime since 1.12 has it
Outputs: TypeAlias = dict[str, np.ndarray]


def write_onnx(model: FERModel, path: Path, description: Description) -> None:
    """Write an ONNX file whose metadata hold the description, one entry for each of its attributes.

    Args:
        model: computes in float32.
        path: the file.
        description: of the model; with weights "int8" they are quantised.

    Raises:
        ModuleNotFoundError: tf2onnx or ONNX Runtime is not installed.
        UserError: see `graph.frozen`.
    """
    import onnx

    graph_alone, weights = onnx_graph(model, description)
    # ONNX Runtime computes what depends on the weights alone, such as the order of a kernel's axes.
    folded = _fold(graph_alone.SerializeToString(), weights, path)
    if description.weights == "int8":
        folded = _quantised(folded, path)
    _describe(folded, description)
    canonicalise(folded)
    onnx.save(folded, path)


def onnx_graph(model: FERModel, description: Description) -> tuple[Any, dict[str, np.ndarray]]:
    """An ONNX model that refers to its weights by name, and the weights.

    tf2onnx copies constants several times: with the weights in the graph, the conversion of the included model took
    four gigabytes.

    Args:
        model, description: as for `write_onnx`.

    Returns:
        an `onnx.ModelProto`, whose initialisers are declared as external data, and {name: values} of them.

    Raises:
        ModuleNotFoundError, UserError: as for `write_onnx`.
    """
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    function, weights = graph.with_weights_as_inputs(model, description.inputs)
    inputs = {tensor.name: tensor.name.partition(":")[0] for tensor in function.inputs}
    outputs = dict(zip((tensor.name for tensor in function.outputs), description.outputs, strict=True))
    with quiet.silence():
        converted, _ = tf2onnx.convert.from_graph_def(
            function.graph.as_graph_def(),
            input_names=list(inputs),
            output_names=list(outputs),
            tensors_to_rename=inputs | outputs,
            opset=OPSET,
            custom_op_handlers={"SelectV2": (_select_as_where, [])},
        )
    read = {name for node in converted.graph.node for name in node.input}
    weights = {name: values for name, values in weights.items() if name in read}  # states of random numbers are not
    described = [value for value in converted.graph.input if value.name in description.inputs]
    del converted.graph.input[:]
    converted.graph.input.extend(described)
    shapes = {name: entry["shape"] for name, entry in {**description.inputs, **description.outputs}.items()}
    for value in (*converted.graph.input, *converted.graph.output):
        sizes = zip(value.type.tensor_type.shape.dim, shapes[value.name], strict=True)
        for dimension, size in sizes:  # where tf2onnx does not know a size, it numbers it
            dimension.CopyFrom(type(dimension)(dim_value=size) if size else type(dimension)(dim_param="batch"))
    for name, values in weights.items():
        _declare(converted.graph.initializer.add(), name, values)
    _describe(converted, description)
    return converted, weights


def rename_weights(model: Any, names: Mapping[str, str]) -> None:
    """Rename initialisers of a model of `onnx_graph`.

    Args:
        model: an `onnx.ModelProto`, which is changed.
        names: {old name: new name}; no two have the same new name.
    """
    for tensor in model.graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    for node in model.graph.node:
        for position, name in enumerate(node.input):
            node.input[position] = names.get(name, name)


def canonicalise(model: Any) -> None:
    """Give nodes, constants and intermediate values an order and names that follow from the graph alone.

    tf2onnx numbers them by a counter of the process and in the order of sets of names, and takes names from Keras'
    layers, which count the layers of the process. Without this, two exports of one model had different bytes.

    Nodes stand in the order in which a depth-first search from the outputs of the graph leaves them, so each stands
    after those that it reads, and are named by operation and number. Constants are named by the order of their first
    use. Inputs and outputs of the graph, and weights that lie elsewhere, keep their names.

    Args:
        model: an `onnx.ModelProto`, which is changed, unless it has loops or branches.
    """
    import onnx

    old = model.graph
    if any(attribute.HasField("g") for node in old.node for attribute in node.attribute):
        return  # the graph in a node also reads values of this one
    producers = {name: number for number, node in enumerate(old.node) for name in node.output if name}
    order: dict[int, None] = {}  # numbers of nodes
    stack = [value.name for value in reversed(old.output) if value.name in producers]
    while stack:
        number = producers[stack[-1]]
        waiting = [name for name in old.node[number].input if name in producers and producers[name] not in order]
        if waiting:
            stack += reversed(waiting)
        else:
            order[number] = None
            stack.pop()

    nodes = [old.node[number] for number in order]
    read = dict.fromkeys([*(name for node in nodes for name in node.input), *(value.name for value in old.output)])
    constants = {tensor.name: tensor for tensor in old.initializer}
    used = [constants[name] for name in read if name in constants]
    names = {value.name: value.name for value in (*old.input, *old.output)} | {"": ""}  # "" is left out
    for number, tensor in enumerate(used):
        is_elsewhere = tensor.data_location == onnx.TensorProto.EXTERNAL
        tensor.name = names.setdefault(tensor.name, tensor.name if is_elsewhere else f"constant_{number}")
    for number, node in enumerate(nodes):
        node.name, node.doc_string = f"{node.op_type}_{number}", ""
        for position, name in enumerate(node.output):
            names.setdefault(name, f"{node.name}:{position}")
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
    new = onnx.helper.make_graph(nodes, "edram-fer", old.input, old.output, used)
    old.CopyFrom(new)


def _declare(initialiser: Any, name: str, values: np.ndarray) -> None:
    """Fill an `onnx.TensorProto` for values that lie elsewhere; `runtime.sessions.onnx_options` passes them."""
    import onnx

    initialiser.name, initialiser.data_type = name, onnx.helper.np_dtype_to_tensor_dtype(values.dtype)
    initialiser.dims.extend(values.shape)
    initialiser.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": "weights", "offset": 0, "length": values.nbytes}.items():
        entry = initialiser.external_data.add()
        entry.key, entry.value = key, str(value)


def _fold(content: bytes, weights: Mapping[str, np.ndarray], path: Path) -> Any:
    """The model of `onnx_graph` with its weights inside; `path` becomes a temporary file."""
    import onnx
    import onnxruntime

    options = onnx_options(weights)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC  # for all processors
    options.optimized_model_filepath = str(path)
    onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    folded = onnx.load(path)
    kept = [domain for domain in folded.opset_import if domain.domain == ""]  # it adds its own, which no node uses
    del folded.opset_import[:]
    folded.opset_import.extend(kept)
    return folded


def _describe(model: Any, description: Description) -> None:
    import onnx

    model.producer_name, model.producer_version = "edram-fer", description.edram_fer_version
    onnx.helper.set_model_props(model, description.to_texts())


def _quantised(model: Any, path: Path) -> Any:
    """The model with weights as int8 and, where they are used, activations that are rounded to eight bits."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # Unsigned weights cannot overflow on processors without VNNI; a scale for each channel costs less accuracy.
    kinds = ["Conv", "Gemm", "MatMul"]
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)  # advice to prepare models that are quantised with calibration images
    try:
        quantize_dynamic(model, path, op_types_to_quantize=kinds, weight_type=QuantType.QUInt8, per_channel=True)
    finally:
        logging.disable(disabled)
    return onnx.load(path)


def _select_as_where(graph: Any, node: Any, name: str, arguments: Any) -> None:
    """tf2onnx writes a selection as products with 0 and 1, in which a nan that is not selected remains."""
    node.type = "Where"


def write_litert(model: FERModel, path: Path, description: Description) -> None:
    """Write a LiteRT file, at whose end, as in TensorFlow's own metadata, an archive holds the description.

    Args:
        model, path, description: see `write_onnx`.
    """
    import tensorflow as tf

    module = _module(graph.frozen(model, description.inputs), description)
    with quiet.silence():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([module.serve.get_concrete_function()], module)
        if description.weights == "int8":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        path.write_bytes(converter.convert())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(FILE), description.to_json())  # a ZipInfo dates it 1980, not now


def write_saved_model(model: FERModel, path: Path, description: Description) -> None:
    """Write a SavedModel with the function `serve` and the signature "serving_default", the description in its assets.

    Args:
        model, path, description: see `write_onnx`; `path` is a folder.
    """
    import tensorflow as tf

    module = _module(graph.frozen(model, description.inputs), description)
    with quiet.silence():
        tf.saved_model.save(module, str(path), signatures={"serving_default": module.serve})
    (path / "assets" / FILE).write_text(description.to_json(), encoding="utf-8")


def _module(function: Any, description: Description) -> Any:
    """A tf.Module whose function `serve` maps a dict of inputs to a dict of outputs."""
    import tensorflow as tf

    names = [tensor.name.partition(":")[0] for tensor in function.inputs]
    specs = {name: tf.TensorSpec(tensor.shape, tensor.dtype, name) for name, tensor in zip(names, function.inputs)}

    def serve(batch):
        return dict(zip(description.outputs, function(*(batch[name] for name in names)), strict=True))

    module: Any = tf.Module()
    module.serve = tf.function(serve, input_signature=[specs], autograph=False)
    return module


def _run_saved_model(path: Path) -> Callable[[dict[str, np.ndarray]], Outputs]:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    return lambda batch: {name: np.asarray(values) for name, values in loaded.serve(batch).items()}


# Format: (ending of the file, how to write it, how to open it to run it)
FORMATS: dict[str, tuple[str, Callable[..., None], Callable[[Path], Callable[..., Outputs]]]] = {
    "onnx": (".onnx", write_onnx, OnnxModel),
    "litert": (".tflite", write_litert, LiteRTModel),
    "saved_model": ("", write_saved_model, _run_saved_model),
}
