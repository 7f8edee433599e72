"""Where eyes and mouth are on photos, and which emotion they show: from a file, or a data set's fixed layout."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edram_fer.attention import template_space
from edram_fer.errors import UserError
from edram_fer.gaze import exports
from edram_fer.preprocessing import emotions

# The documentation of KDEF says that eyes and mouths are at fixed image coordinates, but not at which. These are the
# three clusters of 19,902 fixations (Uniss-FGD), in photos of 562 x 762 pixels. The distance from eyes to mouth is 1.18
# times that between the eyes, and 1.20 times in the template, which was made without them.
KDEF: Mapping[str, tuple[float, float]] = {"left_eye": (210, 392), "right_eye": (335, 392), "mouth": (275, 540)}
NAMES = ("kdef",)
_KDEF_NAME = re.compile(r"[AB][FM]\d\d([A-Z]{2})[A-Z]{1,2}\.\w+$", re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """A layout of photos.

    Attributes:
        transform: photo -> [2, 3], from its pixels to the frame of `attention.template_space`; None for an unknown
            photo.
        emotion: photo -> name of its emotion; None if unknown.
    """

    transform: Callable[[str], np.ndarray | None]
    emotion: Callable[[str], str | None]


def read(layout: str | Path) -> Layout:
    """A layout by its name, or from a file.

    Args:
        layout: "kdef", or a CSV file with the columns "image" (a photo's name, or "*" for all other photos),
            "emotion", and either "left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y", "mouth_x" and "mouth_y", or
            the 68 landmarks "x0", "y0", ..., "x67", "y67", in pixels of the photo; left as seen in the image.

    Raises:
        MissingFileError: there is no such file.
        UserError: the file lacks columns, or a row lacks numbers; the message names it.
    """
    if str(layout).lower() in NAMES:
        transform = template_space.from_layout(KDEF)
        return Layout(lambda photo: transform, _kdef_emotion)
    export = exports.Export(layout)
    names = [f"{point}_{axis}" for point in template_space.POINTS for axis in "xy"]
    landmarks = [f"{axis}{number}" for number in range(68) for axis in "xy"]
    image, emotion = export.column("image"), export.column("emotion")
    for wanted in (names, landmarks):
        columns = [export.column(exports.key(name)) for name in wanted]
        if image is not None and all(column is not None for column in columns):
            break
    else:
        raise UserError(
            f"{layout}: expected {NAMES[0]!r}, or the columns image, {', '.join(names)}; got {export.header}"
        )
    transforms: dict[str, np.ndarray] = {}
    shown: dict[str, str] = {}
    for row in export.rows():
        photo = row[image].strip()
        points = np.array([exports.number(row[column]) for column in columns if column is not None]).reshape(-1, 2)
        if not np.isfinite(points).all():
            raise UserError(f"{layout}: {photo}: expected numbers for all points, got {row}")
        transforms[photo] = (
            template_space.from_layout(dict(zip(template_space.POINTS, points, strict=True)))
            if wanted is names
            else template_space.to_frame(points)
        )
        if emotion is not None and row[emotion].strip():
            shown[photo] = row[emotion].strip()
    return Layout(
        lambda photo: transforms.get(photo, transforms.get("*")),
        lambda photo: shown.get(photo, shown.get("*")),
    )


def _kdef_emotion(photo: str) -> str | None:
    match = _KDEF_NAME.search(photo)
    return None if match is None else emotions.from_code("KDEF", match[1].upper())
