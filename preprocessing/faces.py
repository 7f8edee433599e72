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
    """How a face is cropped from a photo. The defaults follow Forch et al. 2019, except for the detector.

    Attributes:
        size: side of the face in pixels.
        colour: RGB instead of grey.
        detectors: tried in turn: names of `detection.DETECTORS`, "annotation" (the annotated box), "none" (the whole
            image is the face). If a box is annotated, only a detected face that overlaps with it counts.
        detector_size: longer side of YuNet's input image, in pixels.
        faces: which of several faces: "largest", "centre", "all".
        margin: share by which the square is larger than the box, in addition to the margin of the detector.
        chin: extend the square downwards to include the chin, if there are landmarks.
        landmarks: find 68 landmarks with dlib if none are annotated.
        clahe: clip limit of the contrast equalisation, 0 for none.
        check: name of a detector that runs on every image with an annotated box; the overlap is recorded.
        models: folder that is searched first for the files of detectors and landmarks; "": none. It does not affect
            the faces, because the content of the files is verified.
    """

    size: int = 100
    colour: bool = False
    detectors: tuple[str, ...] = ("yunet", "dlib")
    detector_size: int = 320
    faces: str = "largest"
    margin: float = 0.0
    chin: bool = True
    landmarks: bool = False
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
        if self.check is not None and self.check not in detection.DETECTORS:
            raise UserError(f"check: expected one of {', '.join(detection.DETECTORS)}, got {self.check!r}")
        if self.faces not in detection.CHOICES:
            raise UserError(f"faces: expected one of {', '.join(detection.CHOICES)}, got {self.faces!r}")
        if not 8 <= self.size <= 2048:
            raise UserError(f"size: expected 8 to 2048 pixels, got {self.size!r}")
        for name, least in (("margin", 0), ("clahe", 0), ("detector_size", 32)):
            if not getattr(self, name) >= least:
                raise UserError(f"{name}: expected at least {least}, got {getattr(self, name)!r}")
        object.__setattr__(self, "models", str(self.models))

    @property
    def folder(self) -> Path | None:
        """`models` as a path, or None."""
        return Path(self.models).expanduser() if self.models else None

    def detector(self, name: str) -> detection.Detector:
        """The detector with a name from `detection.DETECTORS` and these settings."""
        if name == "yunet":
            return detection.YuNet(self.detector_size, folder=self.folder)
        return detection.SSD(folder=self.folder) if name == "ssd" else detection.DETECTORS[name]()


_NUMBERS = {"size": numbers.Integral, "detector_size": numbers.Integral, "margin": numbers.Real, "clahe": numbers.Real}
_WORDS = {numbers.Integral: "whole number", numbers.Real: "number"}


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
        detected, detector, margin = _detect(image, record, settings)
        if not detected:
            yield {**row, "status": detection.NO_FACE}
        for number, face in enumerate(detected):
            face_id = {"id": f"{record.id}#{number}"} if settings.faces == "all" else {}
            columns = _face_columns(image, face, detector, record, margin + settings.margin, settings)
            yield {**row, **face_id, "detector": detector, **columns}
    except (photos.PhotoError, crop.BoxError) as error:
        yield {**row, "status": " ".join(str(error).split())[:200]}


def load_image(record: FaceRecord, root: Path) -> np.ndarray:
    """The image of a record, uint8 [H, W, 3] RGB. Raises PhotoError if its file cannot be used."""
    if record.pixels is None:
        return photos.read(photos.path_inside(root, record.image))
    return record.pixels if record.pixels.ndim == 3 else cv2.cvtColor(record.pixels, cv2.COLOR_GRAY2RGB)


def _detect(image: np.ndarray, record: FaceRecord, settings: Settings) -> tuple[list[detection.Face], str, float]:
    """The selected faces of an image, the detector that found them, and the margin of its boxes; or ([], "no_face", 0).

    Raises BoxError if only the annotated box may be used and there is none.
    """
    size = image.shape[:2]
    for name in settings.detectors:
        if name == NONE:
            return [detection.Face((0, 0, *size[::-1]), 1.0)], NONE, 0.0
        if name == ANNOTATION:
            if record.box is not None:
                return [detection.Face(record.box, 1.0)], ANNOTATION, 0.0
        else:
            detector = settings.detector(name)
            detected, detector_name = detection.cascade(image, [detector])
            if record.box is None:
                chosen = detection.choose(detected, settings.faces, size)
            else:
                chosen = detection.match_annotation(detected, record.box)
            if chosen:
                return chosen, detector_name, detector.margin
    if set(settings.detectors) == {ANNOTATION}:
        raise crop.BoxError("no box is annotated")
    return [], detection.NO_FACE, 0.0


def _face_columns(
    image: np.ndarray, face: detection.Face, detector: str, record: FaceRecord, margin: float, settings: Settings
) -> dict[str, Any]:
    """The columns of SCHEMA that depend on the pixels. Raises BoxError for a box that gives no square."""
    crop.check(face.box, image.shape)
    landmarks = (
        record.landmarks if record.landmarks is not None and _belong_to_box(record.landmarks, face.box) else None
    )
    if landmarks is None and settings.landmarks:
        landmarks = detection.landmarks(image, face.box, folder=settings.folder)
    square = crop.square(face.box, image.shape[:2], margin, landmarks if settings.chin else None)
    cropped = crop.cut(image, square, settings.size)
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
        columns["landmarks"] = crop.to_square(landmarks, square, settings.size).ravel().tolist()
    if record.box is not None and (settings.check is not None or detector not in (ANNOTATION, NONE)):
        others = [face] if settings.check is None else settings.detector(settings.check)(image)
        overlaps = [detection.intersection_over_union(record.box, other.box) for other in others]
        columns["annotation_iou"] = max(overlaps, default=0.0)
    return columns


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
