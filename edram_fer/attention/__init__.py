"""Attention measured on windows: the same maps, paths and spreads for every model (see `windows`, `maps`).

Imported by name: `agreement` and `baselines` of maps with `fixations`, `scan_paths`, `regions`, `early_exit`.
"""

from edram_fer.attention.maps import between_steps, densities, difference, one_vs_rest, total_variation
from edram_fer.attention.windows import (
    area,
    centres,
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
    require_weighted_windows,
    saccades,
    spread,
    weighted_coverage,
    zoom,
)

__all__ = [
    "one_vs_rest",
    "area",
    "between_steps",
    "centres",
    "require_weighted_windows",
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
    "total_variation",
    "moves",
    "names",
    "pixels",
    "saccades",
    "spread",
    "weighted_coverage",
    "zoom",
]
