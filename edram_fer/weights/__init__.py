"""Trained models that are included in the package: `edram_fer.load(name)`.

`registry.json` describes each model: its file with size and SHA-256, recipe, seed, commit, data, calibration and
scores. The model card NAME.md says the same in words. Both are written by

    python -m benchmarks.ship_model RUN NAME

from the files of a run. Beside a model lies its graph in ONNX, without weights, for ONNX Runtime. Weights are stored in
float16, half the size, which changes outputs by about a thousandth.
"""

from pathlib import Path
from typing import Any

from edram_fer import files
from edram_fer.errors import UserError

FOLDER = Path(__file__).parent
REGISTRY = "registry.json"


def list_weights() -> list[str]:
    """The names of the included trained models.

    >>> list_weights()
    ['fer2013-deep-emotion', 'fer2013-edram']
    """
    return sorted(registry())


def registry() -> dict[str, Any]:
    """{name: description} of the included models, the content of registry.json."""
    return files.read_json(FOLDER / REGISTRY)


def entry(name: str) -> dict[str, Any]:
    """The description of one of `list_weights()`.

    Raises:
        UserError: No included model has that name.

    >>> entry("fer2013-edram")["model"]
    'edram'
    """
    entries = registry()
    if name not in entries:
        raise UserError(f"expected an included model, {', '.join(sorted(entries))}, got {name!r}")
    return entries[name]


def model_path(name: str) -> Path:
    """The .keras file of one of `list_weights()`; `verify` also checks its content."""
    return FOLDER / entry(name)["file"]


def card_path(name: str) -> Path:
    """The model card of one of `list_weights()`: Markdown with the metadata block of the Hugging Face Hub."""
    return model_path(name).with_suffix(".md")


def graph(name: str) -> tuple[Path, list[str]] | None:
    """The ONNX graph of an included model, which runs it with the weights of its .keras file and without Keras.

    Returns:
        the file, after its SHA-256 was compared with registry.json, and the names of the weights that it takes, see
        `keras_file.read_weights`; None if the model comes without a graph.

    Raises:
        UserError: No included model has that name, or the file is missing or not the one that was included.

    >>> path, names = graph("fer2013-edram")
    >>> path.name, len(names)
    ('fer2013-edram.onnx', 75)
    """
    described = entry(name).get("graph")
    if described is None:
        return None
    path = FOLDER / described["file"]
    _check(path, described["sha256"], name)
    return path, described["weights"]


def verify(name: str) -> Path:
    """The .keras file of one of `list_weights()`, after its SHA-256 was compared with registry.json.

    Raises:
        UserError: The file is missing or is not the one that was included.

    >>> verify("fer2013-edram").name
    'fer2013-edram.keras'
    """
    path = model_path(name)
    _check(path, entry(name)["sha256"], name)
    return path


def _check(path: Path, expected: str, name: str) -> None:
    actual = files.digest(path) if path.exists() else None
    if actual != expected:
        problem = "it is missing" if actual is None else f"it has {actual}"
        raise UserError(
            f"{path} is not the included model {name}: expected SHA-256 {expected}, {problem}; reinstall edram-fer"
        )
