"""Seconds for the heat maps and region shares of many images.

    python -m benchmarks.attention_maps [IMAGES]

The densities of 10,000 images with 6 windows each, by class and step at 100x100 pixels, should take less than 10 s on
two quiet cores. CPU time is printed as well, because other processes do not increase it.
"""

import argparse
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from edram_fer import attention
from edram_fer.attention import regions
from edram_fer.attention.template import TEMPLATE

CLASSES, STEPS, SHAPE = list("abcdefg"), 6, (100, 100)

Result = TypeVar("Result")


def measure(step: str, work: Callable[[], Result]) -> Result:
    """Run one step, print its time and return its result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    print(f"{step:12} {time.perf_counter() - wall:6.1f} s, CPU time {time.process_time() - cpu:6.1f} s")
    return result


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="?", type=int, default=10_000, metavar="IMAGES", help="default %(default)s")
    count = parser.parse_args().images
    rng = np.random.default_rng(0)
    windows = rng.uniform(0.3, 0.6, (count, STEPS, 1, 1)) * np.eye(2, 3) + rng.normal(0, 0.1, (count, STEPS, 2, 3))
    weights, groups = np.full((count, STEPS), 1 / STEPS), rng.choice(CLASSES, count)
    landmarks = TEMPLATE * rng.uniform(30, 40, (count, 1, 1)) + (50, 38)
    measure("densities", lambda: attention.densities(windows, weights, groups, CLASSES, SHAPE))
    mass, area = measure("region_mass", lambda: regions.region_mass(windows, weights, landmarks, SHAPE))
    measure("shares", lambda: regions.region_shares(mass, area, groups, CLASSES))


if __name__ == "__main__":
    main()
