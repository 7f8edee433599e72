"""A trained model applied to images of any kind: the rows of their faces, in order, as they become ready."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm.auto import tqdm

from edram_fer import startup
from edram_fer.errors import UserError
from edram_fer.evaluation import inference
from edram_fer.exporting import once
from edram_fer.prediction import crops
from edram_fer.prediction.crops import Crop, FaceCropper
from edram_fer.prediction.images import Images, Item, Single, single_images
from edram_fer.prediction.parallel import ordered_map
from edram_fer.prediction.tracks import FaceTracks
from edram_fer.prediction.video import Every, Frame
from edram_fer.preprocessing import cores
from edram_fer.preprocessing.detection import NO_FACE
from edram_fer.preprocessing.face_settings import FaceSettings
from edram_fer.preprocessing.faces import check_detectors
from edram_fer.runtime import ExportedModel

if TYPE_CHECKING:  # the command needs no pandas, an exported model no Keras
    import pandas as pd

    from edram_fer.models import FERModel

FACE_SIZED = 256  # pixels: longer side of an image that probably is a face crop


@dataclasses.dataclass(frozen=True)
class Batch:
    """The rows of some consecutive images.

    Attributes:
        images: number of images.
        rows: one dict for each face, and one for each image without a usable face; the keys are `Predictor.columns`.
        face_sized: number of images without a detected face that are as small as a face crop.
    """

    images: int
    rows: list[dict[str, Any]]
    face_sized: int


class Predictor:
    """Predicts the emotions of the faces in images. The model is loaded once and compiled for few batch sizes.

    An image that has exactly the model's size is treated as a finished face crop. In other images, faces are detected
    and cropped in the same way as the faces that the model was trained on (`model.preprocessing`).

    A prediction is a guess about an expression, not about a feeling.

    Args:
        model: a trained model, or an argument of `edram_fer.load`: a run folder, a .keras file or the name of an
            included model; or an exported model or its file (.onnx, .tflite), which run without Keras.
        detectors: one, or several that are tried in turn until one finds a face: "yunet", "ssd", "dlib"; "none": every
            whole image is a face, regardless of its size. None: "yunet", except for finished face crops.
        faces: which of several faces to use: "all", from left to right, the "largest", the "surest", or the one nearest
            to the "centre".
        clahe: clip limit of the contrast equalisation, 0 for none. None: as in training, and none for finished crops.
        detector_size: longer side of YuNet's input image in pixels; faces below a thirtieth of it are missed. Large
            faces are also searched for in a smaller image.
        min_score: least score of a face from YuNet or SSD, in [0, 1].
        rotate: also try each photo turned by 90, 180 and 270 degrees, for photos without EXIF orientation.
        every: which frames of films to use: each so many (5), or one in so many seconds ("0.5s").
        steps: whether rows have the probabilities after each step.
        runtime: "onnx": a model that is named by its path or name runs in ONNX Runtime, without Keras and TensorFlow,
            with less than half of the memory; if no model of its architecture is included, the first one is exported to
            ONNX, once, and its graph kept in the cache of the user. "keras". "auto": "onnx" if ONNX Runtime is
            installed and nothing has to be exported.
        batch_size: faces per batch of the model; also the number of images after which rows are ready at the latest.
        workers: threads that decode images and detect faces beside the model; None: one per core; 1: none, and no image
            is read ahead, as for a camera.

    Raises:
        MissingFileError: the model, or the file of a detector in `detectors`, does not exist.
        UserError: an invalid setting, or a model without class names.

    >>> predictor = Predictor("fer2013-edram")
    >>> for row in predictor.stream(["face.png", "missing.png"]):
    ...     print(row["source"], row["status"])
    face.png ok
    missing.png cannot be read: No such file or directory
    """

    def __init__(
        self,
        model: "FERModel | ExportedModel | str | Path",
        *,
        detectors: str | Sequence[str] | None = None,
        faces: str = "all",
        clahe: float | None = None,
        detector_size: int = crops.DETECTOR_SIZE,
        min_score: float = crops.MIN_SCORE,
        rotate: bool = False,
        every: int | str = 1,
        steps: bool = False,
        runtime: str = "auto",
        batch_size: int = 64,
        workers: int | None = None,
    ) -> None:
        for name, value in {"batch_size": batch_size, "workers": workers}.items():
            if value is not None and (not isinstance(value, int) or value < 1):
                raise UserError(f"{name}: expected a whole number of at least 1, got {value!r}")
        detectors = (detectors,) if isinstance(detectors, str) else detectors
        if detectors is not None:  # loading a model can take a minute
            check_detectors(FaceSettings(detectors=tuple(detectors)))
        self.model = _trained_model(model, runtime)
        self.classes = inference.class_names(self.model)
        self.cropper = FaceCropper(self.model, detectors, faces, clahe, detector_size, min_score, rotate)
        self.every = Every.parse(every)
        self.steps = steps
        self.batch_size = batch_size
        self.workers = workers or cores.available_cores()
        self.columns = (
            *(
                "source",
                "frame",
                "time",
                "face",
                "track",
                "box",
                "detector",
                "score",
                "status",
                "emotion",
                "confidence",
            ),
            *self.classes,
            *(("valence", "arousal") if self.model.predicts_affect else ()),
            *("windows", *(("step_probabilities",) if steps else ()), *(("rotation",) if rotate else ())),
        )

    def __call__(self, images: Item | Iterable[Item]) -> "pd.DataFrame":
        """Predict the emotions of the faces in images.

        Args:
            images: an array (one image [H, W] or [H, W, C], or a batch [B, H, W] or [B, H, W, C]; uint8 in 0 to 255 or
                floats in [0, 1]; grey, RGB or RGBA), a Pillow image, the path of an image, a pattern ("*.jpg"), a
                folder (searched at any depth), a film, or an iterable of these, such as a list, a generator or a
                `camera`. Arrays in a list may differ in size; each is one image.

        Returns:
            One row for each face, and one for each image without a usable face. Columns:

            - source: path of the image, or its position among the arrays.
            - frame, time: number of a video's frame, from 0, and its time in seconds; missing for still images.
            - face: number of the face in its image, from 1; missing where there is none.
            - track: number of the face in its film, from 1: equal in consecutive frames for the same person.
            - box: (left, top, width, height) of the part of the image that the model saw, in pixels.
            - detector, score: the detector that found the face, and its confidence.
            - status: "ok", "no_face", or why the image or the face cannot be used.
            - emotion, confidence: the most probable class and its probability, after the last glimpse; calibrated if
              the model is (`FERModel.calibration`), as the included models are.
            - one column for each class: its probability.
            - valence, arousal: in [-1, 1], if the model predicts them.
            - windows: array [N, 2, 3], where the model looked: each matrix maps the window's [-1, 1]^2 onto the box's.
            - step_probabilities, with `steps`: array [T, K], the probabilities of the K classes after each of T steps.
            - rotation, with `rotate`: by how many degrees clockwise the image was turned; the windows refer to the
              turned box.

        Raises:
            MissingFileError: no path, or no image in the folder, exists; the file of a detector is missing.
            UserError: no array has a supported shape, dtype and range; a model whose output is not finite.

        >>> faces = np.full((2, 48, 48), 128, "uint8")
        >>> table = Predictor("fer2013-edram", steps=True)(faces)
        >>> table[["source", "face", "box", "detector", "status"]]
          source  face             box detector status
        0      0     1  (0, 0, 48, 48)     none     ok
        1      1     1  (0, 0, 48, 48)     none     ok
        >>> table.windows[0].shape, table.step_probabilities[0].shape
        ((3, 2, 3), (3, 7))
        """
        table = self.table(self.stream(images))
        if len(table) and table.detector.isna().all() and NO_FACE not in set(table.status):
            if isinstance(table.source[0], int):  # not a file: the caller can mend it
                raise UserError(table.status[0])
        return table

    def stream(self, images: Item | Iterable[Item]) -> Iterator[dict[str, Any]]:
        """Yield the rows of images, in their order, as dicts of `columns`, as soon as they are ready.

        Memory does not grow with the number of images: at most 16, or two for each worker, are in memory, fewer of the
        large frames of a film, and a generator is not consumed faster than that.

        Args:
            images: as for a call.

        Raises: as for a call.
        """
        for batch in self.batches(single_images(images, self.every)):
            yield from batch.rows

    def batches(self, images: Images, done: int = 0, earlier: Iterable[dict[str, Any]] = ()) -> Iterator[Batch]:
        """Like `stream`, in batches of whole images.

        A batch depends only on its own images. So if the first images are left out whose batches are done, the other
        batches stay the same.

        Args:
            images: from `single_images`.
            done: number of images to leave out.
            earlier: the rows of these images, or of those in the last film among them; its tracks are continued.
        """
        singles = itertools.islice(images, done, None)
        tracks = FaceTracks()
        tracks.number(earlier)
        hidden = True if images.total == 1 else None  # None: shown in a terminal
        with tqdm(total=images.total, initial=done, desc="images", unit="", disable=hidden) as bar:
            ready: list[list[Crop]] = []
            for faces in ordered_map(self.cropper, singles, self.workers, _area):
                ready.append(faces)
                bar.update()
                count = sum(face.pixels is not None for face in itertools.chain.from_iterable(ready))
                if max(count, len(ready)) >= self.batch_size:
                    yield self._batch(ready, tracks)
                    ready = []
            if ready:
                yield self._batch(ready, tracks)

    def table(self, rows: Iterable[dict[str, Any]]) -> "pd.DataFrame":
        """The table of some rows of `stream`."""
        import pandas as pd

        rows = list(rows)
        table = pd.DataFrame(
            {name: pd.Series([row[name] for row in rows], dtype=object) for name in self.columns}, columns=self.columns
        )
        affect = ("valence", "arousal") if self.model.predicts_affect else ()
        numbers = dict.fromkeys(("time", "score", "confidence", *self.classes, *affect), "float64")
        return table.astype({**dict.fromkeys(("frame", "face", "track"), "Int64"), **numbers})

    def _batch(self, images: Sequence[Sequence[Crop]], tracks: FaceTracks) -> Batch:
        faces = list(itertools.chain.from_iterable(images))
        face_sized = sum(
            face.row["status"] == NO_FACE and max(face.image_size, default=0) <= FACE_SIZED for face in faces
        )
        answers = iter(self._answers([face for face in faces if face.pixels is not None]))
        rows = [face.row | (next(answers) if face.pixels is not None else {}) for face in faces]
        rows = [{name: row.get(name) for name in self.columns} for row in rows]
        tracks.number(rows)
        return Batch(len(images), rows, face_sized)

    def _answers(self, faces: Sequence[Crop]) -> Iterator[dict[str, Any]]:
        """The columns that the model answers, for crops with a face."""
        for start in range(0, len(faces), self.batch_size):
            part = faces[start : start + self.batch_size]
            outputs = self._run(part)
            for number in range(len(part)):
                steps = outputs["probabilities"][number]
                best = int(steps[-1].argmax())
                row = {"emotion": self.classes[best], "confidence": float(steps[-1, best])}
                row |= dict(zip(self.classes, steps[-1].tolist(), strict=True))
                if "affect" in outputs:
                    row |= dict(zip(("valence", "arousal"), outputs["affect"][number, -1].tolist(), strict=True))
                yield row | {"windows": outputs["windows"][number], "step_probabilities": steps}

    def _run(self, faces: Sequence[Crop]) -> dict[str, np.ndarray]:
        """The outputs of `inference.predict`, in a batch whose size is a power of 2, so that few sizes are compiled."""
        size = min(1 << (len(faces) - 1).bit_length(), self.batch_size)
        padded = [*faces, *[faces[-1]] * (size - len(faces))]
        pixels = [face.pixels for face in padded if face.pixels is not None]
        if any(face.dtype != np.uint8 for face in pixels):
            pixels = [face / np.float32(255) if face.dtype == np.uint8 else face for face in pixels]
        points = [face.landmarks for face in padded if face.landmarks is not None]
        landmarks = np.stack(points) if points else None
        try:
            return inference.predict(self.model, np.stack(pixels), size, landmarks=landmarks)
        except inference.NonFiniteOutput as error:
            sources = np.array([str(face.row["source"]) for face in padded])
            raise UserError(error.message_for(sources, "the images")) from error


def _area(single: Single) -> int:
    """The number of pixels that an image holds in memory before it is used, if it is a frame of a film."""
    return single.area if isinstance(single, Frame) else 0


def predict(
    model: "FERModel | ExportedModel | str | Path", images: Item | Iterable[Item], **settings: Any
) -> "pd.DataFrame":
    """Predict the emotions of the faces in images: `Predictor(model, **settings)(images)`.

    To predict several times, make a Predictor, which loads its model once.

    Args:
        model: a trained model, or an argument of `edram_fer.load`.
        images: arrays, Pillow images, paths, folders or patterns, see `Predictor.__call__`.
        **settings: see `Predictor`.

    Returns:
        One row for each face, and one for each image without a usable face, see `Predictor.__call__`.

    Raises:
        MissingFileError, UserError: see `Predictor` and `Predictor.__call__`.

    >>> table = predict("fer2013-edram", np.full((2, 48, 48), 128, "uint8"))
    >>> table[["source", "face", "box", "detector", "status"]]
      source  face             box detector status
    0      0     1  (0, 0, 48, 48)     none     ok
    1      1     1  (0, 0, 48, 48)     none     ok
    """
    return Predictor(model, **settings)(images)


def _trained_model(model: "FERModel | ExportedModel | str | Path", runtime: str) -> "FERModel | ExportedModel":
    """The model to run; only one that runs in Keras imports Keras."""
    runtime = once.runtime(model, runtime)
    if isinstance(model, ExportedModel):
        return model
    if isinstance(model, (str, Path)) and runtime == "onnx":
        return once.load(model)
    startup.load_keras()
    from edram_fer.models import FERModel
    from edram_fer.run import checkpoints

    if isinstance(model, (str, Path)):
        return checkpoints.load(model)
    if not isinstance(model, FERModel):
        raise UserError(f"model: expected a model of edram_fer or where to load it, got a {type(model).__name__}")
    if runtime == "onnx":
        raise UserError("runtime: for onnx, name the model's file, or pass what edram_fer.load_exported returns")
    return model
