"""Memory that the images of a training split take, as a ratio to the bytes of their pixels.

    python -m benchmarks.input_memory                      # 100,000 faces of 100x100 pixels in an NPZ file
    python -m benchmarks.input_memory --faces 420000       # as many as AffectNet has; 4.2 GB of pixels
    KERAS_BACKEND=jax python -m benchmarks.input_memory

Each measurement is a process of its own, which takes STEPS augmented batches from the file. What the same process takes
with a file of one batch is subtracted.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.peak_memory import MIB, peak_mib

STEPS, BATCH_SIZE, SIDE = 20, 64, 100
CLASSES = ("happy", "sad")


def write(path: Path, faces: int) -> int:
    """Write an NPZ file with random faces, not compressed. Returns the bytes of their pixels."""
    rng = np.random.default_rng(0)
    content = {"emotions": np.array(CLASSES), "version": np.array("1"), "fingerprint": np.array(str(faces))}
    for split, count in {"train": faces, "validation": BATCH_SIZE}.items():
        image = np.empty((count, SIDE, SIDE, 1), np.uint8)
        for start in range(0, count, 10_000):
            part = image[start : start + 10_000]
            part[:] = rng.integers(0, 256, part.shape, np.uint8)
        features = {
            "image": image,
            "emotion": rng.integers(0, len(CLASSES), count),
            "affect": np.full((count, 2), -2, np.float32),
            "id": np.arange(count).astype("U"),
        }
        content |= {f"{split}/{name}": values for name, values in features.items()}
    np.savez(path, **content)
    return faces * SIDE * SIDE


def take_batches(path: Path) -> float:
    """Take STEPS batches in this process. Returns its peak memory in MiB."""
    from edram_fer import startup

    startup.load_keras()
    from edram_fer.data.augment import Augmentation
    from edram_fer.data.batches import Batches

    batches = Batches(str(path), "train", CLASSES, BATCH_SIZE, augmentation=Augmentation())
    stream = batches.start()
    taken = iter(stream) if hasattr(stream, "take") else (stream[step] for step in range(STEPS))
    for _, batch in zip(range(STEPS), taken, strict=False):
        inputs, _ = batches.prepare(**batch[0]) if batches.on_device else batch
        assert inputs["image"].shape == (BATCH_SIZE, SIDE, SIDE, 1)
    return peak_mib()


def measure(path: Path) -> float:
    """`take_batches` in a new process."""
    command = [sys.executable, "-m", "benchmarks.input_memory", "--file", str(path)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def compare(faces: int) -> dict[str, float]:
    """Mebibytes of the pixels, of a process with them and of one without, and the ratio of what they take to them."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "small.npz", BATCH_SIZE)
        pixels = write(Path(folder) / "large.npz", faces) / MIB
        base, peak = (measure(Path(folder) / f"{name}.npz") for name in ("small", "large"))
    return {
        "pixels_mib": round(pixels),
        "peak_mib": round(peak),
        "without_faces_mib": round(base),
        "ratio": round((peak - base) / pixels, 2),
    }


def main() -> None:
    """Measure a small and a large file, and print the ratio as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument("--file", type=Path, help="measure this file in this process")
    options = parser.parse_args()
    if options.file:
        print(take_batches(options.file))
        return
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    print(json.dumps({"backend": backend, "faces": options.faces, **compare(options.faces)}, indent=1))


if __name__ == "__main__":
    main()
