"""Where a model is, without importing Keras to load it."""

from pathlib import Path

from edram_fer import weights
from edram_fer.errors import MissingFileError, UserError
from edram_fer.run import layout
from edram_fer.runtime.models import RUNTIMES

NEED_A_CARD = (".h5", ".hdf5")  # endings of models from elsewhere


def model_path(source: str | Path) -> Path:
    """The .keras file, the card or the exported file that `checkpoints.open_model` opens.

    Args:
        source: a run folder, a file, or the name of an included model; a path that exists comes before a name.

    Raises:
        MissingFileError: there is no such file.
        UserError: it is a file of another model, which needs a card, or the file of an included model is damaged.
    """
    path = Path(source) / layout.MODEL if Path(source).is_dir() else Path(source)
    if path.exists() and path.suffix.lower() in NEED_A_CARD:
        raise UserError(f"{path}: expected the card of this model, a YAML file, see docs/howto/foreign-models.md")
    if path.exists():
        return path
    for name in (layout.CARD, *layout.EXPORTED):
        if (Path(source) / name).exists():
            return Path(source) / name
    if str(source) in weights.list_weights():
        return weights.verify(str(source))
    raise MissingFileError(
        f"{path} is missing; expected a run folder with model.keras, a .keras file, the card of another model "
        f"(.yaml), an exported file (.onnx, .tflite), or one of the models that come with the package: "
        f"{', '.join(weights.list_weights())}"
    )


def is_exported(path: str | Path) -> bool:
    """Whether a path has the ending of an exported model."""
    return Path(path).suffix.lower() in RUNTIMES
