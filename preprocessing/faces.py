"""From annotated photos to faces: one row for each face of a record."""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edram_fer.errors import MissingFileError, MissingPackageError, UserError, as_status, utf8
from edram_fer.preprocessing import crop, detection, image_paths, photos
from edram_fer.preprocessing.face_settings import ANNOTATION, NONE, FaceSettings
from edram_fer.preprocessing.records import OK, FaceRecord
from edram_fer.preprocessing.values import split_component

MOST_EXTENSIONS = 11  # of a square whose face shows no chin (Forch et al. 2019)


def rows(record: FaceRecord, root: Path, settings: FaceSettings) -> Iterator[dict[str, Any]]:
    """Crop the faces of a record.

    Args:
        record: one annotation.
        root: the folder that image paths are relative to.
        settings: how faces are cropped.

    Yields:
        rows of `face_chunks.SCHEMA`, one for each face; a record without a face gives one row with its status.
    """
    status = record.status
    if status == OK:
        try:
            split_component(record.split)
        except UserError as error:
            status = as_status(error)
    if status == OK:
        yield from photo_rows(record, root, settings)
    else:
        yield {**_annotation_columns(record), "status": utf8(status)}


def _annotation_columns(record: FaceRecord) -> dict[str, Any]:
    return {
        **{name: utf8(getattr(record, name)) for name in ("id", "row", "image", "split", "subject")},
        "emotion": record.emotion,
        "valence": record.valence,
        "arousal": record.arousal,
        "soft_label": record.soft_label,
    }


def photo_rows(record: FaceRecord, root: Path, settings: FaceSettings) -> Iterator[dict[str, Any]]:
    """Like `rows`, but also for a record without a label. Whatever its image or box raises becomes its status.

    Raises:
        MissingFileError, MissingPackageError: a detector is not installed.
    """
    row = {**_annotation_columns(record), "status": OK}
    try:
        image = load_image(record, root, settings.largest_photo * 10**6)
        # Processors have instructions for SHA-256: for a whole photo it takes half the time of BLAKE2.
        row["image_digest"] = hashlib.sha256(np.ascontiguousarray(image).data).digest()[:16]
        for number, columns in enumerate(cropped_faces(image, record, settings)):
            if (face := columns.pop("pixels", None)) is not None:
                columns["digest"] = hashlib.blake2b(face.tobytes(), digest_size=16).digest()
                columns["face"] = encode_png(face)
            if settings.faces == "all" and "detector" in columns:
                columns["id"] = f"{record.id}#{number}"
            yield {**row, **columns}
    except (MissingFileError, MissingPackageError):
        raise
    except Exception as error:  # one row must not stop all others
        yield {**row, "status": as_status(error)}


def cropped_faces(image: np.ndarray, record: FaceRecord, settings: FaceSettings) -> Iterator[dict[str, Any]]:
    """The faces of a decoded image.

    Args:
        image: uint8 [H, W, 3] RGB.
        record: its annotation.
        settings: how faces are cropped.

    Yields:
        for each face "pixels", uint8 [size, size] or [size, size, 3], and the columns "status" (OK), "detector",
        "score", "box", "square" and, where known, "landmarks" and "annotation_iou" of `face_chunks.SCHEMA`; for a face
        that cannot be used only "status" and "detector"; if there is no face or the image cannot be used only "status".

    Raises:
        MissingFileError, MissingPackageError: a detector is not installed.
    """
    try:
        _check_size(image, settings)
        detected, detector, margin = _detect(image, record, settings)
    except (MissingFileError, MissingPackageError):
        raise
    except Exception as error:  # one image must not stop all others
        yield {"status": as_status(error)}
        return
    if not detected:
        yield {"status": detection.NO_FACE}
    for face in detected:
        try:
            columns = _face_columns(image, face, detector, record, margin + settings.margin, settings)
        except (MissingFileError, MissingPackageError):
            raise
        except Exception as error:  # one face must not stop all others
            columns = {"status": as_status(error)}
        yield {"status": OK, "detector": detector, **columns}


def _check_size(image: np.ndarray, settings: FaceSettings) -> None:
    height, width = image.shape[:2]
    if height + width < settings.smallest_photo:
        raise photos.PhotoError(
            f"{width}x{height} pixels, expected a sum of width and height of at least {settings.smallest_photo}"
        )


def load_image(record: FaceRecord, root: Path, max_pixels: int = photos.MAX_PIXELS) -> np.ndarray:
    """The image of a record, uint8 [H, W, 3] RGB. Raises PhotoError if its file cannot be used, see `photos.read`."""
    if record.pixels is None:
        return photos.read(image_paths.path_inside(root, record.image), max_pixels)
    return record.pixels if record.pixels.ndim == 3 else cv2.cvtColor(record.pixels, cv2.COLOR_GRAY2RGB)


def _detect(image: np.ndarray, record: FaceRecord, settings: FaceSettings) -> tuple[list[detection.Face], str, float]:
    """The selected faces of an image, the detector that found them, and the margin of its boxes; or ([], "no_face", 0).

    Raises BoxError if only the annotated box may be used and there is none, and if no detected box lies far enough
    inside the image.
    """
    size, outside = image.shape[:2], []
    box = record.box if settings.annotated else None

    def lies_inside(face: detection.Face) -> bool:
        if crop.share_inside(_round_box(face, settings).box, size) >= settings.smallest_inside:
            return True
        outside.append(face)
        return False

    for number, name in enumerate(settings.detectors):
        if name == NONE:
            return [detection.Face((0, 0, *size[::-1]), 1.0)], NONE, 0.0
        if name == ANNOTATION:
            if box is not None:
                return [_round_box(detection.Face(box, 1.0), settings)], ANNOTATION, 0.0
        else:
            detector = settings.detector(name)
            usable = None if name == "dlib" or settings.smallest_inside == 0 else lies_inside
            detected, detector_name = detection.cascade(
                image, [detector], settings.of_detector("retry", number), usable
            )
            if box is None:
                chosen = detection.choose(detected, settings.of_detector("faces", number), size)
            else:
                chosen = detection.match_annotation(detected, box)
            if chosen:
                return [_round_box(face, settings) for face in chosen], detector_name, detector.margin
    if set(settings.detectors) == {ANNOTATION}:
        raise crop.BoxError("no box is annotated")
    if outside:
        left, top, width, height = outside[0].box
        raise crop.BoxError(
            f"box at ({left:.0f}, {top:.0f}), {width:.0f}x{height:.0f}: expected at least "
            f"{settings.smallest_inside:.0%} of it inside the {size[1]}x{size[0]} image"
        )
    return [], detection.NO_FACE, 0.0


def _round_box(face: detection.Face, settings: FaceSettings) -> detection.Face:
    """The face, with its box in whole pixels if boxes are rounded down."""
    if settings.rounding == "nearest" or not np.isfinite(face.box).all():  # `crop.check` rejects the latter
        return face
    return dataclasses.replace(face, box=crop.whole_pixels(face.box))


def _face_columns(
    image: np.ndarray, face: detection.Face, detector: str, record: FaceRecord, margin: float, settings: FaceSettings
) -> dict[str, Any]:
    """The pixels of a face and the columns that depend on its box. Raises BoxError for a box that gives no square."""
    crop.check(face.box, image.shape)
    annotated = record.landmarks if settings.annotated else None
    landmarks = annotated if annotated is not None and _belong_to_box(annotated, face.box) else None
    if landmarks is None and settings.landmarks and settings.landmark_image == "photo":
        landmarks = detection.landmarks(image, face.box, folder=settings.folder)
    square = _square(face.box, image, settings, margin, landmarks if settings.chin else None)
    cropped = crop.cut(image, square, settings.size, settings.interpolation)
    if landmarks is not None:
        landmarks = crop.to_square(landmarks, square, settings.size)
    elif settings.landmarks:
        square, cropped, landmarks = _find_landmarks_in_crop(image, square, max(face.box[2:]), settings)
    cropped = crop.equalise(cropped, settings.clahe)
    cropped = cropped if settings.colour else crop.grey(cropped)
    if settings.eyes and landmarks is not None:  # last, as faces of a prepared data set are aligned
        cropped, landmarks = crop.align_face(cropped, landmarks, settings.eyes)
    columns = {
        "score": face.score,
        "box": [float(value) for value in face.box],
        "square": list(square),
        "pixels": cropped,
    }
    if landmarks is not None:
        columns["landmarks"] = landmarks.ravel().tolist()
    if record.box is not None and (settings.check is not None or detector not in (ANNOTATION, NONE)):
        others = [face] if settings.check is None else settings.detector(settings.check)(image)
        overlaps = [detection.intersection_over_union(record.box, other.box) for other in others]
        columns["annotation_iou"] = max(overlaps, default=0.0)
    return columns


def _square(
    box: crop.Box,
    image: np.ndarray,
    settings: FaceSettings,
    margin: float,
    landmarks: np.ndarray | Sequence[Any] | None,
) -> tuple[int, int, int]:
    return crop.square(
        box, image.shape[:2], margin, landmarks, smallest=settings.smallest_square, rounding=settings.rounding
    )


def _find_landmarks_in_crop(
    image: np.ndarray, square: tuple[int, int, int], longer: float, settings: FaceSettings
) -> tuple[tuple[int, int, int], np.ndarray, np.ndarray]:
    """Find landmarks in a cropped face, and extend its square while the chin lies below it.

    Args:
        image: the photo.
        square: the square to start from.
        longer: longer side of the detected box. A chin n pixels below the face extends the square by n * `longer` /
            `settings.size`; if the square is larger than the box, this may not suffice at once.
        settings: how faces are cropped.

    Returns:
        the square, its resized pixels, and the landmarks, float32 [68, 2] in pixels of the face.
    """
    size = settings.size
    extensions = 0
    while True:
        cropped = crop.cut(image, square, size, settings.interpolation)
        landmarks = detection.landmarks(cropped, (0, 0, size + 1, size + 1), folder=settings.folder)
        below = float(landmarks[crop.CHIN, 1].max()) - size
        left, top, side = square
        if not settings.chin or below <= 1 or top + side >= len(image) or extensions == MOST_EXTENSIONS:
            return square, cropped, landmarks
        square = _square((left, top, side, side + round(below * longer / size)), image, settings, 0.0, None)
        extensions += 1


def _belong_to_box(landmarks: Sequence[Any], box: crop.Box) -> bool:
    """Whether landmarks belong to the face in a box: most points of eyes, nose and mouth lie in it."""
    left, top, width, height = box
    x, y = np.asarray(landmarks, float)[17:].T
    return bool(((x >= left) & (x <= left + width) & (y >= top) & (y <= top + height)).mean() > 0.5)


def encode_png(image: np.ndarray) -> bytes:
    """The PNG file of an image, uint8 [H, W] or [H, W, 3] RGB."""
    image = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", image)[1].tobytes()


def check_detectors(settings: FaceSettings) -> None:
    """Run each detector on an empty image, so that a missing file or package is reported before the first photo.

    Raises:
        MissingFileError, MissingPackageError: a detector is not installed.
    """
    empty = np.zeros((64, 64, 3), np.uint8)
    for name in {*settings.detectors, settings.check} - {ANNOTATION, NONE, None}:
        settings.detector(name)(empty)
    if settings.landmarks:
        detection.landmarks(empty, (8, 8, 48, 48), folder=settings.folder)
