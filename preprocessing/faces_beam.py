"""`face_chunks.process` on a cluster: the workers of an Apache Beam pipeline write the same chunk files.

The records are written as one small file per chunk, and the workers turn these files into chunk files of faces. All
workers therefore need the folder and the photos under the same paths on a shared file system, write access to the
folder, and the same versions of Python, this package, its extra `faces` and Beam. docs/beam.md shows examples and the
options that select a runner (FlinkRunner, SparkRunner, PortableRunner).
"""

import base64
import dataclasses
import json
import reprlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edram_fer.errors import MissingPackageError, UserError
from edram_fer.preprocessing import face_chunks, faces
from edram_fer.preprocessing.face_settings import FaceSettings
from edram_fer.preprocessing.records import Annotations, FaceRecord

INSTALL = "pip install 'edram-fer[beam]'"


def process(
    annotations: Annotations,
    folder: Path,
    settings: FaceSettings,
    flags: Sequence[str],
    progress: Callable[[int], None] = lambda done: None,
) -> list[Path]:
    """Crop all faces of a data set and write chunk files with the same bytes as `face_chunks.process`.

    Args:
        annotations: annotations of the data set.
        folder: folder of the chunk files, created if missing.
        settings: how faces are cropped.
        flags: options of the Beam pipeline, such as "--runner=DirectRunner", "--direct_num_workers=2".
        progress: called with the number of records in each existing chunk, and at the end with the number of all other
            records.

    Returns:
        the chunk files in the order of the records.

    Raises:
        MissingPackageError: Apache Beam is not installed.
        UserError: Beam does not know a flag.
        Exception: an exception that a worker raised.
    """
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError:
        raise MissingPackageError(f"a Beam pipeline needs Apache Beam: {INSTALL}") from None
    options = PipelineOptions(list(flags))
    _check_flags(options)
    faces.check_detectors(settings)
    folder.mkdir(parents=True, exist_ok=True)
    paths, missing, remaining = [], [], 0
    for path, records in face_chunks.numbered_chunks(annotations, folder):
        paths.append(path)
        if path.exists():
            progress(len(records))
        else:
            _records_file(path).write_text(_to_json(records), encoding="utf-8")
            missing.append(str(path))
            remaining += len(records)
    if missing:
        with beam.Pipeline(options=options) as pipeline:
            chunks = pipeline | "chunks" >> beam.Create(missing) | beam.Reshuffle()
            _ = chunks | "faces" >> beam.Map(_write, str(annotations.root), settings)
        progress(remaining)
    return paths


def _check_flags(options: Any) -> None:
    """Raise UserError for a flag that Beam would pass over. A job server may know more flags than Beam itself."""
    known = options.get_all_options()
    unknown = options.get_all_options(retain_unknown_options=True).keys() - known.keys()
    if unknown and known.get("runner") != "PortableRunner":
        raise UserError(f"beam: unknown flags {reprlib.repr(', '.join(sorted(unknown)))}; docs/beam.md shows examples")


def _to_json(records: Sequence[FaceRecord]) -> str:
    """Records as JSON, which, unlike a pickle, runs nothing when it is read."""
    rows = []
    for record in records:
        row = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
        if record.pixels is not None:
            row["pixels"] = [base64.b64encode(record.pixels.tobytes()).decode(), record.pixels.shape]
        rows.append(row)
    return json.dumps(rows)


def _from_json(text: str) -> list[FaceRecord]:
    """The inverse of `_to_json`."""
    records = []
    for row in json.loads(text):
        if row["pixels"] is not None:
            pixels, shape = row["pixels"]
            row["pixels"] = np.frombuffer(base64.b64decode(pixels), np.uint8).reshape(shape)
        for name in ("box", "soft_label"):
            row[name] = None if row[name] is None else tuple(row[name])
        if row["landmarks"] is not None:
            row["landmarks"] = tuple(map(tuple, row["landmarks"]))
        records.append(FaceRecord(**row))
    return records


def _records_file(path: Path) -> Path:
    return path.with_suffix(".records")


def _write(name: str, root: str, settings: FaceSettings) -> int:
    cv2.setNumThreads(1)  # the workers already share the cores
    path = Path(name)
    records = _from_json(_records_file(path).read_text(encoding="utf-8"))
    if not path.exists():  # a runner may hand out the same work twice
        face_chunks.write_chunk(path, records, Path(root), settings)
    _records_file(path).unlink(missing_ok=True)
    return len(records)
