"""Where a model is, without importing Keras to load it."""

from pathlib import Path

from edram_fer import weights
from edram_fer.errors import MissingFileError
from edram_fer.run import layout


def model_path(source: str | Path) -> Path:
    """The file of a model: .keras, exported (.onnx, .tflite), or the card of a model from elsewhere.

    Args:
        source: a file, a run folder, or one of `edram_fer.list_weights()`; a path that exists comes before a name.

    Raises:
        MissingFileError: there is no such file.
        UserError: the file of an included model is damaged.
    """
    path = Path(source) / layout.MODEL if Path(source).is_dir() else Path(source)
    if path.exists():
        return path
    if (Path(source) / layout.CARD).exists():
        return Path(source) / layout.CARD
    if str(source) in weights.list_weights():
        return weights.verify(str(source))
    raise MissingFileError(
        f"{path} is missing; expected a run folder with model.keras, a .keras file, or one of the models that come "
        f"with the package: {', '.join(weights.list_weights())}"
    )
