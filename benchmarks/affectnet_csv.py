"""CPU time and memory of preparing AffectNet's CSV lists without the images.

    python -m benchmarks.affectnet_csv [ROWS] [--read-only]

Writes a synthetic training.csv like the published one (1.1 kB per row, with 68 landmarks) into a temporary folder, then
finds the lists, computes their fingerprint, counts and reads the rows, and builds the table of all faces. Reports the
CPU time of this process and its peak memory after each step.
"""

import argparse
import hashlib
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow
import pyarrow.parquet

from benchmarks.peak_memory import peak_mib
from edram_fer.preprocessing import face_chunks, face_table
from edram_fer.preprocessing.datasets.affectnet import annotations
from edram_fer.preprocessing.face_table import FaceTable, SplitSettings
from edram_fer.preprocessing.records import Annotations, FaceRecord, fingerprint

HEADER = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"

Result = TypeVar("Result")


def write_list(
    folder: Path,
    rows: int,
    landmark_range: tuple[float, float] = (10, 900),
    boxes: Sequence[tuple[float, float, float, float]] = ((20, 20, 210, 210),),
) -> None:
    """Write training.csv and an empty folder for its images.

    Args:
        folder: existing folder of the data set.
        rows: number of rows. Their codes of the emotion are distributed evenly over 0 to 10.
        landmark_range: lowest and highest coordinate of a landmark, in pixels.
        boxes: (left, top, width, height) in pixels; the rows use them in turn.
    """
    rng = np.random.default_rng(0)
    points = [";".join(f"{value:.2f}" for value in rng.uniform(*landmark_range, 136)) for _ in range(500)]
    (folder / "Manually_Annotated_Images").mkdir()
    with open(folder / "training.csv", "w", encoding="utf-8") as file:
        file.write(f"{HEADER}\n")
        for row in range(rows):
            code = 11 * (row * 7 % 1000) // 1000
            box = ",".join(f"{value:.0f}" for value in boxes[row % len(boxes)])
            file.write(
                f"{row % 1500}/{row:056x}.jpg,{box},{points[row % 500]},{code},0.{row % 997:06d},-0.{row % 991:06d}\n"
            )


def measure(step: str, work: Callable[[], Result], rows: int, describe: Callable[[Result], object] = str) -> Result:
    """Do one step, print its CPU time, the peak memory so far and a description of its result; return the result."""
    start = time.process_time()
    result = work()
    seconds = time.process_time() - start
    print(
        f"{step:28}{seconds:8.2f} s{1e6 * seconds / rows:8.1f} us/row{peak_mib():8.0f} MiB peak   {describe(result)}",
        flush=True,
    )
    return result


def read(lists: Annotations, rows: int) -> None:
    """Measure the fingerprint, the count and the reading of all rows."""
    measure("fingerprint", lambda: fingerprint(lists), rows, lambda digest: digest[:8])
    measure("count", lists.count, rows)
    measure("records", lambda: sum(1 for _ in lists.records()), rows)


def tabulate(lists: Annotations, folder: Path, rows: int) -> None:
    """Measure the chunk files (without faces), the table of all faces and rows.parquet."""
    chunks = measure(
        "chunk files, no images",
        lambda: [_write_chunk(path, records) for path, records in face_chunks.numbered_chunks(lists, folder)],
        rows,
        len,
    )
    table = measure("table of all faces", lambda: FaceTable(chunks, lists.classes, SplitSettings()), rows, len)
    measure("rows.parquet", lambda: face_table.write_rows(table, folder / "rows.parquet"), rows, lambda _: "")


def _write_chunk(path: Path, records: list[FaceRecord]) -> Path:
    """As `face_chunks.write_chunk`, but with a digest of the id instead of the digests of face and image."""
    rows = []
    for record in records:
        digest = hashlib.blake2b(record.id.encode(), digest_size=16).digest()
        rows.append(
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
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=face_chunks.SCHEMA), path, compression="zstd")
    return path


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="?", type=int, default=200_000, metavar="ROWS", help="default %(default)s")
    parser.add_argument("--read-only", action="store_true", help="stop after reading the rows")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_list(folder, options.rows)
        lists = measure("find", lambda: annotations.find(folder), options.rows, lambda result: result.layout)
        read(lists, options.rows)
        if not options.read_only:
            tabulate(lists, folder, options.rows)


if __name__ == "__main__":
    main()
