"""Where eyes and mouth are on photos, and which emotion they show: from a file, or a data set's fixed layout."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from edram_fer.attention import template_space
from edram_fer.attention.alignment import apply
from edram_fer.attention.regions import REGIONS
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


def in_frame(table: pd.DataFrame, layout: Layout) -> tuple[pd.DataFrame, list[str]]:
    """Fixations on photos as fixations in the frame of `template_space`.

    Args:
        table: `recordings.Recordings.table`.
        layout: of the photos.

    Returns:
        The table with "emotion", "x", "y" and "region", without photos whose layout or emotion is unknown; fixations
        outside the frame, which the comparison of maps leaves out, have the region "rest" and x = nan. And sentences on
        the fixations that were left out.
    """
    parts, unknown = [], 0
    for photo, group in table.groupby("image", sort=False):
        transform, emotion = layout.transform(str(photo)), layout.emotion(str(photo))
        if transform is None or emotion is None or not np.isfinite(transform).all():
            unknown += len(group)
            continue
        points = apply(transform, group[["start_x", "start_y"]].to_numpy(float))
        region = np.array(REGIONS, object)[template_space.regions_of(points)]
        inside = ((points >= -0.5) & (points < np.array(template_space.SHAPE[::-1]) - 0.5)).all(axis=1)
        points[~inside] = np.nan
        parts.append(group.assign(emotion=emotion, x=points[:, 0], y=points[:, 1], region=region))
    if not parts:
        raise UserError("no fixation is on a photo with a known layout and emotion")
    result = pd.concat(parts).sort_index().reset_index(drop=True)
    notes = [f"{unknown:,} fixations on photos without a layout or an emotion left out"] if unknown else []
    if outside := int(result["x"].isna().sum()):
        notes.append(f"{outside:,} fixations ({outside / len(result):.1%}) outside the frame of the template")
    return result, notes


def _kdef_emotion(photo: str) -> str | None:
    match = _KDEF_NAME.search(photo)
    return None if match is None else emotions.from_code("KDEF", match[1].upper())
