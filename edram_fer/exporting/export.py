"""Export a model, and compare the written file with the model before it is put in place."""

import dataclasses
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from edram_fer import files, installation, keras_file
from edram_fer.errors import UserError
from edram_fer.exporting import graph
from edram_fer.exporting.writers import FORMATS, canonicalise, onnx_graph, rename_weights
from edram_fer.models import FERModel
from edram_fer.models.contract import check_choice
from edram_fer.run import checkpoints, layout
from edram_fer.runtime.description import FILE, Description
from edram_fer.runtime.models import OnnxModel

TOLERANCE = 1e-4  # of a float32 file
INT8_TOLERANCE = np.finfo(float).max  # of int8, only shapes and finite values: the accuracy is measured on faces
BATCHES = (5, 1)  # sizes of the batches that are compared


@dataclasses.dataclass(frozen=True)
class Exported:
    """What `export` wrote.

    Attributes:
        path: the file, or the folder of a SavedModel.
        bytes: its size.
        differences: {output: largest difference from the model}, for random images, see `compare`.
    """

    path: Path
    bytes: int
    differences: dict[str, float]


def export(
    model: FERModel | str | Path,
    path: str | Path,
    *,
    format: str | None = None,
    int8: bool = False,
    windows_input: bool = False,
    uint8_input: bool = False,
) -> Exported:
    """Write a model as a file that runs without edram-fer, and compare its outputs with those of the model.

    The file computes in float32, whatever the model computes in, and takes any batch size. Its inputs and outputs have
    the names of the model's. Class names, preprocessing and calibration are part of it, see `runtime.Description`.

    Args:
        model: a model, or an argument of `edram_fer.load`.
        path: the file to write, which is replaced once the new one is complete; for a SavedModel a folder.
        format: "onnx", "litert" or "saved_model"; None: by the ending of `path` (.onnx, .tflite, none).
        int8: stores weights in eight bits, a quarter of the size, which changes the outputs: see docs/howto/export.md.
        windows_input: the file also takes "windows_input" [B, N, 2, 3], windows that it uses instead of its own.
        uint8_input: the file takes images as uint8 in 0 to 255 instead of float32 in [0, 1].

    Returns:
        Path, size and the largest difference of each output, see `compare`.

    Raises:
        MissingFileError, UserError: see `edram_fer.load`; also for an unknown format, an option that the format or the
            model does not have, a backend other than TensorFlow, and float32 outputs whose difference (see `compare`)
            exceeds 1e-4. In all these cases no file is left, and an older one stays unchanged.
        ModuleNotFoundError: the converter of the format is not installed.
        OSError: the folder of `path` cannot be written.

    >>> import edram_fer
    >>> model = edram_fer.build("deep_emotion", image_size=(48, 48), emotions=["happy", "sad", "anger"])
    >>> exported = edram_fer.export(model, "model.onnx")
    >>> max(exported.differences.values()) < 1e-4
    True
    >>> edram_fer.load_exported("model.onnx")(np.zeros((2, 48, 48, 1), "uint8"))["emotion"].shape
    (2, 1, 3)
    """
    path = Path(path)
    format = _check_target(path, format, int8)
    files.check_writable(path.parent)  # a SavedModel is a folder, which takes its place with a rename, too
    loaded = model if isinstance(model, FERModel) else checkpoints.load(model)
    loaded = loaded.in_float32()
    described = describe(loaded, weights="int8" if int8 else "float32", uint8=uint8_input, windows=windows_input)
    if windows_input:
        _check_windows_are_used(loaded, described.inputs)
    _, write, open_to_run = FORMATS[format]
    with files.replace_folder(path) if format == "saved_model" else files.replace(path) as temporary:
        write(loaded, temporary, described)
        differences = compare(loaded, open_to_run(temporary), described.inputs)
        _check_differences(path, differences, INT8_TOLERANCE if int8 else TOLERANCE)
    return Exported(path, _size(path), differences)


def export_graph(source: Path, path: Path) -> list[str]:
    """Write the ONNX graph of a .keras file without its weights, and compare its outputs with those of the model.

    `runtime.OnnxModel` runs it with the weights of the .keras file.

    Args:
        source: the .keras file.
        path: the file to write.

    Returns:
        The names of the weights that it takes, see `keras_file.read_weights`.

    Raises:
        MissingFileError, UserError, ModuleNotFoundError: see `export`.
    """
    model = checkpoints.load(source).in_float32()
    described = describe(model)
    written, weights = onnx_graph(model, described)
    paths = weight_paths(model)
    names = {name: paths[name] for name in weights}
    rename_weights(written, names)
    canonicalise(written)
    used = sorted(names.values())
    with files.replace(path) as temporary:
        temporary.write_bytes(written.SerializeToString())
        exported = OnnxModel(temporary, model_file=source, weight_names=used)
        _check_differences(path, compare(model, exported, described.inputs), TOLERANCE)
    return used


def weight_paths(model: FERModel) -> dict[str, str]:
    """{name in `graph.variables`: path in the weights of the model's .keras file} of the variables that it stores.

    They are found in a file in which each variable is filled with its number: by their values, weights that are equal
    in this model, such as biases before the training, could not be told apart.

    Args:
        model: its variables have their values again afterwards.
    """
    variables = graph.variables(model)
    values = [keras.ops.convert_to_numpy(variable) for variable in variables.values()]
    with tempfile.TemporaryDirectory(prefix="edram-fer-") as folder:
        try:
            for number, variable in enumerate(variables.values()):
                variable.assign(np.full(variable.shape, number, variable.dtype))
            checkpoints.save(model, Path(folder) / layout.MODEL)
        finally:
            for variable, value in zip(variables.values(), values, strict=True):
                variable.assign(value)
        paths = keras_file.numbered_weights(Path(folder) / layout.MODEL)
    return {name: paths[number] for number, name in enumerate(variables) if number in paths}


def describe(model: FERModel, *, weights: str = "float32", uint8: bool = False, windows: bool = False) -> Description:
    """The description of an exported model.

    Args:
        model: computes in float32.
        weights: "float32" or "int8".
        uint8, windows: see `graph.inputs`.
    """
    return Description(
        model=type(model).__name__,
        emotions=model.emotions,
        preprocessing=model.preprocessing,
        calibration=model.calibration,
        predicts_affect=model.predicts_affect,
        inputs=graph.inputs(model, uint8=uint8, windows=windows),
        outputs=graph.outputs(model),
        weights=weights,
        edram_fer_version=installation.version(),
    )


def default_path(model: str | Path, format: str, *, int8: bool = False) -> Path:
    """Where the command `export` writes a model: in its run folder, otherwise in the current folder.

    Args:
        model: an argument of `edram_fer.load`.
        format: "onnx", "litert" or "saved_model".
        int8: whether its weights are int8.

    >>> default_path("fer2013-edram", "litert", int8=True).name
    'fer2013-edram-int8.tflite'
    """
    check_choice("format", format, FORMATS)
    suffix = FORMATS[format][0]
    stem = "model" if Path(model).is_dir() else Path(model).stem
    stem += ("" if suffix else "-saved_model") + ("-int8" if int8 else "")
    return (Path(model) if Path(model).is_dir() else Path()) / f"{stem}{suffix}"


def compare(
    model: FERModel, run: Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]], inputs: Mapping[str, Any]
) -> dict[str, float]:
    """{output: largest absolute difference, as a share of the largest value where that is above 1}.

    Args:
        model: computes in float32.
        run: the exported model.
        inputs: its described inputs.

    Returns:
        The differences over batches of several sizes; inf where shapes differ or a value is nan in one of the two.
    """
    differences: dict[str, float] = {}
    for count in BATCHES:
        batch = graph.examples(inputs, count, seed=count)
        outputs = run(batch)
        for name, values in model(graph.for_model(batch), training=False).items():
            expected, actual = keras.ops.convert_to_numpy(values), outputs[name]
            difference = np.inf
            if actual.shape == expected.shape and (np.isnan(actual) == np.isnan(expected)).all():
                largest = np.nanmax(np.abs(expected), initial=1.0)
                difference = float(np.nanmax(np.abs(actual - expected), initial=0.0) / largest)
            differences[name] = max(difference, differences.get(name, 0.0))
    return differences


def _check_differences(path: Path, differences: Mapping[str, float], tolerance: float) -> None:
    worst = max(differences, key=lambda name: differences[name])
    if not differences[worst] <= tolerance:
        raise UserError(
            f"{path} was not written: its output `{worst}` differs by {differences[worst]:.2g} from the model's; "
            f"expected at most {tolerance}"
        )


def _check_windows_are_used(model: FERModel, inputs: Mapping[str, Any]) -> None:
    batch = graph.for_model(graph.examples(inputs, 1))
    used = keras.ops.convert_to_numpy(model(batch, training=False)["windows"])
    if not np.array_equal(used, batch["windows"]):
        raise UserError(f"windows_input: this {type(model).__name__} always looks at the whole image")


def _check_target(path: Path, format: str | None, int8: bool) -> str:
    """The format, by name or by the ending of the path; raises UserError if nothing can be written there in it."""
    suffixes = {name: suffix for name, (suffix, *_) in FORMATS.items()}
    if format is None:
        format = next((name for name, suffix in suffixes.items() if suffix == path.suffix.lower()), None)
    if format is None:
        raise UserError(f"{path}: expected a file that ends in .onnx or .tflite, or a folder for a SavedModel")
    check_choice("format", format, FORMATS)
    if suffixes[format] and path.suffix.lower() != suffixes[format]:
        raise UserError(f"{path}: expected a name that ends in {suffixes[format]} for the format {format}")
    if suffixes[format] and path.is_dir():
        raise UserError(f"{path} is a folder; expected a file to write")
    if not suffixes[format]:
        is_free = not path.exists() or path.is_dir() and not any(path.iterdir())
        if not is_free and not _is_exported_folder(path):
            raise UserError(f"{path} exists and is not a SavedModel of this command; expected the name of a new folder")
        if int8:
            raise UserError("int8: expected the format onnx or litert, got saved_model")
    return format


def _is_exported_folder(path: Path) -> bool:
    """Whether a folder is a SavedModel that `export` has written, and holds no other file: it may be deleted."""
    files_in = {file.relative_to(path).as_posix() for file in path.rglob("*") if not file.is_dir() or file.is_symlink()}
    expected = {"saved_model.pb", "fingerprint.pb", f"assets/{FILE}", "variables/variables.index"}
    others = {name for name in files_in - expected if not name.startswith("variables/variables.data-")}
    return not path.is_symlink() and {"saved_model.pb", f"assets/{FILE}"} <= files_in and not others


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file())
