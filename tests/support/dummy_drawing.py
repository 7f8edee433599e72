"""Drawn images for made data sets, and the truth about what was written."""

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
    """What a form holds.

    Attributes:
        splits: split -> {id: emotion} of all usable rows.
        classes: the emotions that are labels, in their order.
        excluded: number of rows that cannot be used.
    """

    splits: Mapping[str, Mapping[str, str]]
    classes: tuple[str, ...]
    excluded: int = 0


def drawn(number: int, emotion: str, intensity: float | None = None) -> synthetic.DrawnFace:
    """A face of SIZE pixels in few colours, which make a small file; every number is another person."""
    return synthetic.draw(
        SEED, number, emotion=emotion, intensity=intensity, size=SIZE, colour=True, occlusion=0, noise=0
    )


def write(path: Path, image: np.ndarray, kind: str = "") -> Path:
    """An RGB image as the file format that its ending tells, or another `kind` (".png")."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = kind or path.suffix.lower()
    image = image if kind == ".jpg" else image // 16 * 16
    options = {".jpg": [cv2.IMWRITE_JPEG_QUALITY, 60], ".tiff": [cv2.IMWRITE_TIFF_COMPRESSION, 5]}
    path.write_bytes(cv2.imencode(kind, image[..., ::-1], options.get(kind, []))[1].tobytes())
    return path


def face(path: Path, number: int, emotion: str, kind: str = "", *, grey: bool = False) -> synthetic.DrawnFace:
    """Draw a face and write it as an image."""
    made = drawn(number, emotion)
    write(path, cv2.cvtColor(made.image, cv2.COLOR_RGB2GRAY)[..., None] if grey else made.image, kind)
    return made


def photo(path: Path, number: int, emotion: str, left: int = 20, top: int = 10, kind: str = "") -> np.ndarray:
    """Write an image that shows a face at some place of a plain page; landmarks [68, 2] in pixels of the page."""
    made = drawn(number, emotion)
    height, width = PAGE
    large = np.full((height + 2 * SIZE, width + 2 * SIZE, 3), (90, 120, 150), np.uint8)
    large[SIZE + top : 2 * SIZE + top, SIZE + left : 2 * SIZE + left] = made.image
    write(path, large[SIZE:-SIZE, SIZE:-SIZE], kind)
    return made.landmarks + (left, top)
