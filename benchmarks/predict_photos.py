"""Memory and speed of `edram-fer predict` over many photos of several sizes.

    python -m benchmarks.predict_photos --photos PHOTOS --count 2000
    python -m benchmarks.predict_photos --photos PHOTOS --count 200 --typical --options=--detector-size=640
    python -m benchmarks.predict_photos --photos PHOTOS --count 100000 --width 320

Makes --count JPEG files from the photos in --photos (any folder with photos of people): most of 1 to 3 megapixels, each
tenth of 12, each hundredth of 54 (with --typical none of these two, with --width all of one width), in turn scaled,
mirrored and varied in brightness; after the first DISTINCT files, others are links to them.
Then predicts all of them with the command and samples the memory of it and its child processes: prints the resident
memory after each tenth of the photos, its peak, the CPU time and the photos per second, with and without drawing.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import psutil

from benchmarks.peak_memory import MIB
from edram_fer.preprocessing import photos

WIDTHS = (1000, 1600, 2000)  # pixels
LARGE, HUGE = 4000, 8500
DISTINCT = 2000


def make_photos(source: Path, folder: Path, count: int, widths: Sequence[int], mixed: bool) -> None:
    """Make JPEG files from photos; existing files are kept.

    Args:
        source: folder of the photos, .jpg or .png.
        folder: folder of the files, created if missing.
        count: number of files.
        widths: of the photos, in turn, in pixels.
        mixed: whether each tenth photo is LARGE and each hundredth HUGE instead.
    """
    folder.mkdir(parents=True, exist_ok=True)
    originals = [photos.read(path) for path in sorted(source.iterdir()) if path.suffix.lower() in (".jpg", ".png")]
    for number in range(count):
        path = folder / f"{number:06d}.jpg"
        if path.exists():
            continue
        if number >= DISTINCT:
            path.hardlink_to(folder / f"{number % DISTINCT:06d}.jpg")
            continue
        rng = np.random.default_rng(number)
        width = widths[number % len(widths)]
        if mixed and number % 10 == 9:
            width = HUGE if number % 100 == 99 else LARGE
        image = originals[number % len(originals)]
        image = cv2.resize(image, (width, round(width * image.shape[0] / image.shape[1])))
        image = cv2.convertScaleAbs(image[:, :: rng.choice([-1, 1]), ::-1], alpha=rng.uniform(0.7, 1.1))
        cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 85])


def measure(model: str, folder: Path, out: Path, count: int, options: list[str]) -> None:
    """Predict a folder with the command; print memory while it runs, and the speed."""
    command = [sys.executable, "-c", "from edram_fer.cli import main; main()", "predict", model, str(folder)]
    start, samples = time.monotonic(), []
    process = psutil.Popen([*command, f"--out={out}", "--restart", *options], stdout=subprocess.DEVNULL)
    cpu = 0.0
    while process.poll() is None:
        try:
            times = process.cpu_times()
            tree = [process, *process.children(recursive=True)]
            memory = sum(member.memory_info().rss for member in tree) / MIB
        except psutil.Error:
            break
        cpu = times.user + times.system
        samples.append((time.monotonic() - start, memory))
        time.sleep(0.05)
    seconds, memory = np.array(samples).T
    tenths = [memory[seconds <= seconds[-1] * part / 10][-1] for part in range(1, 11)]
    print(
        f"{' '.join(options) or 'with drawing'}: {count / seconds[-1]:.1f} photos per second, {cpu / count:.3f} CPU s"
    )
    print(f"  memory in MiB after each tenth: {', '.join(f'{value:.0f}' for value in tenths)}; peak {memory.max():.0f}")


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="folder with photos of people")
    parser.add_argument("--count", type=int, default=2000, help="number of photos (default %(default)s)")
    parser.add_argument("--model", default="fer2013-edram", help="default %(default)s")
    parser.add_argument("--out", type=Path, default=Path("runs/predict_photos"), help="folder (default %(default)s)")
    parser.add_argument("--typical", action="store_true", help="photos of 1 to 3 megapixels only")
    parser.add_argument("--width", type=int, help="all photos have this width in pixels")
    parser.add_argument("--options", nargs="*", default=[], help="of the command, such as --options=--runtime=keras")
    options = parser.parse_args()
    widths = WIDTHS if options.width is None else (options.width,)
    kind = "photos" if options.width is None else f"wide-{options.width}"
    folder = options.out / (f"typical-{options.count}" if options.typical else f"{kind}-{options.count}")
    make_photos(options.photos, folder, options.count, widths, not options.typical and options.width is None)
    for extra in (["--no-draw"], []):
        extra += options.options
        measure(options.model, folder, options.out / "predictions", options.count, extra)


if __name__ == "__main__":
    main()
