"""Attention measured on windows: the same maps, paths and spreads for every model (see `windows`)."""

from edram_fer.attention.windows import (
    area,
    centres,
    corner_pixels,
    corners,
    coverage,
    density,
    extents,
    glimpse_statistics,
    moves,
    pixels,
    saccades,
    spread,
    weighted_coverage,
    zoom,
)

__all__ = [
    "area",
    "centres",
    "corner_pixels",
    "corners",
    "coverage",
    "density",
    "extents",
    "glimpse_statistics",
    "moves",
    "pixels",
    "saccades",
    "spread",
    "weighted_coverage",
    "zoom",
]
