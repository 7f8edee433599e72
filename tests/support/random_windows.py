"""Affine windows: rotated squares, and random matrices."""

import numpy as np


def rotated(zoom, degrees, x=0.0, y=0.0):
    c, s = zoom * np.cos(np.radians(degrees)), zoom * np.sin(np.radians(degrees))
    return np.array([[c, -s, x], [s, c, y]])


def random_windows(*shape, seed=0, scale=0.6):
    return np.random.default_rng(seed).normal(0, scale, (*shape, 2, 3))
