"""The face detector YuNet, run by ONNX Runtime: OpenCV's faces in half of its time.

Wu, Peng, Yu, "YuNet: A Tiny Millisecond-level Face Detector", 2023; weights of 2023mar. What the network's numbers mean
was read in the library libfacedetection and in OpenCV's cv2.FaceDetectorYN, which the tests compare with.
"""

import functools
from pathlib import Path

import cv2
import numpy as np

from edram_fer.errors import MissingPackageError

STRIDES = (8, 16, 32)  # pixels of the image for each cell of the three output maps
OVERLAP, MOST = 0.3, 500  # of two faces the surer one is kept above this overlap (IoU); so many are looked at
# Bytes of the model file: "640 x 640", the only size that it takes, and "h x w", any size, which is as long.
_FIXED, _FREE = bytes.fromhex("0a03088005") * 2, b"\x0a\x03\x12\x01h\x0a\x03\x12\x01w"


def detect(path: Path, image: np.ndarray, threshold: float) -> np.ndarray:
    """The faces in uint8 [H, W, 3] RGB, the surest first.

    `path`: of the model file; `threshold`: least score, in (0, 1). Returns float32 [n, 15]: left, top, width, height,
    five points x, y (right eye, left eye, nose, right and left corner of the mouth), all in pixels, and the score.
    Raises ImportError without ONNX Runtime.
    """
    height, width = (-(-side // STRIDES[-1]) * STRIDES[-1] for side in image.shape[:2])
    padded = cv2.copyMakeBorder(image, 0, height - image.shape[0], 0, width - image.shape[1], cv2.BORDER_CONSTANT)
    names = [f"{kind}_{stride}" for stride in STRIDES for kind in ("cls", "obj", "bbox", "kps")]
    maps = _session(path).run(names, {"input": cv2.dnn.blobFromImage(padded, swapRB=True)})
    rows = np.concatenate(
        [
            _faces(*(values[0] for values in maps[4 * level : 4 * level + 4]), stride, width // stride, threshold)
            for level, stride in enumerate(STRIDES)
        ]
    )
    boxes = rows[:, :4].astype(int).tolist()  # whole pixels, as OpenCV compares them
    return rows[list(cv2.dnn.NMSBoxes(boxes, rows[:, 14].tolist(), threshold, OVERLAP, top_k=MOST))]


def _faces(
    classes: np.ndarray,
    objects: np.ndarray,
    boxes: np.ndarray,
    points: np.ndarray,
    stride: int,
    columns: int,
    threshold: float,
) -> np.ndarray:
    """The rows of one output map, whose cells stand line by line: probabilities [n, 1] of a face and of an object,
    boxes [n, 4] as shifts of the middle and logarithms of the sides, five points [n, 10] as shifts, all in cells.
    """
    scores = np.sqrt(np.clip(classes, 0, 1) * np.clip(objects, 0, 1))[:, 0]
    places = np.flatnonzero(scores >= threshold)
    cells = np.stack([places % columns, places // columns], axis=1).astype(np.float32)
    middle, sides = (cells + boxes[places, :2]) * stride, np.exp(boxes[places, 2:]) * stride
    points = (np.tile(cells, 5) + points[places]) * stride
    return np.concatenate([middle - sides / 2, sides, points, scores[places, None]], axis=1)


@functools.cache
def _session(path: Path):
    try:
        import onnxruntime
    except ImportError:
        raise MissingPackageError("the detector yunet needs ONNX Runtime: pip install 'edram-fer[faces]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the processes that prepare photos share the cores already
    options.log_severity_level = 3  # or it would warn that the maps are not those of 640 x 640 pixels
    model = path.read_bytes().replace(_FIXED, _FREE)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
