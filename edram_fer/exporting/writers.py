"""Write a frozen function as an ONNX file, a LiteRT file or a SavedModel, with its description."""

import logging
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from edram_fer.preprocessing import quiet
from edram_fer.runtime.description import FILE, Description
from edram_fer.runtime.models import LiteRTModel, OnnxModel

OPSET = 17  # of ONNX; every ONNX Runtime since 1.12 has it
Outputs: TypeAlias = dict[str, np.ndarray]


def write_onnx(function: Any, path: Path, description: Description) -> None:
    """Write an ONNX file whose metadata hold the description, one entry for each of its attributes.

    Args:
        function: `graph.frozen`.
        path: the file.
        description: of the model; with weights "int8" they are quantised.

    Raises:
        ModuleNotFoundError: tf2onnx is not installed.
    """
    import onnx
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    inputs = {tensor.name: tensor.name.partition(":")[0] for tensor in function.inputs}
    outputs = dict(zip((tensor.name for tensor in function.outputs), description.outputs, strict=True))
    with quiet.silence():
        model, _ = tf2onnx.convert.from_graph_def(
            function.graph.as_graph_def(),
            input_names=list(inputs),
            output_names=list(outputs),
            tensors_to_rename=inputs | outputs,
            opset=OPSET,
            custom_op_handlers={"SelectV2": (_select_as_where, [])},
        )
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    if description.weights == "int8":
        model = _quantised(model, path)
    model.producer_name, model.producer_version = "edram-fer", description.edram_fer_version
    onnx.helper.set_model_props(model, description.to_texts())
    onnx.save(model, path)


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


def write_litert(function: Any, path: Path, description: Description) -> None:
    """Write a LiteRT file, at whose end, as in TensorFlow's own metadata, an archive holds the description.

    Args:
        function, path, description: see `write_onnx`.
    """
    import tensorflow as tf

    module = _module(function, description)
    with quiet.silence():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([module.serve.get_concrete_function()], module)
        if description.weights == "int8":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        path.write_bytes(converter.convert())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(FILE, description.to_json())


def write_saved_model(function: Any, path: Path, description: Description) -> None:
    """Write a SavedModel with the function `serve` and the signature "serving_default", the description in its assets.

    Args:
        function, path, description: see `write_onnx`; `path` is a folder.
    """
    import tensorflow as tf

    module = _module(function, description)
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
