"""Arrays by PyTorch's names from files of weights that others saved: PyTorch, safetensors, ONNX. No file runs code."""

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from packaging.version import Version

from edram_fer import archives, installation
from edram_fer.errors import MissingFileError, MissingPackageError, UserError
from edram_fer.foreign import onnx_graph
from edram_fer.runtime import sessions

# Before, a file could run code or damage memory in spite of weights_only=True (CVE-2025-32434, CVE-2026-24747).
OLDEST_TORCH = "2.10"
KIND = "a file of PyTorch"  # in messages
# Where a checkpoint keeps the weights of the model: PyTorch's examples and the released RAN, InsightFace, others.
NESTED = ("state_dict", "state_dict_backbone", "model_state_dict", "model")
FLOATS = ("F64", "F32", "F16", "BF16")  # of safetensors; a package of Keras gives NumPy the last
# Of the arrays as float32 to the file: half precision takes twice as much, and views of one array any number.
MOST_RATIO = 4


class State(NamedTuple):
    """The weights in a file.

    Attributes:
        arrays: {PyTorch's name: float32 array}.
        folded: {name of a batch normalisation that the file holds as a part of the convolution before it: name of that
            convolution's output in the ONNX graph}.
    """

    arrays: dict[str, np.ndarray]
    folded: dict[str, str]


def read(path: Path) -> State:
    """Read a file of weights.

    Args:
        path: .safetensors; .onnx, the graph of a ResNet or an IResNet; any other ending is taken for a file that
            `torch.save` wrote: a dict of arrays, or one that holds it under "state_dict" or another name of NESTED.

    Raises:
        MissingFileError: there is no such file.
        MissingPackageError: the package that reads it is not installed.
        UserError: the file is damaged, too large, holds no arrays, values that are no numbers, or objects that PyTorch
            would have to run code for.
    """
    if not path.is_file():
        raise MissingFileError(f"{path} is missing; expected a file of weights (.pth, .safetensors, .onnx)")
    sessions.check_size(path)
    if path.suffix.lower() == ".onnx":
        arrays, folded = onnx_graph.read(path)
    else:
        reader = _read_safetensors if path.suffix.lower() == ".safetensors" else _read_torch
        arrays, folded = reader(path), {}
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise UserError(f"{path}: {name} holds values that are nan or infinite")
    return State(arrays, folded)


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    safetensors = sessions.import_package("safetensors", path)
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}
            floats = [name for name, kind in kinds.items() if kind in FLOATS]  # the others are counters
            return {name: file.get_tensor(name).astype(np.float32) for name in floats}
    except (safetensors.SafetensorError, ValueError, TypeError) as error:
        raise UserError(f"{path} is damaged or no safetensors file: {sessions.first_line(error)}") from error


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    torch = sessions.import_package("torch", path)
    if Version(torch.__version__) < Version(OLDEST_TORCH):
        raise MissingPackageError(
            f"{path}: expected PyTorch {OLDEST_TORCH} or newer, before which such a file could run code, got "
            f"{torch.__version__}{installation.hint('torch') or ' (pip install --upgrade torch)'}"
        )
    if zipfile.is_zipfile(path):  # files of PyTorch before 1.6 are none
        archives.open_archive(path, KIND).close()
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refused = re.search(r"GLOBAL (\S+)", str(error))  # the rest of the message advises to run the code
        what = f"holds {refused[1]}, for which code would run" if refused else f"is damaged or not {KIND}"
        raise UserError(
            f"{path} {what}: expected arrays alone, such as torch.save(net.state_dict(), FILE) writes"
        ) from error
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError, EOFError, OSError, MemoryError) as error:
        what = "a TorchScript archive" if "TorchScript" in str(error) else sessions.first_line(error)
        raise UserError(f"{path} is damaged or not {KIND} with arrays alone: {what}") from error
    tensors = {name: value for name, value in _state_dict(content, path).items() if isinstance(value, torch.Tensor)}
    tensors = {name: value for name, value in tensors.items() if value.is_floating_point() and not value.is_sparse}
    size = 4 * sum(value.numel() for value in tensors.values())
    most = max(archives.ALWAYS_ALLOWED, MOST_RATIO * path.stat().st_size)
    if size > most:
        raise UserError(f"{path}: expected arrays of at most {most / 1e6:,.0f} MB for its size, got {size / 1e6:,.0f}")
    return {name: value.detach().to(torch.float32).numpy() for name, value in tensors.items()}


def _state_dict(content: Any, path: Path) -> Mapping[str, Any]:
    """The dict of arrays in what PyTorch read."""
    if isinstance(content, Mapping):
        nested = [content[key] for key in NESTED if isinstance(content.get(key), Mapping)]
        state = nested[0] if nested else content
        if state and all(isinstance(name, str) for name in state):
            return state
    raise UserError(
        f"{path}: expected a dict of arrays by name, or one under {', '.join(NESTED)}; got {type(content).__name__}"
    )
