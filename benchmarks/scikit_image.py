"""Image operations of this package compared with scikit-image: CPU time and largest difference.

    python -m benchmarks.scikit_image PHOTO

PHOTO is any photo. Everything runs in one thread; the times are the fastest of five rounds, taken in turn.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from skimage import exposure, transform, util

from edram_fer.attention import alignment
from edram_fer.preprocessing import contact_sheet, crop, photos


def operations(image: np.ndarray) -> dict[str, tuple[Callable[[], np.ndarray], Callable[[], np.ndarray]]]:
    """Pairs of functions by name: ours and scikit-image's.

    Both return arrays of the same shape, except for the contact sheet.

    Args:
        image: RGB uint8 [H, W, 3].
    """
    rng = np.random.default_rng(0)
    side = min(image.shape[:2])
    luma = crop.grey(image)
    face = crop.cut(luma, (0, 0, side), 99)
    shapes, template = rng.normal(size=(1000, 68, 2)), rng.normal(size=(68, 2))
    rows = {f"row {row}": list(rng.integers(0, 255, (12, 96, 96, 3), np.uint8)) for row in range(8)}
    tiles = np.concatenate(list(map(np.stack, rows.values())))
    clahe = {"kernel_size": 33, "clip_limit": 0.01}  # the limit that is closest to OpenCV's 1
    return {
        "histogram equalisation of a photo": (
            lambda: cv2.equalizeHist(luma),
            lambda: exposure.equalize_hist(luma, nbins=256) * 255,
        ),
        "square of a photo to 100 pixels, by areas": (
            lambda: crop.cut(image, (0, 0, side), 100),
            lambda: transform.resize_local_mean(image[:side, :side], (100, 100), preserve_range=True),
        ),
        "CLAHE of a face": (
            lambda: crop.equalise(face),
            lambda: exposure.equalize_adapthist(face, **clahe) * 255,
        ),
        "similarity transforms of 1,000 faces": (
            lambda: alignment.similarity(shapes, template),
            lambda: np.stack(
                [transform.SimilarityTransform.from_estimate(shape, template).params[:2] for shape in shapes]
            ),
        ),
        "contact sheet of 96 images (montage: without titles)": (
            lambda: np.asarray(contact_sheet.sheet(rows)),
            lambda: util.montage(tiles, grid_shape=(8, 12), padding_width=6, channel_axis=-1),
        ),
    }


def milliseconds(function: Callable[[], np.ndarray], seconds: float = 0.3) -> float:
    """Mean CPU time of a call in milliseconds, over as many calls as fit into `seconds`."""
    calls, start = 0, time.process_time()
    while time.process_time() - start < seconds:
        function()
        calls += 1
    return (time.process_time() - start) / calls * 1000


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path, metavar="PHOTO")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    for name, (ours, theirs) in operations(photos.read(options.photo)).items():
        results = np.asarray(ours(), float), np.asarray(theirs(), float)
        same_shape = results[0].shape == results[1].shape
        difference = f"{np.abs(results[0] - results[1]).max():.2g}" if same_shape else "-"
        rounds = [(milliseconds(ours), milliseconds(theirs)) for _ in range(5)]
        fastest, reference = (min(times) for times in zip(*rounds, strict=True))
        ratio = reference / fastest
        print(f"{name:54}{fastest:9.3f} ms{reference:9.2f} ms{ratio:8.1f} times{difference:>9}", flush=True)


if __name__ == "__main__":
    main()
