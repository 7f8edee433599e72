"""`prepare affectnet` on a made AffectNet: rate, memory, and going on after a kill, with lists as long as one likes.

    python -m benchmarks.affectnet_photos --photos PHOTOS --rows 200000 --size 200x200 --out runs/affectnet
    python -m benchmarks.affectnet_photos --photos PHOTOS --rows 12000 --size 640x480 --out runs/affectnet

Makes --distinct images from the photos of people in --photos (see benchmarks.faces) and a training.csv whose rows
each have an image file of their own, a link to one of these; eight rows of eleven have an emotion, the images of
the others are not opened. Then the command itself, on all cores: killed (SIGKILL, all its processes) after a third of
the chunk files, started again, and let go on to its end.

Told and written to --out/result.json: photos per second of both starts together, all stages included; the processor's
time in the second start; the largest resident memory of all processes together; and how many of the chunk files that
were there at the kill were made again, which must be none.
"""

import argparse
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet

from benchmarks.affectnet_csv import write
from benchmarks.faces import make_images
from edram_fer import files
from edram_fer.preprocessing import faces, photos
from edram_fer.preprocessing.datasets.affectnet import annotations
from edram_fer.preprocessing.records import OK

PREPARE = [sys.executable, "-c", "from edram_fer.cli import main; main()", "prepare", "affectnet"]


def make(folder, images, rows, points):
    """The list, with the box of a face in each image, and for each of its rows a link to one of the images."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yunet = faces.Settings().detector("yunet")
    write(folder, rows, points, [yunet(photos.read(path))[0].box for path in images])
    for number, record in enumerate(annotations.find(folder).records()):
        path = folder / record.image
        path.parent.mkdir(exist_ok=True)
        os.link(images[number % len(images)], path)


def resident(pid):
    """Resident bytes of a process and of those that it started."""
    total = 0
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            if int(path.name) == pid or int(fields[1]) == pid:
                total += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            pass  # it has ended
    return total


def run(options, until=None):
    """The command, killed once `until` chunk files are there: what was seen of it, by name."""
    command = [*PREPARE, "--source", options.out / "affectnet", "--out", options.out / "data", "--detectors", "yunet"]
    before, start, largest, chunks = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter(), 0, {}
    process = subprocess.Popen(command, start_new_session=True)
    while process.poll() is None:
        time.sleep(1)
        largest = max(largest, resident(process.pid))
        written = options.out.glob("data/unfinished.*/chunks/*.parquet")
        chunks |= {path.name: path.stat().st_mtime_ns for path in written}
        if until is not None and len(chunks) >= until:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode != (0 if until is None else -signal.SIGKILL):
        raise RuntimeError(f"the preparation ended with {process.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": time.perf_counter() - start, "processor": processor, "memory": largest, "chunks": chunks}


def killed_and_gone_on_with(options):
    """What was seen of both starts, by name."""
    chunks = -(-options.rows // faces.CHUNK)
    first = run(options, until=max(chunks // 3, 1))
    second = run(options)
    kept = first["chunks"]
    again = sum(second["chunks"].get(name, when) != when for name, when in kept.items())
    table = pyarrow.parquet.read_table(next(options.out.glob("data/affectnet/*/*/rows.parquet")), columns=["status"])
    statuses = table["status"].to_pylist()
    photos = sum(not status.startswith("label ") for status in statuses)
    return {
        "rows": len(statuses),
        "photos": photos,
        "faces": statuses.count(OK),
        "seconds to the kill": first["seconds"],
        "seconds of the second start": second["seconds"],
        "photos per second": photos / (first["seconds"] + second["seconds"]),
        "processor ms a photo, second start": 1e3 * second["processor"] / (photos * (1 - len(kept) / chunks)),
        "largest resident MiB": max(first["memory"], second["memory"]) >> 20,
        "chunk files": chunks,
        "chunk files at the kill": len(kept),
        "of these made again": again,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="folder with photos of people")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--size", default="640x480", help="of the images, width x height")
    parser.add_argument("--distinct", type=int, default=1000, help="different images")
    parser.add_argument("--out", type=Path, default=Path("runs/affectnet"))
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    shutil.rmtree(options.out / "data", ignore_errors=True)
    images = make_images(options.photos, options.out / options.size, options.distinct, (width, height))
    make(options.out / "affectnet", images, options.rows, (height / 4, height / 2))
    found = killed_and_gone_on_with(options)
    for name, value in found.items():
        print(f"{name}: {value}")
    files.write_json(options.out / "result.json", found)


if __name__ == "__main__":
    main()
