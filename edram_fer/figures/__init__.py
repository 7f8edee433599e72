"""Figures as for a paper: pure functions from arrays to Matplotlib figures, one file for each kind.

`style` holds what they share, `run` draws all figures of an evaluated run.
"""

DPI = 200  # of the images among them: two pixels of the file for one of a page
