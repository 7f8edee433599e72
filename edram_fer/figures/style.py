"""The common style of all figures: fonts, colours of the steps, saving."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import matplotlib
import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from edram_fer import files
from edram_fer.figures import DPI

if TYPE_CHECKING:  # drawing into photos needs neither
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")  # on lines of their own: type checkers do not recognise them in a tuple
T = TypeVar("T")

INK, MUTED, FAINT = "#1d2733", "#66717e", "#d9dee4"
BLUE, ORANGE, GREEN, RED = "#2563a8", "#d9711c", "#1a7f4b", "#b3261e"

HEAT = matplotlib.colormaps["inferno"]
SHARES = LinearSegmentedColormap.from_list("shares", ["#ffffff", "#cfe0f2", "#6fa3d8", "#2563a8", "#0d2d57"])

_RC: dict[Any, Any] = {
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
    "text.parse_math": False,  # names of runs may hold dollar signs
    "pdf.fonttype": 42,  # text stays text, as journals require
    "svg.fonttype": "path",  # the same glyphs on every machine
    "svg.hashsalt": "edram_fer",  # the same file for the same numbers
}


def styled(function: Callable[P, T]) -> Callable[P, T]:
    """Decorator: draw in this style, regardless of the caller's Matplotlib settings."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        with matplotlib.rc_context(_RC):
            return function(*args, **kwargs)

    return wrapper


def fitted(text: str, size: float, letters: int) -> float:
    """The font size, at most `size`, at which a text is no longer than `letters` letters of that size.

    >>> fitted("a name of twenty two l", 8, 11)
    4.0
    """
    return size * min(1, letters / max(len(text), 1))


def image_axes(axes: "Axes") -> None:
    """Remove grid, ticks and spines."""
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def show_image(axes: "Axes", image: np.ndarray) -> None:
    """Draw an image [H, W] or [H, W, 1 or 3], uint8 or float in [0, 1]; pixel centres are integers."""
    image_axes(axes)
    image = np.squeeze(np.asarray(image))
    top = 255 if image.dtype == np.uint8 else 1
    axes.imshow(image, cmap="gray", vmin=0, vmax=top, interpolation="antialiased")


@styled
def save(figure: "Figure", path: Path | str, dpi: int = DPI) -> Path:
    """Save a figure atomically, in the format of the path's suffix.

    Args:
        figure: the figure.
        path: file ending in .svg or .pdf (vectors) or .png.
        dpi: pixels per inch of a .png.
    """
    path = Path(path)
    options: dict[str, dict[str, Any]] = {
        ".svg": {"metadata": {"Date": None}},
        ".pdf": {"metadata": {"CreationDate": None}},
        ".png": {"pil_kwargs": {"compress_level": 4}},  # half of the default's time for a tenth more bytes
    }
    with files.replace(path) as temporary:
        figure.savefig(temporary, dpi=dpi, **options.get(path.suffix, {}))
    return path
