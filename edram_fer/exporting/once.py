"""A model in ONNX Runtime: its exported file, or an ONNX graph, exported once for all models of one architecture.

The included models come with their graphs; others are kept in the cache of the user.
"""

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from edram_fer import files, installation, keras_file, weights
from edram_fer.errors import MissingPackageError, UserError
from edram_fer.run.model_file import is_exported, model_path
from edram_fer.runtime.models import ExportedModel, OnnxModel, load_exported

RUNTIMES = ("auto", "keras", "onnx")
NEEDED = ("tensorflow", "tf2onnx", "onnx", "onnxruntime")  # to export
# Of a model's configuration, what changes neither its graph nor the names of its weights. Graphs compute in float32.
LABELS = ("name", "trainable", "dtype", "seed", "emotions", "preprocessing", "calibration")
EDITION = 2  # of the graphs: those of an older edition in a cache are not used; the first one confused equal weights
_PROGRAM = "import sys; from edram_fer.exporting import once; once.write_graph(*sys.argv[1:])"


def load(source: str | Path) -> ExportedModel:
    """Load a model without Keras. The first of its architecture is exported, in a process of its own.

    Args:
        source: an exported file, or an argument of `edram_fer.load`.

    Raises:
        MissingFileError, UserError: see `model_path` and `prepare`.
        MissingPackageError: the model must be exported, and a package for this is missing.
    """
    path = model_path(source)
    if is_exported(path):
        return load_exported(path)
    graph, names = prepare(source)
    return OnnxModel(graph, model_file=path, weight_names=names)


def prepare(source: str | Path) -> tuple[Path, list[str]]:
    """Export the graph of a model, if there is none of its architecture yet.

    Args:
        source: an argument of `edram_fer.load`.

    Returns:
        the graph, and the names of the weights that it takes.

    Raises:
        UserError: it is no model of edram_fer, or it cannot be exported.
        MissingPackageError: a package that this needs is missing.
    """
    path = model_path(source)
    if graph := _graph(path):
        return graph
    if (wanted := architecture(path)) is None:
        raise UserError(f"{path}: the runtime onnx needs a model of edram_fer; another one can be exported as a file")
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise MissingPackageError(f"the export to ONNX needs {missing[0]}{installation.hint(missing[0])}")
    target = _cached(wanted)
    print(f"Exporting {source} to ONNX, once for its architecture ({target})", file=sys.stderr)
    folders = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": os.pathsep.join(folders)}
    command = [sys.executable, "-c", _PROGRAM, str(path), str(target)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or [f"exit status {ended.returncode}"])[-1]
        raise UserError(f"{path} cannot be exported to ONNX: {last}")
    return target, files.read_json(_names(target))["weights"]


def write_graph(source: str, target: str) -> None:
    """Write the graph of a .keras file, and the names of the weights that it takes as JSON beside it."""
    from edram_fer import startup

    startup.load_keras_alone()
    from edram_fer.exporting.export import export_graph

    names = export_graph(Path(source), Path(target))
    files.write_json(_names(Path(target)), {"weights": names})  # at last: from now on the graph is there


def runtime(source: object, choice: str) -> str:
    """Where a model runs: "onnx" or "keras".

    Args:
        source: a model, an exported file, or an argument of `edram_fer.load`.
        choice: one of RUNTIMES; "auto": in ONNX Runtime if it is installed and nothing has to be exported for it, which
            starts in a second and needs less than half of the memory.

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
    return "onnx" if importlib.util.find_spec("onnxruntime") and _graph(path) else "keras"


def architecture(path: Path) -> dict[str, Any] | None:
    """What decides the graph of a .keras file: the "class" and the "options" of its model.

    None for another file, for a class of somebody else, whose code may change, and for files of version 0.1.
    """
    if path.suffix.lower() != ".keras":
        return None
    content = keras_file.read_config(path)
    registered, config = content.get("registered_name"), content.get("config")
    if not (str(registered).startswith("edram_fer>") and isinstance(config, dict) and config.get("emotions")):
        return None
    return {"class": registered, "options": {name: value for name, value in config.items() if name not in LABELS}}


def _graph(path: Path) -> tuple[Path, list[str]] | None:
    """The graph for a model, which comes with an included one or is in the cache, and the names of its weights."""
    wanted = architecture(path)
    if wanted is None:
        return None
    for name, entry in weights.registry().items():
        # The file itself may be from a version with fewer options.
        if "graph" in entry and wanted in (entry["graph"]["architecture"], architecture(weights.model_path(name))):
            graph = weights.graph(name)
            if graph is not None and keras_file.holds_weights(path, graph[1]):
                return graph
    cached = _cached(wanted)
    if _names(cached).exists() and cached.exists():
        names = files.read_json(_names(cached))["weights"]
        if keras_file.holds_weights(path, names):
            return cached, names
    return None


def _cached(wanted: dict[str, Any]) -> Path:
    digest = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
    return cache_folder() / f"{digest}-{installation.version()}-{EDITION}.onnx"


def _names(graph: Path) -> Path:
    return graph.with_suffix(".json")


def cache_folder() -> Path:
    """Where files are kept that can be made again: $EDRAM_FER_CACHE, or the folder that the system has for it."""
    if folder := os.environ.get("EDRAM_FER_CACHE"):
        return Path(folder)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "edram-fer"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "edram-fer"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "edram-fer"
