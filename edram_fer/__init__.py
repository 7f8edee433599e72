"""edram-fer: recurrent and spatial attention in facial expression recognition.

    >>> import edram_fer
    >>> edram_fer.list_weights()
    ['fer2013-edram']
    >>> model = edram_fer.load("fer2013-edram")
    >>> import numpy as np
    >>> faces = np.zeros((2, 48, 48, 1), "uint8")
    >>> table = edram_fer.predict(model, faces)
    >>> list(table.columns[:6])
    ['source', 'face', 'box', 'detector', 'score', 'status']

Each function is imported with what it needs when it is first used; `import edram_fer` alone imports no Keras.
"""

import importlib
import importlib.metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edram_fer.models import build, list_models
    from edram_fer.prediction import predict
    from edram_fer.recipes.recipe import list_recipes
    from edram_fer.run.checkpoints import load
    from edram_fer.weights import list_weights

    __version__: str

__all__ = ["__version__", "build", "list_models", "list_recipes", "list_weights", "load", "predict"]

_MODULES = {  # where each function lives
    "build": "edram_fer.models",
    "list_models": "edram_fer.models",
    "list_recipes": "edram_fer.recipes.recipe",
    "list_weights": "edram_fer.weights",
    "load": "edram_fer.run.checkpoints",
    "predict": "edram_fer.prediction",
}

from edram_fer import installation

__version__ = installation.version()


def __getattr__(name: str) -> object:
    if name == "__version__":
        value: object = _version()
    elif name in _MODULES:
        if name != "list_weights":
            from edram_fer import startup

            startup.load_keras()  # without the notes that TensorFlow writes to the screen
        value = getattr(importlib.import_module(_MODULES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    try:
        return importlib.metadata.version("edram-fer")
    except importlib.metadata.PackageNotFoundError:  # a checkout that is not installed
        return "0+unknown"
