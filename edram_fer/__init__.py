"""edram-fer: recurrent and spatial attention in facial expression recognition.

    >>> import edram_fer
    >>> edram_fer.list_weights()
    ['fer2013-deep-emotion', 'fer2013-edram']
    >>> model = edram_fer.load("fer2013-edram")
    >>> import numpy as np
    >>> faces = np.zeros((2, 48, 48, 1), "uint8")
    >>> table = edram_fer.predict(model, faces)
    >>> list(table.columns[:6])
    ['source', 'frame', 'time', 'face', 'track', 'box']

Each function and its dependencies are imported when you first use it; `import edram_fer` alone does not import Keras.
"""

import importlib
from typing import TYPE_CHECKING

from edram_fer import installation

if TYPE_CHECKING:
    from edram_fer.exporting.export import export
    from edram_fer.models import build, list_models
    from edram_fer.prediction.predictor import Predictor, predict
    from edram_fer.prediction.video import camera
    from edram_fer.recipes.recipe import list_recipes
    from edram_fer.run.checkpoints import load
    from edram_fer.runtime import load_exported
    from edram_fer.weights import list_weights

__all__ = [
    "Predictor",
    "__version__",
    "build",
    "camera",
    "export",
    "list_models",
    "list_recipes",
    "list_weights",
    "load",
    "load_exported",
    "predict",
]

__version__ = installation.version()

_MODULES = {  # where each function lives
    "Predictor": "edram_fer.prediction.predictor",
    "camera": "edram_fer.prediction.video",
    "build": "edram_fer.models",
    "export": "edram_fer.exporting.export",
    "list_models": "edram_fer.models",
    "list_recipes": "edram_fer.recipes.recipe",
    "list_weights": "edram_fer.weights",
    "load": "edram_fer.run.checkpoints",
    "load_exported": "edram_fer.runtime",
    "predict": "edram_fer.prediction.predictor",
}
_WITHOUT_KERAS = ("Predictor", "camera", "list_weights", "load_exported", "predict")


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in _WITHOUT_KERAS:
        from edram_fer import startup

        startup.load_keras()  # without TensorFlow's startup messages
    function: object = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = function
    return function


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
