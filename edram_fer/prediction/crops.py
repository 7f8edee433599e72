"""Crop the faces of an image in the same way as the model's training faces."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edram_fer.errors import MissingFileError, MissingPackageError, UserError, as_status
from edram_fer.prediction.images import InputImage, Single, decode
from edram_fer.preprocessing import crop, detection, faces
from edram_fer.preprocessing.face_settings import NONE, FaceSettings
from edram_fer.preprocessing.records import OK, FaceRecord

if TYPE_CHECKING:  # an exported model runs without Keras
    from edram_fer.models import FERModel
    from edram_fer.runtime import ExportedModel

DEFAULT_DETECTORS = ("yunet",)
DETECTOR_SIZE, COARSE_SIZE = 1280, 320  # pixels: small faces in large photos, and faces that fill a photo
# Of the photos in the tests, YuNet finds faces with scores from 0.86 and a dog with 0.77; of 24 faces with a side of 75
# pixels in a photo of 12 megapixels, the lowest has 0.80.
MIN_SCORE = 0.78
LONGEST = {"yunet": DETECTOR_SIZE, "ssd": 600, "dlib": detection.Dlib.longest, NONE: 0}  # pixels that are needed


@dataclasses.dataclass(frozen=True)
class Crop:
    """A face, or the reason why there is none.

    Attributes:
        row: "source", "frame", "time", "face" (number in its image, from 1), "box" (left, top, width, height) of the
            part of the image that the model sees, in pixels, "detector", "score", "rotation", "status" (OK, "no_face",
            or why the image or the face cannot be used).
        pixels: [H, W, C] of the model's shape, uint8 or float32 in [0, 1]; None without a face.
        landmarks: float32 [68, 2] in pixels of the face, for a model that needs them; otherwise None.
        image_size: (H, W) of the image; () if it could not be decoded.
    """

    row: dict[str, Any]
    pixels: np.ndarray | None = None
    landmarks: np.ndarray | None = None
    image_size: tuple[int, ...] = ()


class FaceCropper:
    """Crops the faces of images in the same way as the faces that a model was trained on. Threads can share it.

    An image that has exactly the model's size is treated as a finished face: it is not detected, cropped or equalised
    again. In other images, faces are detected and cropped with the margin and the contrast equalisation of
    `model.preprocessing`; a model trained on published crops (FER2013) has neither. Photos may be smaller than those
    of the training data. A model trained on aligned faces gets aligned faces; "box" is the square before.

    Args:
        model: its input shape and `preprocessing` are used.
        detectors: tried in turn, see `edram_fer.preprocessing.face_settings.FaceSettings`; ("none",): the whole image
            is the face. None: DEFAULT_DETECTORS, and images of the model's size are finished faces.
        choice: which of several faces to use: "all", from left to right, the "largest", the "surest", or the one
            nearest to the "centre".
        clahe: clip limit of the contrast equalisation, 0 for none; None: as in training.
        detector_size: longer side of YuNet's input image in pixels; a second one of COARSE_SIZE finds large faces.
        min_score: least score of YuNet and SSD, in [0, 1].
        rotate: turn a photo by 90, 180 or 270 degrees if its faces are upright then.

    Raises:
        UserError: a setting is invalid.
    """

    def __init__(
        self,
        model: "FERModel | ExportedModel",
        detectors: Sequence[str] | None = None,
        choice: str = "all",
        clahe: float | None = None,
        detector_size: int = DETECTOR_SIZE,
        min_score: float = MIN_SCORE,
        rotate: bool = False,
    ) -> None:
        self.height, self.width, self.channels = model.image_shape
        self.needs_landmarks = "landmarks" in model.input_shapes()
        self.detect_all = detectors is not None
        self.clahe = clahe
        self.rotate = rotate
        names = {field.name for field in dataclasses.fields(FaceSettings)}
        trained = {"clahe": 0, "chin": False} if model.preprocessing is None else dict(model.preprocessing)
        tried = DEFAULT_DETECTORS if detectors is None else tuple(detectors)
        if tried != tuple(trained.get("detectors", ())):
            trained.pop("retry", None)  # it may hold one value for each detector
        changes = {
            "size": self.height,
            "colour": self.channels == 3,
            "detectors": tried,
            "annotated": True,
            "detector_size": detector_size,
            "coarse_size": COARSE_SIZE,
            "min_score": min_score,
            "faces": choice,
            "smallest_photo": 0,
            "check": None,
            "landmarks": self.needs_landmarks or trained.get("landmarks", False),
        }
        changes |= {} if clahe is None else {"clahe": clahe}
        self.settings = FaceSettings(**{name: trained[name] for name in trained if name in names} | changes)
        self.least = max(self.height, *(LONGEST.get(name, 0) for name in tried), detector_size)

    def __call__(self, single: Single) -> list[Crop]:
        """The faces of an image; if there is none, a Crop whose row gives the reason, whatever it is.

        A large JPEG is first decoded at a reduced size, and again at a larger one if a face would be smaller than the
        model's images.

        Raises:
            MissingFileError, MissingPackageError: a detector is not installed.
        """
        image = decode(single, self.least)
        try:
            crops = list(self._crops(image))
            sides = [face.row["box"][2] for face in crops if face.pixels is not None]
            if image.reduction > 1 and sides and min(sides) < self.height * image.reduction:
                longest = max(crops[0].image_size) * image.reduction
                larger = decode(single, math.ceil(longest * self.height / min(sides)))
                if larger.pixels is not None:  # it may be too large at its full size
                    crops = list(self._crops(larger))
            return crops
        except (MissingFileError, MissingPackageError):
            raise
        except Exception as error:  # one image must not stop all others
            return [Crop(_empty_row(image) | {"status": as_status(error)})]

    def _crops(self, image: InputImage) -> Iterator[Crop]:
        row = _empty_row(image)
        if image.pixels is None:
            yield Crop(row | {"status": image.fault})
        elif not self.detect_all and image.pixels.shape[:2] == (self.height, self.width):
            yield self._finished_face(image.pixels, row)
        else:
            yield from self._cut(image.pixels, image.reduction, row)

    def _finished_face(self, pixels: np.ndarray, row: dict[str, Any]) -> Crop:
        row |= {"face": 1, "box": (0, 0, self.width, self.height), "detector": NONE, "status": OK}
        landmarks = None
        if self.needs_landmarks:
            box = (0, 0, self.width, self.height)
            landmarks = detection.landmarks(_rgb(_uint8(pixels)), box, folder=self.settings.folder)
        if self.clahe is not None:
            pixels = crop.equalise(_uint8(pixels), self.clahe)
        pixels = crop.grey(pixels) if self.channels == 1 else _rgb(pixels)
        return Crop(row, pixels.reshape(self.height, self.width, self.channels), landmarks)

    def _cut(self, pixels: np.ndarray, reduction: int, row: dict[str, Any]) -> Iterator[Crop]:
        if self.height != self.width:
            raise UserError(
                f"the model takes images of {self.width}x{self.height} pixels, and this one has another size: faces "
                f"are cut as squares"
            )
        pixels, size = _rgb(_uint8(pixels)), (len(pixels), pixels.shape[1])
        if self.rotate and self.settings.detectors != (NONE,):
            detector = self.settings.detector(self.settings.detectors[0])
            row["rotation"] = detection.quarter_turn(pixels, detector)
            pixels = np.ascontiguousarray(np.rot90(pixels, -row["rotation"] // 90))
        name = str(row["source"])
        record = FaceRecord(name, name, name, split="", status="no label is asked for")
        for number, face in enumerate(faces.cropped_faces(pixels, record, self.settings), 1):
            if face["status"] != OK:
                yield Crop(row | {"status": face["status"]}, image_size=size)
                continue
            box = [side * reduction for side in crop.turn_back(face["square"], size, row["rotation"])]
            columns = {"face": number, "box": (*box, box[2])}
            columns |= {"detector": face["detector"], "score": face["score"], "status": OK}
            landmarks = None
            if self.needs_landmarks:
                landmarks = np.asarray(face["landmarks"], np.float32).reshape(68, 2)
            face_pixels = face["pixels"].reshape(self.height, self.width, self.channels)
            yield Crop(row | columns, face_pixels, landmarks, size)


def _empty_row(image: InputImage) -> dict[str, Any]:
    row = {"source": image.source, "frame": image.frame, "time": image.time, "rotation": 0}
    return row | dict.fromkeys(("face", "box", "detector", "score"))


def _uint8(pixels: np.ndarray) -> np.ndarray:
    return pixels if pixels.dtype == np.uint8 else (pixels * 255).round().astype(np.uint8)


def _rgb(pixels: np.ndarray) -> np.ndarray:
    return np.repeat(pixels[..., None], 3, axis=-1) if pixels.ndim == 2 else pixels
