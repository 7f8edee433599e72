"""Face detectors on photos with annotated faces: faces found and missed, false positives, overlap, speed.

    python -m benchmarks.detectors PHOTOS --truth PHOTOS/truth.json --out runs/detectors.json

The ground truth is a JSON object that maps each file name to {"boxes_ltwh": [[left, top, width, height], ...]}, in
pixels, or to {"n_faces": n} if only the number of faces is known. Of the latter, photos without a face are used (each
detection is a false positive), and the others are excluded. A face counts as found if the overlap (intersection over
union) of a detection and its box is at least 0.3.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from edram_fer import files
from edram_fer.preprocessing import detection, photos
from edram_fer.preprocessing.crop import Box

DETECTORS = {
    "yunet, longer side 640": detection.YuNet(),
    "yunet, longer side 320": detection.YuNet(size=320),
    "ssd, confidence 0.2": detection.SSD(),
    "ssd, confidence 0.5": detection.SSD(threshold=0.5),
    "dlib, upsampled by 2": detection.Dlib(),
    "dlib, original image": detection.Dlib(upsample=0),
}


Photo = tuple[np.ndarray, list[Box]]


def annotated_photos(folder: Path, truth: Path) -> list[Photo]:
    """Image and ground-truth boxes of each photo whose faces are all annotated.

    Args:
        folder: folder of the photos.
        truth: JSON file, see the module's docstring.
    """
    content = json.loads(truth.read_text())
    boxes = {
        name: entry.get("boxes_ltwh", [] if entry.get("n_faces") == 0 else None) for name, entry in content.items()
    }
    return [(photos.read(folder / name), faces) for name, faces in boxes.items() if faces is not None]


def score(
    detector: Callable[[np.ndarray], list[detection.Face]], annotated: Sequence[Photo]
) -> dict[str, float | None]:
    """Run a detector on all photos; return its row of the table."""
    detector(annotated[0][0])  # loads the model
    start = time.perf_counter()
    detections = [detector(image) for image, _ in annotated]
    seconds = time.perf_counter() - start
    overlaps = [detection.matches(faces, boxes) for faces, (_, boxes) in zip(detections, annotated, strict=True)]
    hits, total = sum(map(len, overlaps)), sum(len(boxes) for _, boxes in annotated)
    return {
        "found": hits,
        "missed": total - hits,
        "false positives": sum(map(len, detections)) - hits,
        "mean overlap": round(float(np.mean(sum(overlaps, []))), 3) if hits else None,
        "photos per second": round(len(annotated) / seconds, 1),
    }


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="folder of the photos")
    parser.add_argument("--truth", type=Path, required=True, help="JSON file with the ground truth")
    parser.add_argument("--out", type=Path, default=Path("runs/detectors.json"), help="file (default %(default)s)")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    annotated = annotated_photos(options.photos, options.truth)
    table = {name: score(detector, annotated) for name, detector in DETECTORS.items()}
    pixels = sum(image.shape[0] * image.shape[1] for image, _ in annotated) / len(annotated) / 1e6
    faces = sum(len(boxes) for _, boxes in annotated)
    print(f"{len(annotated)} photos of {pixels:.2f} megapixels on average, {faces} faces")
    columns = list(next(iter(table.values())))
    print(f"{'':22}" + "".join(f"{column:>19}" for column in columns))
    for name, row in table.items():
        print(f"{name:22}" + "".join(f"{row[column]!s:>19}" for column in columns))
    files.write_json(options.out, {"photos": len(annotated), "detectors": table})


if __name__ == "__main__":
    main()
