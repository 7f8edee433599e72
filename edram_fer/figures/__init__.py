"""Publication figures: pure functions from arrays to Matplotlib figures, one file per kind.

`style` holds the shared look. `run` draws all figures of an evaluated run, `comparison` those of several.
"""

DPI = 200  # resolution of raster figures: two pixels in the file per pixel on a page
