"""Speed, memory and tracks of predictions on a film with known faces and a variable frame rate.

    python -m benchmarks.predict_video --photos PHOTOS
    python -m benchmarks.predict_video --photos PHOTOS --size 1920x1080 --minutes 60 --period 1 --every 1s

Makes a film in which drawn faces and the faces in --photos (any folder with photos of people) move on smooth paths,
pass in front of each other and change in size. The paths repeat after --period minutes; the repetitions are copied
without encoding them again, so a film of an hour is made in a minute. Then predicts the film and prints frames per
second, the memory of the process after each tenth of the film, the share of visible faces that were detected, how often
the track of a person changes (after the face was hidden for no longer, and for longer, than a track lasts), and the
share of detections on the track that the person has most often.
"""

import argparse
import collections
import itertools
import json
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
import psutil

from benchmarks.peak_memory import MIB, peak_mib
from edram_fer.prediction.crops import DETECTOR_SIZE
from edram_fer.prediction.tracks import LONGEST_GAP
from edram_fer.preprocessing import crop, detection, photos, synthetic
from edram_fer.preprocessing.detection import intersection_over_union

RATES = (30, 30, 30, 24, 15)  # frames per second, drawn for each frame
DRAWN_SIZE, DRAWN_EMOTIONS = 160, ("neutral", "happy", "surprise", "anger")
MARGIN = 0.5  # of a photo's face, as a share of its box
BEHIND = 0.3  # share of a face that another covers, from which it does not count as visible


class Face(NamedTuple):
    """A person in the film: images that alternate, each with the box of the face in it as shares of its side."""

    images: list[np.ndarray]
    boxes: list[tuple[float, ...]]


def drawn_people(count: int) -> list[Face]:
    """People that are drawn, each with some expressions, as far as YuNet finds their faces."""
    people = []
    for identity in range(10 * count):
        options = {
            "identity": identity,
            "size": DRAWN_SIZE,
            "colour": True,
            "occlusion": 0.0,
            "pose": 0.3,
            "noise": 0.0,
        }
        face = _face([synthetic.draw(0, identity, emotion=name, **options).image for name in DRAWN_EMOTIONS])
        if face is not None:
            people.append(face)
        if len(people) == count:
            break
    return people


def photographed_people(folder: Path, count: int) -> list[Face]:
    """The largest faces in the photos of a folder."""
    crops = []
    for path in sorted(folder.iterdir()):
        try:
            photo = photos.read(path)
        except photos.PhotoError:
            continue
        for face in detection.YuNet(threshold=0.9)(photo):
            left, top, side = crop.square(face.box, photo.shape[:2], MARGIN)
            crops.append((side, photo[top : top + side, left : left + side]))
    crops.sort(key=lambda sized: -sized[0])
    images = [cv2.resize(image, (DRAWN_SIZE, DRAWN_SIZE), interpolation=cv2.INTER_AREA) for _, image in crops]
    return [face for face in (_face([image]) for image in images) if face is not None][:count]


def _face(images: Sequence[np.ndarray]) -> Face | None:
    """None if YuNet does not find exactly one face in each image."""
    boxes = []
    for image in images:
        framed = cv2.copyMakeBorder(image, *[DRAWN_SIZE] * 4, cv2.BORDER_CONSTANT, value=(110, 120, 130))
        faces = detection.YuNet(threshold=0.8)(framed)
        if len(faces) != 1:
            return None
        left, top, width, height = (side / DRAWN_SIZE for side in faces[0].box)
        boxes.append((left - 1, top - 1, width, height))
    return Face(list(images), boxes)


def paths(count: int, seconds: float, size: tuple[int, int], times: np.ndarray) -> np.ndarray:
    """Left, top and side of the [count, len(times), 3] on closed paths, in pixels of a film of `size` (W, H)."""
    width, height = size
    turns = times / seconds * 2 * np.pi
    squares = np.empty((count, len(times), 3))
    for number in range(count):
        rng = np.random.default_rng(number)
        cycles = np.maximum(np.round(seconds / rng.uniform(6, 16, 3)), 1)  # periods in seconds
        x, y, zoom = np.sin(turns * cycles[:, None] + rng.uniform(0, 2 * np.pi, (3, 1)))
        side = height * rng.uniform(0.28, 0.36) * (1 + 0.15 * zoom)
        centre = (number + 0.5) / count
        squares[number, :, 0] = (width - side) * (centre + 0.25 * x).clip(0, 1)
        squares[number, :, 1] = (height - side) * (0.5 + 0.4 * y)
        squares[number, :, 2] = side
    return squares.round()


def frame_times(seconds: float) -> np.ndarray:
    """Times in milliseconds of a variable frame rate."""
    steps = 1000 / np.random.default_rng(0).choice(RATES, int(seconds * max(RATES)))
    times = np.concatenate([[0], np.cumsum(steps.round())])
    return times[times < seconds * 1000].astype(int)


def make(path: Path, folder: Path, count: int, size: tuple[int, int], seconds: float, repetitions: int) -> None:
    """Write the film, and its true boxes as JSON: for each frame of one period {person: box}.

    Args:
        path: the file, .mp4.
        folder: of the photos.
        count: number of people, half of them drawn; later ones move in front.
        size: (width, height) in pixels.
        seconds: of a period.
        repetitions: of the period.
    """
    people = drawn_people(count // 2)
    people += photographed_people(folder, count - len(people))
    times = frame_times(seconds)
    squares = paths(len(people), seconds, size, times / 1000).astype(int)
    once, truth = path.with_suffix(".once.mp4"), []
    rng = np.random.default_rng(1)
    background = cv2.resize(rng.integers(60, 160, (9, 16, 3), np.uint8), size, interpolation=cv2.INTER_CUBIC)
    with av.open(str(once), "w") as container:
        stream: Any = container.add_stream("libx264", options={"preset": "veryfast", "crf": "20", "bf": "0", "g": "50"})
        (stream.width, stream.height), stream.pix_fmt = size, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, stamp in enumerate(times.tolist()):
            canvas, boxes = background.copy(), {}
            for person, face in enumerate(people):
                left, top, side = squares[person, number].tolist()
                shown = stamp // 2500 % len(face.images)  # another expression every 2.5 seconds
                canvas[top : top + side, left : left + side] = cv2.resize(face.images[shown], (side, side))
                x, y, width, height = (share * side for share in face.boxes[shown])
                boxes[person] = (left + x, top + y, width, height)
            truth.append(
                {person: box for person, box in boxes.items() if not _covered(person, box, squares[:, number])}
            )
            frame = av.VideoFrame.from_ndarray(canvas, format="rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    _repeat(once, path, seconds, repetitions)
    path.with_suffix(".json").write_text(json.dumps(truth))


def _covered(person: int, box: Sequence[float], squares: np.ndarray) -> bool:
    """Whether an image in front covers a large part of a box."""
    left, top, width, height = box
    for x, y, side in squares[person + 1 :].tolist():
        across = min(left + width, x + side) - max(left, x)
        down = min(top + height, y + side) - max(top, y)
        if max(across, 0) * max(down, 0) > BEHIND * width * height:
            return True
    return False


def _repeat(source: Path, target: Path, seconds: float, repetitions: int) -> None:
    """Copy the packets of a film several times, one after the other."""
    with av.open(str(target), "w") as output:
        stream: Any = None
        for repetition in range(repetitions):
            with av.open(str(source)) as container:
                original = container.streams.video[0]
                stream = stream or output.add_stream_from_template(original)
                for packet in container.demux(original):
                    if packet.dts is None:
                        continue
                    shift = round(repetition * seconds / packet.time_base)
                    packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                    output.mux(packet)
    source.unlink()


def with_memory(rows: Iterator[dict[str, Any]], seconds: float) -> Iterator[dict[str, Any]]:
    """The rows; prints the memory after each tenth of the film."""
    process, part, start, frames, last = psutil.Process(), 1, time.perf_counter(), 0, None
    for row in rows:
        yield row
        frames, last = frames + (row["frame"] != last), row["frame"]
        if row["time"] is not None and row["time"] >= part * seconds / 10:
            resident, speed = process.memory_info().rss / MIB, frames / (time.perf_counter() - start)
            print(f"after {part} tenths: {resident:.0f} MiB, peak {peak_mib():.0f}, {speed:.1f} frames/s", flush=True)
            part += 1


def people_of(rows: Iterator[dict[str, Any]], truth: Sequence[dict[str, Any]]) -> tuple[int, int, dict[str, list[Any]]]:
    """Frames, visible faces, and the times and tracks of each person's detections."""
    frames, visible, tracks, last = 0, 0, collections.defaultdict(list), None
    for row in rows:
        if row["frame"] is None:
            print(row["status"])
            continue
        boxes = truth[row["frame"] % len(truth)]
        if row["frame"] != last:
            frames, visible, last = frames + 1, visible + len(boxes), row["frame"]
        if row["box"] is not None:
            overlaps = {person: intersection_over_union(row["box"], box) for person, box in boxes.items()}
            person = max(overlaps, key=overlaps.__getitem__, default=None)
            if person is not None and overlaps[person] > 0.3:
                tracks[person].append((row["time"], row["track"]))
    return frames, visible, tracks


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="folder with photos of people")
    parser.add_argument("--minutes", type=float, default=10, help="length of the film (default %(default)s)")
    parser.add_argument("--period", type=float, default=10, help="minutes until it repeats (default %(default)s)")
    parser.add_argument("--size", default="640x480", help="of the film (default %(default)s)")
    parser.add_argument("--people", type=int, default=4, help="half of them drawn (default %(default)s)")
    parser.add_argument("--every", default="1", help="frames or seconds, as of predict (default: all frames)")
    parser.add_argument("--detector-size", type=int, default=DETECTOR_SIZE, help="as of predict (default %(default)s)")
    parser.add_argument("--runtime", default="auto", help="as of predict (default %(default)s)")
    parser.add_argument("--model", default="fer2013-edram", help="default %(default)s")
    parser.add_argument("--out", type=Path, default=Path("runs/predict_video"), help="folder (default %(default)s)")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    period = min(options.period, options.minutes)
    path = options.out / f"{width}x{height}-{options.minutes:g}-{period:g}-{options.people}.mp4"
    if not path.with_suffix(".json").exists():
        options.out.mkdir(parents=True, exist_ok=True)
        arguments = (
            path,
            options.photos,
            options.people,
            (width, height),
            60 * period,
            round(options.minutes / period),
        )
        maker = multiprocessing.get_context("spawn").Process(target=make, args=arguments)  # whose memory does not count
        maker.start()
        maker.join()
        print(f"{path}: {path.stat().st_size / 1e6:.0f} MB")
    from edram_fer import Predictor

    settings = {"every": options.every, "detector_size": options.detector_size, "runtime": options.runtime}
    predictor = Predictor(options.model, **settings)
    print(f"loaded: {peak_mib():.0f} MiB")
    start, cpu_start = time.perf_counter(), time.process_time()
    truth = json.loads(path.with_suffix(".json").read_text())
    frames, visible, tracks = people_of(with_memory(predictor.stream(path), 60 * options.minutes), truth)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    detected = sum(map(len, tracks.values()))
    short, long = 0, 0
    for detections in tracks.values():
        for (before, track), (time_of, next_track) in itertools.pairwise(detections):
            short += track != next_track and time_of - before <= LONGEST_GAP
            long += track != next_track and time_of - before > LONGEST_GAP
    print(f"{frames} frames in {seconds:.0f} s: {frames / seconds:.1f} frames per second")
    print(f"{1000 * cpu_seconds / frames:.1f} ms of CPU time per frame, {visible / frames:.1f} faces in it")
    print(f"peak memory: {peak_mib():.0f} MiB")
    print(f"visible faces detected: {detected / visible:.1%} of {visible}")
    print(f"detections with the track of the one before: {1 - (short + long) / detected:.2%}")
    print(f"changes of the track: {short}, and {long} after more than {LONGEST_GAP:g} s without the face")
    for person, detections in sorted(tracks.items()):
        counts = collections.Counter(track for _, track in detections)
        share = max(counts.values()) / len(detections)
        print(f"  person {person}: {len(detections)} detections, {share:.1%} on one track, {len(counts)} tracks")


if __name__ == "__main__":
    main()
