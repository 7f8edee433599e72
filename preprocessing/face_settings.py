"""How a face is cropped from a photo."""

import dataclasses
import math
import numbers
from pathlib import Path
from typing import Any

from edram_fer.errors import UserError
from edram_fer.preprocessing import crop, detection, photos

ANNOTATION, NONE = "annotation", "none"
LANDMARK_IMAGES = ("photo", "face")


@dataclasses.dataclass(frozen=True)
class FaceSettings:
    """How a face is cropped from a photo. `edram_fer.preprocessing.published` holds the settings of papers.

    Attributes:
        size: side of the face in pixels.
        colour: RGB instead of grey.
        detectors: tried in turn: names of `detection.DETECTORS`, "annotation" (the annotated box), "none" (the whole
            image is the face). If a box is annotated, only a detected face that overlaps with it counts.
        annotated: whether to use annotated boxes and landmarks. The overlap of the detected with the annotated box is
            recorded in either case.
        detector_size: longer side of YuNet's input image, in pixels.
        coarse_size: longer side of a second, smaller input image of YuNet, for faces too large in the first; 0: none.
        min_score: least score of a face detected by YuNet or SSD, in [0, 1]; 0: that of the detector, 0.7 and 0.2.
        retry: how a photo without a detected face is equalised for the detector's second try: "histogram", "clahe"
            (7x7 tiles) or "none" for no second try. One value, or one for each detector, separated by commas.
        faces: which of several faces: "largest", "surest", "centre", "all". One value, or, except for "all", one for
            each detector, separated by commas.
        largest_photo: megapixels of the largest photo; larger ones give no face. Above 100 a worker may need more than
            300 MB of memory for a photo, 600 for a JPEG file, see `photos.read`.
        smallest_photo: least sum of height and width of a photo, in pixels; smaller photos give no face.
        smallest_inside: least share of a detected box that lies inside the photo, see `crop.share_inside`; other boxes
            are skipped. Applies to YuNet and SSD; all boxes of dlib count.
        margin: share by which the square is larger than the box, in addition to the margin of the detector.
        smallest_square: least side of the square, in pixels, if the photo is large enough.
        rounding: of boxes and squares to whole pixels: "nearest" or "down", see `crop.square`.
        chin: extend the square downwards to include the chin, if there are landmarks.
        landmarks: find 68 landmarks with dlib if none are annotated.
        landmark_image: where dlib finds them: "photo": in the photo, given the box. "face": in the cropped face, given
            its whole area; with `chin`, the square is extended and the landmarks are found again, up to MOST_EXTENSIONS
            times, while the chin lies below the face.
        interpolation: how the square is resized: "area" or "linear", see `crop.cut`.
        eyes: where the centres of the left and the right eye come to lie, see `crop.align_face`; (): the face is not
            aligned. Such faces are made by `data.write_arrays`, and by a model trained on them when it predicts.
        clahe: clip limit of the contrast equalisation, 0 for none.
        check: name of a detector that runs on every image with an annotated box; the overlap is recorded.
        models: folder that is searched first for the files of detectors and landmarks; "": none. It does not affect
            the faces, because the content of the files is verified.
    """

    size: int = 100
    colour: bool = False
    detectors: tuple[str, ...] = ("yunet", "dlib")
    annotated: bool = True
    detector_size: int = 320
    coarse_size: int = 0
    min_score: float = 0.0
    retry: str = "histogram"
    faces: str = "largest"
    largest_photo: int = photos.MAX_PIXELS // 10**6
    smallest_photo: int = 0
    smallest_inside: float = 0.0
    margin: float = 0.0
    smallest_square: int = 0
    rounding: str = "nearest"
    chin: bool = True
    landmarks: bool = False
    landmark_image: str = "photo"
    interpolation: str = "area"
    eyes: tuple[tuple[float, float], ...] = ()
    clahe: float = 1.0
    check: str | None = None
    models: str = ""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, kind = getattr(self, field.name), _NUMBERS.get(field.name)
            if kind and (isinstance(value, bool) or not isinstance(value, kind) or not math.isfinite(value)):
                raise UserError(f"{field.name}: expected a {_WORDS[kind]}, got {value!r}")
        allowed = (*detection.DETECTORS, ANNOTATION, NONE)
        for name in self.detectors:
            if name not in allowed:
                raise UserError(f"detectors: expected some of {', '.join(allowed)}, got {name!r}")
        if not self.detectors:
            raise UserError(f"detectors: expected at least one of {', '.join(allowed)}")
        if ANNOTATION in self.detectors and not self.annotated:
            raise UserError(f"detectors: {ANNOTATION!r} needs the annotated boxes, which annotated=False ignores")
        for name, choices in _CHOICES.items():
            values = [getattr(self, name)]
            if name in _PER_DETECTOR and isinstance(values[0], str):
                values = _split(values[0])
            for value in values:
                if value not in choices:
                    raise UserError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")
            if len(values) not in (1, len(self.detectors)):
                raise UserError(
                    f"{name}: expected one, or one for each of the {len(self.detectors)} detectors, got {len(values)}"
                )
        if "," in self.faces and "all" in _split(self.faces):
            raise UserError(f"faces: expected 'all' alone, for all detectors, got {self.faces!r}")
        if self.check is not None and self.check not in detection.DETECTORS:
            raise UserError(f"check: expected one of {', '.join(detection.DETECTORS)}, got {self.check!r}")
        if not 8 <= self.size <= 2048:
            raise UserError(f"size: expected 8 to 2048 pixels, got {self.size!r}")
        for name, least in _LEAST.items():
            if not getattr(self, name) >= least:
                raise UserError(f"{name}: expected at least {least}, got {getattr(self, name)!r}")
        for name in ("smallest_inside", "min_score"):
            if getattr(self, name) > 1:
                raise UserError(f"{name}: expected a share in [0, 1], got {getattr(self, name)!r}")
        try:
            eyes = tuple((float(x), float(y)) for x, y in self.eyes)
        except (TypeError, ValueError):
            eyes = ((math.nan, math.nan),)
        if len(eyes) not in (0, 2) or not all(0 <= share <= 1 for place in eyes for share in place):
            raise UserError(f"eyes: expected places (x, y) of two eyes, shares in [0, 1], got {self.eyes!r}")
        if eyes and not self.landmarks:
            raise UserError("eyes: faces can only be aligned with landmarks=True")
        object.__setattr__(self, "eyes", eyes)
        object.__setattr__(self, "models", str(self.models))

    @property
    def folder(self) -> Path | None:
        """`models` as a path, or None."""
        return Path(self.models).expanduser() if self.models else None

    def detector(self, name: str) -> detection.Detector:
        """The detector with a name from `detection.DETECTORS` and these settings."""
        threshold = {"threshold": self.min_score} if self.min_score else {}
        if name == "yunet":
            return detection.YuNet(self.detector_size, folder=self.folder, coarse=self.coarse_size, **threshold)
        if name == "ssd":
            return detection.SSD(folder=self.folder, **threshold)
        return detection.Dlib(inclusive=self.rounding != "down")

    @property
    def identity(self) -> dict[str, Any]:
        """The settings that identify a data set: all except `models` and the settings in LATER with their default
        value, so that data sets made before those settings existed keep their fingerprint.
        """
        values = {field.name: (getattr(self, field.name), field.default) for field in dataclasses.fields(self)}
        del values["models"]
        return {name: value for name, (value, default) in values.items() if name not in LATER or value != default}

    def of_detector(self, name: str, number: int) -> str:
        """The value of `retry` or `faces` for the detector at position `number` of `detectors`."""
        values = _split(getattr(self, name))
        return values[number if len(values) > 1 else 0]


# Settings added after the first data sets had been prepared.
LATER = (
    "annotated",
    "coarse_size",
    "min_score",
    "retry",
    "largest_photo",
    "smallest_photo",
    "smallest_inside",
    "smallest_square",
    "rounding",
    "landmark_image",
    "interpolation",
    "eyes",
)
_NUMBERS = {
    "size": numbers.Integral,
    "detector_size": numbers.Integral,
    "coarse_size": numbers.Integral,
    "min_score": numbers.Real,
    "largest_photo": numbers.Integral,
    "smallest_photo": numbers.Integral,
    "smallest_inside": numbers.Real,
    "margin": numbers.Real,
    "smallest_square": numbers.Integral,
    "clahe": numbers.Real,
}
_WORDS = {numbers.Integral: "whole number", numbers.Real: "number"}
_LEAST = {
    "margin": 0,
    "clahe": 0,
    "detector_size": 32,
    "coarse_size": 0,
    "min_score": 0,
    "largest_photo": 1,
    "smallest_photo": 0,
    "smallest_inside": 0,
    "smallest_square": 0,
}
_CHOICES = {
    "faces": detection.CHOICES,
    "retry": detection.RETRIES,
    "rounding": crop.ROUNDINGS,
    "landmark_image": LANDMARK_IMAGES,
    "interpolation": crop.INTERPOLATIONS,
}
_PER_DETECTOR = ("faces", "retry")


def _split(values: str) -> list[str]:
    return [value.strip() for value in values.split(",")]
