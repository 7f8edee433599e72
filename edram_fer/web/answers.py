"""The answers of one model as JSON: the faces of an image, and one face again with other pixels or other windows."""

import base64
import dataclasses
import io
import threading
from typing import Any

import cv2
import keras
import numpy as np
from PIL import Image

from edram_fer.errors import UserError
from edram_fer.evaluation import inference
from edram_fer.models import FERModel
from edram_fer.prediction.crops import Crop, FaceCropper
from edram_fer.prediction.images import InputImage
from edram_fer.preprocessing import photos
from edram_fer.preprocessing.records import OK

WHOLE_IMAGE = ("none",)  # detectors: the whole image is the face
FURTHEST = 4.0  # largest number in a window that is set by hand; the image ends at 1


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a user changes in the way a model looks.

    Attributes:
        glimpses: number of glimpses after which the model answers; None: all.
        zoom_limit: in (0, 1], the largest share of the face's side that a glimpse covers; None: the model's own limit.
        windows: [N, 2, 3], used instead of the model's own; None: its own.

    Raises:
        UserError: a setting is out of range.
    """

    glimpses: int | None = None
    zoom_limit: float | None = None
    windows: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.glimpses is not None and self.glimpses < 1:
            raise UserError(f"glimpses: expected a whole number of at least 1, got {self.glimpses}")
        if self.zoom_limit is not None and not 0 < self.zoom_limit <= 1:
            raise UserError(f"zoom_limit: expected a number in (0, 1], got {self.zoom_limit:g}")


class Analyst:
    """One model, ready to answer. Threads can share it; the model itself answers one of them at a time.

    Args:
        name: what the page calls it.
        model: a trained model with class names.

    Raises:
        UserError: the model has no class names.
    """

    def __init__(self, name: str, model: FERModel) -> None:
        self.name, self.model = name, model
        self.classes = inference.class_names(model)
        self._cropper = FaceCropper(model)
        self._whole = FaceCropper(model, detectors=WHOLE_IMAGE)
        self._lock = threading.Lock()
        self.steps = int(model.output_shapes["emotion"][1])
        self.windows = int(model.output_shapes["windows"][1])
        self.is_recurrent = "emitted" in model.output_shapes
        self.needs_landmarks = "landmarks" in model.input_shapes()
        self.takes_windows = _takes_windows(model)

    def describe(self) -> dict[str, Any]:
        """Name, class names, image size, numbers of steps and windows, and what can be changed."""
        height, width, channels = self.model.image_shape
        return {
            "name": self.name,
            "classes": list(self.classes),
            "height": height,
            "width": width,
            "channels": channels,
            "steps": self.steps,
            "windows": self.windows,
            "takes_windows": self.takes_windows,
            "recurrent": self.is_recurrent,
            "affect": self.model.predicts_affect,
            "calibrated": self.model.calibration is not None,
        }

    def warm_up(self) -> None:
        """Compile the model for one face, so that the first visitor does not wait for it."""
        face = np.zeros((1, *self.model.image_shape), np.uint8)
        landmarks = np.zeros((1, 68, 2), np.float32) if self.needs_landmarks else None
        outputs = self._run(face, landmarks)
        if self.takes_windows:
            self._run(face, landmarks, outputs["windows"])

    def image(self, image: InputImage, settings: Settings, *, whole: bool = False) -> dict[str, Any]:
        """The faces of an image, from left to right.

        Args:
            image: decoded, or with a fault.
            settings: as for `face`.
            whole: whether the whole image is the face.

        Returns:
            "model", "status" ("ok", "no_face" or why the image cannot be used) and "faces", a list of what `face`
            returns and "box" (left, top, width, height in pixels of the image), "detector" and "score".
        """
        crops = (self._whole if whole else self._cropper)(image)
        usable = [crop for crop in crops if crop.pixels is not None]
        rows = [{name: crop.row[name] for name in ("box", "detector", "score")} for crop in usable]
        return {
            "model": self.name,
            "status": OK if usable else str(crops[0].row["status"]),
            "faces": [row | self._crop(crop, settings) for row, crop in zip(rows, usable, strict=True)],
        }

    def face(self, face: np.ndarray, settings: Settings, landmarks: np.ndarray | None = None) -> dict[str, Any]:
        """The answer for one face.

        Args:
            face: uint8 [H, W, C] of the model's size.
            settings: changes in the way the model looks.
            landmarks: [68, 2] in pixels, for a model that needs them.

        Returns:
            "emotion" and "confidence" after the last step, "steps" [T][K] (probabilities after each of the glimpses),
            "windows" [N][2][3], "weights" [N], and "affect" [T][2] if the model predicts it.

        Raises:
            UserError: the windows or landmarks do not fit the model.
        """
        outputs = self._look(face[None], settings, None if landmarks is None else landmarks[None])
        count = min(settings.glimpses or self.steps, self.steps)
        seen = count if self.is_recurrent else None
        steps = outputs["probabilities"][0, :count]
        answer = {
            "emotion": self.classes[int(steps[-1].argmax())],
            "confidence": float(steps[-1].max()),
            "steps": steps.tolist(),
            "windows": outputs["windows"][0, :seen].tolist(),
            "weights": outputs["weights"][0, :seen].tolist(),
        }
        return answer | ({"affect": outputs["affect"][0, :count].tolist()} if "affect" in outputs else {})

    def decode(self, data: bytes) -> np.ndarray:
        """The pixels of an image file that shows a face at the model's size.

        Raises:
            UserError: not a PNG or JPEG file, or another size.
        """
        height, width, channels = self.model.image_shape
        size = image_size(data)
        if size != (width, height):
            got = "another kind of file" if size is None else f"one of {size[0]}x{size[1]}"
            raise UserError(f"face: expected a PNG or JPEG image of {width}x{height} pixels, got {got}")
        flag = cv2.IMREAD_COLOR_RGB if channels == 3 else cv2.IMREAD_GRAYSCALE
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
        if pixels is None:
            raise UserError("face: the image is damaged")
        return pixels.reshape(height, width, channels)

    def _crop(self, crop: Crop, settings: Settings) -> dict[str, Any]:
        pixels = np.asarray(crop.pixels)
        if pixels.dtype != np.uint8:
            pixels = (pixels * 255).round().astype(np.uint8)
        answer = self.face(pixels, settings, crop.landmarks)
        if crop.landmarks is not None:
            answer["landmarks"] = crop.landmarks.tolist()
        return answer | {"crop": data_url(pixels, ".png")}

    def _look(self, face: np.ndarray, settings: Settings, landmarks: np.ndarray | None) -> dict[str, np.ndarray]:
        """The model's outputs for one face [1, H, W, C], with the windows that the settings ask for."""
        if settings.windows is not None:
            return self._run(face, landmarks, self._checked(settings.windows)[None])
        outputs = self._run(face, landmarks)
        if settings.zoom_limit is None or not self.takes_windows:
            return outputs
        if "emitted" not in outputs:
            return self._run(face, landmarks, restrict(outputs["windows"], settings.zoom_limit))
        # A window depends on the glimpses before it: with each pass, one more of them is final.
        previous = None
        for _ in range(self.steps):
            emitted = outputs["emitted"][:, :-1]
            if previous is not None and np.array_equal(emitted, previous):
                break
            outputs = self._run(face, landmarks, restrict(emitted, settings.zoom_limit), emitted)
            previous = emitted
        return outputs

    def _run(
        self,
        face: np.ndarray,
        landmarks: np.ndarray | None = None,
        windows: np.ndarray | None = None,
        emitted: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        if self.needs_landmarks and (landmarks is None or landmarks.shape != (1, 68, 2)):
            raise UserError(f"landmarks: {self.name} needs 68 points (x, y) in pixels of the face")
        if windows is not None and emitted is None and self.is_recurrent:
            emitted = windows  # the same set of inputs each time, so that the model is compiled once for it
        with self._lock:
            return inference.predict(self.model, face, 1, windows=windows, emitted=emitted, landmarks=landmarks)

    def _checked(self, windows: np.ndarray) -> np.ndarray:
        if not self.takes_windows:
            raise UserError(f"windows: {self.name} always sees the whole face")
        if windows.shape != (self.windows, 2, 3):
            raise UserError(f"windows: {self.name} takes [{self.windows}, 2, 3] numbers, got {list(windows.shape)}")
        if not (np.isfinite(windows) & (abs(windows) <= FURTHEST)).all():
            raise UserError(f"windows: expected numbers from -{FURTHEST:g} to {FURTHEST:g}")
        return windows.astype(np.float32)


def restrict(windows: np.ndarray, limit: float) -> np.ndarray:
    """Shrink windows about their centres until none covers more than a share of the side.

    Args:
        windows: [..., 2, 3].
        limit: the largest extent |a0| + |a1| and |a3| + |a4|, in (0, 1].

    Returns:
        [..., 2, 3].

    >>> restrict(np.array([[0.8, 0.2, 0.1], [0, 0.4, 0]]), 0.5).tolist()
    [[0.4, 0.1, 0.1], [0.0, 0.4, 0.0]]
    """
    extents = abs(windows[..., :2]).sum(axis=-1, keepdims=True)
    scale = limit / np.maximum(extents, limit)
    return np.concatenate([windows[..., :2] * scale, windows[..., 2:]], axis=-1)


def image_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) of a PNG or JPEG file from its header, without decoding it; None: another kind of file."""
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
            return image.size
    except (Image.DecompressionBombError, *photos.DAMAGE):
        return None


def data_url(pixels: np.ndarray, suffix: str) -> str:
    """An image uint8 [H, W, 1 or 3] as a data URL of PNG (".png") or JPEG (".jpg")."""
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.shape[-1] == 3 else pixels
    encoded = cv2.imencode(suffix, bgr)[1].tobytes()
    kind = "png" if suffix == ".png" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(encoded).decode()}"


def _takes_windows(model: FERModel) -> bool:
    """Whether a model uses windows that it is called with: whether it returns them."""
    count = int(model.output_shapes["windows"][1])
    window = np.array([[0.5, 0, 0.25], [0, 0.5, -0.25]], np.float32)
    windows = np.tile(window, (1, count, 1, 1))
    inputs = {"image": np.zeros((1, *model.image_shape), np.float32), "windows": windows}
    if "landmarks" in model.input_shapes():
        inputs["landmarks"] = np.zeros((1, 68, 2), np.float32)
    return np.allclose(keras.ops.convert_to_numpy(model(inputs)["windows"]), windows)
