"""Speed and memory of preparing AffectNet's csv lists, all but the images: find, fingerprint, count, records, table.

    python -m benchmarks.affectnet_csv [ROWS [records]]

Makes a training.csv of 200,000 rows (or ROWS) like the published one, 1.1 kB each with 68 landmarks, in a temporary
folder; "records" ends after reading. Times are the process' own, not the clock's; memory is its peak.
"""

import hashlib
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet

from edram_fer.preprocessing import face_table, faces
from edram_fer.preprocessing.datasets.affectnet import annotations
from edram_fer.preprocessing.face_table import FaceTable, SplitSettings
from edram_fer.preprocessing.records import Annotations, FaceRecord, fingerprint

HEADER = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"


def write(
    folder: Path,
    rows: int,
    between: tuple[float, float] = (10, 900),
    boxes: Sequence[tuple[float, float, float, float]] = ((20, 20, 210, 210),),
) -> None:
    """training.csv, and the folder of its images without these; landmarks lie `between` two numbers of pixels.

    `boxes`: (left, top, width, height) in pixels, those of the rows in turn.
    """
    rng = np.random.default_rng(0)
    points = [";".join(f"{value:.2f}" for value in rng.uniform(*between, 136)) for _ in range(500)]
    (folder / "Manually_Annotated_Images").mkdir()
    with open(folder / "training.csv", "w") as file:
        file.write(f"{HEADER}\n")
        for row in range(rows):
            code = 11 * (row * 7 % 1000) // 1000
            box = ",".join(f"{value:.0f}" for value in boxes[row % len(boxes)])
            file.write(
                f"{row % 1500}/{row:056x}.jpg,{box},{points[row % 500]},{code},0.{row % 997:06d},-0.{row % 991:06d}\n"
            )


def timed(name: str, work: Callable, rows: int) -> None:
    start = time.process_time()
    result = work()
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name:28}{seconds:8.2f} s{1e6 * seconds / rows:8.1f} us/row{peak:8.0f} MiB peak   {result}", flush=True)


def read(found: Annotations, rows: int) -> None:
    timed("fingerprint", lambda: fingerprint(found)[:8], rows)
    timed("count", found.count, rows)
    timed("records", lambda: sum(1 for _ in found.records()), rows)


def tabulate(found: Annotations, folder: Path, rows: int) -> None:
    chunks = []
    timed(
        "chunk files, no images",
        lambda: chunks.extend(_chunk(*chunk) for chunk in faces.numbered_chunks(found, folder)),
        rows,
    )
    tables = []
    timed("table of all faces", lambda: tables.append(FaceTable(chunks, found.classes, SplitSettings())), rows)
    timed("rows.parquet", lambda: face_table.write_rows(tables[0], folder / "rows.parquet"), rows)


def _chunk(path: Path, records: list[FaceRecord]) -> Path:
    """What faces.write_chunk leaves, with digests of the ids in the place of faces."""
    made = []
    for record in records:
        digest = hashlib.blake2b(record.id.encode(), digest_size=16).digest()
        made.append(
            {
                "id": record.id,
                "row": record.row,
                "image": record.image,
                "split": record.split,
                "emotion": record.emotion,
                "status": record.status,
                "digest": digest,
                "image_digest": digest,
            }
        )
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(made, schema=faces.SCHEMA), path, compression="zstd")
    return path


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, rows)
        timed("find", lambda: annotations.find(folder).layout, rows)
        found = annotations.find(folder)
        read(found, rows)
        if sys.argv[2:] != ["records"]:
            tabulate(found, folder, rows)


if __name__ == "__main__":
    main()
