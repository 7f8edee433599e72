"""`face_chunks.process` on a cluster: the workers of an Apache Beam pipeline write the same chunk files.

The records are written as one small file per chunk, and the workers turn these files into chunk files of faces. All
workers therefore need the folder and the photos under the same paths on a shared file system, write access to the
folder, and the same versions of Python, this package, its extra `faces` and Beam. docs/beam.md shows examples and the
options that select a runner (FlinkRunner, SparkRunner, PortableRunner).
"""

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2

from edram_fer.errors import MissingPackageError
from edram_fer.preprocessing import face_chunks, faces
from edram_fer.preprocessing.face_settings import FaceSettings
from edram_fer.preprocessing.records import Annotations

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
        Exception: an exception that a worker raised.
    """
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError:
        raise MissingPackageError(f"a Beam pipeline needs Apache Beam: {INSTALL}") from None
    faces.check_detectors(settings)
    folder.mkdir(parents=True, exist_ok=True)
    paths, missing, remaining = [], [], 0
    for path, records in face_chunks.numbered_chunks(annotations, folder):
        paths.append(path)
        if path.exists():
            progress(len(records))
        else:
            _records_file(path).write_bytes(pickle.dumps(records))
            missing.append(str(path))
            remaining += len(records)
    if missing:
        with beam.Pipeline(options=PipelineOptions(list(flags))) as pipeline:
            chunks = pipeline | "chunks" >> beam.Create(missing) | beam.Reshuffle()
            _ = chunks | "faces" >> beam.Map(_write, str(annotations.root), settings)
        progress(remaining)
    return paths


def _records_file(path: Path) -> Path:
    return path.with_suffix(".records")


def _write(name: str, root: str, settings: FaceSettings) -> int:
    cv2.setNumThreads(1)  # the workers already share the cores
    path = Path(name)
    records = pickle.loads(_records_file(path).read_bytes())
    if not path.exists():  # a runner may hand out the same work twice
        face_chunks.write_chunk(path, records, Path(root), settings)
    _records_file(path).unlink(missing_ok=True)
    return len(records)
