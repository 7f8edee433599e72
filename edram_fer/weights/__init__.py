"""Trained models that are included in the package: `edram_fer.load(name)`.

    python -m benchmarks.ship_model RUN NAME

adds the model of a run. Weights are stored in float16, half the size, which changes outputs by about a thousandth.
docs/results.md reports the training data and the scores of each model.
"""

from pathlib import Path

FOLDER = Path(__file__).parent


def list_weights() -> list[str]:
    """The names of the included trained models.

    >>> list_weights()
    ['fer2013-edram']
    """
    return sorted(path.stem for path in FOLDER.glob("*.keras"))


def model_path(name: str) -> Path:
    """The .keras file of one of `list_weights()`."""
    return FOLDER / f"{name}.keras"
