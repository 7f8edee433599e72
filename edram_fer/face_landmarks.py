"""The 68 landmarks of the faces of a data set: its own, or dlib's where they are asked for."""

import functools

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
    bar = tqdm(images, desc="landmarks", disable=None)
    return np.stack([_of_picture(np.ascontiguousarray(image).tobytes(), image.shape) for image in bar])


@functools.lru_cache(maxsize=20_000)  # the clean part of a split holds pictures of the whole once more
def _of_picture(content, shape):
    import cv2

    from preprocessing import detection

    scale = max(1, -(-SMALLEST // min(shape[:2])))
    image = np.frombuffer(content, np.uint8).reshape(shape)
    large = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    large = cv2.cvtColor(large, cv2.COLOR_GRAY2RGB) if large.ndim == 2 else large
    faces, _ = detection.cascade(large, [detection.Dlib(upsample=0)])
    if not faces:
        return np.full((68, 2), np.nan)
    face = detection.choose(faces, "largest", large.shape[:2])[0]
    # Pixel centres are whole numbers: column c of the picture is columns scale * c ... scale * c + scale - 1.
    return (detection.landmarks(large, face.box) + 0.5) / scale - 0.5
