"""Fixations in samples of gaze, detected by pymovements (extra `gaze`): by dispersion (I-DT) or velocity (I-VT).

Salvucci and Goldberg 2000, "Identifying fixations and saccades in eye-tracking protocols", ETRA 2000:71.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from edram_fer.errors import MissingPackageError, UserError
from edram_fer.gaze.events import BLINK

INSTALL = 'detecting fixations needs the package pymovements: pip install "edram-fer[gaze]"'
METHODS = ("idt", "ivt")
PIXELS_PER_DEGREE = 35.0  # a screen of 1920 pixels and 53 cm at a distance of 57 cm
DISPERSION, VELOCITY, SHORTEST = 1.0, 30.0, 100  # degrees, degrees per second, ms


def fixations(
    times: ArrayLike, points: ArrayLike, method: str = "idt", *, pixels_per_degree: float = PIXELS_PER_DEGREE
) -> np.ndarray:
    """Detect fixations in one continuous piece of a recording.

    Args:
        times: [n] in ms, ascending.
        points: [n, 2] as (x, y) in pixels, nan where the eyes were not seen.
        method: "idt": samples within 1 degree of visual angle (sum of both axes' ranges); "ivt": consecutive samples
            slower than 30 degrees per second, measured over 20 ms. Both for at least 100 ms. Samples need not be at
            equal intervals, and positions may be missing for less than 75 ms; longer losses end a fixation.
        pixels_per_degree: of visual angle.

    Returns:
        [F, 4] as (x, y, start, duration): the mean position in pixels, and times in ms.

    Raises:
        MissingPackageError: the extra `gaze` is not installed.
        UserError: an unknown method, no pixels per degree, or the numbers of times and points differ.
    """
    if method not in METHODS:
        raise UserError(f"detect: expected {' or '.join(METHODS)}, got {method!r}")
    times, points = np.asarray(times, float), np.asarray(points, float).reshape(-1, 2)
    if not pixels_per_degree > 0:
        raise UserError(f"pixels_per_degree: expected a number above 0, got {pixels_per_degree}")
    if len(times) != len(points):
        raise UserError(f"expected a time for each of {len(points)} samples, got {len(times)}")
    try:
        from pymovements.events import idt, ivt
    except ImportError as error:
        raise MissingPackageError(INSTALL) from error
    detected_fixations = []
    for piece_times, piece in _pieces(times, points):
        steps, degrees = _resampled(piece_times, piece / pixels_per_degree)
        if len(steps) < 3 or steps[-1] - steps[0] < SHORTEST:
            continue
        interval = int(steps[1] - steps[0])
        shortest = -(-SHORTEST // interval) * interval  # pymovements takes multiples of the interval only
        if method == "idt":
            detected = idt(degrees, steps, minimum_duration=shortest, dispersion_threshold=DISPERSION)
        else:
            velocities = _velocities(steps, degrees)
            detected = ivt(velocities, steps, minimum_duration=shortest, velocity_threshold=VELOCITY)
        for start, end in zip(detected.frame["onset"], detected.frame["offset"]):
            part = piece[(piece_times >= start) & (piece_times <= end)]
            if len(part):
                detected_fixations.append((*part.mean(axis=0), start, end - start))
    return np.array(detected_fixations, float).reshape(-1, 4)


def _pieces(times: np.ndarray, points: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Times and points of the samples with a position, divided where the eyes were not seen for as long as a blink."""
    seen = np.isfinite(points).all(axis=1)
    times, first = np.unique(np.rint(times[seen]), return_index=True)
    if len(times):
        ends = np.flatnonzero(np.diff(times) >= BLINK) + 1
        yield from zip(np.split(times, ends), np.split(points[seen][first], ends), strict=True)


def _resampled(times: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times, int, and points at equal intervals, which pymovements needs and few trackers keep to exactly."""
    step = max(1, int(np.median(np.diff(times)))) if len(times) > 1 else 1
    steps = np.arange(times[0], times[-1] + 1, step).astype(int)
    return steps, np.stack([np.interp(steps, times, axis) for axis in points.T], axis=1)


def _velocities(times: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Velocities per second over 20 ms: those between neighbouring samples of a fast tracker are mostly noise."""
    reach, rows = max(1, round(10 / (times[1] - times[0]))), np.arange(len(times))
    before, after = np.maximum(rows - reach, 0), np.minimum(rows + reach, len(rows) - 1)
    return (points[after] - points[before]) / ((times[after] - times[before]) / 1000)[:, None]


class Samples:
    """Samples of one observer, each with the stimulus that was shown."""

    def __init__(self) -> None:
        self._pieces: list[tuple[str, list[tuple[float, float, float]]]] = []

    def __len__(self) -> int:
        return sum(len(rows) for _, rows in self._pieces)

    def append(self, stimulus: str, time: float, x: float, y: float) -> None:
        """Add the next sample; time in ms, nan as position where the eyes were not seen."""
        if not math.isfinite(time):
            return
        if not self._pieces or self._pieces[-1][0] != stimulus:
            self._pieces.append((stimulus, []))
        self._pieces[-1][1].append((time, x, y))

    def pieces(self) -> Iterator[tuple[str, np.ndarray]]:
        """(stimulus, [n, 3] as (time, x, y)) of the consecutive samples with one stimulus."""
        for stimulus, rows in self._pieces:
            yield stimulus, np.array(rows)

    def fixations(
        self, method: str, pixels_per_degree: float = PIXELS_PER_DEGREE
    ) -> Iterator[tuple[str, float, float, float, float]]:
        """(stimulus, x, y, start, duration) of the fixations, see the function `fixations`."""
        for stimulus, rows in self.pieces():
            for x, y, start, duration in fixations(
                rows[:, 0], rows[:, 1:], method, pixels_per_degree=pixels_per_degree
            ):
                yield stimulus, float(x), float(y), float(start), float(duration)
