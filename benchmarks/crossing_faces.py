"""What happens to the column `track` when two faces cross in a film.

    python -m benchmarks.crossing_faces --photos PHOTOS

Two of the faces in --photos (any folder with photos of people) move towards each other in 640x480 pixels, at equal or
different heights; one passes in front of the other. They go on ("cross"), or turn back before they cover each other
("turn") or while the one behind is hidden ("meet"). Predicts the frames and prints, for each kind of movement and frame
rate: in how many films both people end with the track with which they began, in how many the tracks are exchanged, and
in how many a track is new; and the same for true boxes instead of detected ones, over more films.
"""

import argparse
import collections
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.predict_video import Face, photographed_people
from edram_fer.prediction.images import InputImage
from edram_fer.prediction.tracks import FaceTracks
from edram_fer.preprocessing.detection import intersection_over_union

WIDTH, HEIGHT, SIDE = 640, 480, 160  # pixels of the film and of an image of a face
LARGEST_SHARE = {"cross": 1.0, "turn": 0.3, "meet": 0.5}  # of the way, at which the faces turn back
COVERED = 0.3  # share of a face from which it is not detected, of true boxes
NOISE = 1.5  # pixels, of true boxes
Boxes = dict[int, tuple[float, ...]]  # {person: left, top, width, height}


def corners(kind: str, share: float, below: int) -> np.ndarray:
    """Left and top of both images [2, 2] after a share of the time; the second is in front, `below` pixels lower."""
    most = LARGEST_SHARE[kind]
    way = share if most == 1 else most * (1 - abs(2 * share - 1))
    span = WIDTH - SIDE
    return np.array([[span * way, 60], [span * (1 - way), 60 + below]])


def films(rates: Sequence[int], seconds: Sequence[int], heights: Sequence[int]) -> Iterator[tuple[str, int, int, int]]:
    """(kind, frames per second, seconds, pixels by which the second face is lower) of each film."""
    return itertools.product(LARGEST_SHARE, rates, seconds, heights)


def detected(predictor: Any, people: Sequence[Face], kind: str, rate: int, seconds: int, below: int) -> list[Boxes]:
    """The tracks {person: track} of each frame of a drawn film."""
    count = rate * seconds
    places = [corners(kind, number / (count - 1), below) for number in range(count)]

    def frames() -> Iterator[InputImage]:
        for number, place in enumerate(places):
            canvas = np.full((HEIGHT, WIDTH, 3), (110, 120, 130), np.uint8)
            for (left, top), face in zip(place.round().astype(int), people, strict=True):
                canvas[top : top + SIDE, left : left + SIDE] = cv2.resize(face.images[0], (SIDE, SIDE))
            yield InputImage("film", canvas, number, number / rate)

    tracks: list[dict[int, Any]] = [{} for _ in range(count)]
    for row in predictor.stream(frames()):
        if row["box"] is not None:
            boxes = [
                (left + SIDE * x, top + SIDE * y, SIDE * width, SIDE * height)
                for (left, top), (x, y, width, height) in zip(
                    places[row["frame"]], (face.boxes[0] for face in people), strict=True
                )
            ]
            overlaps = [intersection_over_union(row["box"], box) for box in boxes]
            tracks[row["frame"]].setdefault(int(np.argmax(overlaps)), row["track"])
    return tracks


def true(kind: str, rate: int, seconds: int, below: int, seed: int) -> list[dict[int, Any]]:
    """Like `detected`, of true boxes with noise."""
    rng, rows, count = np.random.default_rng(seed), [], rate * seconds
    for number in range(count):
        place = corners(kind, number / (count - 1), below)
        across, down = np.clip(SIDE - abs(place[0] - place[1]), 0, None)
        seen = [0, 1] if across * down <= COVERED * SIDE**2 else [1]
        for person in seen:
            box = (*(place[person] + rng.normal(0, NOISE, 2)), *(SIDE + rng.normal(0, NOISE, 2)))
            rows.append(
                {
                    "source": "film",
                    "frame": number,
                    "time": number / rate,
                    "box": box,
                    "track": None,
                    "person": person,
                }
            )
    FaceTracks().number(rows)
    tracks: list[dict[int, Any]] = [{} for _ in range(count)]
    for row in rows:
        tracks[row["frame"]][row["person"]] = row["track"]
    return tracks


def outcome(tracks: Sequence[dict[int, Any]]) -> str:
    """ "kept", "exchanged" or "new": the tracks of both people in the last frame with both, against the first one."""
    both = [frame for frame in tracks if len(frame) == 2]
    first, last = both[0], both[-1]
    if first == last:
        return "kept"
    return "exchanged" if (first[0], first[1]) == (last[1], last[0]) else "new"


def _print(results: dict[tuple[str, ...], collections.Counter[str]]) -> None:
    for key, counts in results.items():
        print(", ".join(key) + ": " + ", ".join(f"{name} {count}" for name, count in counts.items()), flush=True)


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="folder with photos of people")
    options = parser.parse_args()
    results: dict[tuple[str, ...], collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for kind, rate, seconds, below in films((30, 10, 4), (2, 4, 8, 16), (0, 20, 60, 100)):
        for seed in range(3):
            results["true boxes", kind, f"{rate} fps"][outcome(true(kind, rate, seconds, below, seed))] += 1
    _print(results)
    results.clear()
    from edram_fer import Predictor

    predictor, people = Predictor("fer2013-edram", detector_size=640), photographed_people(options.photos, 2)
    for kind, rate, seconds, below in films((10, 4), (4,), (0, 60)):
        tracks = detected(predictor, people, kind, rate, seconds, below)
        results["detected", kind, f"{rate} fps"][outcome(tracks)] += 1
    _print(results)


if __name__ == "__main__":
    main()
