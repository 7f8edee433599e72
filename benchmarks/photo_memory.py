"""Memory that decoding a photo takes, compared with what `photos.read` assumes, for each format and mode.

    python -m benchmarks.photo_memory                  # photos of 30 megapixels
    python -m benchmarks.photo_memory --megapixels 60 --only CMYK

Each measurement is a process of its own, which reads a small photo and then a large one of the same kind. Prints bytes
per pixel: by how much the large photo raised the peak of the process, without what is converted in strips, and what
`photos.read` assumes before it decodes anything. A photo whose peak exceeds the assumption is marked.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from benchmarks.peak_memory import MIB, peak_mib
from edram_fer.preprocessing import photos, pixel_arrays

SMALL = (400, 300)
STRIPS = 30 * pixel_arrays.STRIP  # bytes
Writer = Callable[[Path, tuple[int, int]], None]


def pillow(kind: str, mode: str, *, noisy: bool = False, orientation: int = 1, **options: object) -> Writer:
    """A function that writes a photo of a size (W, H) with Pillow."""

    def write(path: Path, size: tuple[int, int]) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        settings = {**options, **({"exif": exif} if orientation != 1 else {})}
        draw(size, mode, noisy).save(path, kind, **settings)

    return write


def draw(size: tuple[int, int], mode: str, noisy: bool) -> Image.Image:
    """A photo of a size (W, H): a gradient, or noise, in which every bit counts."""
    width, height = size
    if mode in ("I;16", "I", "F"):
        values = np.linspace(0, 60000, width * height).reshape(height, width)
        return Image.fromarray(values.astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]))
    if noisy:
        levels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    else:
        columns, rows = np.arange(width, dtype=np.uint32), np.arange(height, dtype=np.uint32)[:, None]
        levels = np.dstack(
            [np.broadcast_to(v * 255 // n, (height, width)) for v, n in ((columns, width), (rows, height))]
        )
        levels = np.dstack([levels, levels[..., :1]]).astype(np.uint8)
    return Image.fromarray(levels).convert(mode)


def deep(channels: int) -> Writer:
    """A function that writes a photo of 16 bits per channel; only OpenCV writes several such channels."""

    def write(path: Path, size: tuple[int, int]) -> None:
        values = np.linspace(0, 60000, size[0] * size[1]).astype(np.uint16).reshape(size[1], size[0], 1)
        cv2.imwrite(str(path), np.repeat(values, channels, axis=-1))

    return write


WRITERS = {
    **{f"PNG {mode}": pillow("PNG", mode, compress_level=1) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")},
    "PNG RGB with a transparent colour": pillow("PNG", "RGB", compress_level=1, transparency=(1, 2, 3)),
    "PNG RGB turned": pillow("PNG", "RGB", compress_level=1, orientation=6),
    "PNG RGB of 16 bits": deep(3),
    "PNG RGBA of 16 bits": deep(4),
    "PNG RGB of noise": pillow("PNG", "RGB", noisy=True, compress_level=1),
    **{f"JPEG {mode}": pillow("JPEG", mode) for mode in ("L", "RGB", "CMYK")},
    **{f"JPEG {mode} progressive": pillow("JPEG", mode, progressive=True) for mode in ("L", "RGB", "CMYK")},
    "JPEG RGB progressive, not subsampled": pillow("JPEG", "RGB", progressive=True, subsampling=0),
    "JPEG RGB turned": pillow("JPEG", "RGB", orientation=6),
    "JPEG RGB of noise": pillow("JPEG", "RGB", noisy=True, quality=95, subsampling=0),
    "JPEG RGB of one colour": lambda path, size: Image.new("RGB", size, "red").save(path, "JPEG"),  # decoded five times
    "JPEG RGB of noise, progressive": pillow("JPEG", "RGB", noisy=True, quality=100, progressive=True),
    **{f"JPEG2000 {mode}": pillow("JPEG2000", mode) for mode in ("L", "RGB", "RGBA")},
    **{f"WEBP {mode}": pillow("WEBP", mode, method=0) for mode in ("RGB", "RGBA")},
    "WEBP RGB lossless": pillow("WEBP", "RGB", method=0, lossless=True),
    "WEBP RGB of noise": pillow("WEBP", "RGB", noisy=True, method=0, lossless=True),
    **{f"AVIF {mode}": pillow("AVIF", mode, speed=10) for mode in ("RGB", "RGBA")},
    "AVIF RGB of noise": pillow("AVIF", "RGB", noisy=True, speed=10, quality=100),
    "HEIF RGB": pillow("HEIF", "RGB"),
    **{f"TIFF {mode}": pillow("TIFF", mode) for mode in ("L", "RGB", "RGBA", "CMYK", "I;16", "I", "F")},
    **{f"TIFF {mode}, LZW": pillow("TIFF", mode, compression="tiff_lzw") for mode in ("L", "RGB", "CMYK", "F")},
    "TIFF RGB of 16 bits": deep(3),
    "TIFF RGB of noise": pillow("TIFF", "RGB", noisy=True, compression="tiff_deflate"),
    "GIF P": pillow("GIF", "P"),
    **{f"{kind} RGB": pillow(kind, "RGB") for kind in ("BMP", "PPM", "TGA")},
}


def assumed(path: Path) -> float:
    """Bytes that `photos.read` assumes a photo takes, as its refusal says."""
    limits = photos.MAX_BYTES, photos.MAX_BYTES_JPEG
    photos.MAX_BYTES, photos.MAX_BYTES_JPEG = 0, 3 * path.stat().st_size + 3  # a JPEG file itself has a limit, too
    try:
        photos.read(path)
        raise ValueError(f"{path} was not refused")
    except photos.PhotoError as error:
        return int(re.findall(r"need (\d+) MB", str(error))[0]) * 1e6
    finally:
        photos.MAX_BYTES, photos.MAX_BYTES_JPEG = limits


def measured(small: Path, large: Path) -> float:
    """Bytes by which reading the large photo after the small one raises the peak of a process."""
    command = [sys.executable, "-m", "benchmarks.photo_memory", "--read", str(small), str(large)]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(process.stdout)


def main() -> None:
    """Write the photos, read each, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megapixels", type=float, default=30, help="size of the large photo (default %(default)s)")
    parser.add_argument("--only", default="", help="only kinds with this text in their name")
    parser.add_argument("--read", type=Path, nargs=2, help=argparse.SUPPRESS)  # a process of `measured`
    options = parser.parse_args()
    if options.read:
        photos.MAX_BYTES = photos.MAX_BYTES_JPEG = 10**12
        photos.read(options.read[0])
        before = peak_mib()
        photos.read(options.read[1])
        print((peak_mib() - before) * MIB)
        return
    side = round((options.megapixels * 1e6) ** 0.5)
    print(f"{'bytes per pixel':40} measured  assumed")
    for name, write in WRITERS.items():
        if options.only not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            suffix = ".tif" if name.startswith("TIFF") else ".png" if name.startswith("PNG") else ".a"
            small, large = Path(folder) / f"small{suffix}", Path(folder) / f"large{suffix}"
            try:
                write(small, SMALL)
                write(large, (side, side))
            except (KeyError, OSError) as error:
                print(f"{name:40} cannot be written here: {error!r:.60}")
                continue
            used = (measured(small, large) - STRIPS) / side**2
            expected = assumed(large) / side**2
            print(f"{name:40} {used:8.1f} {expected:8.1f}{'  MORE' if used > expected else ''}", flush=True)


if __name__ == "__main__":
    main()
