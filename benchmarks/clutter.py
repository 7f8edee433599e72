"""Cluttered images: an image of a data set at a random place of a canvas, among pieces of others (Mnih et al. 2014,
section 4.1).

Image i of step s depends only on (seed, s, i).
"""

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

Sources = tuple[np.ndarray, np.ndarray]  # square images uint8 [n, side, side] and labels int [n]
Cluttered = tuple[np.ndarray, np.ndarray, np.ndarray]  # images, labels and windows, as `make_images` returns them


@dataclasses.dataclass(frozen=True)
class Scene:
    """What a cluttered image looks like.

    Attributes:
        canvas: side of the image in pixels.
        target: smallest and largest side of the target in pixels, at most the canvas.
        pieces: number of pieces of clutter.
        piece: smallest and largest side of a piece in pixels, at most the side of a source.
        opaque: whether target and pieces hide what lies below them; otherwise the brighter pixel is kept, which suits
            white digits on black.
        mirrored: whether half of the targets are mirrored.
    """

    canvas: int
    target: tuple[int, int]
    pieces: int = 8
    piece: tuple[int, int] = (8, 8)
    opaque: bool = False
    mirrored: bool = False


def make_image(
    sources: np.ndarray, rng: np.random.Generator, scene: Scene, target: int | None = None
) -> tuple[np.ndarray, int, np.ndarray]:
    """Make one image.

    Args:
        sources: uint8 [n, side, side].
        rng: the only source of randomness.
        scene: what the image looks like.
        target: index of the target; None: a random one.

    Returns:
        image uint8 [canvas, canvas], index of the target, and the window float32 [2, 3] of the target's pixels.
    """
    image, canvas = np.zeros((scene.canvas, scene.canvas), "uint8"), scene.canvas
    sides = rng.integers(*scene.piece, size=(scene.pieces, 1), endpoint=True)
    others = rng.integers(len(sources), size=(scene.pieces, 1))
    cuts = rng.integers(sources.shape[1] - sides, size=(scene.pieces, 2), endpoint=True)
    corners = rng.integers(canvas - sides, size=(scene.pieces, 2), endpoint=True)
    # As a list of numbers: NumPy's own are several times slower one by one.
    for other, side, top, left, *corner in np.hstack([others, sides, cuts, corners]).tolist():
        _paste(image, sources[other, top : top + side, left : left + side], corner, scene.opaque)
    index = int(rng.integers(len(sources))) if target is None else target
    side, patch = int(rng.integers(*scene.target, endpoint=True)), sources[index]
    if scene.mirrored and rng.random() < 0.5:
        patch = patch[:, ::-1]
    if side != len(patch):
        patch = cv2.resize(patch, (side, side), interpolation=cv2.INTER_AREA)
    corner = rng.integers(canvas - side, size=2, endpoint=True).tolist()
    _paste(image, patch, corner, scene.opaque)
    y, x = ((start + (side - 1) / 2) / (canvas - 1) * 2 - 1 for start in corner)
    zoom = (side - 1) / (canvas - 1)
    return image, index, np.array([[zoom, 0, x], [0, zoom, y]], "float32")


def _paste(image: np.ndarray, patch: np.ndarray, corner: Sequence[int], opaque: bool) -> None:
    """Paste a square patch with its upper left corner at (row, column)."""
    (top, left), side = corner, len(patch)
    below = image[top : top + side, left : left + side]
    below[...] = patch if opaque else np.maximum(below, patch)


def make_images(
    sources: Sources, scene: Scene, seed: int, step: int, count: int, *, each_once: bool = False
) -> Cluttered:
    """Make images 0 to count - 1 of a step.

    Args:
        sources: images uint8 [n, side, side] and labels int [n].
        scene: what the images look like.
        seed: seed of the images.
        step: number of the training step.
        count: number of images.
        each_once: image i shows source i; otherwise a random one.

    Returns:
        images uint8 [count, canvas, canvas, 1], labels [count], windows float32 [count, 2, 3].
    """
    pixels, labels = sources
    made = (
        make_image(pixels, np.random.default_rng((seed, step, i)), scene, i if each_once else None)
        for i in range(count)
    )
    images, indices, windows = map(np.stack, zip(*made, strict=True))
    return images[..., None], labels[indices], windows


def shaken(windows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Windows near the true ones: centres moved by up to a fifth of half a side, sides times 0.85 to 1.2.

    Args:
        windows: float32 [n, 2, 3], upright squares.
        rng: the only source of randomness.

    Returns:
        float32 [n, 2, 3].
    """
    zooms = windows[:, :1, 0]
    moved = windows * rng.uniform(0.85, 1.2, (len(windows), 1, 1))
    moved[..., 2] = windows[..., 2] + zooms * rng.uniform(-0.2, 0.2, (len(windows), 2))
    return moved.astype("float32")
