"""Attention measured on windows: the same maps, paths and spreads for every model (see `windows`, `maps`).

Imported by name: `agreement` and `baselines` of maps with `fixations`, `scan_paths`, `regions`, `early_exit`.
"""

from edram_fer.attention.maps import against_the_rest, between_steps, densities, difference, moved
from edram_fer.attention.windows import (
    area,
    centres,
    check_weighed,
    corner_pixels,
    corners,
    coverage,
    density,
    extents,
    glimpse_statistics,
    grouped_coverage,
    has_windows,
    moves,
    names,
    pixels,
    saccades,
    spread,
    weighted_coverage,
    zoom,
)

__all__ = [
    "against_the_rest",
    "area",
    "between_steps",
    "centres",
    "check_weighed",
    "corner_pixels",
    "corners",
    "coverage",
    "densities",
    "density",
    "difference",
    "extents",
    "glimpse_statistics",
    "grouped_coverage",
    "has_windows",
    "moved",
    "moves",
    "names",
    "pixels",
    "saccades",
    "spread",
    "weighted_coverage",
    "zoom",
]
