"""Trained models that are included in the package: `edram_fer.load(name)`.

`registry.json` describes each model: its file with size and SHA-256, recipe, seed, commit, data, calibration and
scores. The model card NAME.md says the same in words. Both are written by

    python -m benchmarks.ship_model RUN NAME

from the files of a run. Weights are stored in float16, half the size, which changes outputs by about a thousandth.
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
    ['fer2013-edram']
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


def verify(name: str) -> Path:
    """The .keras file of one of `list_weights()`, after its SHA-256 was compared with registry.json.

    Raises:
        UserError: The file is missing or is not the one that was included.

    >>> verify("fer2013-edram").name
    'fer2013-edram.keras'
    """
    expected, path = entry(name)["sha256"], model_path(name)
    actual = files.digest(path) if path.exists() else None
    if actual != expected:
        problem = "it is missing" if actual is None else f"it has {actual}"
        raise UserError(
            f"{path} is not the included model {name}: expected SHA-256 {expected}, {problem}; reinstall edram-fer"
        )
    return path
