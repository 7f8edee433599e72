"""Open ONNX and LiteRT files, exported by edram-fer or from elsewhere, in their runtimes on the CPU."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edram_fer import installation
from edram_fer.errors import MissingPackageError, UserError
from edram_fer.preprocessing import quiet

LARGEST = 2**31 - 1  # bytes of an ONNX or LiteRT file: the limit of both formats


def open_onnx(path: Path, threads: int | None = None, weights: Mapping[str, np.ndarray] | None = None) -> Any:
    """A session of ONNX Runtime.

    Args:
        path: the file.
        threads: threads of an operation; None: as many as cores.
        weights: {name: values} of a file that holds the graph alone, see `exporting.writers.onnx_graph`.

    Raises:
        MissingPackageError: ONNX Runtime is not installed.
        UserError: the file is damaged or too large, or this ONNX Runtime cannot run it.
    """
    check_size(path)
    onnxruntime = import_package("onnxruntime", path)
    options = onnx_options(weights)
    options.intra_op_num_threads = threads or 0
    # Threads that wait busily take time from those that detect faces: a third of the CPU time, for one face half of it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Weights in the layout of the matrix kernels as well take as much memory again, for a tenth of the time.
    options.add_session_config_entry("session.disable_prepacking", "1")
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        _read_texts(session)
        return session
    except onnx_errors() as error:
        raise UserError(f"{path} is damaged, or ONNX Runtime cannot load it: {first_line(error)}") from error


def _read_texts(session: Any) -> None:
    """Raise UnicodeDecodeError if a name of an input or output or a text of the metadata is not UTF-8."""
    texts = session.get_modelmeta().custom_metadata_map
    texts.update((value.name, value.type) for value in (*session.get_inputs(), *session.get_outputs()))


def onnx_options(weights: Mapping[str, np.ndarray] | None = None) -> Any:
    """Options of a silent session of ONNX Runtime, with the weights of a file that holds the graph alone."""
    onnxruntime = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised
    if weights:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
        options.add_external_initializers(list(weights), values)
    return options


def onnx_errors() -> tuple[type[Exception], ...]:
    """The exceptions of ONNX Runtime, which have no base class of their own, and that for a text of a damaged file."""
    state = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    errors = (value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception))
    return (*errors, UnicodeDecodeError)


def open_litert(path: Path, threads: int | None = None) -> Any:
    """An interpreter of LiteRT, whose tensors are allocated.

    Args:
        path: the file.
        threads: threads of an operation; None: LiteRT's default.

    Raises:
        MissingPackageError: LiteRT is not installed.
        UserError: the file is damaged or too large, or this LiteRT cannot run it.
    """
    check_size(path)
    litert = import_package("ai_edge_litert.interpreter", path)
    try:
        with quiet.silence():  # it announces its kernels
            interpreter = litert.Interpreter(str(path), num_threads=threads)
            interpreter.allocate_tensors()
            return interpreter
    except (ValueError, RuntimeError) as error:
        raise UserError(f"{path} is damaged, or LiteRT cannot load it: {first_line(error)}") from error


def check_size(path: Path) -> None:
    """Raise a UserError for a file larger than LARGEST, before it is read."""
    if (size := path.stat().st_size) > LARGEST:
        raise UserError(f"{path}: expected a model of at most {LARGEST:,} bytes, got {size:,}")


def first_line(error: Exception) -> str:
    """The first line of an error of a runtime, which may go on for pages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{lines[0]:.300}" if lines else type(error).__name__


def import_package(module: str, path: Path) -> Any:
    """A module that reads or runs a file.

    Raises:
        MissingPackageError: it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        raise MissingPackageError(f"{path} needs {package}{installation.hint(error.name or '')}") from error
