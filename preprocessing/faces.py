"""Annotated photos to faces, on all cores, at any moment resumable: records -> chunk files with one row per face.

The records of a data set are cut into chunks of CHUNK rows in their order. A chunk is one Parquet file, written whole
or not at all, and a function of its records, the images and the settings alone; so a run that was killed goes on
with the first missing chunk, and any number of processes gives the same bytes. Memory holds a few chunks per process.
"""

import concurrent.futures
import dataclasses
import hashlib
import itertools
import math
import multiprocessing
import numbers
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import cv2
import numpy as np
import pyarrow
import pyarrow.parquet

from edram_fer.errors import UserError
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
        "status": pyarrow.string(),  # OK, why the row has no face, or why it has no label
        "detector": pyarrow.string(),
        "score": pyarrow.float32(),  # who found the face, how sure
        "box": _POINTS,  # left, top, width, height in pixels of the image
        "square": pyarrow.list_(pyarrow.int32()),  # left, top, side of the cut
        "landmarks": _POINTS,  # x, y, x, y, ... in pixels of the face
        "annotation_iou": pyarrow.float32(),  # of the annotation's box with the nearest that a detector finds
        "digest": pyarrow.binary(16),  # of the face's pixels: equal for equal faces
        "image_digest": pyarrow.binary(16),  # of the image's, however large a part of it the face is
        "face": pyarrow.binary(),  # PNG
    }
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a face is made from a photo. The defaults are Forch et al. 2019's, but for the detector.

    Attributes:
        size: of the face's side in pixels.
        colour: RGB, or grey.
        detectors: asked in turn: names of `detection.DETECTORS`, "annotation" (the annotation's box), "none" (the whole
            image is the face). Where the annotation has a box, a detector's face must be the one that it means.
        detector_size: longer side of the image that YuNet sees.
        faces: which of several: "largest", "centre", "all".
        margin: share by which the square is larger than the box, beside the detector's own.
        chin: let the square grow downward until the chin is in, where landmarks are annotated or dlib's file is asked
            for by `landmarks`.
        landmarks: find dlib's 68 landmarks where none are annotated.
        clahe: clip limit of the contrast equalisation, 0 for none.
        check: name of a detector that looks at every image with a given box; the overlap is noted.
        models: folder of the detectors' and the landmarks' files; "": the packages that carry them. What they hold is
            checked, so it says nothing about the faces.
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

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value, kind = getattr(self, field.name), _NUMBERS.get(field.name)
            if kind and (isinstance(value, bool) or not isinstance(value, kind) or not math.isfinite(value)):
                raise UserError(f"{field.name}: expected a {_WORDS[kind]}, got {value!r}")
        known = (*detection.DETECTORS, ANNOTATION, NONE)
        for name in self.detectors:
            if name not in known:
                raise UserError(f"detectors: expected some of {', '.join(known)}, got {name!r}")
        if not self.detectors:
            raise UserError(f"detectors: expected at least one of {', '.join(known)}")
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
        """Of the model files; None: the packages that carry them."""
        return Path(self.models).expanduser() if self.models else None

    def detector(self, name: str) -> Callable:
        if name == "yunet":
            return detection.YuNet(self.detector_size, folder=self.folder)
        return detection.SSD(folder=self.folder) if name == "ssd" else detection.DETECTORS[name]()


_NUMBERS = {"size": numbers.Integral, "detector_size": numbers.Integral, "margin": numbers.Real, "clahe": numbers.Real}
_WORDS = {numbers.Integral: "whole number", numbers.Real: "number"}


def rows(record: FaceRecord, root: Path, settings: Settings) -> Iterator[dict]:
    """One record -> its faces as rows of SCHEMA; a record that gives no face -> one row with its status."""
    if record.status == OK:
        yield from photo_rows(record, root, settings)
    else:
        yield {**_annotated(record), "status": record.status}


def _annotated(record: FaceRecord) -> dict:
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


def photo_rows(record: FaceRecord, root: Path, settings: Settings) -> Iterator[dict]:
    """As `rows`, whether or not the record has a label."""
    row = {**_annotated(record), "status": OK}
    try:
        image = load_image(record, root)
        # SHA-256 is what processors have built in: half the time of BLAKE2 on a whole photo.
        row["image_digest"] = hashlib.sha256(np.ascontiguousarray(image)).digest()[:16]
        found, who, margin = _find(image, record, settings)
        if not found:
            yield {**row, "status": detection.NO_FACE}
        for number, face in enumerate(found):
            own = {"id": f"{record.id}#{number}"} if settings.faces == "all" else {}
            made = _make(image, face, who, record, margin + settings.margin, settings)
            yield {**row, **own, "detector": who, **made}
    except (ValueError, RuntimeError, cv2.error) as fault:  # RuntimeError: dlib
        yield {**row, "status": " ".join(str(fault).split())[:200]}


def load_image(record: FaceRecord, root: Path) -> np.ndarray:
    """The image of a record, uint8 [H, W, 3] RGB. ValueError says why it cannot be had."""
    if record.pixels is None:
        return photos.read(photos.inside(root, record.image))
    return record.pixels if record.pixels.ndim == 3 else cv2.cvtColor(record.pixels, cv2.COLOR_GRAY2RGB)


def _find(image: np.ndarray, record: FaceRecord, settings: Settings) -> tuple[list[detection.Face], str, float]:
    """The chosen faces of an image, who found them, and the margin that these boxes need; ([], "no_face", 0).

    ValueError where only the annotation was asked and it has no box.
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
            found, who = detection.cascade(image, [detector])
            if record.box is None:
                found = detection.choose(found, settings.faces, size)
            else:
                found = detection.annotated(found, record.box)
            if found:
                return found, who, detector.margin
    if set(settings.detectors) == {ANNOTATION}:
        raise UserError("no box is annotated")
    return [], detection.NO_FACE, 0.0


def _make(
    image: np.ndarray, face: detection.Face, who: str, record: FaceRecord, margin: float, settings: Settings
) -> dict:
    """The columns of SCHEMA that come from the pixels. ValueError for a box that gives no square."""
    landmarks = record.landmarks if record.landmarks is not None and _of_face(record.landmarks, face.box) else None
    if landmarks is None and settings.landmarks:
        landmarks = detection.landmarks(image, face.box, folder=settings.folder)
    place = crop.square(face.box, image.shape[:2], margin, landmarks if settings.chin else None)
    cropped = crop.cut(image, place, settings.size)
    cropped = crop.equalised(cropped, settings.clahe)
    cropped = cropped if settings.colour else crop.grey(cropped)
    columns = {
        "score": face.score,
        "box": [float(value) for value in face.box],
        "square": list(place),
        "digest": hashlib.blake2b(cropped.tobytes(), digest_size=16).digest(),
        "face": _png(cropped),
    }
    if landmarks is not None:
        columns["landmarks"] = crop.to_square(landmarks, place, settings.size).ravel().tolist()
    if record.box is not None and (settings.check is not None or who not in (ANNOTATION, NONE)):
        others = [face] if settings.check is None else settings.detector(settings.check)(image)
        overlaps = [detection.intersection_over_union(record.box, other.box) for other in others]
        columns["annotation_iou"] = max(overlaps, default=0.0)
    return columns


def _of_face(landmarks, box) -> bool:
    """Whether landmarks are those of the face in a box, not of another one: most of eyes, nose and mouth lie in it."""
    left, top, width, height = box
    x, y = np.asarray(landmarks, float)[17:].T
    return bool(((x >= left) & (x <= left + width) & (y >= top) & (y <= top + height)).mean() > 0.5)


def _png(image: np.ndarray) -> bytes:
    image = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", image)[1].tobytes()


def process(
    found: Annotations,
    folder: Path,
    settings: Settings,
    *,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Path]:
    """Make all faces of a data set as chunk files in `folder`; what is there already stays.

    Args:
        found: the data set.
        folder: of the chunk files, made where missing. It must belong to these annotations and settings alone.
        settings: how a face is made.
        workers: processes; None: one per core; 1: this one, no other is started.
        progress: told the number of records done, chunk by chunk.

    Returns: the chunk files in the order of the records.

    Raises OSError where a chunk cannot be written or a worker was killed; FileNotFoundError and ImportError where a
    detector is missing.
    """
    check_detectors(settings)
    folder.mkdir(parents=True, exist_ok=True)
    workers = workers or len(os.sched_getaffinity(0))
    if workers == 1:
        return [_here(*chunk, found.root, settings, progress) for chunk in numbered_chunks(found, folder)]
    paths, pending = [], set()
    context = multiprocessing.get_context("spawn")  # a fork would copy TensorFlow's threads in an unusable state
    pool = concurrent.futures.ProcessPoolExecutor(workers, context, initializer=_begin_worker)
    try:
        for path, records in numbered_chunks(found, folder):
            paths.append(path)
            if path.exists():
                progress(len(records))
                continue
            pending.add(pool.submit(write_chunk, path, records, found.root, settings))
            if len(pending) >= 2 * workers:
                pending = _wait(pending, progress)
        while pending:
            pending = _wait(pending, progress)
    except BrokenProcessPool:
        raise ChildProcessError(
            "a process that made faces ended abruptly, perhaps killed for its memory; the same "
            "command goes on, and needs less with fewer processes (--workers)"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return paths


def _begin_worker() -> None:
    cv2.setNumThreads(1)  # the processes share the cores already
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent tells nobody: its workers would wait for work for ever, and write beside those of the next run."""
    multiprocessing.parent_process().join()
    os._exit(1)


def numbered_chunks(found: Annotations, folder: Path) -> Iterator[tuple[Path, list[FaceRecord]]]:
    """The records in lists of CHUNK, the last one shorter, each with its chunk file in `folder`."""
    records = iter(found.records())
    for number in itertools.count():
        chunk = list(itertools.islice(records, CHUNK))
        if not chunk:
            return
        yield folder / f"{number:06d}.parquet", chunk


def _here(
    path: Path, records: list[FaceRecord], root: Path, settings: Settings, progress: Callable[[int], None]
) -> Path:
    """One chunk in this process, on one thread like the others."""
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
    """Let each detector see an empty image: a missing file ends the run before its first photo."""
    empty = np.zeros((64, 64, 3), np.uint8)
    for name in {*settings.detectors, settings.check} - {ANNOTATION, NONE, None}:
        settings.detector(name)(empty)
    if settings.landmarks:
        detection.landmarks(empty, (8, 8, 48, 48), folder=settings.folder)


def _wait(pending: set, progress: Callable[[int], None]) -> set:
    done, pending = concurrent.futures.wait(pending, return_when=concurrent.futures.FIRST_COMPLETED)
    for future in done:
        progress(future.result())
    return pending


def write_chunk(path: Path, records: Sequence[FaceRecord], root: Path, settings: Settings) -> int:
    """Make the faces of some records and write them as one chunk file, whole or not at all; how many records."""
    made = [row for record in records for row in rows(record, root, settings)]
    table = pyarrow.Table.from_pylist(made, schema=SCHEMA)
    temporary = path.with_suffix(".incomplete")
    try:
        pyarrow.parquet.write_table(table, temporary, compression="zstd")
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return len(records)


def read_chunks(paths: Sequence[Path], columns: Sequence[str] | None = None) -> Iterator[dict]:
    """The rows of chunk files in their order, all columns or some."""
    for path in paths:
        yield from pyarrow.parquet.read_table(path, columns=None if columns is None else list(columns)).to_pylist()
