"""From new images to a table: one row per face, with the prediction and the windows of the model."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from edram_fer.errors import UserError
from edram_fer.evaluation import inference
from edram_fer.models import FERModel
from edram_fer.prediction.crops import Crop, FaceCropper, check_detectors
from edram_fer.prediction.images import Item, decode, single_images
from edram_fer.run import checkpoints


def predict(
    model: FERModel | str | Path,
    images: Item | Iterable[Item],
    *,
    detectors: Sequence[str] | None = None,
    faces: str = "all",
    clahe: float | None = None,
    batch_size: int = 64,
) -> pd.DataFrame:
    """Predict the emotions of the faces in images.

    An image that has exactly the model's size is treated as a finished face crop. In other images, faces are detected
    and cropped in the same way as the faces that the model was trained on (`model.preprocessing`).

    Args:
        model: a trained model, or an argument of `edram_fer.load`: a run folder, a .keras file or the name of an
            included model.
        images: an array (one image [H, W] or [H, W, C], or a batch [B, H, W] or [B, H, W, C]; uint8 in 0 to 255 or
            floats in [0, 1]; grey or RGB), a Pillow image, the path of an image or of a folder (searched at any depth),
            or a list of these. Arrays in a list may differ in size; each is one image.
        detectors: tried in turn until one finds a face: "yunet", "ssd", "dlib"; ("none",): every whole image is a face,
            regardless of its size. None: ("yunet", "dlib"), except for finished face crops.
        faces: which of several faces to use: "all", from left to right, the "largest", the "surest", or the one nearest
            to the "centre".
        clahe: clip limit of the contrast equalisation, 0 for none. None: as in training, and none for finished crops.
        batch_size: faces per batch.

    Returns:
        One row for each face, and one for each image without a usable face. Columns:

        - source: path of the image, or its position among the arrays.
        - face: number of the face in its image, from 1; missing where there is none.
        - box: (left, top, width, height) of the part of the image that the model saw, in pixels.
        - detector, score: the detector that found the face, and its confidence.
        - status: "ok", "no_face", or why the image or the face cannot be used.
        - emotion, confidence: the most probable class and its probability, after the last glimpse.
        - one column for each class: its probability.
        - valence, arousal: in [-1, 1], if the model predicts them.
        - windows: array [N, 2, 3], where the model looked: each matrix maps the window's [-1, 1]^2 onto the box's.

    Raises:
        MissingFileError: a path, the model or the file of a detector does not exist.
        UserError: an array of an unsupported shape, dtype or range; an invalid setting; a model without class names, or
            a model whose output is not finite.

    >>> faces = np.full((2, 48, 48), 128, "uint8")
    >>> table = predict("fer2013-edram", faces)
    >>> table[["source", "face", "box", "detector", "status"]]
      source  face             box detector status
    0      0     1  (0, 0, 48, 48)     none     ok
    1      1     1  (0, 0, 48, 48)     none     ok
    >>> table.windows[0].shape
    (3, 2, 3)
    """
    items = single_images(images)
    if isinstance(model, (str, Path)):
        check_detectors(checkpoints.model_path(model), items, detectors)  # loading can take a minute
    loaded = _trained_model(model)
    cropper = FaceCropper(loaded, detectors, faces, clahe)
    crops = [crop for item in tqdm(items, desc="faces", disable=None) for crop in cropper(decode(item))]
    return _table(loaded, crops, _run(loaded, crops, batch_size))


def _trained_model(model: FERModel | str | Path) -> FERModel:
    if isinstance(model, (str, Path)):
        return checkpoints.load(model)
    if not isinstance(model, FERModel):
        raise UserError(f"model: expected a model of edram_fer or where to load it, got a {type(model).__name__}")
    inference.class_names(model)  # raises where there are none
    return model


def _run(model: FERModel, crops: Sequence[Crop], batch_size: int) -> dict[str, np.ndarray]:
    """The outputs of `inference.predict` for the crops that contain a face."""
    faces = [crop.pixels for crop in crops if crop.pixels is not None]
    landmarks = [crop.landmarks for crop in crops if crop.landmarks is not None]
    if not faces:
        return {}
    if any(face.dtype != np.uint8 for face in faces):
        faces = [face / np.float32(255) if face.dtype == np.uint8 else face for face in faces]
    try:
        return inference.predict(
            model, np.stack(faces), batch_size, landmarks=np.stack(landmarks) if landmarks else None
        )
    except inference.NonFiniteOutput as error:
        sources = np.array([str(crop.row["source"]) for crop in crops if crop.pixels is not None])
        raise UserError(error.message_for(sources, "the images")) from error


def _table(model: FERModel, crops: Sequence[Crop], outputs: dict[str, np.ndarray]) -> pd.DataFrame:
    classes, rows, number = inference.class_names(model), [], 0
    for crop in crops:
        row = dict(crop.row)
        if crop.pixels is not None:
            probabilities = outputs["probabilities"][number, -1]
            best = int(probabilities.argmax())
            row |= {"emotion": classes[best], "confidence": float(probabilities[best])}
            row |= dict(zip(classes, map(float, probabilities), strict=True))
            if "affect" in outputs:
                row |= dict(zip(("valence", "arousal"), map(float, outputs["affect"][number, -1]), strict=True))
            row["windows"] = outputs["windows"][number]
            number += 1
        rows.append(row)
    affect = ("valence", "arousal") if model.predicts_affect else ()
    columns: dict[str, Any] = dict.fromkeys(("source", "face", "box", "detector", "score", "status"))
    columns |= dict.fromkeys(("emotion", "confidence", *classes, *affect, "windows"))
    table = pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype=object) for name in columns})
    numbers = ["score", "confidence", *classes, *affect]
    return table.astype({"face": "Int64", **dict.fromkeys(numbers, "float64")})
