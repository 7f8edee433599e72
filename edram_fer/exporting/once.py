"""A model in ONNX Runtime: its exported file, the graph that an included model comes with, or a file exported once."""

import importlib.util
import os
import sys
from pathlib import Path

from edram_fer import files, installation, keras_file, weights
from edram_fer.errors import UserError
from edram_fer.run.model_file import is_exported, model_path
from edram_fer.runtime.models import ExportedModel, OnnxModel, load_exported

RUNTIMES = ("auto", "keras", "onnx")


def load(source: str | Path) -> ExportedModel:
    """Load a model without Keras; only a model that was not exported yet needs it, once.

    The exported file is kept in the cache of the user. Its name holds the SHA-256 of the model's file, so that a model
    which was trained on or calibrated again is exported again.

    Args:
        source: an exported file, or an argument of `edram_fer.load`.

    Raises:
        MissingFileError, UserError: see `model_path` and `edram_fer.export`; also for a model from elsewhere.
        ModuleNotFoundError: the model was not exported yet, and a package for this is missing.
    """
    path = model_path(source)
    if is_exported(path):
        return load_exported(path)
    if path.suffix.lower() != ".keras":
        raise UserError(f"{path}: the runtime onnx needs a model of edram_fer, this is the card of another model")
    if graph := _graph(source):
        graph_file, names = graph
        return OnnxModel(graph_file, weights=keras_file.read_weights(path, names))
    cached = _cached(path)
    if not cached.exists():
        print(f"Exporting {source} to ONNX, once ({cached})", file=sys.stderr)
        from edram_fer import startup

        startup.load_keras()
        from edram_fer.exporting.export import export

        export(path, cached)
    return load_exported(cached)


def runtime(source: object, choice: str) -> str:
    """Where a model runs: "onnx" or "keras".

    Args:
        source: a model, an exported file, or an argument of `edram_fer.load`.
        choice: one of RUNTIMES; "auto": in ONNX Runtime if it is installed and nothing has to be exported for it, which
            starts in a second and needs a fifth of the memory.

    Raises:
        UserError: another choice.
        MissingFileError, UserError: see `model_path`.
    """
    if choice not in RUNTIMES:
        raise UserError(f"runtime: expected one of {', '.join(RUNTIMES)}, got {choice!r}")
    if isinstance(source, ExportedModel):
        return "onnx"
    if not isinstance(source, (str, Path)):
        return "keras" if choice == "auto" else choice
    path = model_path(source)
    if is_exported(path):
        return "onnx"
    if choice != "auto":
        return choice
    installed = importlib.util.find_spec("onnxruntime") is not None and path.suffix.lower() == ".keras"
    return "onnx" if installed and (_graph(source) or _cached(path).exists()) else "keras"


def _graph(source: str | Path) -> tuple[Path, list[str]] | None:
    """See `weights.graph`; also None for a folder or file."""
    return None if Path(source).exists() else weights.graph(str(source))


def _cached(path: Path) -> Path:
    return cache_folder() / f"{files.digest(path)}-{installation.version()}.onnx"


def cache_folder() -> Path:
    """Where files are kept that can be made again: $EDRAM_FER_CACHE, or the folder that the system has for it."""
    if folder := os.environ.get("EDRAM_FER_CACHE"):
        return Path(folder)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "edram-fer"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "edram-fer"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "edram-fer"
