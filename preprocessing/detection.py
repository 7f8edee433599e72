"""Face detectors behind one interface, and the cascade of Forch et al. 2019, which tries them in turn.

A detector is called with an image, uint8 [H, W, 3] RGB, and returns its faces, the most confident first. Models are
loaded at the first call, so that a detector can be sent to another process. Two further names need no detector:
"annotation" uses the annotated box, "none" the whole image.
"""

import dataclasses
import functools
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import cv2
import numpy as np

from edram_fer.errors import MissingPackageError, UserError
from edram_fer.preprocessing import crop, model_files, yunet
from edram_fer.preprocessing.crop import Box

NO_FACE = "no_face"
CHOICES = ("largest", "surest", "centre", "all")
RETRIES = ("histogram", "clahe", "none")
RETRY_TILES = 7  # each way, of "clahe" (Forch et al. 2019)
LARGE_FACE = 0.25  # of the longer side of an image
LARGEST_EQUALISED = 16_000_000  # pixels: to equalise an image takes nine bytes for each
LEAST_INTERPOLATED = 2 / 3  # from which images are shrunk by interpolation, in a third of the time
SAME_FACE = 0.3  # overlap (IoU) from which two boxes belong to the same face


@dataclasses.dataclass(frozen=True)
class Face:
    """A detected face.

    Attributes:
        box: (left, top, width, height) in pixels of the image; may cross its border.
        score: confidence; in [0, 1] for YuNet and SSD; for dlib the distance from the decision plane, about -1 to 3.
        points: [n, 2] landmarks (x, y) in pixels that the detector itself returns (YuNet: right eye, left eye, nose,
            right and left corner of the mouth, where right is the person's right), or None.
    """

    box: tuple[float, float, float, float]
    score: float
    points: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class YuNet:
    """The small convolutional detector of `edram_fer.preprocessing.yunet`.

    Args:
        size: larger images are shrunk to this longer side, in pixels; faces below a thirtieth of it are missed.
        threshold: lowest score.
        folder: folder that is searched first for the model file, see `model_files.find`.
        coarse: longer side of a second input image, which only adds faces longer than LARGE_FACE of it: YuNet sees no
            more than parts of a face of several hundred pixels. 0: no second image. With it, images are shrunk by
            averaging areas, which shows smaller faces than interpolation.
    """

    size: int = 640
    threshold: float = 0.7
    folder: Path | None = None
    coarse: int = 0
    name = "yunet"
    margin = 0.0

    def __call__(self, image: np.ndarray) -> list[Face]:
        """The faces in an image, uint8 [H, W, 3] RGB, with five landmarks each; the highest score first."""
        small, scale = _shrink(image, self.size, by_area=self.coarse > 0)
        fine = self._detect(small, scale)
        if not 0 < self.coarse < max(small.shape[:2]):
            return fine
        least = LARGE_FACE * max(image.shape[:2])
        smaller, further_scale = _shrink(small, self.coarse, by_area=True)
        large = [face for face in self._detect(smaller, scale * further_scale) if max(face.box[2:]) >= least]
        kept = [
            face for face in fine if all(intersection_over_union(face.box, other.box) < SAME_FACE for other in large)
        ]
        return _sort_by_score([*large, *kept])

    def _detect(self, image: np.ndarray, scale: float) -> list[Face]:
        """The faces in an image that was shrunk by a factor, in pixels of the original."""
        rows = yunet.detect(model_files.find("yunet", self.folder), image, self.threshold)
        return [
            Face(tuple((row[:4] / scale).tolist()), float(row[14]), row[4:14].reshape(5, 2) / scale) for row in rows
        ]


@dataclasses.dataclass(frozen=True)
class SSD:
    """The 300x300 single-shot detector of the paper (res10, Caffe), mean (104, 177, 123) in BGR.

    Args:
        threshold: lowest confidence; 0.2 in the paper, which gives many false positives.
        folder: folder that is searched first for its two files, see `model_files.find`.
    """

    threshold: float = 0.2
    folder: Path | None = None
    name = "ssd"
    margin = 0.0

    def __call__(self, image: np.ndarray) -> list[Face]:
        """The faces in an image, uint8 [H, W, 3] RGB; the highest confidence first."""
        height, width = image.shape[:2]
        net = _ssd(*(str(model_files.find(name, self.folder)) for name in ("ssd layers", "ssd")))
        bgr = cv2.cvtColor(cv2.resize(image, (300, 300)), cv2.COLOR_RGB2BGR)
        blob = cv2.dnn.blobFromImage(bgr, 1.0, (300, 300), (104, 177, 123))
        with _SSD_LOCK:  # a network holds its input
            net.setInput(blob)
            rows = net.forward()[0, 0].copy()  # [n, 7]: image, class, confidence, left, top, right, bottom in shares
        faces = []
        for confidence, *corners in rows[rows[:, 2] >= self.threshold][:, 2:].tolist():
            left, top, right, bottom = np.multiply(corners, (width, height, width, height)).tolist()
            if right > left and bottom > top:
                faces.append(Face((left, top, right - left, bottom - top), confidence))
        return _sort_by_score(faces)


@dataclasses.dataclass(frozen=True)
class Dlib:
    """dlib's frontal face detector (HOG and a linear SVM).

    Args:
        upsample: how many times the image is doubled before detection; with 0, faces below 80 pixels are missed.
        threshold: lowest score.
        longest: larger images are first shrunk to this longer side, in pixels, because 12 megapixels take 600 MB when
            doubled.
        inclusive: whether the box includes the last row and column of dlib's rectangle. The code of Forch et al. 2019
            subtracts the corners, so its boxes do not.
    """

    upsample: int = 1
    threshold: float = 0.0
    longest: int = 1600
    inclusive: bool = True
    name = "dlib"
    margin = 0.1  # dlib's boxes are tighter than other detectors' boxes (Forch et al. 2019)

    def __call__(self, image: np.ndarray) -> list[Face]:
        """The faces in an image, uint8 [H, W, 3] RGB; the highest score first."""
        small, scale = _shrink(image, self.longest)
        rectangles, scores, _ = _dlib_detector().run(np.ascontiguousarray(small), self.upsample, self.threshold)
        last = int(not self.inclusive)
        boxes = [np.array([r.left(), r.top(), r.width() - last, r.height() - last]) / scale for r in rectangles]
        return _sort_by_score([Face(tuple(box.tolist()), score) for box, score in zip(boxes, scores)])


Detector: TypeAlias = YuNet | SSD | Dlib
DETECTORS: dict[str, type[Detector]] = {"yunet": YuNet, "ssd": SSD, "dlib": Dlib}


def cascade(
    image: np.ndarray,
    detectors: Sequence[Detector],
    retry: str = "histogram",
    usable: Callable[[Face], bool] | None = None,
) -> tuple[list[Face], str]:
    """Run each detector on the image and then on the contrast-equalised image, until one finds a face.

    Args:
        image: uint8 [H, W, 3] RGB.
        detectors: the detectors, in order.
        retry: how the image is equalised for the second try: "histogram", "clahe" (7x7 tiles, clip limit 1), or "none"
            for no second try. Images of more than LARGEST_EQUALISED pixels are shrunk first.
        usable: whether a detected face counts; None: all of them do.

    Returns:
        the faces, and the name of the method that found them ("ssd", "ssd equalised" after "histogram", "ssd clahe");
        or ([], NO_FACE).

    Raises:
        UserError: `retry` is not one of RETRIES.
    """
    if retry not in RETRIES:
        raise UserError(f"retry: expected one of {', '.join(RETRIES)}, got {retry!r}")
    contrasted, scale = None, 1.0
    for detector in detectors:
        if faces := _select_usable(detector(image), usable):
            return faces, detector.name
        if retry == "none":
            continue
        if contrasted is None:
            share = min((LARGEST_EQUALISED / (image.shape[0] * image.shape[1])) ** 0.5, 1.0)
            small, scale = _shrink(image, round(share * max(image.shape[:2])), by_area=True)
            contrasted = equalise(small) if retry == "histogram" else crop.equalise(small, tiles=RETRY_TILES)
        if faces := _select_usable([_enlarge(face, scale) for face in detector(contrasted)], usable):
            return faces, f"{detector.name} {'equalised' if retry == 'histogram' else retry}"
    return [], NO_FACE


def _enlarge(face: Face, scale: float) -> Face:
    """The face of an image that was shrunk to `scale`, in pixels of the image."""
    if scale == 1.0:
        return face
    box = tuple(side / scale for side in face.box)
    return dataclasses.replace(face, box=box, points=None if face.points is None else face.points / scale)


def _select_usable(faces: list[Face], usable: Callable[[Face], bool] | None) -> list[Face]:
    return faces if usable is None else [face for face in faces if usable(face)]


def equalise(image: np.ndarray) -> np.ndarray:
    """Equalise the histogram of the luma of an image, uint8 [H, W, 3] RGB; the result has the same shape and type."""
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
    luma[:, :, 0] = cv2.equalizeHist(np.ascontiguousarray(luma[:, :, 0]))
    return cv2.cvtColor(luma, cv2.COLOR_YCrCb2RGB)


def choose(faces: Sequence[Face], choice: str, image_size: Sequence[int]) -> list[Face]:
    """Choose among several faces.

    Args:
        faces: the faces in an image.
        choice: "largest"; "surest", the face with the highest score; "centre", the face nearest to the middle of the
            image; or "all", from left to right.
        image_size: (H, W).

    Returns:
        one face, all faces, or [] if there are none.

    Raises:
        UserError: `choice` is none of CHOICES.

    >>> faces = [Face((0, 0, 10, 10), 0.9), Face((40, 40, 20, 20), 0.8)]
    >>> choose(faces, "largest", (100, 100))[0].box
    (40, 40, 20, 20)
    """
    if choice not in CHOICES:
        raise UserError(f"faces: expected one of {', '.join(CHOICES)}, got {choice!r}")
    if choice == "all":
        return sorted(faces, key=lambda face: face.box[:2])
    if choice == "largest":
        return sorted(faces, key=lambda face: -face.box[2] * face.box[3])[:1]
    if choice == "surest":
        return sorted(faces, key=lambda face: -face.score)[:1]
    y, x = (side / 2 for side in image_size)
    return sorted(
        faces, key=lambda face: np.hypot(face.box[0] + face.box[2] / 2 - x, face.box[1] + face.box[3] / 2 - y)
    )[:1]


def quarter_turn(image: np.ndarray, detector: Detector) -> int:
    """By how many degrees clockwise an image must be turned for its faces to be upright: 0, 90, 180 or 270.

    The detector runs on the four turned images; the answer is the one with the largest sum of scores, over faces whose
    mouth lies below their eyes. 0 if no face is found.
    """
    scores = {}
    for degrees in (0, 90, 180, 270):
        faces = detector(np.ascontiguousarray(np.rot90(image, -degrees // 90)))
        scores[degrees] = sum(max(face.score, 0.0) for face in faces if _is_upright(face))
    return max(scores, key=lambda degrees: scores[degrees])


def _is_upright(face: Face) -> bool:
    """Whether the line from the eyes to the mouth leads downwards, by less than 45 degrees to a side."""
    if face.points is None:
        return True
    right, down = face.points[3:].mean(axis=0) - face.points[:2].mean(axis=0)
    return bool(down > abs(right))


def match_annotation(faces: Sequence[Face], box: Box, least: float = SAME_FACE) -> list[Face]:
    """The face that belongs to an annotated box (left, top, width, height): [the face with the largest overlap], or []
    if no overlap (IoU) reaches `least`.
    """
    best = max(faces, key=lambda face: intersection_over_union(face.box, box), default=None)
    return [best] if best is not None and intersection_over_union(best.box, box) >= least else []


def landmarks(image: np.ndarray, box: Box, count: int = 68, folder: Path | None = None) -> np.ndarray:
    """Find dlib's landmarks of the face in a box.

    Args:
        image: uint8 [H, W, 3] RGB.
        box: (left, top, width, height) in pixels.
        count: 68 or 5.
        folder: folder that is searched first for the model file, see `model_files.find`.

    Returns:
        float32 [count, 2], (x, y) in pixels of the image.

    Raises:
        MissingPackageError, MissingFileError: dlib or its model file is not installed.
    """
    dlib = _import_dlib("landmarks need")
    left, top, width, height = (round(value) for value in box)
    predictor = _dlib_predictor(str(model_files.find(f"landmarks {count}", folder)))
    shape = predictor(np.ascontiguousarray(image), dlib.rectangle(left, top, left + width - 1, top + height - 1))
    return np.array([(point.x, point.y) for point in shape.parts()], np.float32)


def intersection_over_union(a: Box, b: Box) -> float:
    """Intersection over union (IoU) of two boxes (left, top, width, height), in [0, 1].

    >>> intersection_over_union((0, 0, 10, 10), (5, 0, 10, 10))
    0.3333333333333333
    """
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    intersection = max(width, 0) * max(height, 0)
    return intersection / (a[2] * a[3] + b[2] * b[3] - intersection)


def matches(faces: Sequence[Face], boxes: Sequence[Box], least: float = SAME_FACE) -> list[float]:
    """Match detected faces with true boxes: each face, in order, with the best box that is not matched yet.

    Args:
        faces: the most confident first.
        boxes: true boxes, (left, top, width, height).
        least: smallest overlap (IoU) that counts as found.

    Returns:
        the overlap of each match. Their number is the number of true positives; all other faces are false positives.
    """
    free, overlaps = list(boxes), []
    for face in faces:
        face_overlaps = [intersection_over_union(face.box, box) for box in free]
        if face_overlaps and max(face_overlaps) >= least:
            overlaps.append(max(face_overlaps))
            free.pop(face_overlaps.index(max(face_overlaps)))
    return overlaps


def _shrink(image: np.ndarray, longest: int, by_area: bool = False) -> tuple[np.ndarray, float]:
    """Shrink the longer side to `longest` pixels: (image, factor); smaller images are unchanged, with factor 1.

    Args:
        image: the image.
        longest: pixels.
        by_area: average areas if the factor is below LEAST_INTERPOLATED, where bilinear interpolation skips pixels.
    """
    scale = min(longest / max(image.shape[:2]), 1.0)
    if scale == 1.0:
        return image, 1.0
    size = [max(round(side * scale), 1) for side in image.shape[1::-1]]
    interpolation = cv2.INTER_AREA if by_area and scale < LEAST_INTERPOLATED else cv2.INTER_LINEAR
    return cv2.resize(image, size, interpolation=interpolation), scale


def _sort_by_score(faces: list[Face]) -> list[Face]:
    return sorted(faces, key=lambda face: -face.score)


_SSD_LOCK = threading.Lock()


@functools.cache
def _ssd(layers: str, weights: str) -> cv2.dnn.Net:
    return cv2.dnn.readNetFromCaffe(layers, weights)


def _import_dlib(purpose: str) -> ModuleType:
    try:
        import dlib
    except ImportError:
        raise MissingPackageError(f"{purpose} dlib: pip install 'edram-fer[faces]'") from None
    return dlib


@functools.cache
def _dlib_detector() -> Any:
    return _import_dlib("the detector dlib needs").get_frontal_face_detector()


@functools.cache
def _dlib_predictor(path: str) -> Any:
    return _import_dlib("landmarks need").shape_predictor(path)
