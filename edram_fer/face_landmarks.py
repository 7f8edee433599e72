"""The 68 landmarks of the faces of a data set: its own, or dlib's where they are asked for."""

import numpy as np
from tqdm.auto import tqdm

SMALLEST = 160  # pixels: dlib's detector misses faces below 80, and a crop holds little beside the face


def of(features, *, find=False):
    """Landmarks of pictures.

    Args:
        features: as `edram_fer.data.arrays` gives them.
        find: where the data set has none, find them with dlib.

    Returns: (float [n, 68, 2] as (x, y) in pixels, nan where a face has none, or None without any; a sentence that
    says where they come from, or why there are none).

    Raises ImportError or FileNotFoundError, with the line that installs them, where dlib or its file is missing.
    """
    if "landmarks" in features:
        return np.asarray(features["landmarks"], float), "The landmarks are the data set's own."
    if not find:
        return None, "The data set has no landmarks; edram-fer figures RUN --landmarks lets dlib find them."
    found = found_by_dlib(features["image"])
    return found, "The landmarks were found by dlib."


def found_by_dlib(images):
    """dlib's landmarks of face crops.

    Args:
        images: uint8 [n, H, W, C].

    Returns: float [n, 68, 2] as (x, y) in pixels; nan where its detector finds no face, not even in the picture with
    its histogram equalised. Small pictures are enlarged first.
    """
    import cv2

    from preprocessing import detection

    detector = detection.Dlib(upsample=0)
    scale = max(1, -(-SMALLEST // min(images.shape[1:3])))
    result = np.full((len(images), 68, 2), np.nan)
    for row, image in enumerate(tqdm(images, desc="landmarks", disable=None)):
        large = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        large = cv2.cvtColor(large, cv2.COLOR_GRAY2RGB) if large.ndim == 2 else large
        faces, _ = detection.cascade(large, [detector])
        for face in detection.choose(faces, "largest", large.shape[:2]):
            # Pixel centres are whole numbers: column c of the picture is columns scale * c ... scale * c + scale - 1.
            result[row] = (detection.landmarks(large, face.box) + 0.5) / scale - 0.5
    return result
