"""One look for all figures: type, colours, steps, saving."""

import functools
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from edram_fer import files
from edram_fer.figures import DPI

INK, MUTED, FAINT = "#1d2733", "#66717e", "#d9dee4"
BLUE, ORANGE, GREEN, RED = "#2563a8", "#d9711c", "#1a7f4b", "#b3261e"

HEAT = matplotlib.colormaps["inferno"]
SHARES = LinearSegmentedColormap.from_list("shares", ["#ffffff", "#cfe0f2", "#6fa3d8", "#2563a8", "#0d2d57"])

_RC = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.labelsize": 8,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,  # letters that stay text, as journals ask for
    "svg.fonttype": "path",  # the same letters on every machine
    "svg.hashsalt": "edram_fer",  # the same file from the same numbers
}


def styled(function):
    """Decorator: draw with this look, whatever the caller's Matplotlib settings are."""

    @functools.wraps(function)
    def drawn(*args, **kwargs):
        with matplotlib.rc_context(_RC):
            return function(*args, **kwargs)

    return drawn


def step_colours(count):
    """`count` colours [count, 4] from early (violet) to late (yellow), bright enough for outlines on a grey face."""
    return matplotlib.colormaps["plasma"](np.linspace(0.22, 0.95, count) if count > 1 else [0.6])


def image_axes(axes):
    """Make axes a bare image frame."""
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def show_image(axes, image):
    """Draw an image [H, W] or [H, W, 1 or 3], uint8, or float in [0, 1]; pixel centres are whole numbers."""
    image_axes(axes)
    image = np.squeeze(np.asarray(image))
    top = 255 if image.dtype == np.uint8 else 1
    axes.imshow(image, cmap="gray", vmin=0, vmax=top, interpolation="antialiased")


@styled
def save(figure, path, dpi=DPI):
    """Save a figure whole or not at all, in the format of the path's suffix: vectors in .svg and .pdf, `dpi` pixels an
    inch in .png."""
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(Path(path).suffix)
    with files.replace(path) as temporary:
        figure.savefig(temporary, dpi=dpi, metadata=metadata)
    return path
