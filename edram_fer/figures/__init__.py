"""Publication figures: pure functions from arrays to Matplotlib figures, one file per kind.

`style` defines the common style. `run` draws all figures of an evaluated run, `comparison` all figures of a comparison.
"""

DPI = 200  # resolution of raster figures: two pixels in the file per pixel on a page
