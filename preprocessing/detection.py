"""Face detectors behind one interface, and the cascade of Forch et al. 2019 that asks one after the other.

A detector is called with an image, uint8 [H, W, 3] RGB, and returns its faces, the surest first. Models are loaded
at the first call, so a detector can be sent to another process before. "annotation" and "none" need no detector: the box
of the annotation, and an image that is a face already.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from edram_fer.errors import MissingPackageError, UserError
from edram_fer.preprocessing import model_files, yunet

NO_FACE = "no_face"
CHOICES = ("largest", "centre", "all")
AGREED = 0.3  # overlap (IoU) from which two boxes mean the same face


@dataclasses.dataclass(frozen=True)
class Face:
    """A detected face.

    Attributes:
        box: (left, top, width, height) in pixels of the image; may cross its border.
        score: sureness; YuNet and SSD in [0, 1], dlib's distance from its decision plane, about -1 to 3.
        points: [n, 2] landmarks (x, y) in pixels that the detector itself gives (YuNet: right eye, left eye, nose,
            right and left corner of the mouth, "right" as the person's), or None.
    """

    box: tuple[float, float, float, float]
    score: float
    points: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class YuNet:
    """The small convolutional detector of `edram_fer.preprocessing.yunet`.

    Args:
        size: the image's longer side is brought to this many pixels; faces below a thirtieth of it are missed.
        threshold: lowest score.
        folder: of the model file; None: the package that carries it.
    """

    size: int = 640
    threshold: float = 0.7
    folder: Path | None = None
    name = "yunet"
    margin = 0.0

    def __call__(self, image: np.ndarray) -> list[Face]:
        small, scale = _shrunk(image, self.size)
        rows = yunet.detect(model_files.find("yunet", self.folder), small, self.threshold)
        faces = [
            Face(tuple((row[:4] / scale).tolist()), float(row[14]), row[4:14].reshape(5, 2) / scale) for row in rows
        ]
        return faces


@dataclasses.dataclass(frozen=True)
class SSD:
    """The 300x300 single-shot detector of the paper (res10, Caffe), mean (104, 177, 123) in BGR.

    Args:
        threshold: lowest confidence; the paper took .20. It is sure of many things that are no faces.
        folder: of its two files; None: the package that carries them.
    """

    threshold: float = 0.2
    folder: Path | None = None
    name = "ssd"
    margin = 0.0

    def __call__(self, image: np.ndarray) -> list[Face]:
        height, width = image.shape[:2]
        net = _ssd(*(str(model_files.find(name, self.folder)) for name in ("ssd layers", "ssd")))
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        net.setInput(cv2.dnn.blobFromImage(cv2.resize(bgr, (300, 300)), 1.0, (300, 300), (104, 177, 123)))
        rows = net.forward()[0, 0]  # [n, 7]: image, class, confidence, left, top, right, bottom in shares
        faces = []
        for confidence, *corners in rows[rows[:, 2] >= self.threshold][:, 2:].tolist():
            left, top, right, bottom = np.multiply(corners, (width, height, width, height)).tolist()
            if right > left and bottom > top:
                faces.append(Face((left, top, right - left, bottom - top), confidence))
        return _surest_first(faces)


@dataclasses.dataclass(frozen=True)
class Dlib:
    """dlib's frontal face detector (HOG and a linear SVM).

    Args:
        upsample: how many times the image is doubled first; without it faces below 80 pixels are missed.
        threshold: lowest score.
        longest: larger images are shrunk to this longer side before: doubled, 12 megapixels take 600 MB.
    """

    upsample: int = 1
    threshold: float = 0.0
    longest: int = 1600
    name = "dlib"
    margin = 0.1  # its boxes are tighter than the others' (Forch et al. 2019)

    def __call__(self, image: np.ndarray) -> list[Face]:
        small, scale = _shrunk(image, self.longest)
        boxes, scores, _ = _dlib_detector().run(np.ascontiguousarray(small), self.upsample, self.threshold)
        places = [np.array([box.left(), box.top(), box.width(), box.height()]) / scale for box in boxes]
        return _surest_first([Face(tuple(place.tolist()), score) for place, score in zip(places, scores)])


DETECTORS = {"yunet": YuNet, "ssd": SSD, "dlib": Dlib}


def cascade(image: np.ndarray, detectors: Sequence[Callable]) -> tuple[list[Face], str]:
    """Ask each detector about the image and then about the contrast-equalised image, until one finds a face.

    Returns: the faces, and who found them ("ssd", "ssd equalised"), or ([], NO_FACE).
    """
    bright = None
    for detector in detectors:
        if faces := detector(image):
            return faces, detector.name
        bright = equalised(image) if bright is None else bright
        if faces := detector(bright):
            return faces, f"{detector.name} equalised"
    return [], NO_FACE


def equalised(image: np.ndarray) -> np.ndarray:
    """Histogram equalisation of the luma of uint8 [H, W, 3] RGB."""
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
    luma[:, :, 0] = cv2.equalizeHist(np.ascontiguousarray(luma[:, :, 0]))
    return cv2.cvtColor(luma, cv2.COLOR_YCrCb2RGB)


def choose(faces: Sequence[Face], which: str, image_size) -> list[Face]:
    """Of several faces the "largest", the one nearest to the "centre" of an image (H, W), or "all" from left to right.

    Raises ValueError for another word.
    """
    if which not in CHOICES:
        raise UserError(f"faces: expected one of {', '.join(CHOICES)}, got {which!r}")
    if which == "all":
        return sorted(faces, key=lambda face: face.box[:2])
    if which == "largest":
        return sorted(faces, key=lambda face: -face.box[2] * face.box[3])[:1]
    y, x = (side / 2 for side in image_size)
    return sorted(
        faces, key=lambda face: np.hypot(face.box[0] + face.box[2] / 2 - x, face.box[1] + face.box[3] / 2 - y)
    )[:1]


def annotated(faces: Sequence[Face], box, least: float = AGREED) -> list[Face]:
    """The one of several faces that an annotation's box (left, top, width, height) means: the one that overlaps most
    with it, or [] where none reaches `least`."""
    best = max(faces, key=lambda face: intersection_over_union(face.box, box), default=None)
    return [best] if best is not None and intersection_over_union(best.box, box) >= least else []


def landmarks(image: np.ndarray, box, count: int = 68, folder: Path | None = None) -> np.ndarray:
    """dlib's 68 or 5 landmarks of the face in a box, float32 [count, 2] (x, y) in pixels of the image."""
    import dlib

    left, top, width, height = (round(value) for value in box)
    predictor = _dlib_predictor(str(model_files.find(f"landmarks {count}", folder)))
    shape = predictor(np.ascontiguousarray(image), dlib.rectangle(left, top, left + width - 1, top + height - 1))
    return np.array([(point.x, point.y) for point in shape.parts()], np.float32)


def intersection_over_union(a, b) -> float:
    """Of two boxes (left, top, width, height): the area that both cover over the area that either does."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    return both / (a[2] * a[3] + b[2] * b[3] - both)


def matches(faces: Sequence[Face], boxes: Sequence, least: float = AGREED) -> list[float]:
    """Overlaps of true boxes with the faces that found them: the surest face first, each with its best free box.

    `boxes`: (left, top, width, height) each; `least`: smallest overlap that counts as found. The length of the result
    is the number of boxes that were found; faces beyond it are false.
    """
    left, overlaps = list(boxes), []
    for face in faces:
        best = max(left, key=lambda box: intersection_over_union(face.box, box), default=None)
        if best is not None and (overlap := intersection_over_union(face.box, best)) >= least:
            overlaps.append(overlap)
            left.remove(best)
    return overlaps


def _shrunk(image: np.ndarray, longest: int) -> tuple[np.ndarray, float]:
    """The image with its longer side at `longest`, and the factor; small images stay, they gain nothing."""
    scale = min(longest / max(image.shape[:2]), 1.0)
    if scale == 1.0:
        return image, 1.0
    size = [max(round(side * scale), 1) for side in image.shape[1::-1]]
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), scale


def _surest_first(faces: list[Face]) -> list[Face]:
    return sorted(faces, key=lambda face: -face.score)


@functools.cache
def _ssd(layers: str, weights: str):
    return cv2.dnn.readNetFromCaffe(layers, weights)


@functools.cache
def _dlib_detector():
    try:
        import dlib
    except ImportError:
        raise MissingPackageError("the detector dlib needs dlib: pip install 'edram-fer[faces]'") from None
    return dlib.get_frontal_face_detector()


@functools.cache
def _dlib_predictor(path: str):
    import dlib

    return dlib.shape_predictor(path)
