"""One image with the glimpses of a model: their positions and contents."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from edram_fer.errors import UserError
from edram_fer.figures.colours import step_colours
from edram_fer.figures.samples import GAP, TEXT, TILE, caption, draw_face, glimpse, tile
from edram_fer.figures.style import INK, image_axes, styled
from edram_fer.preprocessing import pixel_arrays


class NotebookFigure(Figure):
    """A figure that notebooks display although it was not created by pyplot."""

    def _repr_png_(self) -> bytes:
        content = io.BytesIO()
        self.savefig(content, format="png", dpi=150)
        return content.getvalue()


@styled
def draw_glimpses(
    image: np.ndarray,
    windows: np.ndarray,
    *,
    box: Sequence[float] | None = None,
    labels: Sequence[str] | None = None,
    glimpse_size: int = 26,
) -> Figure:
    """Draw an image with the outlines of its glimpses, and beside it each glimpse enlarged.

    Args:
        image: [H, W], [H, W, 1] or [H, W, 3], uint8 in 0 to 255 or floats in [0, 1].
        windows: [N, 2, 3], each maps the glimpse's [-1, 1]^2 onto the box's; the `windows` of a row from
            `edram_fer.predict`, or `model(images)["windows"][0]`.
        box: (left, top, width, height) of the part of the image that the model saw, in pixels; the `box` of a row from
            `edram_fer.predict`. None: the whole image.
        labels: a line of text below each glimpse; None: its number.
        glimpse_size: sample points on a side of an enlarged glimpse.

    Returns:
        Matplotlib figure; a notebook shows it, and `figure.savefig(path)` saves it.

    Raises:
        UserError: an array of another shape, dtype or range, or another number of labels than glimpses.

    >>> rng = np.random.default_rng(0)
    >>> figure = draw_glimpses(rng.random((48, 48)), np.eye(2, 3)[None] * [[[1]], [[0.5]]])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['glimpse 1', 'glimpse 2']
    """
    pixels, windows = _visible_part(image, box), np.asarray(windows, float)
    if windows.ndim != 3 or windows.shape[1:] != (2, 3):
        raise UserError(f"windows: expected the windows of one image, [N, 2, 3], got {list(windows.shape)}")
    labels = [f"glimpse {step}" for step in range(1, len(windows) + 1)] if labels is None else labels
    if len(labels) != len(windows):
        raise UserError(f"labels: expected one for each of {len(windows)} glimpses, got {len(labels)}")
    colours = step_colours(len(windows))
    height = max(1.0, pixels.shape[0] / pixels.shape[1])
    columns = (len(windows) + 1) * (1 + GAP) - GAP
    figure = NotebookFigure(figsize=(2 * TILE * columns, 2 * TILE * (height + TEXT)), layout="constrained")
    axes = figure.subplots()
    image_axes(axes)
    draw_face(axes, 0, pixels, windows, colours)
    for step, (window, label) in enumerate(zip(windows, labels, strict=True)):
        left = (step + 1) * (1 + GAP)
        tile(axes, left, 0, glimpse(pixels, window, glimpse_size), colours[step])
        caption(axes, left + 0.5, 1.03, label, INK, letters=40)
    axes.set(xlim=(-0.02, columns + 0.02), ylim=(height + TEXT, -0.02), aspect="equal")
    return figure


def _visible_part(image: np.ndarray, box: Sequence[float] | None) -> np.ndarray:
    """The part of an image that the model saw, [H, W, C] in 0 to 255."""
    pixels = pixel_arrays.from_array(np.asarray(image))
    pixels = pixels if pixels.dtype == np.uint8 else pixels * 255.0
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if box is None:
        return pixels
    left, top, width, height = (round(value) for value in box)
    return pixels[top : top + height, left : left + width]
