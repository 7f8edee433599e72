"""Crop the faces of an image in the same way as the model's training faces."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np

from edram_fer import keras_file
from edram_fer.errors import UserError
from edram_fer.models import FERModel
from edram_fer.prediction.images import InputImage, decode
from edram_fer.preprocessing import crop, detection, faces
from edram_fer.preprocessing.records import OK, FaceRecord

DEFAULT_DETECTORS = ("yunet", "dlib")


@dataclasses.dataclass(frozen=True)
class Crop:
    """A face, or the reason why there is none.

    Attributes:
        row: "source", "face" (number in its image, from 1), "box" (left, top, width, height) of the part of the image
            that the model sees, in pixels, "detector", "score", "status" (OK, "no_face", or why the image or the face
            cannot be used).
        pixels: [H, W, C] of the model's shape, uint8 or float32 in [0, 1]; None without a face.
        landmarks: float32 [68, 2] in pixels of the face, for a model that needs them; otherwise None.
    """

    row: dict[str, Any]
    pixels: np.ndarray | None = None
    landmarks: np.ndarray | None = None


class FaceCropper:
    """Crops the faces of images in the same way as the faces that a model was trained on.

    An image that has exactly the model's size is treated as a finished face: it is not detected, cropped or equalised
    again. In other images, faces are detected and cropped with the margin and the contrast equalisation of
    `model.preprocessing`; a model trained on published crops (FER2013) has neither. Photos may be smaller than those
    of the training data.

    Args:
        model: its input shape and `preprocessing` are used.
        detectors: tried in turn, see `edram_fer.preprocessing.faces.Settings`; ("none",): the whole image is the face.
            None: DEFAULT_DETECTORS, and images of the model's size are finished faces.
        choice: which of several faces to use: "all", from left to right, the "largest", the "surest", or the one
            nearest to the "centre".
        clahe: clip limit of the contrast equalisation, 0 for none; None: as in training.

    Raises:
        UserError: a setting is invalid.
    """

    def __init__(
        self,
        model: FERModel,
        detectors: Sequence[str] | None = None,
        choice: str = "all",
        clahe: float | None = None,
    ) -> None:
        self.height, self.width, self.channels = model.image_shape
        self.needs_landmarks = "landmarks" in model.input_shapes()
        self.detect_all = detectors is not None
        self.clahe = clahe
        self.detectors_checked = False
        names = {field.name for field in dataclasses.fields(faces.Settings)}
        trained = {"clahe": 0, "chin": False} if model.preprocessing is None else dict(model.preprocessing)
        tried = DEFAULT_DETECTORS if detectors is None else tuple(detectors)
        if tried != tuple(trained.get("detectors", ())):
            trained.pop("retry", None)  # it may hold one value for each detector
        changes = {
            "size": self.height,
            "colour": self.channels == 3,
            "detectors": tried,
            "annotated": True,
            "faces": choice,
            "smallest_photo": 0,
            "check": None,
            "landmarks": self.needs_landmarks or trained.get("landmarks", False),
        }
        changes |= {} if clahe is None else {"clahe": clahe}
        self.settings = faces.Settings(**{name: trained[name] for name in trained if name in names} | changes)

    def __call__(self, image: InputImage) -> Iterator[Crop]:
        """The faces of an image; if there is none, a Crop whose row gives the reason.

        Raises:
            MissingFileError: the file of a detector is missing.
            UserError: the model's images are not square, and this image has a different size.
        """
        row: dict[str, Any] = {"source": image.source, "face": None, "box": None, "detector": None, "score": None}
        if image.pixels is None:
            yield Crop(row | {"status": image.fault})
        elif not self.detect_all and image.pixels.shape[:2] == (self.height, self.width):
            yield self._finished_face(image.pixels, row)
        else:
            yield from self._cut(image.pixels, row)

    def _finished_face(self, pixels: np.ndarray, row: dict[str, Any]) -> Crop:
        row |= {"face": 1, "box": (0, 0, self.width, self.height), "detector": faces.NONE, "status": OK}
        landmarks = None
        if self.needs_landmarks:
            box = (0, 0, self.width, self.height)
            landmarks = detection.landmarks(_rgb(_uint8(pixels)), box, folder=self.settings.folder)
        if self.clahe is not None:
            pixels = crop.equalise(_uint8(pixels), self.clahe)
        pixels = crop.grey(pixels) if self.channels == 1 else _rgb(pixels)
        return Crop(row, pixels.reshape(self.height, self.width, self.channels), landmarks)

    def _cut(self, pixels: np.ndarray, row: dict[str, Any]) -> Iterator[Crop]:
        if self.height != self.width:
            raise UserError(
                f"the model takes images of {self.width}x{self.height} pixels, and {row['source']} has another size: "
                f"faces are cut as squares"
            )
        if not self.detectors_checked:  # report a missing file before the first image
            faces.check_detectors(self.settings)
            self.detectors_checked = True
        name = str(row["source"])
        record = FaceRecord(name, name, name, split="", status="no label is asked for", pixels=_uint8(pixels))
        for number, face in enumerate(faces.photo_rows(record, Path(), self.settings), 1):
            if face["status"] != OK:
                yield Crop(row | {"status": face["status"]})
                continue
            left, top, side = face["square"]
            columns = {"face": number, "box": (left, top, side, side)}
            columns |= {"detector": face["detector"], "score": face["score"], "status": OK}
            landmarks = None
            if self.needs_landmarks:
                landmarks = np.asarray(face["landmarks"], np.float32).reshape(68, 2)
            yield Crop(row | columns, self._decode(face["face"]), landmarks)

    def _decode(self, png: bytes) -> np.ndarray:
        flag = cv2.IMREAD_COLOR_RGB if self.channels == 3 else cv2.IMREAD_GRAYSCALE
        pixels = np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), flag))
        return pixels.reshape(self.height, self.width, self.channels)


def check_detectors(
    model_file: Path, items: Iterable[Path | tuple[int, Any]], detectors: Sequence[str] | None = None
) -> None:
    """Check that the detectors of a FaceCropper are installed, without loading its model.

    Args:
        model_file: the .keras file.
        items: images, from `single_images`.
        detectors: as for FaceCropper. None: they are not needed where every image is a finished face.

    Raises:
        MissingFileError, MissingPackageError: a detector is not installed.
        UserError: an unknown detector, or the .keras file is damaged.
    """
    if detectors is None:
        config = keras_file.read(model_file)[keras_file.CONFIG].get("config", {})
        size = keras.saving.deserialize_keras_object(config.get("image_size", []))
        images = (decode(item).pixels for item in items)
        if all(pixels is None or pixels.shape[:2] == tuple(size) for pixels in images):
            return
    faces.check_detectors(faces.Settings(detectors=DEFAULT_DETECTORS if detectors is None else tuple(detectors)))


def _uint8(pixels: np.ndarray) -> np.ndarray:
    return pixels if pixels.dtype == np.uint8 else (pixels * 255).round().astype(np.uint8)


def _rgb(pixels: np.ndarray) -> np.ndarray:
    return np.repeat(pixels[..., None], 3, axis=-1) if pixels.ndim == 2 else pixels
