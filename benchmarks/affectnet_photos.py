"""Rate, memory and resuming of `prepare affectnet` on a synthetic AffectNet of any length.

    python -m benchmarks.affectnet_photos --photos PHOTOS --rows 200000 --size 200x200 --out runs/affectnet
    python -m benchmarks.affectnet_photos --photos PHOTOS --rows 12000 --size 640x480 --out runs/affectnet

Makes --distinct images from the photos of people in --photos (see benchmarks.faces) and a training.csv. Each row has
an image file of its own, a hard link to one of these images. Eight rows of eleven have an emotion; the images of the
others are not opened. The command runs on all cores, is killed with all its processes after a third of the chunk files,
and is started again and runs to its end.

Prints, and writes to --out/result.json: photos per second of both starts together, all stages included; the CPU time
of the second start (null on Windows, which does not report it); the largest resident memory of all processes together;
and how many of the chunk files that existed at the kill were recomputed, which must be none.

Needs psutil, which `pip install "edram-fer[benchmarks]"` installs.
"""

import argparse
import contextlib
import dataclasses
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pyarrow.parquet

from benchmarks.affectnet_csv import write_list
from benchmarks.faces import make_images
from edram_fer import files
from edram_fer.preprocessing import face_chunks, photos
from edram_fer.preprocessing.datasets.affectnet import annotations
from edram_fer.preprocessing.face_settings import FaceSettings
from edram_fer.preprocessing.records import OK

PREPARE = [sys.executable, "-c", "from edram_fer.cli import main; main()", "prepare", "affectnet"]


@dataclasses.dataclass(frozen=True)
class Start:
    """One start of the command.

    Attributes:
        seconds: duration.
        cpu_seconds: CPU time of all its processes; 0 on Windows.
        memory: largest resident memory of all its processes together, in bytes.
        chunks: modification time of each chunk file in ns, by file name.
    """

    seconds: float
    cpu_seconds: float
    memory: int
    chunks: dict[str, int]


def make_dataset(folder: Path, images: Sequence[Path], rows: int, landmark_range: tuple[float, float]) -> None:
    """Write the list, with the box of the face in each image, and link an image for each of its rows.

    Args:
        folder: folder of the data set; emptied first.
        images: files with one face each; the rows use them in turn.
        rows: number of rows of the list.
        landmark_range: lowest and highest coordinate of a landmark, in pixels.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yunet = FaceSettings().detector("yunet")
    write_list(folder, rows, landmark_range, [yunet(photos.read(path))[0].box for path in images])
    for number, record in enumerate(annotations.find(folder).records()):
        path = folder / record.image
        path.parent.mkdir(exist_ok=True)
        os.link(images[number % len(images)], path)


def process_tree(pid: int) -> list[psutil.Process]:
    """A process and its child processes; empty if it has ended."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def resident(pid: int) -> int:
    """Resident bytes of a process and its child processes."""
    total = 0
    for process in process_tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total


def children_cpu_seconds() -> float:
    """CPU time of all ended child processes; always 0 on Windows."""
    times = os.times()
    return times.children_user + times.children_system


def run_prepare(out: Path, kill_at: int | None = None) -> Start:
    """Run the command.

    Args:
        out: folder of this benchmark.
        kill_at: kill the command and its processes once this many chunk files exist; None: let it finish.

    Raises:
        RuntimeError: the command failed, or finished before it could be killed.
    """
    command = [*PREPARE, "--source", out / "affectnet", "--out", out / "data", "--detectors", "yunet"]
    cpu_before, start, memory, chunks, killed = children_cpu_seconds(), time.perf_counter(), 0, {}, False
    process = subprocess.Popen(command)
    while process.poll() is None:
        time.sleep(1)
        memory = max(memory, resident(process.pid))
        written = out.glob("data/unfinished.*/chunks/*.parquet")
        chunks |= {path.name: path.stat().st_mtime_ns for path in written}
        if kill_at is not None and len(chunks) >= kill_at and process.poll() is None:
            for member in process_tree(process.pid):
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.kill()
            process.wait()
            killed = True
    if not killed and (process.returncode or kill_at is not None):
        raise RuntimeError(f"prepare ended with exit status {process.returncode} before it was killed or finished")
    return Start(time.perf_counter() - start, children_cpu_seconds() - cpu_before, memory, chunks)


def kill_and_resume(out: Path, rows: int) -> dict[str, float | None]:
    """Run the command twice, killing the first run after a third of the chunk files; return the results by name."""
    chunks = -(-rows // face_chunks.CHUNK)
    first = run_prepare(out, kill_at=max(chunks // 3, 1))
    second = run_prepare(out)
    remade = sum(second.chunks.get(name, modified) != modified for name, modified in first.chunks.items())
    table = pyarrow.parquet.read_table(next(out.glob("data/affectnet/*/*/rows.parquet")), columns=["status"])
    statuses = table["status"].to_pylist()
    opened = sum(not status.startswith("label ") for status in statuses)
    opened_by_second = opened * (1 - len(first.chunks) / chunks)
    measured = second.cpu_seconds and opened_by_second
    return {
        "rows": len(statuses),
        "photos": opened,
        "faces": statuses.count(OK),
        "seconds to the kill": first.seconds,
        "seconds of the second start": second.seconds,
        "photos per second": opened / (first.seconds + second.seconds),
        "CPU ms per photo, second start": 1e3 * second.cpu_seconds / opened_by_second if measured else None,
        "largest resident MiB": max(first.memory, second.memory) >> 20,
        "chunk files": chunks,
        "chunk files at the kill": len(first.chunks),
        "of these made again": remade,
    }


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="folder with photos of people")
    parser.add_argument("--rows", type=int, default=200_000, help="rows of the list (default %(default)s)")
    parser.add_argument("--size", default="640x480", help="width x height of the images (default %(default)s)")
    parser.add_argument("--distinct", type=int, default=1000, help="number of different images (default %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs/affectnet"), help="folder (default %(default)s)")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    shutil.rmtree(options.out / "data", ignore_errors=True)
    images = make_images(options.photos, options.out / options.size, options.distinct, (width, height))
    make_dataset(options.out / "affectnet", images, options.rows, (height / 4, height / 2))
    results = kill_and_resume(options.out, options.rows)
    for name, value in results.items():
        print(f"{name}: {value}")
    files.write_json(options.out / "result.json", results)


if __name__ == "__main__":
    main()
