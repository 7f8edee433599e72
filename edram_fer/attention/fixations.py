"""Read human fixations from a CSV file, and compute fixation maps.

The file has the columns `subject,image,start_x,start_y,duration` and optionally `label`, in any order, and may have
further columns. It has one row per fixation; the fixations of a subject on an image are in time order. Coordinates are
in pixels of the image, with pixel centres at whole numbers and the origin at the top left: the image spans
[-0.5, W - 0.5) x [-0.5, H - 0.5). Durations are non-negative, in any unit.
"""

import csv
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from edram_fer.errors import MissingFileError, UserError
from edram_fer.preprocessing.spreadsheet import read_cell

COLUMNS = ("subject", "image", "start_x", "start_y", "duration")
_MAX_REPORTED = 5  # number of faulty rows that an error lists


class _RowError(ValueError):
    """What is wrong with a row of the file."""


@dataclass(frozen=True)
class Fixations:
    """F fixations in the order of the file.

    Attributes:
        subject: names [F].
        image: names [F].
        points: float [F, 2] as (x, y) in pixels.
        duration: float [F].
        label: text [F], "" if missing: the person's answer or instruction, whichever the file records.
        unknown_images: {image: number of rows} for unknown images, whose rows are excluded from the F fixations.
        rows_outside: number of rows that were excluded because they lie outside their image.
    """

    subject: np.ndarray
    image: np.ndarray
    points: np.ndarray
    duration: np.ndarray
    label: np.ndarray
    unknown_images: dict[str, int]
    rows_outside: int

    def __len__(self) -> int:
        return len(self.points)

    def image_points(self, image: str) -> np.ndarray:
        """All fixations on an image, [n, 2]."""
        return self.points[self.image == image]

    def rows(self) -> dict[tuple[str, str], np.ndarray]:
        """{(subject, image): int [n]}: the row indices of each scan path, in the order of the file."""
        groups = {}
        for row, key in enumerate(zip(self.subject, self.image, strict=True)):
            groups.setdefault(key, []).append(row)
        return {key: np.array(rows) for key, rows in groups.items()}

    def paths(self) -> dict[tuple[str, str], np.ndarray]:
        """{(subject, image): points [n, 2]}: each scan path."""
        return {key: self.points[rows] for key, rows in self.rows().items()}

    def report(self) -> str:
        """A sentence on the rows that were read and the rows that were excluded."""
        text = f"{len(self):,} fixations of {len(set(self.subject))} people on {len(set(self.image))} images"
        if unknown := self.unknown_images:
            names = ", ".join(sorted(unknown)[:3]) + (", ..." if len(unknown) > 3 else "")
            text += f"; {sum(unknown.values()):,} rows on {len(unknown)} unknown images ({names}) left out"
        return text + (f"; {self.rows_outside:,} rows outside their image left out" if self.rows_outside else "")


def read(path: Path | str, shapes: Mapping[str, tuple[int, int]], *, outside: str = "raise") -> Fixations:
    """Read a file of fixations.

    Args:
        path: the CSV file, UTF-8.
        shapes: {image: (H, W)} for the known images, under their names in the file.
        outside: what to do with rows outside their image: "raise" an error, or "drop" and count them.

    Returns:
        The fixations on the known images; rows on other images are counted in `unknown_images`.

    Raises:
        MissingFileError: there is no such file.
        UserError: the file is not CSV, or a column is missing or duplicate; or a row has more values than columns, no
            subject or image, a value that is not a number, a negative duration, or coordinates outside the image. The
            message names the file and the lines of all faulty rows.
    """
    if outside not in ("raise", "drop"):
        raise UserError(f"outside: expected 'raise' or 'drop', got {outside!r}")
    rows, faults, unknown_images, rows_outside = [], [], Counter(), 0
    for line, row in _rows(path):
        try:
            _check_names(row)
            row |= {name: read_cell(row[name]) for name in ("subject", "image")}
            if row["image"] not in shapes:
                unknown_images[row["image"]] += 1
                continue
            x, y, duration = _numbers(row)
            height, width = shapes[row["image"]]
            if not (-0.5 <= x < width - 0.5 and -0.5 <= y < height - 0.5):
                if outside == "raise":
                    raise _RowError(f"({x:g}, {y:g}) lies outside {row['image']}, {width} x {height} pixels")
                rows_outside += 1
                continue
            rows.append((row["subject"], row["image"], x, y, duration, row.get("label") or ""))
        except _RowError as error:
            faults.append(f"line {line}: {error}")
    if faults:
        more = f"; and {len(faults) - _MAX_REPORTED} more faulty rows" if len(faults) > _MAX_REPORTED else ""
        raise UserError(f"{path}, " + "; ".join(faults[:_MAX_REPORTED]) + more)
    return _fixations(rows, dict(unknown_images), rows_outside)


def read_for_images(
    path: Path | str, ids: Iterable[str], shape: tuple[int, int], *, outside: str = "raise"
) -> Fixations:
    """`read` for images that all have one shape.

    Args:
        path: the CSV file, UTF-8.
        ids: names of the images.
        shape: (H, W) of all images.
        outside: see `read`.

    Returns:
        At least one fixation.

    Raises:
        MissingFileError: there is no such file.
        UserError: see `read`; also if no fixation is on any of the images.
    """
    names = [str(name) for name in ids]
    fixations = read(path, dict.fromkeys(names, shape), outside=outside)
    if not len(fixations):
        unknown = sorted(fixations.unknown_images)[:3]
        hint = f"; it names {', '.join(unknown)}" if unknown else ""
        raise UserError(f"{path}: no fixation on any of the {len(names)} images, such as {names[0]}{hint}")
    return fixations


def fixation_map(
    points: ArrayLike, shape: tuple[int, int], sigma: ArrayLike, weights: ArrayLike | None = None
) -> np.ndarray:
    """Density of fixations: a Gaussian at each.

    Args:
        points: [F, 2] as (x, y) in pixels, not rounded; points outside the map are allowed.
        shape: (H, W) of the map.
        sigma: standard deviation in pixels, or one for x and one for y; usually one degree of visual angle.
        weights: [F], for instance durations; None: equal weights.

    Returns:
        [H, W], summing to 1.

    Raises:
        UserError: no fixation with a weight above 0 is near the map, a weight is negative, or sigma is not positive.

    >>> fixation_map([[1, 0]], (1, 3), 0.5).round(2).tolist()
    [[0.11, 0.79, 0.11]]
    """
    points = np.asarray(points, float).reshape(-1, 2)
    sigma = np.broadcast_to(np.asarray(sigma, float), 2)
    if not (sigma > 0).all():
        raise UserError(f"sigma must be above 0 pixels, got {sigma.tolist()}")
    weights = np.ones(len(points)) if weights is None else np.asarray(weights, float)
    if weights.shape != (len(points),) or not (weights >= 0).all():
        raise UserError(f"expected {len(points)} weights of at least 0, got {weights.tolist()}")
    columns, rows = (
        np.exp(-(((np.arange(size) - points[:, axis, None]) / sigma[axis]) ** 2) / 2)
        for axis, size in ((0, shape[1]), (1, shape[0]))
    )
    total = (rows * weights[:, None]).T @ columns
    if not total.sum() > 0:
        raise UserError(f"a map of fixations needs one with a weight above 0 near it; got {len(points)} fixations")
    return total / total.sum()


def smooth(values: ArrayLike, sigma: float) -> np.ndarray:
    """Smooth a map as `fixation_map` smooths fixations: a Gaussian at each pixel, times its value.

    Args:
        values: [H, W], non-negative.
        sigma: standard deviation in pixels.

    Returns:
        [H, W], summing to 1; what falls outside the map is cut off.

    Raises:
        UserError: the map is 0 everywhere, a value is negative, or sigma is not positive.

    >>> smooth([[0, 2, 0]], 0.5).round(2).tolist()
    [[0.11, 0.79, 0.11]]
    """
    values = np.asarray(values, float)
    if not sigma > 0:
        raise UserError(f"sigma must be above 0 pixels, got {sigma}")
    if not ((values >= 0).all() and values.sum() > 0):
        raise UserError(f"a map to smooth must be at least 0 and not 0 everywhere, got up to {values.max(initial=0):g}")
    distances = [np.subtract.outer(np.arange(size), np.arange(size)) for size in values.shape]
    rows, columns = (np.exp(-((distance / sigma) ** 2) / 2) for distance in distances)
    total = rows @ values @ columns
    return total / total.sum()


def _rows(path):
    """(line, {column: text or None}) of the rows that are not empty, with names and texts stripped."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:  # spreadsheets write a byte order mark
            reader = csv.DictReader(file, skipinitialspace=True)
            reader.fieldnames = [name.strip() for name in reader.fieldnames or []]
            missing = [name for name in COLUMNS if name not in reader.fieldnames]
            if missing:
                header = ", ".join(reader.fieldnames) or "nothing"
                raise UserError(f"{path} lacks the columns {', '.join(missing)}; its first line holds {header}")
            if duplicates := [name for name in COLUMNS if reader.fieldnames.count(name) > 1]:
                raise UserError(f"{path} names the columns {', '.join(duplicates)} more than once")
            for row in reader:
                texts = {name: text.strip() if isinstance(text, str) else text for name, text in row.items()}
                yield reader.line_num, texts
    except FileNotFoundError:
        raise MissingFileError(f"{path} is missing; expected a CSV file of fixations") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not readable as CSV: {error}") from error


def _check_names(row):
    """Check that a row has a subject and an image, and no more values than columns (`csv` puts these under None)."""
    if None in row:
        raise _RowError(f"expected {len(row) - 1} values, got {len(row) - 1 + len(row[None])}")
    for name in ("subject", "image"):
        if not row[name]:
            raise _RowError(f"{name}: expected a name, got nothing")


def _numbers(row):
    """(x, y, duration) of a row."""
    numbers = []
    for name in COLUMNS[2:]:
        try:
            numbers.append(float(row[name] or ""))
        except ValueError:
            numbers.append(math.nan)
        if not math.isfinite(numbers[-1]):
            raise _RowError(f"{name}: expected a number, got {row[name]!r}")
    if numbers[2] < 0:
        raise _RowError(f"duration: expected 0 or more, got {row['duration']!r}")
    return numbers


def _fixations(rows, unknown_images, rows_outside):
    subject, image, x, y, duration, label = zip(*rows, strict=True) if rows else [()] * 6
    return Fixations(
        subject=np.array(subject, dtype=object),
        image=np.array(image, dtype=object),
        points=np.array([x, y], float).T.reshape(-1, 2),
        duration=np.array(duration, float),
        label=np.array(label, dtype=object),
        unknown_images=unknown_images,
        rows_outside=rows_outside,
    )
