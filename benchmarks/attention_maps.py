"""Seconds for the maps and region shares of many images: python benchmarks/attention_maps.py [images]

The densities of 10,000 images with 6 windows each, by class and step at 100 x 100 pixels, should take less than 10 s
on two quiet cores. The processor's seconds are told too: other work on the machine does not lengthen them.
"""

import sys
import time

import numpy as np

from edram_fer import attention
from edram_fer.attention import regions
from edram_fer.attention.template import TEMPLATE

CLASSES, STEPS, SHAPE = list("abcdefg"), 6, (100, 100)


def timed(name, function, *arguments):
    wall, processor = time.perf_counter(), time.process_time()
    result = function(*arguments)
    print(f"{name:12} {time.perf_counter() - wall:6.1f} s, processor {time.process_time() - processor:6.1f} s")
    return result


def main(count):
    rng = np.random.default_rng(0)
    windows = rng.uniform(0.3, 0.6, (count, STEPS, 1, 1)) * np.eye(2, 3) + rng.normal(0, 0.1, (count, STEPS, 2, 3))
    weights, groups = np.full((count, STEPS), 1 / STEPS), rng.choice(CLASSES, count)
    landmarks = TEMPLATE * rng.uniform(30, 40, (count, 1, 1)) + (50, 38)
    timed("densities", attention.densities, windows, weights, groups, CLASSES, SHAPE)
    mass, area = timed("region_mass", regions.region_mass, windows, weights, landmarks, SHAPE)
    timed("shares", regions.region_shares, mass, area, groups, CLASSES)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
