"""Photos per second of our faces, beside other face extractors.

    python -m benchmarks.faces --photos PHOTOS

Makes --count images of 640x480 from the photos in --photos (any folder with photos of people: each is fitted into
the frame and varied in light and noise). Ours (decode, YuNet at 320 pixels, crop, CLAHE, PNG), a loop over dlib's
detector, and deepface's extract_faces (opencv) where deepface is installed go over them in turn, on one process per
core each. Told: photos per second by the clock and the processor's time for a photo, medians of --rounds; and where
ours goes, stage by stage.
"""

import argparse
import concurrent.futures
import functools
import multiprocessing
import time
from pathlib import Path

import cv2
import numpy as np

from edram_fer.preprocessing import crop, detection, faces, photos
from edram_fer.preprocessing.records import FaceRecord

SETTINGS = faces.Settings(detectors=("yunet",), detector_size=320)


def make_images(source, folder, count, size=(640, 480)):
    """`count` JPEG files of `size` (width, height) in `folder`, and their paths; those that are there stay."""
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
        page = rng.normal(128, 20, (height, width, 3))
        page[: small.shape[0], : small.shape[1]] = small * rng.uniform(0.7, 1.1) + rng.normal(0, 4, small.shape)
        cv2.imwrite(str(path), np.clip(page, 0, 255).astype(np.uint8)[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    return paths


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


def timed(function, path):
    """The processor's seconds for a photo."""
    start = time.process_time()
    function(path)
    return time.process_time() - start


def rates(paths, rounds):
    """Extractor -> (photos per second by the clock, ms of a core), medians of rounds that go in turn."""
    contenders = {"ours, YuNet 320": ours, "dlib": dlib}
    try:
        import deepface as _  # noqa: F401

        contenders["deepface, opencv"] = deepface
    except ImportError:
        pass
    context, seen = multiprocessing.get_context("spawn"), {name: [] for name in contenders}
    with concurrent.futures.ProcessPoolExecutor(faces.available_cores(), context, one_thread) as pool:
        for function in contenders.values():
            list(pool.map(function, paths[:4]))  # models are loaded
        for _ in range(rounds):
            for name, function in contenders.items():
                start = time.perf_counter()
                seconds = list(pool.map(functools.partial(timed, function), paths, chunksize=4))
                rate = len(paths) / (time.perf_counter() - start)
                seen[name].append((rate, 1e3 * sum(seconds) / len(paths)))
    return {name: tuple(np.median(values, axis=0).tolist()) for name, values in seen.items()}


def stages(paths):
    """Stage -> ms of one core for a photo, the least of five rounds: nothing else slows these."""
    one_thread()
    settings, images = SETTINGS, [photos.read(path) for path in paths]
    yunet = settings.detector("yunet")
    found = [yunet(image)[0] for image in images]
    places = [crop.square(face.box, image.shape[:2]) for face, image in zip(found, images)]
    cuts = [crop.cut(image, place, settings.size) for image, place in zip(images, places)]
    equal = [crop.grey(crop.equalised(cut, settings.clahe)) for cut in cuts]
    work = {
        "decode": (photos.read, paths),
        "YuNet": (yunet, images),
        "crop and resize": (lambda pair: crop.cut(*pair, settings.size), list(zip(images, places))),
        "CLAHE, grey": (lambda cut: crop.grey(crop.equalised(cut, settings.clahe)), cuts),
        "PNG": (faces._png, equal),
        "all of a photo": (ours, paths),
    }
    return {
        name: min(1e3 * sum(timed(function, item) for item in items) / len(items) for _ in range(5))
        for name, (function, items) in work.items()
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="folder with photos of people")
    parser.add_argument("--count", type=int, default=200, help="images")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/faces"))
    options = parser.parse_args()
    paths = make_images(options.photos, options.out / "640x480", options.count)
    for name, milliseconds in stages(paths[:100]).items():
        print(f"{name}: {milliseconds:.2f} ms")
    for name, (rate, milliseconds) in rates(paths, options.rounds).items():
        print(f"{name}: {rate:.1f} photos per second, {milliseconds:.2f} ms of a core each")


if __name__ == "__main__":
    main()
