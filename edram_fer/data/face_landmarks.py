"""The 68 landmarks of the faces of a data set: its own, or dlib's where they are asked for."""

import numpy as np
from tqdm.auto import tqdm

SMALLEST = 160  # pixels: dlib's detector misses faces below 80, and a crop holds little beside the face


def get_landmarks(features, *, find=False, known=None):
    """Landmarks of images.

    Args:
        features: as `edram_fer.data.arrays` gives them.
        find: where the data set has none, find them with dlib.
        known: {image id: landmarks} of those found before, which are not searched again; the others are added.

    Returns: (float [n, 68, 2] as (x, y) in pixels, nan where a face has none, or None without any; a sentence that
    says where they come from, or why there are none).

    Raises ImportError or FileNotFoundError, with the line that installs them, where dlib or its file is missing.
    """
    if "landmarks" in features:
        return np.asarray(features["landmarks"], float), "The landmarks are the data set's own."
    if not find:
        return None, "The data set has no landmarks; --landmarks (of figures, compare, agreement) lets dlib find them."
    known, names = {} if known is None else known, np.asarray(features["id"]).astype(str)
    new = [row for row, name in enumerate(names) if name not in known]
    known |= dict(zip(names[new], found_by_dlib(np.asarray(features["image"])[new]), strict=True))
    return np.stack([known[name] for name in names]), "The landmarks were found by dlib."


def found_by_dlib(images):
    """dlib's landmarks of face crops.

    Args:
        images: uint8 [n, H, W, C].

    Returns: float [n, 68, 2] as (x, y) in pixels; nan where its detector finds no face, not even in the image with
    its histogram equalised. Small images are enlarged first.
    """
    bar = tqdm(images, desc="landmarks", disable=None if len(images) else True)
    return np.array([_of_image(image) for image in bar]).reshape(-1, 68, 2)


def _of_image(image):
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
