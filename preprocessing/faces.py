"""From annotated photos to faces, on all cores and resumable at any time: records -> chunk files, one row per face.

The records of a data set are divided, in order, into chunks of CHUNK rows. A chunk is one Parquet file, written
atomically, and depends only on its records, the images and the settings. So a killed run resumes at the first missing
chunk, and any number of processes gives the same bytes. Each process holds a few chunks in memory.
"""

import concurrent.futures
import dataclasses
import hashlib
import itertools
import math
import multiprocessing
import numbers
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow
import pyarrow.parquet

from edram_fer.errors import KilledWorkerError, UserError
from edram_fer.preprocessing import crop, detection, photos
from edram_fer.preprocessing.records import OK, Annotations, FaceRecord

CHUNK = 500
ANNOTATION, NONE = "annotation", "none"
LANDMARK_IMAGES = ("photo", "face")
MOST_EXTENSIONS = 11  # of a square whose face shows no chin (Forch et al. 2019)
_POINTS = pyarrow.list_(pyarrow.float32())
SCHEMA = pyarrow.schema(
    {
        "id": pyarrow.string(),
        "row": pyarrow.string(),
        "image": pyarrow.string(),
        "split": pyarrow.string(),
        "subject": pyarrow.string(),
        "emotion": pyarrow.string(),
        "valence": pyarrow.float32(),
        "arousal": pyarrow.float32(),
        "soft_label": _POINTS,
        "status": pyarrow.string(),  # OK, or why the row has no face or no label
        "detector": pyarrow.string(),  # the detector that found the face
        "score": pyarrow.float32(),  # the detector's confidence
        "box": _POINTS,  # left, top, width, height in pixels of the image
        "square": pyarrow.list_(pyarrow.int32()),  # left, top, side of the crop
        "landmarks": _POINTS,  # x, y, x, y, ... in pixels of the face
        "annotation_iou": pyarrow.float32(),  # largest overlap of the annotated box with a detected one
        "digest": pyarrow.binary(16),  # of the pixels of the face: equal for equal faces
        "image_digest": pyarrow.binary(16),  # of the pixels of the whole image
        "face": pyarrow.binary(),  # PNG
    }
)


@dataclasses.dataclass(frozen=True)
class Settings:
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
    smallest_photo: int = 0
    smallest_inside: float = 0.0
    margin: float = 0.0
    smallest_square: int = 0
    rounding: str = "nearest"
    chin: bool = True
    landmarks: bool = False
    landmark_image: str = "photo"
    interpolation: str = "area"
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
    "smallest_photo",
    "smallest_inside",
    "smallest_square",
    "rounding",
    "landmark_image",
    "interpolation",
)
_NUMBERS = {
    "size": numbers.Integral,
    "detector_size": numbers.Integral,
    "coarse_size": numbers.Integral,
    "min_score": numbers.Real,
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


def rows(record: FaceRecord, root: Path, settings: Settings) -> Iterator[dict[str, Any]]:
    """Crop the faces of a record.

    Args:
        record: one annotation.
        root: the folder that image paths are relative to.
        settings: how faces are cropped.

    Yields:
        rows of SCHEMA, one for each face; a record without a face gives one row with its status.
    """
    if record.status == OK:
        yield from photo_rows(record, root, settings)
    else:
        yield {**_annotation_columns(record), "status": record.status}


def _annotation_columns(record: FaceRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "row": record.row,
        "image": record.image,
        "split": record.split,
        "subject": record.subject,
        "emotion": record.emotion,
        "valence": record.valence,
        "arousal": record.arousal,
        "soft_label": record.soft_label,
    }


def photo_rows(record: FaceRecord, root: Path, settings: Settings) -> Iterator[dict[str, Any]]:
    """Like `rows`, but also for a record without a label."""
    row = {**_annotation_columns(record), "status": OK}
    try:
        image = load_image(record, root)
        # Processors have instructions for SHA-256: for a whole photo it takes half the time of BLAKE2.
        row["image_digest"] = hashlib.sha256(np.ascontiguousarray(image).data).digest()[:16]
        _check_size(image, settings)
        detected, detector, margin = _detect(image, record, settings)
        if not detected:
            yield {**row, "status": detection.NO_FACE}
        for number, face in enumerate(detected):
            face_id = {"id": f"{record.id}#{number}"} if settings.faces == "all" else {}
            columns = _face_columns(image, face, detector, record, margin + settings.margin, settings)
            yield {**row, **face_id, "detector": detector, **columns}
    except (photos.PhotoError, crop.BoxError) as error:
        yield {**row, "status": " ".join(str(error).split())[:200]}


def _check_size(image: np.ndarray, settings: Settings) -> None:
    height, width = image.shape[:2]
    if height + width < settings.smallest_photo:
        raise photos.PhotoError(
            f"{width}x{height} pixels, expected a sum of width and height of at least {settings.smallest_photo}"
        )


def load_image(record: FaceRecord, root: Path) -> np.ndarray:
    """The image of a record, uint8 [H, W, 3] RGB. Raises PhotoError if its file cannot be used."""
    if record.pixels is None:
        return photos.read(photos.path_inside(root, record.image))
    return record.pixels if record.pixels.ndim == 3 else cv2.cvtColor(record.pixels, cv2.COLOR_GRAY2RGB)


def _detect(image: np.ndarray, record: FaceRecord, settings: Settings) -> tuple[list[detection.Face], str, float]:
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


def _round_box(face: detection.Face, settings: Settings) -> detection.Face:
    """The face, with its box in whole pixels if boxes are rounded down."""
    if settings.rounding == "nearest" or not np.isfinite(face.box).all():  # `crop.check` rejects the latter
        return face
    return dataclasses.replace(face, box=crop.whole_pixels(face.box))


def _face_columns(
    image: np.ndarray, face: detection.Face, detector: str, record: FaceRecord, margin: float, settings: Settings
) -> dict[str, Any]:
    """The columns of SCHEMA that depend on the pixels. Raises BoxError for a box that gives no square."""
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
    columns = {
        "score": face.score,
        "box": [float(value) for value in face.box],
        "square": list(square),
        "digest": hashlib.blake2b(cropped.tobytes(), digest_size=16).digest(),
        "face": encode_png(cropped),
    }
    if landmarks is not None:
        columns["landmarks"] = landmarks.ravel().tolist()
    if record.box is not None and (settings.check is not None or detector not in (ANNOTATION, NONE)):
        others = [face] if settings.check is None else settings.detector(settings.check)(image)
        overlaps = [detection.intersection_over_union(record.box, other.box) for other in others]
        columns["annotation_iou"] = max(overlaps, default=0.0)
    return columns


def _square(
    box: crop.Box, image: np.ndarray, settings: Settings, margin: float, landmarks: np.ndarray | Sequence[Any] | None
) -> tuple[int, int, int]:
    return crop.square(
        box, image.shape[:2], margin, landmarks, smallest=settings.smallest_square, rounding=settings.rounding
    )


def _find_landmarks_in_crop(
    image: np.ndarray, square: tuple[int, int, int], longer: float, settings: Settings
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


def available_cores() -> int:
    """Number of processor cores that this process may use; if the system does not report it, the number of cores."""
    if process_cpu_count := getattr(os, "process_cpu_count", None):  # Python 3.13 and newer
        return process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def process(
    annotations: Annotations,
    folder: Path,
    settings: Settings,
    *,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Path]:
    """Crop all faces of a data set and write them to chunk files in a folder; existing chunk files are kept.

    Args:
        annotations: annotations of the data set.
        folder: folder of the chunk files, created if missing. Use it only for these annotations and settings.
        settings: how faces are cropped.
        workers: number of processes; None: one per core; 1: only this process.
        progress: called after each chunk with its number of records.

    Returns:
        the chunk files in the order of the records.

    Raises:
        MissingFileError, MissingPackageError: a detector is not installed.
        KilledWorkerError: a worker was killed.
        OSError: a chunk cannot be written.
    """
    check_detectors(settings)
    folder.mkdir(parents=True, exist_ok=True)
    workers = workers or available_cores()
    if workers == 1:
        return [
            _write_here(*chunk, annotations.root, settings, progress) for chunk in numbered_chunks(annotations, folder)
        ]
    if sys.platform == "win32":
        workers = min(workers, 61)  # Windows cannot wait for more processes at once
    paths, pending = [], set()
    context = multiprocessing.get_context("spawn")  # a fork would copy TensorFlow's threads in an unusable state
    pool = concurrent.futures.ProcessPoolExecutor(workers, context, initializer=_start_worker)
    try:
        for path, records in numbered_chunks(annotations, folder):
            paths.append(path)
            if path.exists():
                progress(len(records))
                continue
            pending.add(pool.submit(write_chunk, path, records, annotations.root, settings))
            if len(pending) >= 2 * workers:
                pending = _wait(pending, progress)
        while pending:
            pending = _wait(pending, progress)
    except BrokenProcessPool:
        raise KilledWorkerError(
            "a worker process ended abruptly; the system may have killed it because memory ran out. The same command "
            "resumes; fewer processes (--workers) need less memory"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return paths


def _start_worker() -> None:
    cv2.setNumThreads(1)  # the processes already share the cores
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process with its parent. A killed parent cannot end its workers, which would wait for work forever."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


def numbered_chunks(annotations: Annotations, folder: Path) -> Iterator[tuple[Path, list[FaceRecord]]]:
    """The records in lists of CHUNK (the last may be shorter), each with the path of its chunk file in `folder`."""
    records = iter(annotations.records())
    for number in itertools.count():
        chunk = list(itertools.islice(records, CHUNK))
        if not chunk:
            return
        yield folder / f"{number:06d}.parquet", chunk


def _write_here(
    path: Path, records: list[FaceRecord], root: Path, settings: Settings, progress: Callable[[int], None]
) -> Path:
    """Write one chunk in this process, on one thread like a worker."""
    if not path.exists():
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            write_chunk(path, records, root, settings)
        finally:
            cv2.setNumThreads(threads)
    progress(len(records))
    return path


def check_detectors(settings: Settings) -> None:
    """Run each detector on an empty image, so that a missing file or package is reported before the first photo.

    Raises:
        MissingFileError, MissingPackageError: a detector is not installed.
    """
    empty = np.zeros((64, 64, 3), np.uint8)
    for name in {*settings.detectors, settings.check} - {ANNOTATION, NONE, None}:
        settings.detector(name)(empty)
    if settings.landmarks:
        detection.landmarks(empty, (8, 8, 48, 48), folder=settings.folder)


def _wait(pending: set[Any], progress: Callable[[int], None]) -> set[Any]:
    done, pending = concurrent.futures.wait(pending, return_when=concurrent.futures.FIRST_COMPLETED)
    for future in done:
        progress(future.result())
    return pending


def write_chunk(path: Path, records: Sequence[FaceRecord], root: Path, settings: Settings) -> int:
    """Crop the faces of some records and write them as one chunk file, atomically. Returns len(records)."""
    face_rows = [row for record in records for row in rows(record, root, settings)]
    table = pyarrow.Table.from_pylist(face_rows, schema=SCHEMA)
    temporary = path.with_suffix(".incomplete")
    try:
        pyarrow.parquet.write_table(table, temporary, compression="zstd")
        with open(temporary, "r+b") as file:  # Windows flushes only files that are open for writing
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return len(records)


def read_chunks(paths: Sequence[Path], columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of chunk files in order, with all or some columns."""
    for path in paths:
        yield from pyarrow.parquet.read_table(path, columns=None if columns is None else list(columns)).to_pylist()
