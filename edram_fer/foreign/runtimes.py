"""Open a model file and run it: Keras, ONNX Runtime or LiteRT behind one function from an array to an array."""

import json
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import keras
import numpy as np

from edram_fer import files, keras_file
from edram_fer.errors import UserError, reason
from edram_fer.runtime import sessions
from edram_fer.runtime.sessions import first_line

# Layers that run code or read files which the model file names. Keras refuses them, too, but for some with an error
# about something else.
UNSAFE_LAYERS = ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")


class Runtime(NamedTuple):
    """An opened model.

    Attributes:
        shape: shape of its only input, including the batch; None or a name where it is not fixed.
        run: function from a batch float32 of that shape to the chosen output, an array with the same first axis.
        parameters: number of its trainable parameters, or None where the format does not tell.
    """

    shape: tuple[int | None, ...]
    run: Callable[[np.ndarray], np.ndarray]
    parameters: int | None = None


def open_model(path: Path, output: str | None = None, threads: int | None = None) -> Runtime:
    """Open a model file.

    Args:
        path: a .keras, .h5, .hdf5, .onnx or .tflite file.
        output: name of the output, for a model with several.
        threads: number of threads of ONNX Runtime or LiteRT; None: their default.

    Raises:
        MissingPackageError: the runtime is not installed.
        UserError: the file is damaged, of another format, holds code, or has several inputs or outputs.
    """
    if path.suffix.lower() not in SUFFIXES:
        hint = ""
        if path.suffix.lower() in (".pt", ".pth", ".pkl", ".pickle"):
            hint = "; such a file runs code when it is read: export the model to ONNX"
        raise UserError(f"{path}: expected a file that ends in {', '.join(SUFFIXES)}{hint}")
    return _OPENERS[path.suffix.lower()](path, output, threads)


def _open_keras(path: Path, output: str | None, threads: int | None) -> Runtime:
    for layer in _class_names(_keras_config(path)):
        if layer in UNSAFE_LAYERS:
            raise UserError(f"{path} holds a {layer} layer, which runs code that comes with the file: it is not loaded")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, LookupError, AttributeError, OSError, ImportError, RuntimeError) as error:
        # Whatever the layers of another version of Keras raise for arguments that this one does not know, and h5py for
        # damaged weights.
        raise UserError(f"{path}: Keras {keras.__version__} cannot load it: {first_line(error)}") from error
    inputs = getattr(model, "inputs", None)
    if not inputs or len(inputs) != 1:
        got = f"a {type(model).__name__} with {len(inputs) if inputs else 'no known'} inputs"
        raise UserError(f"{path}: expected a functional or sequential Keras model with one input, got {got}")
    names = list(getattr(model, "output_names", [output.name for output in model.outputs]))  # a Sequential has none
    index = names.index(_choose(path, output, names))

    def run(batch: np.ndarray) -> np.ndarray:
        return np.asarray(keras.tree.flatten(model.predict_on_batch(batch))[index], np.float32)

    parameters = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    return Runtime(tuple(inputs[0].shape), run, parameters)


def _keras_config(path: Path) -> Any:
    """The configuration of the model in a .keras or HDF5 file."""
    if zipfile.is_zipfile(path):
        return keras_file.read(path)[keras_file.CONFIG]
    try:
        with h5py.File(path, "r") as file:
            config = file.attrs.get("model_config")
    except OSError as error:
        raise UserError(f"{path} is damaged, or not a Keras file: {first_line(error)}") from error
    if config is None:
        raise UserError(f"{path} holds weights without their model: save the whole model, with model.save")
    try:
        return json.loads(config)
    except files.NOT_JSON as error:
        raise UserError(f"{path} is damaged: its model_config is not JSON: {reason(error)}") from error


def _class_names(config: Any) -> Iterator[str]:
    """The class names anywhere in a configuration."""
    pending = [config]
    while pending:
        entry = pending.pop()
        if isinstance(entry, dict):
            yield str(entry.get("class_name")).rpartition(">")[2]
            pending.extend(entry.values())
        elif isinstance(entry, list):
            pending.extend(entry)


def _open_onnx(path: Path, output: str | None, threads: int | None) -> Runtime:
    session, failures = sessions.open_onnx(path, threads), sessions.onnx_errors()
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise UserError(f"{path}: expected one input, got {len(inputs)}: {', '.join(one.name for one in inputs)}")
    name, dtype = inputs[0].name, _onnx_dtype(path, inputs[0].type)
    chosen = _choose(path, output, [one.name for one in session.get_outputs()])

    def run(batch: np.ndarray) -> np.ndarray:
        try:
            return np.asarray(session.run([chosen], {name: _cast(batch, dtype)})[0], np.float32)
        except failures as error:
            raise UserError(f"{path}: ONNX Runtime cannot run it: {first_line(error)}") from error

    return Runtime(_known_sides(inputs[0].shape), run)


def _onnx_dtype(path, kind):
    dtypes = {"float": "float32", "float16": "float16", "double": "float64", "uint8": "uint8", "int8": "int8"}
    name = kind.removeprefix("tensor(").removesuffix(")")
    if name not in dtypes:
        raise UserError(f"{path}: expected an input of {', '.join(dtypes)}, got {kind}")
    return np.dtype(dtypes[name])


def _open_litert(path: Path, output: str | None, threads: int | None) -> Runtime:
    interpreter = sessions.open_litert(path, threads)
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    if len(inputs) != 1:
        raise UserError(f"{path}: expected one input, got {len(inputs)}: {', '.join(one['name'] for one in inputs)}")
    names = [one["name"] for one in outputs]
    target, source = inputs[0], outputs[names.index(_choose(path, output, names))]

    def run(batch: np.ndarray) -> np.ndarray:
        try:
            if interpreter.get_input_details()[0]["shape"].tolist() != list(batch.shape):
                interpreter.resize_tensor_input(target["index"], batch.shape)
                interpreter.allocate_tensors()
            interpreter.set_tensor(target["index"], _cast(batch, np.dtype(target["dtype"]), target["quantization"]))
            interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise UserError(f"{path}: LiteRT cannot run it: {first_line(error)}") from error
        values, (scale, zero) = interpreter.get_tensor(source["index"]), source["quantization"]
        return (values.astype(np.float32) - zero) * (scale or 1)

    batch_size = None if _resizes(interpreter, target) else int(target["shape"][0])
    return Runtime((batch_size, *_known_sides(target["shape_signature"][1:])), run)


def _resizes(interpreter, target):
    """Whether a LiteRT model takes other batches than the one that it was saved with."""
    shape = [int(side) for side in target["shape"]]
    try:
        interpreter.resize_tensor_input(target["index"], [shape[0] + 1, *shape[1:]])
        interpreter.allocate_tensors()
        interpreter.invoke()
        return all(one["shape"][0] == shape[0] + 1 for one in interpreter.get_output_details())
    except (ValueError, RuntimeError):
        return False
    finally:
        interpreter.resize_tensor_input(target["index"], shape)
        interpreter.allocate_tensors()


def _known_sides(shape: Iterable[Any]) -> tuple[int | None, ...]:
    """A shape with None for sides that have a name or are -1."""
    return tuple(int(side) if isinstance(side, (int, np.integer)) and side > 0 else None for side in shape)


def _cast(batch: np.ndarray, dtype: np.dtype, quantization: tuple[float, int] = (0.0, 0)) -> np.ndarray:
    """Values in the dtype of the input; whole numbers are rounded after quantisation, if there is any."""
    if dtype.kind == "f":
        return batch.astype(dtype)
    scale, zero = quantization
    limits = np.iinfo(dtype)
    return np.clip(np.rint(batch / (scale or 1) + zero), limits.min, limits.max).astype(dtype)


def _choose(path, output, names):
    """The name of the output to use."""
    if output is None and len(names) == 1:
        return names[0]
    if output not in names:
        got = "several outputs without `output_name`" if output is None else f"output_name {output!r}"
        raise UserError(f"{path}: expected `output_name` to be one of {', '.join(names)}, got {got}")
    return output


_OPENERS: dict[str, Callable[[Path, str | None, int | None], Runtime]] = {
    ".keras": _open_keras,
    ".h5": _open_keras,
    ".hdf5": _open_keras,
    ".onnx": _open_onnx,
    ".tflite": _open_litert,
}
SUFFIXES = tuple(_OPENERS)
