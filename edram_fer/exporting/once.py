"""The ONNX file of a model, exported when it is first needed."""

import os
import sys
from pathlib import Path

from edram_fer import files, installation
from edram_fer.errors import UserError
from edram_fer.run.model_file import is_exported, model_path


def onnx_file(source: str | Path) -> Path:
    """The ONNX file of a model, which is exported once and kept in the cache of the user.

    Its name holds the SHA-256 of the model's file, so that a model which was trained on or calibrated again is exported
    again.

    Args:
        source: an exported file, which is returned as it is, or an argument of `edram_fer.load`.

    Raises:
        MissingFileError, UserError: see `model_path` and `edram_fer.export`; also for a model from elsewhere.
        ModuleNotFoundError: the model was not exported yet, and a package for this is missing.
    """
    path = model_path(source)
    if is_exported(path):
        return path
    if path.suffix.lower() != ".keras":
        raise UserError(f"{path}: the runtime onnx needs a model of edram_fer, this is the card of another model")
    cached = cache_folder() / f"{files.digest(path)}-{installation.version()}.onnx"
    if not cached.exists():
        print(f"Exporting {source} to ONNX, once ({cached})", file=sys.stderr)
        from edram_fer import startup

        startup.load_keras()
        from edram_fer.exporting.export import export

        export(path, cached)
    return cached


def cache_folder() -> Path:
    """Where files are kept that can be made again: $EDRAM_FER_CACHE, or the folder that the system has for it."""
    if folder := os.environ.get("EDRAM_FER_CACHE"):
        return Path(folder)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "edram-fer"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "edram-fer"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "edram-fer"
