"""Photos per second of the face extraction, compared with other face extractors.

    python -m benchmarks.faces --photos PHOTOS

Makes --count images of 640x480 from the photos in --photos (any folder with photos of people; each photo is fitted into
the frame and varied in brightness and noise). Three extractors process them in turn, with one process per core: ours
(decode, YuNet at 320 pixels, crop, CLAHE, PNG), a loop over dlib's detector, and deepface's extract_faces (opencv) if
deepface is installed. Prints photos per second and CPU time per photo, medians of --rounds, and the time of each of our
stages.
"""

import argparse
import concurrent.futures
import functools
import importlib.util
import multiprocessing
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edram_fer.preprocessing import cores, crop, detection, faces, photos
from edram_fer.preprocessing.face_settings import FaceSettings
from edram_fer.preprocessing.records import FaceRecord

SETTINGS = FaceSettings(detectors=("yunet",), detector_size=320)


def make_images(source: Path, folder: Path, count: int, size: tuple[int, int] = (640, 480)) -> list[Path]:
    """Make JPEG files from photos; existing files are kept.

    Args:
        source: folder of the photos, .jpg or .png.
        folder: folder of the files, created if missing.
        count: number of files.
        size: (width, height) in pixels.

    Returns:
        the paths of all files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    originals = [photos.read(path) for path in sorted(source.iterdir()) if path.suffix.lower() in (".jpg", ".png")]
    (width, height), paths = size, [folder / f"{number:05d}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        rng = np.random.default_rng(number)
        if path.exists():
            continue
        image = originals[number % len(originals)]
        scale = min(width / image.shape[1], height / image.shape[0])
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        frame = rng.normal(128, 20, (height, width, 3))
        frame[: small.shape[0], : small.shape[1]] = small * rng.uniform(0.7, 1.1) + rng.normal(0, 4, small.shape)
        cv2.imwrite(str(path), np.clip(frame, 0, 255).astype(np.uint8)[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    return paths


def extract_ours(path: Path) -> int:
    """Number of faces in a photo, extracted by `edram_fer.preprocessing`."""
    record = FaceRecord(path.name, path.name, path.name, "train", "happy")
    return len(list(faces.rows(record, path.parent, SETTINGS)))


def detect_dlib(path: Path) -> int:
    """Number of faces in a photo, detected by dlib in the original image."""
    return len(detection.Dlib(upsample=0)(photos.read(path)))


def extract_deepface(path: Path) -> int:
    """Number of faces in a photo, extracted by deepface."""
    from deepface import DeepFace

    return len(DeepFace.extract_faces(str(path), detector_backend="opencv", enforce_detection=False))


def use_one_thread() -> None:
    """Restrict OpenCV to one thread, because the processes already share the cores."""
    cv2.setNumThreads(1)


def cpu_seconds(function: Callable[[Any], object], argument: object) -> float:
    """CPU time of a call."""
    start = time.process_time()
    function(argument)
    return time.process_time() - start


def rates(paths: Sequence[Path], rounds: int) -> dict[str, tuple[float, float]]:
    """Photos per second, and CPU milliseconds per photo, by extractor: medians of rounds taken in turn."""
    extractors = {"ours, YuNet 320": extract_ours, "dlib": detect_dlib}
    if importlib.util.find_spec("deepface"):
        extractors["deepface, opencv"] = extract_deepface
    context, measured = multiprocessing.get_context("spawn"), {name: [] for name in extractors}
    with concurrent.futures.ProcessPoolExecutor(cores.available_cores(), context, use_one_thread) as pool:
        for function in extractors.values():
            list(pool.map(function, paths[:4]))  # loads the models
        for _ in range(rounds):
            for name, function in extractors.items():
                start = time.perf_counter()
                seconds = list(pool.map(functools.partial(cpu_seconds, function), paths, chunksize=4))
                rate = len(paths) / (time.perf_counter() - start)
                measured[name].append((rate, 1e3 * sum(seconds) / len(paths)))
    return {name: tuple(np.median(values, axis=0).tolist()) for name, values in measured.items()}


def stages(paths: Sequence[Path]) -> dict[str, float]:
    """CPU milliseconds per photo by stage: the fastest of five rounds, the least disturbed by other work."""
    use_one_thread()
    images = [photos.read(path) for path in paths]
    yunet = SETTINGS.detector("yunet")
    largest = [yunet(image)[0] for image in images]
    squares = [crop.square(face.box, image.shape[:2]) for face, image in zip(largest, images, strict=True)]
    crops = [crop.cut(image, square, SETTINGS.size) for image, square in zip(images, squares, strict=True)]
    equalised = [crop.grey(crop.equalise(face, SETTINGS.clahe)) for face in crops]
    work = {
        "decode": (photos.read, paths),
        "YuNet": (yunet, images),
        "crop and resize": (lambda pair: crop.cut(*pair, SETTINGS.size), list(zip(images, squares, strict=True))),
        "CLAHE, grey": (lambda face: crop.grey(crop.equalise(face, SETTINGS.clahe)), crops),
        "PNG": (faces.encode_png, equalised),
        "whole photo": (extract_ours, paths),
    }
    return {
        name: min(1e3 * sum(cpu_seconds(function, item) for item in items) / len(items) for _ in range(5))
        for name, (function, items) in work.items()
    }


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="folder with photos of people")
    parser.add_argument("--count", type=int, default=200, help="number of images (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="default %(default)s")
    parser.add_argument("--out", type=Path, default=Path("runs/faces"), help="folder (default %(default)s)")
    options = parser.parse_args()
    paths = make_images(options.photos, options.out / "640x480", options.count)
    for name, milliseconds in stages(paths[:100]).items():
        print(f"{name}: {milliseconds:.2f} ms")
    for name, (rate, milliseconds) in rates(paths, options.rounds).items():
        print(f"{name}: {rate:.1f} photos per second, {milliseconds:.2f} ms of CPU time per photo")


if __name__ == "__main__":
    main()
