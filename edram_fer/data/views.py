"""Views of images whose predictions are averaged: the mirror image, and ten crops (Krizhevsky et al. 2012, 4.1)."""

from collections.abc import Iterator, Mapping

import numpy as np
from keras import ops

from edram_fer.data import landmarks
from edram_fer.errors import UserError
from edram_fer.models.region_attention.crops import centre, matrix
from edram_fer.models.spatial_transformer import sample

_CHUNK = 1000  # images sampled at a time


def mirror(images: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The mirror images of `images`: "image" [n, H, W, C] and, if present, "landmarks" [n, 68, 2] in pixels; other
    features are left out.

    >>> mirror({"image": np.array([[[[1], [2]]]], np.uint8)})["image"].ravel().tolist()
    [2, 1]
    """
    view = {"image": images["image"][:, :, ::-1]}
    return {**view, **_landmarks(images, np.array([[-1, 0, 0], [0, 1, 0]], "float32"))}


def ten_crops(images: Mapping[str, np.ndarray], share: float) -> Iterator[dict[str, np.ndarray]]:
    """The four corners and the centre of `images`, each resized to the full size and followed by its mirror image.

    Args:
        images: "image" uint8 [n, H, W, C], optionally "landmarks" [n, 68, 2] in pixels.
        share: Side of a crop as a share of the image's side, in (0, 1].

    Returns:
        An iterator over ten dicts like `images`, with images float32 in [0, 1]. Crops are sampled bilinearly; 0 and 1
        of a side lie at the centres of its outermost pixels.

    Raises:
        UserError: The share is out of range.
    """
    if not 0 < share <= 1:
        raise UserError(f"ten_crop: expected a share of the image's side in (0, 1], got {share!r}")
    return _ten_crops(images, share)


def _ten_crops(images, share):
    far = 1 - share
    corners = [(x, y, x + share, y + share) for y in (0, far) for x in (0, far)]
    for window in map(matrix, [*corners, centre(share)]):
        crop = {"image": _sample(images["image"], window), **_landmarks(images, window)}
        yield crop
        yield mirror(crop)


def _sample(images, window):
    parts, size = [], images.shape[1:3]
    for start in range(0, len(images), _CHUNK):
        part = images[start : start + _CHUNK].astype("float32") / 255
        windows = np.broadcast_to(window, (len(part), 1, 2, 3))
        parts.append(ops.convert_to_numpy(sample(part, windows, size))[:, 0])
    return np.concatenate(parts)


def _landmarks(images, window):
    if "landmarks" not in images:
        return {}
    points, size = np.asarray(images["landmarks"], "float32"), images["image"].shape[1:3]
    windows = np.broadcast_to(window, (len(points), 2, 3))
    return {"landmarks": ops.convert_to_numpy(landmarks.warp(points, windows, size))}
