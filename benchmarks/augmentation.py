"""Speed of the augmentation's warp on TensorFlow: the fused operation compared with the sensor of the models.

    python -m benchmarks.augmentation

Warps batches of random images with the default augmentation, each way in turn, on one thread, and prints the median
images per CPU second, their ratio, and the largest difference of a pixel in [0, 1].
"""

import argparse
import time
from statistics import median

import numpy as np
import tensorflow as tf

from edram_fer.data import augment
from edram_fer.models.spatial_transformer import sample


def compare(size: int = 100, batch: int = 64, rounds: int = 9) -> tuple[dict[str, float], float]:
    """{way of warping: median images per CPU second}, and the largest difference between both ways.

    Args:
        size: side of the images in pixels.
        batch: images per batch.
        rounds: of 10 batches for each way.
    """
    images = tf.constant(np.random.default_rng(0).random((batch, size, size, 1), np.float32))
    windows = augment.matrices(augment.Augmentation(), augment.draw(0, 0, batch))
    ways = {
        "sensor of the models": tf.function(lambda images: sample(images, windows[:, None], (size, size))[:, 0]),
        "fused operation": tf.function(lambda images: augment.warp(images, windows)),
    }
    first, second = (way(images) for way in ways.values())  # compiles them
    seconds = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.process_time()
            for _ in range(10):
                way(images)
            seconds[name].append((time.process_time() - start) / 10)
    return {name: batch / median(values) for name, values in seconds.items()}, float(np.abs(first - second).max())


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=100, help="side of the images in pixels (default 100)")
    parser.add_argument("--batch", type=int, default=64, help="images per batch (default 64)")
    parser.add_argument("--rounds", type=int, default=9, help="rounds of 10 batches for each way (default 9)")
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    speeds, difference = compare(arguments.size, arguments.batch, arguments.rounds)
    for name, speed in speeds.items():
        print(f"{name}: {speed:,.0f} images per CPU second")
    before, after = speeds.values()
    print(f"ratio: {after / before:.1f}; largest difference: {difference:.1e}")


if __name__ == "__main__":
    main()
