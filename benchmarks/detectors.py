"""What each face detector finds on photos whose faces are known: found, missed, false, overlap, photos per second.

    python -m benchmarks.detectors PHOTOS --truth PHOTOS/truth.json --out runs/detectors.json

The truth is a JSON object, file name -> {"boxes_ltwh": [[left, top, width, height], ...]} in pixels, or {"n_faces": n}
where only the number is known; of the latter 0 counts (each face is false), others are left out. A face is found where
its overlap (intersection over union) with a true box is at least .3.
"""

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np

from edram_fer import files
from edram_fer.preprocessing import detection, photos

DETECTORS = {
    "yunet at 640 pixels": detection.YuNet(),
    "yunet at 320 pixels": detection.YuNet(size=320),
    "ssd": detection.SSD(),
    "ssd, confidence .5": detection.SSD(threshold=0.5),
    "dlib": detection.Dlib(),
    "dlib, not doubled": detection.Dlib(upsample=0),
}


def known_faces(folder, truth):
    """[(image, true boxes)] of the photos whose faces are all known."""
    content = json.loads(truth.read_text())
    boxes = {name: entry.get("boxes_ltwh", [] if entry["n_faces"] == 0 else None) for name, entry in content.items()}
    return [(photos.read(folder / name), found) for name, found in boxes.items() if found is not None]


def score(detector, known):
    """A row of the table."""
    detector(known[0][0])  # the model is loaded
    start = time.perf_counter()
    faces = [detector(image) for image, _ in known]
    seconds = time.perf_counter() - start
    overlaps = [detection.matches(found, boxes) for found, (_, boxes) in zip(faces, known, strict=True)]
    hits, total = sum(map(len, overlaps)), sum(len(boxes) for _, boxes in known)
    return {
        "found": hits,
        "missed": total - hits,
        "false": sum(map(len, faces)) - hits,
        "mean overlap": round(float(np.mean(sum(overlaps, []))), 3) if hits else None,
        "photos per second": round(len(known) / seconds, 1),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/detectors.json"))
    options = parser.parse_args()
    cv2.setNumThreads(1)
    known = known_faces(options.photos, options.truth)
    table = {name: score(detector, known) for name, detector in DETECTORS.items()}
    pixels = sum(image.shape[0] * image.shape[1] for image, _ in known) / len(known) / 1e6
    print(f"{len(known)} photos of {pixels:.2f} megapixels in the mean, {sum(len(boxes) for _, boxes in known)} faces")
    columns = list(next(iter(table.values())))
    print(f"{'':22}" + "".join(f"{column:>19}" for column in columns))
    for name, row in table.items():
        print(f"{name:22}" + "".join(f"{row[column]!s:>19}" for column in columns))
    files.write_json(options.out, {"photos": len(known), "detectors": table})


if __name__ == "__main__":
    main()
