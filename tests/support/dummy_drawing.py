"""Drawn images for the dummy data of data sets, and what these should hold."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from edram_fer.preprocessing import synthetic

SEED, SIZE = 7, 64
PAGE = (90, 100)  # height and width in pixels of an image that shows more than a face
POINTS = 68


@dataclasses.dataclass(frozen=True)
class Truth:
    """The content of a layout of a data set.

    Attributes:
        splits: split -> {id: emotion} of all usable rows.
        classes: the emotions that are labels, in their order.
        excluded: number of rows that cannot be used.
    """

    splits: Mapping[str, Mapping[str, str]]
    classes: tuple[str, ...]
    excluded: int = 0


def draw_face(number: int, emotion: str, intensity: float | None = None) -> synthetic.DrawnFace:
    """A face of SIZE pixels in few colours, so that its file is small; each number is another person."""
    return synthetic.draw(
        SEED, number, emotion=emotion, intensity=intensity, size=SIZE, colour=True, occlusion=0, noise=0
    )


def write(path: Path, image: np.ndarray, kind: str = "") -> Path:
    """Write an RGB image in the format of the file's suffix, or of another one, `kind` (".png")."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = kind or path.suffix.lower()
    image = image if kind == ".jpg" else image // 16 * 16
    options = {".jpg": [cv2.IMWRITE_JPEG_QUALITY, 60], ".tiff": [cv2.IMWRITE_TIFF_COMPRESSION, 5]}
    path.write_bytes(cv2.imencode(kind, image[..., ::-1], options.get(kind, []))[1].tobytes())
    return path


def face(path: Path, number: int, emotion: str, kind: str = "", *, grey: bool = False) -> synthetic.DrawnFace:
    """Draw a face and write it as an image."""
    drawn_face = draw_face(number, emotion)
    image = cv2.cvtColor(drawn_face.image, cv2.COLOR_RGB2GRAY)[..., None] if grey else drawn_face.image
    write(path, image, kind)
    return drawn_face


def photo(path: Path, number: int, emotion: str, left: int = 20, top: int = 10, kind: str = "") -> np.ndarray:
    """Write an image of a face on a plain page, and return the landmarks [68, 2] in pixels of the page."""
    drawn_face = draw_face(number, emotion)
    height, width = PAGE
    large = np.full((height + 2 * SIZE, width + 2 * SIZE, 3), (90, 120, 150), np.uint8)
    large[SIZE + top : 2 * SIZE + top, SIZE + left : 2 * SIZE + left] = drawn_face.image
    write(path, large[SIZE:-SIZE, SIZE:-SIZE], kind)
    return drawn_face.landmarks + (left, top)
