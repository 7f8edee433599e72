"""Measures of visual attention on weighted windows: the same maps, paths and spreads for every model.

The package itself exports the geometry (`windows`), the area that windows cover (`coverage_maps`) and the densities
(`maps`). Import the other modules by name: `agreement`, `baselines`, `fixations` and `scan_paths` compare attention
with human attention; `regions` and `alignment` relate it to parts of the face; `alternatives` replaces a model's
windows; `early_exit` computes accuracy against the number of glimpses; `occlusion`, `bubbles` and `pointing` map the
pixels that a prediction depends on.
"""

from edram_fer.attention.coverage_maps import coverage, density, grouped_coverage, weighted_coverage
from edram_fer.attention.maps import densities, difference, one_vs_rest, step_differences, total_variation
from edram_fer.attention.windows import (
    area,
    centres,
    corner_pixels,
    corners,
    extents,
    glimpse_statistics,
    has_windows,
    moves,
    names,
    pixels,
    require_weighted_windows,
    saccades,
    spread,
    zoom,
)

__all__ = [
    "area",
    "step_differences",
    "centres",
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
    "moves",
    "names",
    "one_vs_rest",
    "pixels",
    "require_weighted_windows",
    "saccades",
    "spread",
    "total_variation",
    "weighted_coverage",
    "zoom",
]
