"""The accuracy of an exported file beside that of its model, on labelled images."""

from pathlib import Path

import numpy as np

from edram_fer.evaluation import inference
from edram_fer.models import FERModel
from edram_fer.runtime import load_exported


def accuracies(
    model: FERModel, path: Path, data: str, *, split: str = "test", data_dir: Path | None = None
) -> tuple[float, float]:
    """Shares of correctly classified images, of the model and of the file that was exported from it.

    Args:
        model: the model.
        path: a .onnx or .tflite file.
        data: a prepared data set, or an .npz archive.
        split: of the data set.
        data_dir: folder of prepared data sets; None: the default one.

    Raises:
        MissingFileError, UserError: see `inference.labelled`.
    """
    features, labels = inference.labelled(model, data, split, data_dir)
    chosen = inference.inputs(model, features)
    shares = []
    for answering in (model, load_exported(path)):
        predictions = inference.predict(answering, np.asarray(chosen["image"]), landmarks=chosen.get("landmarks"))
        shares.append(float((predictions["probabilities"][:, -1].argmax(axis=-1) == labels).mean()))
    return shares[0], shares[1]
