"""Where a model is, without importing Keras to load it."""

from pathlib import Path

from edram_fer import weights
from edram_fer.errors import MissingFileError, UserError
from edram_fer.run import layout

NEED_A_CARD = (".h5", ".hdf5", ".onnx", ".tflite")  # endings of models from elsewhere


def model_path(source: str | Path) -> Path:
    """The .keras file or the card that `edram_fer.load` reads.

    Args:
        source: see `edram_fer.load`.

    Raises:
        MissingFileError: there is no such file.
        UserError: it is a file of another model, which needs a card, or the file of an included model is damaged.
    """
    path = Path(source) / layout.MODEL if Path(source).is_dir() else Path(source)
    if path.exists() and path.suffix.lower() in NEED_A_CARD:
        raise UserError(
            f"{path}: expected the card of this model, a YAML file, see docs/howto/foreign-models.md; a file that "
            f"edram-fer exported is for `predict` and edram_fer.load_exported"
        )
    if path.exists():
        return path
    if (Path(source) / layout.CARD).exists():
        return Path(source) / layout.CARD
    if str(source) in weights.list_weights():
        return weights.verify(str(source))
    raise MissingFileError(
        f"{path} is missing; expected a run folder with model.keras, a .keras file, the card of another model "
        f"(.yaml), or one of the models that come with the package: {', '.join(weights.list_weights())}"
    )
