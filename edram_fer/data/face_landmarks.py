"""The 68 landmarks of the faces in a data set: annotated, or on request detected by dlib."""

from collections.abc import Mapping, MutableMapping

import numpy as np
from tqdm.auto import tqdm

SMALLEST = 160  # pixels: dlib misses faces below 80 pixels, and a face fills at least half of its crop


def get_landmarks(
    features: Mapping[str, np.ndarray], *, find: bool = False, known: MutableMapping[str, np.ndarray] | None = None
) -> tuple[np.ndarray | None, str]:
    """Landmarks of images.

    Args:
        features: as returned by `edram_fer.data.load_split`.
        find: if the data set has no landmarks, find them with dlib.
        known: {image id: landmarks} that dlib found before. These images are skipped; new results are added.

    Returns:
        Landmarks, float [n, 68, 2] as (x, y) in pixels, nan where no face was found, or None without landmarks; and a
        sentence that gives their source, or the reason why there are none.

    Raises:
        MissingPackageError, MissingFileError: dlib or its model file is not installed; the message gives the command.

    >>> points, note = get_landmarks({"image": np.zeros((1, 8, 8, 1), np.uint8), "id": np.array(["a"])})
    >>> points is None
    True
    """
    if "landmarks" in features:
        return np.asarray(features["landmarks"], float), "The landmarks are part of the data set."
    if not find:
        return None, "The data set has no landmarks; the option --landmarks finds them with dlib."
    known, ids = {} if known is None else known, np.asarray(features["id"]).astype(str)
    new = [row for row, image_id in enumerate(ids) if image_id not in known]
    known.update(zip(ids[new], detect_landmarks(np.asarray(features["image"])[new]), strict=True))
    return np.stack([known[image_id] for image_id in ids]), "The landmarks were found by dlib."


def detect_landmarks(images: np.ndarray) -> np.ndarray:
    """Find dlib's landmarks of face crops. Small images are enlarged first.

    Args:
        images: uint8 [n, H, W, C].

    Returns:
        float [n, 68, 2] as (x, y) in pixels; nan where dlib's detector finds no face, not even after histogram
        equalisation.

    Raises:
        MissingPackageError, MissingFileError: dlib or its model file is not installed.
    """
    progress = tqdm(images, desc="landmarks", disable=None if len(images) else True)
    return np.array([_detect(image) for image in progress]).reshape(-1, 68, 2)


def _detect(image: np.ndarray) -> np.ndarray:
    import cv2

    from edram_fer.preprocessing import detection

    scale = max(1, -(-SMALLEST // min(image.shape[:2])))
    large = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    large = cv2.cvtColor(large, cv2.COLOR_GRAY2RGB) if large.ndim == 2 else large
    faces, _ = detection.cascade(large, [detection.Dlib(upsample=0)])
    if not faces:
        return np.full((68, 2), np.nan)
    face = detection.choose(faces, "largest", large.shape[:2])[0]
    # Pixel centres are whole numbers: column c of the image is columns scale * c ... scale * c + scale - 1.
    return (detection.landmarks(large, face.box) + 0.5) / scale - 0.5
