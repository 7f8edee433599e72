"""Run a model over many images, such as a split of a data set or the faces in new photos."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edram_fer.errors import UserError
from edram_fer.preprocessing.records import UNKNOWN_AFFECT
from edram_fer.run import layout

if TYPE_CHECKING:  # an exported model runs without Keras
    from edram_fer.models import FERModel
    from edram_fer.runtime import ExportedModel

OUTPUTS = ("emotion", "affect", "windows", "weights", "emitted")


class NonFiniteOutput(UserError):
    """An output of a model is nan or infinite; `rows` int [m] are the indices of these images."""

    def __init__(self, message: str, rows: np.ndarray) -> None:
        super().__init__(message)
        self.rows = rows

    def message_for(self, ids: np.ndarray, split: str) -> str:
        """The message with the names of the first such images, from the `ids` [n] of all images."""
        names = list(dict.fromkeys(str(name) for name in ids[self.rows]))
        return f"image {', '.join(names[:3])}{', ...' if len(names) > 3 else ''} of {split}: {self}"


def inputs(model: "FERModel | ExportedModel", features: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The features of a split that a model needs: "image" and, for some models, "landmarks".

    Raises:
        UserError: the data set lacks a feature that the model needs.
    """
    needed = model.input_shapes()
    if missing := [name for name in needed if name not in features]:
        raise UserError(
            f"the model needs {', '.join(missing)}, which the data set does not have; "
            f"`prepare ... --landmarks` finds them in photos"
        )
    return {name: features[name] for name in needed}


def predict(
    model: "FERModel | ExportedModel",
    images: np.ndarray,
    batch_size: int = 128,
    *,
    windows: np.ndarray | None = None,
    emitted: np.ndarray | None = None,
    landmarks: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Run a model over images.

    Args:
        model: maps {"image"} to the outputs that all models share.
        images: uint8 [n, H, W, C], or float in [0, 1].
        batch_size: images per batch.
        windows: optional [n, N, 2, 3], used instead of the model's own windows (by all models but the baseline).
        emitted: optional [n, N, 2, 3], the input of an EDRAM's where-path together with `windows`; None: the windows.
        landmarks: [n, 68, 2] in pixels, for a model that positions its crops by them.

    Returns:
        float32 arrays "probabilities" [n, T, K], calibrated if the model is (`FERModel.calibration`), "windows"
        [n, N, 2, 3], "weights" [n, N]; also "affect" [n, T, 2] for a model with an affect head, and "emitted"
        [n, N + 1, 2, 3] for an EDRAM.

    Raises:
        UserError: the images do not have the model's size.
        NonFiniteOutput: an output is nan or infinite.
    """
    _check_size(model, images)
    size = min(batch_size, len(images))
    optional = {"windows": windows, "emitted": emitted, "landmarks": landmarks}
    further = {name: np.asarray(values, np.float32) for name, values in optional.items() if values is not None}
    white = 255 if images.dtype == np.uint8 else 1
    parts = []
    for start in range(0, len(images), size):
        # The last batch starts earlier, so that all batches have one size and the model is compiled once.
        begin = min(start, len(images) - size)
        batch = {"image": np.asarray(images[begin : begin + size], np.float32) / white}
        batch |= {name: values[begin : begin + size] for name, values in further.items()}
        outputs = model.predict_on_batch(batch)
        names = [name for name in OUTPUTS if name in outputs]
        parts.append({name: np.asarray(outputs[name]).astype(np.float32)[start - begin :] for name in names})
    predictions = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    _check_finite(predictions)
    if "affect" in predictions and (predictions["affect"] == UNKNOWN_AFFECT).all():  # the model has no affect head
        del predictions["affect"]
    predictions["probabilities"] = probabilities(predictions.pop("emotion"), getattr(model, "temperature", (1.0,)))
    return predictions


def probabilities(logits: np.ndarray, temperature: Sequence[float] = (1.0,)) -> np.ndarray:
    """Softmax of logits [n, T, K] divided by a temperature, or by one for each step: float32 [n, T, K].

    >>> probabilities(np.array([[[0.0, np.log(9)]]]), (2.0,)).round(3).tolist()
    [[[0.25, 0.75]]]
    """
    scaled = logits.astype(np.float64) / np.reshape(temperature, (-1, 1))
    values = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return (values / values.sum(axis=-1, keepdims=True)).astype(np.float32)


def describe_calibration(calibration: Mapping[str, Any] | None) -> str:
    """One sentence on `FERModel.calibration`, for people who read probabilities.

    >>> describe_calibration(None)
    'Probabilities are not calibrated.'
    >>> describe_calibration({"temperature": [1.5], "images": 3589, "split": "validation", "data": "fer2013"})
    'Probabilities are calibrated (temperature 1.50, fitted to 3,589 images of validation of fer2013).'
    """
    if calibration is None:
        return "Probabilities are not calibrated."
    temperature = calibration["temperature"]
    last = temperature[-1] if isinstance(temperature, list) else temperature
    fitted = (f"{calibration['images']:,} images" if "images" in calibration else "", calibration.get("split"))
    places = " of ".join(str(part) for part in (*fitted, calibration.get("data")) if part)
    return f"Probabilities are calibrated (temperature {last:.2f}{', fitted to ' + places if places else ''})."


def class_names(model: "FERModel | ExportedModel") -> tuple[str, ...]:
    """The names of a model's classes, in order.

    Raises:
        UserError: it has none.
    """
    if model.emotions is None:
        raise UserError("model: it has no class names; set model.emotions to one for each class, in order")
    return model.emotions


def load_labelled(
    run: str | Path,
    model: "FERModel | ExportedModel",
    split: str,
    *,
    data: str | None = None,
    data_dir: str | Path | None = None,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The images of a split whose emotion is among a model's classes.

    Args:
        run, split, data, data_dir: see `evaluate`.
        model: as returned by `edram_fer.load`.

    Returns:
        (features of `edram_fer.data.load_split`, labels int [n] in the order of `model.emotions`).

    Raises:
        UserError: there is no such image, or the model has no class names.
    """
    source, data_dir = layout.run_data(run, data, data_dir)
    return labelled(model, source, split, data_dir)


def labelled(
    model: "FERModel | ExportedModel", source: str, split: str, data_dir: str | Path | None = None
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """As `load_labelled` for a data set: a source that `edram_fer.data` reads."""
    from edram_fer import data as prepared  # imports Keras

    classes = class_names(model)
    features = prepared.load_split(source, split, data_dir=data_dir)
    names = prepared.emotions(source, data_dir=data_dir)
    class_of_label = [classes.index(name) if name in classes else -1 for name in names]
    labels = np.array([class_of_label[label] if label >= 0 else -1 for label in features["emotion"]], int)
    has_class = labels >= 0
    if not has_class.any():
        raise UserError(f"split {split}: no image has an emotion that the model knows ({', '.join(classes)})")
    return {name: values[has_class] for name, values in features.items()}, labels[has_class]


def _check_size(model: Any, images: np.ndarray) -> None:
    if images.ndim != 4 or not len(images):
        raise UserError(f"images must be [n > 0, H, W, C], not {list(images.shape)}")
    expected = model.input_shapes()["image"][1:]
    if any(side not in (None, size) for side, size in zip(expected, images.shape[1:], strict=True)):
        raise UserError(f"the model takes images of H x W x C = {expected}, these have {images.shape[1:]}")


def _check_finite(predictions: Mapping[str, np.ndarray]) -> None:
    for name, values in predictions.items():
        not_finite = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
        if not_finite.any():
            message = f"the model's output `{name}` is not finite for {not_finite.sum()} of {len(values)} images"
            raise NonFiniteOutput(message, np.flatnonzero(not_finite))
