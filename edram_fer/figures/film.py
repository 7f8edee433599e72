"""The frames of a film with their faces, glimpses and probabilities over time, drawn in a few milliseconds each."""

import collections
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw

from edram_fer import attention
from edram_fer.figures import photo
from edram_fer.figures.colours import class_colours, step_colours

SMALLEST, LARGEST = 640, 1920  # pixels on the longer side of a drawn frame
NARROWEST = 480  # pixels: least width of the drawing
SPAN = 10.0  # seconds of the plot
GAP = 1.0  # seconds without the face after which its curves are interrupted
MOST_PANELS = 3
MOST_NAMES = 12  # of classes, beside a plot
PAD = 6  # pixels
PAPER, GRID, MUTED, INK = (22, 24, 28), (62, 66, 74), (150, 156, 166), (235, 238, 242)


class FilmDrawing:
    """Draws the frames of one film, one after another: boxes, emotions, scan paths, and below them the probabilities of
    the last SPAN seconds.

    Args:
        classes: names of the classes.
        size: (H, W) of the first frame.

    Attributes:
        size: (H, W) of all drawings; both are even numbers, as video codecs need.
    """

    def __init__(self, classes: Sequence[str], size: Sequence[int]) -> None:
        self.classes = tuple(classes)
        self.colours = class_colours(len(classes))
        scale = float(np.clip(max(size), SMALLEST, LARGEST)) / max(size)
        self._height, width = (_even(side * scale) for side in size)
        self._text = int(np.clip(width / 60, 11, 20))
        self._line = self._text + 4
        self._strip = _even((min(len(classes), MOST_NAMES) + 1) * self._line + 3 * PAD)
        self.size = (self._height + self._strip, max(width, NARROWEST))
        self._time = 0.0
        self._curves: dict[int, collections.deque[tuple[float, np.ndarray]]] = {}

    def draw(self, pixels: np.ndarray, rows: Sequence[Mapping[str, Any]], time: float) -> np.ndarray:
        """Draw a frame.

        Args:
            pixels: uint8 [H, W, 3].
            rows: of the faces in it, as of `edram_fer.Predictor`.
            time: of the frame, in seconds.

        Returns:
            uint8 [*size, 3].
        """
        canvas = np.empty((*self.size, 3), np.uint8)
        scale = min(self._height / pixels.shape[0], self.size[1] / pixels.shape[1])
        height, width = (max(int(side * scale), 1) for side in pixels.shape[:2])
        frame = canvas[:height, :width]
        canvas[height:], canvas[:, width:] = PAPER, PAPER
        frame[:] = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        faces = [row for row in rows if row["emotion"] is not None]
        for face in faces:
            _draw_glimpses(frame, face, scale)
        self._record(faces, time)
        tracks = self._panels(faces)
        for face in faces:
            _draw_label(frame, face, scale)
        for number, track in enumerate(tracks):
            self._draw_curves(canvas, track, number, len(tracks), time)
            self._name_curves(canvas, track, number, len(tracks))
        return canvas

    def _record(self, faces: Sequence[Mapping[str, Any]], time: float) -> None:
        if time < self._time:  # two films that were joined without new time stamps
            self._curves.clear()
        self._time = time
        for face in faces:
            values = np.array([face[name] for name in self.classes])
            self._curves.setdefault(face["track"] or 1, collections.deque()).append((time, values))
        for track, curve in list(self._curves.items()):
            while curve and curve[0][0] < time - SPAN:
                curve.popleft()
            if not curve:
                del self._curves[track]

    def _panels(self, faces: Sequence[Mapping[str, Any]]) -> list[int]:
        """The tracks that are plotted: first those in this frame."""
        visible = {face["track"] or 1 for face in faces}
        return sorted(sorted(self._curves, key=lambda track: (track not in visible, track))[:MOST_PANELS])

    def _area(self, number: int, count: int) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of a plot."""
        width = self.size[1] // count
        left, right = number * width + PAD, (number + 1) * width - PAD - 9 * self._text
        return left, self._height + self._line + PAD, max(right, left + 20), self.size[0] - 2 * PAD

    def _draw_curves(self, canvas: np.ndarray, track: int, number: int, count: int, time: float) -> None:
        left, top, right, bottom = self._area(number, count)
        for share in (0, 0.5, 1):
            row = round(bottom - share * (bottom - top))
            cv2.line(canvas, (left, row), (right, row), GRID, 1)
        times = np.array([moment for moment, _ in self._curves[track]])
        values = np.stack([value for _, value in self._curves[track]])
        x = right - (time - times) / SPAN * (right - left)
        parts = np.split(np.arange(len(times)), np.flatnonzero(np.diff(times) > GAP) + 1)
        for values_of_class, colour in zip(values.T, self.colours, strict=True):
            points = np.stack([x, bottom - values_of_class * (bottom - top)], axis=1)
            lines = [photo.fixed_point(points[part]) for part in parts]
            cv2.polylines(canvas, lines, False, colour, 2, cv2.LINE_AA, photo.SHIFT)

    def _name_curves(self, canvas: np.ndarray, track: int, number: int, count: int) -> None:
        left, top, right, _ = self._area(number, count)
        time, values = self._curves[track][-1]
        _write(canvas, (left, top - self._line), f"face {track}, last {SPAN:g} s", self._text, MUTED)
        shown = sorted(np.argsort(-values, kind="stable")[:MOST_NAMES].tolist())
        for line, index in enumerate(shown):
            x, y = right + PAD, top - self._line + line * self._line
            strongest = time == self._time and index == values.argmax()
            canvas[y + 2 : y + self._text, x : x + self._text - 2] = self.colours[index]
            name = f"{self.classes[index]:.12} {values[index]:.0%}"
            _write(canvas, (x + self._text + 2, y), name, self._text, INK if strongest else MUTED)


def _draw_glimpses(frame: np.ndarray, face: Mapping[str, Any], scale: float) -> None:
    """Draw the square of a face, its windows from early (violet) to late (yellow), and the path of their centres."""
    left, top, side, _ = face["box"]
    corner = np.array([left, top])
    square = corner + np.array([[0, 0], [side, 0], [side, side], [0, side]])
    photo.outline(frame, square * scale, photo.WHITE, 2)
    windows = np.asarray(face["windows"])
    if not attention.has_windows(windows):
        return
    if degrees := face.get("rotation"):  # by which the face was turned clockwise before the model saw it
        sine, cosine = round(np.sin(np.radians(degrees))), round(np.cos(np.radians(degrees)))
        windows = np.array([[cosine, sine], [-sine, cosine]]) @ windows
    colours = _step_colours(len(windows))
    corners = (attention.corner_pixels(windows, (side, side)) + corner) * scale
    centres = corners.mean(axis=1)
    for window, colour in zip(corners, colours, strict=True):
        photo.outline(frame, window, colour, 1)
    path = photo.fixed_point(centres)
    for start, end, colour in zip(path[:-1], path[1:], colours[1:], strict=True):
        cv2.line(frame, start.tolist(), end.tolist(), colour, 2, cv2.LINE_AA, photo.SHIFT)
    radius = max(round(0.02 * side * scale), 3) << photo.SHIFT
    for centre, colour in zip(path, colours, strict=True):
        cv2.circle(frame, centre.tolist(), radius, colour, -1, cv2.LINE_AA, photo.SHIFT)


def _draw_label(frame: np.ndarray, face: Mapping[str, Any], scale: float) -> None:
    """Write track and emotion above the square of a face or, where there is no space, below its upper edge."""
    text = f"{face['emotion']} {face['confidence']:.0%}"
    text = text if face["track"] is None else f"{face['track']}: {text}"
    left, top, side = (value * scale for value in face["box"][:3])
    size = int(np.clip(side / (0.68 * len(text)), photo.SMALL_TEXT, photo.LARGE_TEXT))
    x = min(max(round(left), 0), max(frame.shape[1] - _mask(text, size, photo.TEXT_EDGE)[0].shape[1], 0))
    y = round(top) - size - 2 * photo.FRAME
    y = round(top) + photo.FRAME if y < 0 else y
    _write(frame, (x, y), text, size, photo.DARK, photo.TEXT_EDGE)
    _write(frame, (x, y), text, size, photo.WHITE)


def _write(
    canvas: np.ndarray, corner: tuple[int, int], text: str, size: int, colour: Sequence[int], edge: int = 0
) -> None:
    """Write a text whose upper left corner is (x, y); what lies outside the canvas is cut off."""
    mask, (left, top) = _mask(text, size, edge)
    x, y = corner[0] + left, corner[1] + top
    area = canvas[max(y, 0) : y + mask.shape[0], max(x, 0) : x + mask.shape[1]]
    mask = mask[max(-y, 0) :, max(-x, 0) :][: area.shape[0], : area.shape[1]]
    area[:] = area + mask * (np.array(colour, np.float32) - area)


@functools.lru_cache(maxsize=4096)
def _mask(text: str, size: int, edge: int) -> tuple[np.ndarray, tuple[int, int]]:
    """The opacity of a text in [0, 1], float32 [h, w, 1], and its first column and row from the corner."""
    font = photo.label_font(size)
    left, top, right, bottom = (round(value) for value in font.getbbox(text, stroke_width=edge))
    image = Image.new("L", (max(right - left, 1), max(bottom - top, 1)))
    ImageDraw.Draw(image).text((-left, -top), text, 255, font, stroke_width=edge)
    return np.asarray(image, np.float32)[..., None] / 255, (left, top)


@functools.cache
def _step_colours(count: int) -> list[tuple[int, int, int]]:
    return [_rgb(colour) for colour in step_colours(count)]


def _rgb(colour: Sequence[float]) -> tuple[int, int, int]:
    red, green, blue = (round(255 * value) for value in colour[:3])
    return red, green, blue


def _even(side: float) -> int:
    return max(2 * round(side / 2), 2)
