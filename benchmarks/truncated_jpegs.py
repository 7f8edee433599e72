"""How many truncated JPEG files are taken for whole ones, and how many whole ones for truncated.

    python -m benchmarks.truncated_jpegs --photos PHOTOS --count 2000 --step 50

Encodes the photos in --photos, some with a border of one colour, with every encoder that is installed: Pillow and
OpenCV; cjpeg and jpegtran (libjpeg-turbo), ffmpeg (also from imageio-ffmpeg); the packages simplejpeg, pyvips and
mozjpeg-lossless-optimization. Each file is read whole, without its end mark, with garbage before or behind it; then
one in --every files is cut at each --step-th byte, as it is and with an end mark. A cut file counts as taken for whole
if it is read and at least one pixel differs from the whole image. Prints the figures as JSON.
"""

import argparse
import importlib
import importlib.util
import io
import itertools
import json
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from edram_fer.preprocessing import photos
from edram_fer.preprocessing.photos import PhotoError

Encoder = Callable[[Image.Image], bytes]


def encoders() -> Iterator[tuple[str, Encoder]]:
    """(name with settings, encoder) of everything installed."""
    choices = itertools.product((10, 50, 75, 92, 100), (0, 1, 2), (False, True), (False, True), (0, 1, 3))
    for quality, subsampling, progressive, optimize, rows in choices:
        options = {"quality": quality, "subsampling": subsampling, "progressive": progressive, "optimize": optimize}
        yield f"pillow {options} {rows}", _pillow(**options, **({"restart_marker_rows": rows} if rows else {}))
    for mode in ("L", "CMYK"):
        for progressive in (False, True):
            yield f"pillow {mode} {progressive}", _pillow(mode, quality=80, progressive=progressive)
    for quality, progressive, optimised, interval in itertools.product((20, 90), (0, 1), (0, 1), (0, 5)):
        names = (cv2.IMWRITE_JPEG_QUALITY, cv2.IMWRITE_JPEG_PROGRESSIVE, cv2.IMWRITE_JPEG_OPTIMIZE)
        flags = [*zip(names, (quality, progressive, optimised)), (cv2.IMWRITE_JPEG_RST_INTERVAL, interval)]
        yield f"opencv {quality} {progressive} {optimised} {interval}", _opencv([n for pair in flags for n in pair])
    if shutil.which("cjpeg"):
        for options in (["-arithmetic"], ["-dct", "float"], ["-restart", "7B"], ["-progressive", "-sample", "4x1"]):
            yield f"cjpeg {' '.join(options)}", _command(["cjpeg", "-quality", "70", *options], "PPM")
        for sampling in ("1x1", "2x1", "1x2", "2x2", "4x2,1x1,2x1", "1x1,2x2,1x1"):
            yield f"cjpeg {sampling}", _command(["cjpeg", "-sample", sampling], "PPM")
        scans = tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False)
        with scans:
            scans.write("0;\n1;\n2;\n")
        yield "cjpeg a scan for each component", _command(["cjpeg", "-scans", scans.name], "PPM")
    if shutil.which("jpegtran"):
        for options in (["-progressive"], ["-optimize", "-restart", "3B"], ["-transpose", "-trim"], ["-arithmetic"]):
            yield f"jpegtran {' '.join(options)}", _command(["jpegtran", *options], "JPEG")
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None and importlib.util.find_spec("imageio_ffmpeg"):
        ffmpeg = importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe()
    if ffmpeg:
        for quality, colours in itertools.product((2, 8, 31), ("yuvj420p", "yuvj422p", "yuvj444p")):
            command = [ffmpeg, "-v", "error", "-f", "image2pipe", "-i", "-", "-q:v", str(quality), "-pix_fmt", colours]
            yield f"ffmpeg {quality} {colours}", _command([*command, "-f", "mjpeg", "-"], "PNG")
    for name, module, make in (
        ("mozjpeg", "mozjpeg_lossless_optimization", _mozjpeg),
        ("simplejpeg", "simplejpeg", _simplejpeg),
        ("pyvips", "pyvips", _pyvips),
    ):
        if importlib.util.find_spec(module):
            for quality in (30, 75, 95):
                yield f"{name} {quality}", make(importlib.import_module(module), quality)


def _pillow(mode: str = "RGB", **options: object) -> Encoder:
    def encode(image: Image.Image) -> bytes:
        file = io.BytesIO()
        image.convert(mode).save(file, "JPEG", **options)
        return file.getvalue()

    return encode


def _opencv(flags: list[int]) -> Encoder:
    return lambda image: cv2.imencode(".jpg", np.asarray(image)[..., ::-1], flags)[1].tobytes()


def _command(command: list[str], kind: str) -> Encoder:
    def encode(image: Image.Image) -> bytes:
        file = io.BytesIO()
        image.save(file, kind)
        return subprocess.run(command, input=file.getvalue(), capture_output=True, check=True).stdout

    return encode


def _mozjpeg(module, quality: int) -> Encoder:
    return lambda image: module.optimize(_pillow(quality=quality)(image))


def _simplejpeg(module, quality: int) -> Encoder:
    return lambda image: module.encode_jpeg(np.ascontiguousarray(image), quality, colorsubsampling="420")


def _pyvips(module, quality: int) -> Encoder:
    options = {"Q": quality, "interlace": quality == 75, "trellis_quant": True, "optimize_coding": True}
    return lambda image: module.Image.new_from_array(np.asarray(image)).jpegsave_buffer(**options)


def read(content: bytes, path: Path) -> np.ndarray | None:
    """The image of a file, None if it is refused."""
    path.write_bytes(content)
    try:
        return photos.read(path)
    except PhotoError:
        return None


def make_images(folder: Path, side: int) -> list[Image.Image]:
    """The photos in a folder, at most `side` pixels long, as they are, cropped, and with a white border."""
    images = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in (".jpg", ".png"):
            image = Image.fromarray(photos.read(path))
            image.thumbnail((side, side))
            framed = Image.new("RGB", (image.width + 40, image.height + 60), "white")
            framed.paste(image, (20, 10))
            images += [image, image.crop((3, 5, image.width - 10, image.height - 20)), framed]
    return images


def main() -> None:
    """Encode, read, cut and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="folder with photos, .jpg or .png")
    parser.add_argument("--count", type=int, default=2000, help="number of whole files (default %(default)s)")
    parser.add_argument("--side", type=int, default=240, help="longer side in pixels (default %(default)s)")
    parser.add_argument("--every", type=int, default=40, help="cut one in so many files (default %(default)s)")
    parser.add_argument("--step", type=int, default=50, help="bytes between two cuts (default %(default)s)")
    options = parser.parse_args()
    images, counts, named, failed = make_images(options.photos, options.side), Counter(), {}, {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jpg"
        pairs = itertools.cycle(itertools.product(images, list(encoders())))
        for number, (image, (name, encode)) in enumerate(itertools.islice(pairs, options.count)):
            try:
                content = encode(image)
            except Exception as error:  # an encoder that lacks a setting
                failed[name] = f"{type(error).__name__}: {error}"[:100]
                continue
            counts["whole"] += 1
            whole = read(content, path)
            if whole is None or not np.array_equal(whole, np.asarray(Image.open(path).convert("RGB"))):
                counts["whole, refused"] += 1
                named.setdefault(name, len(content))
                continue
            kept = content.removesuffix(b"\xff\xd9")
            arithmetic = "arithmetic" in name  # zeros at the end may be left out
            for kind, changed in {
                "garbage behind": content + b"\0garbage" * 9,
                "garbage before the end mark": kept + b"\0garbage" * 9 + b"\xff\xd9",
                "without end mark": kept,
                "without half of it": content[:-1],
            }.items():
                if not (arithmetic and "without" in kind):
                    counts[kind] += 1
                    counts[f"{kind}, refused"] += read(changed, path) is None
            if number % options.every:
                continue
            for cut in range(200, len(kept) - 1, options.step):
                for kind, end in (("cut", b""), ("cut, with end mark", b"\xff\xd9")):
                    counts[kind] += 1
                    pixels = read(kept[:cut] + end, path)
                    if pixels is not None and not np.array_equal(pixels, whole):
                        counts[f"{kind}, taken for whole"] += 1
                        named.setdefault(f"{name}, {kind} at {cut}", round(float((pixels != whole).mean()), 5))
    print(json.dumps({"counts": counts, "examples": dict(list(named.items())[:60]), "failed": failed}, indent=1))


if __name__ == "__main__":
    main()
