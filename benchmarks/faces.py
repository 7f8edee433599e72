"""Rate, memory and resumption of photos to faces, at AffectNet's number of rows; beside other face extractors.

    python -m benchmarks.faces --photos PHOTOS --rows 200000 --out runs/faces

Makes --distinct pictures of 640x480 from the photos in --photos (any folder with photos of people: each is fitted into
the frame and varied in light and noise), and --rows rows that name them, each picture many times. Then, in one run:

- rate: photos per second of the preparation (decode, YuNet at 320 pixels, crop, CLAHE, PNG) on all cores;
- memory: the largest resident size of the process and of its workers together;
- resume: it is killed (SIGKILL) after a third of the rows and gone on with; chunks that were there must not change;
- beside: photos per second of deepface's extract_faces (opencv) where deepface is installed, and of a loop over dlib's
  detector, each on one process per core too, on --beside pictures, in turn with ours.
"""

import argparse
import concurrent.futures
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from edram_fer import files
from preprocessing import detection, faces, photos
from preprocessing.records import Annotations, FaceRecord

WIDTH, HEIGHT = 640, 480
SETTINGS = faces.Settings(detectors=("yunet",), detector_size=320)


def make_pictures(source, folder, count):
    """`count` JPEG files of 640x480 in `folder`; those that are there stay."""
    folder.mkdir(parents=True, exist_ok=True)
    originals = [photos.read(path) for path in sorted(source.iterdir()) if path.suffix.lower() in (".jpg", ".png")]
    for number in range(count):
        path, rng = folder / f"{number:05d}.jpg", np.random.default_rng(number)
        if path.exists():
            continue
        picture = originals[number % len(originals)]
        scale = min(WIDTH / picture.shape[1], HEIGHT / picture.shape[0])
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        page = rng.normal(128, 20, (HEIGHT, WIDTH, 3))
        page[: small.shape[0], : small.shape[1]] = small * rng.uniform(0.7, 1.1) + rng.normal(0, 4, small.shape)
        cv2.imwrite(str(path), np.clip(page, 0, 255).astype(np.uint8)[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])


def annotations(folder, rows, distinct):
    def records():
        for number in range(rows):
            yield FaceRecord(str(number), f"row {number}", f"{number % distinct:05d}.jpg", "train", "happy")

    return Annotations("made", "made", folder, (), ("happy",), records)


def prepare(options):
    """Our preparation in this process and its workers."""
    faces.process(annotations(options.out / "photos", options.rows, options.distinct), options.out / "chunks", SETTINGS)


def resident(pid):
    """Resident bytes of a process and all below it."""
    total = 0
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            if int(path.name) == pid or int(fields[1]) == pid:  # the process itself, or a child of it
                total += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            pass  # it has ended
    return total


def run_prepare(options, until=None):
    """The preparation in a process of its own, killed once `until` chunks are there: (seconds, largest bytes)."""
    command = [sys.executable, "-m", "benchmarks.faces", "--part", "prepare", "--out", str(options.out)]
    command += ["--rows", str(options.rows), "--distinct", str(options.distinct)]
    start, largest = time.perf_counter(), 0
    process = subprocess.Popen(command, start_new_session=True)
    while process.poll() is None:
        time.sleep(0.5)
        largest = max(largest, resident(process.pid))
        if until is not None and len(list((options.out / "chunks").glob("*.parquet"))) >= until:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode != (0 if until is None else -signal.SIGKILL):
        raise RuntimeError(f"the preparation ended with {process.returncode}")
    return time.perf_counter() - start, largest


def ours(path):
    record = FaceRecord(path.name, path.name, path.name, "train", "happy")
    return len(list(faces.rows(record, path.parent, SETTINGS)))


def dlib(path):
    return len(detection.Dlib(upsample=0)(photos.read(path)))


def deepface(path):
    from deepface import DeepFace

    return len(DeepFace.extract_faces(str(path), detector_backend="opencv", enforce_detection=False))


def one_thread():
    cv2.setNumThreads(1)


def rates(paths, rounds=3):
    """Extractor -> photos per second, the median of rounds that go in turn; one process per core each."""
    contenders = {"ours, YuNet 320": ours, "dlib": dlib}
    try:
        import deepface as _  # noqa: F401

        contenders["deepface, opencv"] = deepface
    except ImportError:
        pass
    context, seconds = multiprocessing.get_context("spawn"), {name: [] for name in contenders}
    with concurrent.futures.ProcessPoolExecutor(len(os.sched_getaffinity(0)), context, one_thread) as pool:
        for function in contenders.values():
            list(pool.map(function, paths[:4]))  # models are loaded
        for _ in range(rounds):
            for name, function in contenders.items():
                start = time.perf_counter()
                list(pool.map(function, paths, chunksize=4))
                seconds[name].append(time.perf_counter() - start)
    return {name: len(paths) / sorted(values)[rounds // 2] for name, values in seconds.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="folder with photos of people")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--distinct", type=int, default=1000, help="different pictures")
    parser.add_argument("--beside", type=int, default=200, help="pictures for the comparison")
    parser.add_argument("--out", type=Path, default=Path("runs/faces"))
    parser.add_argument("--part", help=argparse.SUPPRESS)  # of the process that this one starts
    options = parser.parse_args()
    if options.part == "prepare":
        return prepare(options)
    if options.photos is None:
        parser.error("--photos is needed: a folder with photos of people")
    make_pictures(options.photos, options.out / "photos", options.distinct)
    found = {"rows": options.rows, "cores": len(os.sched_getaffinity(0))}
    found["photos per second"] = rates(sorted((options.out / "photos").glob("*.jpg"))[: options.beside])
    third = options.rows // faces.CHUNK // 3
    before_seconds, before_memory = run_prepare(options, until=third)
    kept = {path.name: path.stat().st_mtime_ns for path in (options.out / "chunks").glob("*.parquet")}
    seconds, memory = run_prepare(options)
    changed = sum((options.out / "chunks" / name).stat().st_mtime_ns != when for name, when in kept.items())
    rest = options.rows - len(kept) * faces.CHUNK
    found["preparation, photos per second"] = rest / seconds
    found["largest resident MiB"] = max(memory, before_memory) >> 20
    found["chunks before the kill"], found["of these made again"] = len(kept), changed
    for name, value in found.items():
        print(f"{name}: {value}")
    files.write_json(options.out / "result.json", found)


if __name__ == "__main__":
    main()
