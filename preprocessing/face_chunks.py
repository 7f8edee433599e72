"""The faces of a data set, on all cores and resumable at any time: records -> chunk files, one row per face.

The records of a data set are divided, in order, into chunks of CHUNK rows. A chunk is one Parquet file, written
atomically, and depends only on its records, the images and the settings. So a killed run resumes at the first missing
chunk, and any number of processes gives the same bytes. Each process holds a few chunks in memory.
"""

import concurrent.futures
import itertools
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import cv2
import pyarrow
import pyarrow.parquet

from edram_fer.errors import KilledWorkerError
from edram_fer.preprocessing import cores, faces
from edram_fer.preprocessing.face_settings import FaceSettings
from edram_fer.preprocessing.records import Annotations, FaceRecord

CHUNK = 500
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


def process(
    annotations: Annotations,
    folder: Path,
    settings: FaceSettings,
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
    faces.check_detectors(settings)
    folder.mkdir(parents=True, exist_ok=True)
    workers = workers or cores.available_cores()
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
        _end_unread_task(pool)
        raise KilledWorkerError(
            "a worker process ended abruptly; the system may have killed it because memory ran out. The same command "
            "resumes; fewer processes (--workers) need less memory"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return paths


def _end_unread_task(pool: concurrent.futures.ProcessPoolExecutor) -> None:
    """Close the pipe of tasks in this process. In early versions of Python 3.11, such as Debian's, a thread of the pool
    would wait forever for the killed workers to read the task that it is writing (python/cpython issue 94777)."""
    queue = getattr(pool, "_call_queue", None)
    if queue is not None and not hasattr(queue, "_terminate_broken"):  # which later versions have, and call
        queue._reader.close()


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
    path: Path, records: list[FaceRecord], root: Path, settings: FaceSettings, progress: Callable[[int], None]
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


def _wait(pending: set[Any], progress: Callable[[int], None]) -> set[Any]:
    done, pending = concurrent.futures.wait(pending, return_when=concurrent.futures.FIRST_COMPLETED)
    for future in done:
        progress(future.result())
    return pending


def write_chunk(path: Path, records: Sequence[FaceRecord], root: Path, settings: FaceSettings) -> int:
    """Crop the faces of some records and write them as one chunk file, atomically. Returns len(records)."""
    face_rows = [row for record in records for row in faces.rows(record, root, settings)]
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
