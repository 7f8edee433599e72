"""Small faces in large photos: how many does `edram-fer predict` find, and how long does it take?

    python -m benchmarks.small_faces --photos PHOTOS

Makes photos of 12 megapixels from the faces in --photos (any folder with photos of people): one near face and 24 small
ones, whose boxes have a longer side of --side pixels, on a smooth or a noisy background, in other places for each seed.
Prints how many of the small faces and of the near faces are found, false positives, and CPU time per photo.
"""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np

from benchmarks.predict_video import MARGIN, photographed_people
from edram_fer.prediction.crops import COARSE_SIZE, MIN_SCORE
from edram_fer.preprocessing import detection
from edram_fer.preprocessing.detection import intersection_over_union

SIZE = (3000, 4000)  # H, W
NEAR, ROWS, COLUMNS = 1400, 4, 6
FOUND = 0.3  # least overlap (IoU)


def make(faces: list, side: int, noisy: bool, seed: int) -> tuple[np.ndarray, list[tuple[float, ...]]]:
    """A photo, uint8 [H, W, 3], and the boxes of its faces: the near one first."""
    rng = np.random.default_rng(seed)
    photo = cv2.resize(rng.integers(60, 200, (9, 12, 3), np.uint8), SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    if noisy:
        photo = (photo + rng.normal(0, 12, photo.shape)).clip(0, 255).astype(np.uint8)
    boxes = []

    def place(face, longest: float, left: int, top: int) -> None:
        pixels, (x, y, width, height) = face.images[0], face.boxes[0]
        size = round(longest / max(width, height))
        scaled = cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA if size < 160 else cv2.INTER_CUBIC)
        photo[top : top + size, left : left + size] = scaled
        boxes.append((left + x * size, top + y * size, width * size, height * size))

    place(faces[0], NEAR / (1 + MARGIN), 100, 500 + int(rng.integers(0, 600)))
    for number in range(ROWS * COLUMNS):
        row, column = divmod(number, COLUMNS)
        jitter = rng.integers(0, 120, 2)
        place(faces[number % len(faces)], side, 1900 + 340 * column + int(jitter[0]), 150 + 700 * row + int(jitter[1]))
    return photo, boxes


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="folder with photos of people")
    parser.add_argument("--side", type=int, default=90, help="of small faces, in pixels (default %(default)s)")
    parser.add_argument("--seeds", type=int, default=4, help="photos of each kind (default %(default)s)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[640, 1280, 1920], help="longer sides for YuNet")
    options = parser.parse_args()
    people = photographed_people(options.photos, 12)
    print(f"{len(people)} people")
    for size in options.sizes:
        detector = detection.YuNet(size, MIN_SCORE, coarse=COARSE_SIZE)
        small = near = wrong = photos = 0
        seconds = 0.0
        for noisy in (False, True):
            for seed in range(options.seeds):
                photo, boxes = make(people, options.side, noisy, seed)
                start = time.process_time()
                detected = detector(photo)
                seconds += time.process_time() - start
                hits = [any(intersection_over_union(face.box, box) >= FOUND for face in detected) for box in boxes]
                near, small, photos = near + hits[0], small + sum(hits[1:]), photos + 1
                wrong += len(detected) - sum(hits)
        print(
            f"detector size {size}: {small} of {ROWS * COLUMNS * photos} small and {near} of {photos} near faces, "
            f"{wrong} false positives, {1000 * seconds / photos:.0f} ms of CPU time per photo"
        )


if __name__ == "__main__":
    main()
