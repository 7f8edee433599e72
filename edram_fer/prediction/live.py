"""Predictions on a camera, shown in a window as they are made."""

import os
import sys
from collections.abc import Iterable, Iterator

import cv2

from edram_fer.errors import UserError
from edram_fer.figures.film import FilmDrawing
from edram_fer.prediction.images import Images, InputImage, decode
from edram_fer.prediction.predictor import Batch, Predictor
from edram_fer.prediction.video import Frame

TITLE = "edram-fer: q ends"
END_KEYS = (ord("q"), 27)  # 27: Esc


def open_window() -> None:
    """Open the window.

    Raises:
        UserError: this OpenCV has no windows, or there is no screen.
    """
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise UserError("a live window needs a screen, and DISPLAY is not set; --no-overlay predicts without a window")
    try:
        cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
    except cv2.error:
        raise UserError(
            "this OpenCV (opencv-python-headless) has no windows: pip uninstall --yes opencv-python-headless && pip "
            "install 'opencv-python<5'; or --no-overlay predicts without a window"
        ) from None


def watch(predictor: Predictor, frames: Iterable[Frame], window: bool) -> Iterator[Batch]:
    """Predict each frame as it comes.

    Args:
        predictor: made with batch_size=1 and workers=1, so that no frame waits for others.
        frames: from `edram_fer.camera`.
        window: show the frames with their faces in the window of `open_window`, until q or Esc is pressed or the window
            is closed.

    Yields:
        the rows of each frame.
    """
    latest: list[InputImage] = []

    def remembered() -> Iterator[InputImage]:
        for frame in frames:
            latest[:] = [decode(frame)]
            yield latest[0]

    drawing = None
    for batch in predictor.batches(Images(remembered(), None, [])):
        yield batch
        (image,) = latest
        if window and image.pixels is not None and image.time is not None:
            drawing = drawing or FilmDrawing(predictor.classes, image.pixels.shape[:2])
            cv2.imshow(TITLE, cv2.cvtColor(drawing.draw(image.pixels, batch.rows, image.time), cv2.COLOR_RGB2BGR))
            if cv2.waitKey(1) & 0xFF in END_KEYS or cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1:
                return
