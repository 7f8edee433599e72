"""Trained models that come with the package: `edram_fer.load(name)`.

    python -m benchmarks.ship_model RUN NAME

puts the model of a run among them. Their weights are kept in float16, half the size, which moves outputs by about a
thousandth. docs/results.md says what each was trained on and what it scores.
"""

from pathlib import Path

FOLDER = Path(__file__).parent


def list_weights() -> list[str]:
    """The names of the trained models that come with the package.

    >>> list_weights()
    ['fer2013-edram']
    """
    return sorted(path.stem for path in FOLDER.glob("*.keras"))


def model_path(name: str) -> Path:
    """The .keras file of one of `list_weights()`."""
    return FOLDER / f"{name}.keras"
