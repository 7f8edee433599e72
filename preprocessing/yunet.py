"""The face detector YuNet in ONNX Runtime: the same faces as OpenCV's implementation in half the time.

Wu, Peng, Yu, "YuNet: A Tiny Millisecond-level Face Detector", 2023; weights of 2023mar. The network's outputs are
interpreted as in the library libfacedetection and in OpenCV's cv2.FaceDetectorYN, which is the oracle in the tests.
"""

import functools
from pathlib import Path

import cv2
import numpy as np

from edram_fer.errors import MissingPackageError

STRIDES = (8, 16, 32)  # pixels of the image per cell of the three output maps
OVERLAP, MOST = 0.3, 500  # non-maximum suppression: largest overlap (IoU) of two faces, number of candidates
# Bytes in the model file: "640 x 640", the only size that it accepts, and "h x w", any size, with equal lengths.
_FIXED, _FREE = bytes.fromhex("0a03088005") * 2, b"\x0a\x03\x12\x01h\x0a\x03\x12\x01w"


def detect(path: Path, image: np.ndarray, threshold: float) -> np.ndarray:
    """Detect faces.

    Args:
        path: the model file.
        image: uint8 [H, W, 3] RGB, of any size.
        threshold: lowest score, in (0, 1).

    Returns:
        float32 [n, 15], the most confident face first: left, top, width, height, five points x, y (right eye, left
        eye, nose, right and left corner of the mouth), all in pixels, and the score.

    Raises:
        MissingPackageError: ONNX Runtime is not installed.
    """
    height, width = (-(-side // STRIDES[-1]) * STRIDES[-1] for side in image.shape[:2])
    padded = np.zeros((1, 3, height, width), np.float32)  # a seventh of the time of cv2.dnn.blobFromImage
    for channel, plane in enumerate(cv2.split(image)):
        padded[0, 2 - channel, : image.shape[0], : image.shape[1]] = plane  # BGR
    names = [f"{kind}_{stride}" for stride in STRIDES for kind in ("cls", "obj", "bbox", "kps")]
    maps = _session(path).run(names, {"input": padded})
    candidates = []
    for level, stride in enumerate(STRIDES):
        classes, objects, boxes, points = (values[0] for values in maps[4 * level : 4 * level + 4])
        candidates.append(_decode(classes, objects, boxes, points, stride, width // stride, threshold))
    rows = np.concatenate(candidates)
    whole_pixels = rows[:, :4].astype(int).tolist()  # OpenCV compares whole pixels
    return rows[list(cv2.dnn.NMSBoxes(whole_pixels, rows[:, 14].tolist(), threshold, OVERLAP, top_k=MOST))]


def _decode(
    classes: np.ndarray,
    objects: np.ndarray,
    boxes: np.ndarray,
    points: np.ndarray,
    stride: int,
    columns: int,
    threshold: float,
) -> np.ndarray:
    """The candidates of one output map, as rows of `detect`.

    Args:
        classes, objects: probabilities [n, 1] of a face and of an object, for the cells of the map row by row.
        boxes: [n, 4], shifts of the centre and logarithms of the sides, in cells.
        points: [n, 10], shifts of the five points, in cells.
        stride: pixels per cell.
        columns: cells per row of the map.
        threshold: lowest score.
    """
    scores = np.sqrt(np.clip(classes, 0, 1) * np.clip(objects, 0, 1))[:, 0]
    candidates = np.flatnonzero(scores >= threshold)
    cells = np.stack([candidates % columns, candidates // columns], axis=1).astype(np.float32)
    centres, sides = (cells + boxes[candidates, :2]) * stride, np.exp(boxes[candidates, 2:]) * stride
    points = (np.tile(cells, 5) + points[candidates]) * stride
    return np.concatenate([centres - sides / 2, sides, points, scores[candidates, None]], axis=1)


@functools.cache
def _session(path: Path):
    try:
        import onnxruntime
    except ImportError:
        raise MissingPackageError("the detector yunet needs ONNX Runtime: pip install 'edram-fer[faces]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the processes that prepare photos already share the cores
    options.enable_mem_pattern = False  # photos have many sizes, and a plan for each of them would be kept
    arena = {"arena_extend_strategy": "kSameAsRequested"}  # otherwise its memory doubles
    options.log_severity_level = 3  # otherwise it warns that the maps do not belong to 640 x 640 pixels
    model = path.read_bytes().replace(_FIXED, _FREE)
    return onnxruntime.InferenceSession(model, options, providers=[("CPUExecutionProvider", arena)])
