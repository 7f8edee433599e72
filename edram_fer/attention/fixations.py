"""Where people looked: a table of fixations from a CSV file, and maps of them.

The file's columns are `subject,image,start_x,start_y,duration` and optionally `label`, in any order and among others;
one row for each fixation, those of a subject on an image in the order of time. Coordinates are pixels of the image,
pixel centres at whole numbers, origin top left: the image spans [-0.5, W - 0.5) x [-0.5, H - 0.5). Durations are not
negative, in any unit.
"""

import csv
import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from edram_fer.errors import MissingFileError, UserError

COLUMNS = ("subject", "image", "start_x", "start_y", "duration")
_MAX_REPORTED = 5  # bad rows in an error


@dataclass(frozen=True)
class Fixations:
    """F fixations in the order of the file.

    Attributes:
        subject, image: names [F].
        points: float [F, 2] as (x, y) in pixels.
        duration: float [F].
        label: text [F], "" where there is none: what the person answered or was told, as the file means it.
        unknown: {image: rows} of images that are none of the known images; their rows are not among the F.
        outside: rows beside their image that were left out.
    """

    subject: np.ndarray
    image: np.ndarray
    points: np.ndarray
    duration: np.ndarray
    label: np.ndarray
    unknown: dict
    outside: int

    def __len__(self):
        return len(self.points)

    def on_image(self, image):
        """All fixations on an image, [n, 2]."""
        return self.points[self.image == image]

    def rows(self):
        """{(subject, image): int [n]}, the rows of each scan path, in the order of the file."""
        return _grouped(zip(self.subject, self.image))

    def paths(self):
        """{(subject, image): points [n, 2]}."""
        return {key: self.points[rows] for key, rows in self.rows().items()}

    def report(self):
        """One sentence on what was read and what was not."""
        text = f"{len(self):,} fixations of {len(set(self.subject))} people on {len(set(self.image))} images"
        if self.unknown:
            names = ", ".join(sorted(self.unknown)[:3]) + (", ..." if len(self.unknown) > 3 else "")
            text += f"; {sum(self.unknown.values()):,} rows on {len(self.unknown)} unknown images ({names}) left out"
        return text + (f"; {self.outside:,} rows outside their image left out" if self.outside else "")


def read(path, shapes, *, outside="raise"):
    """Read a file of fixations.

    Args:
        path: the CSV file, UTF-8.
        shapes: {image: (H, W)} of the known images, by the names that the file uses.
        outside: "raise", or "drop" rows beside their image, counted.

    Returns: Fixations. Rows on images that are not known are counted in its `unknown`.

    Raises FileNotFoundError when missing; ValueError naming the file, and the line where there is one, for a column
    that is missing or there twice, a row with more values than columns, one without subject or image, a value that is
    not a number, a negative duration, coordinates outside the image, and for a file that is not CSV. One error tells
    of all bad rows.
    """
    if outside not in ("raise", "drop"):
        raise UserError(f"outside: expected 'raise' or 'drop', got {outside!r}")
    good, bad, unknown, beside = [], [], Counter(), 0
    for line, row in _rows(path):
        fault = _malformed(row)
        if not fault and row["image"] not in shapes:
            unknown[row["image"]] += 1
            continue
        if not fault:
            numbers, fault = _numbers(row)
        if not fault and (place := _beside(row, *numbers[:2], *shapes[row["image"]])):
            beside += outside == "drop"
            if outside == "drop":
                continue
            fault = place
        if fault:
            bad.append(f"line {line}: {fault}")
        else:
            good.append((row["subject"], row["image"], *numbers, row.get("label") or ""))
    if bad:
        more = f"; and {len(bad) - _MAX_REPORTED} more bad rows" if len(bad) > _MAX_REPORTED else ""
        raise UserError(f"{path}, " + "; ".join(bad[:_MAX_REPORTED]) + more)
    return _table(good, dict(unknown), beside)


def read_for_images(path, ids, shape, *, outside="raise"):
    """`read` for images of these ids, all of `shape` (H, W). Raises ValueError where there are none, too."""
    found = read(path, {str(name): shape for name in ids}, outside=outside)
    if not len(found):
        names = f"; it names {', '.join(sorted(found.unknown)[:3])}" if found.unknown else ""
        raise UserError(f"{path}: no fixation on any of the {len(ids)} images, such as {ids[0]}{names}")
    return found


def fixation_map(points, shape, sigma, weights=None):
    """Density of fixations: a Gaussian around each, [H, W], summing to 1.

    Args:
        points: [F, 2] as (x, y) in pixels, with their fractions; beside the map allowed.
        shape: (H, W).
        sigma: standard deviation in pixels, or (x, y) of both. One degree of the visual field is usual.
        weights: [F], for instance durations; None: all count the same.

    Raises ValueError without fixations (or weights above 0) near the map, for negative weights, and for a sigma that is
    not positive.
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


def _rows(path):
    """(line, {column: text or None}) of the rows that are not empty; names and texts without blanks around them."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as source:  # spreadsheets write a byte order mark
            reader = csv.DictReader(source, skipinitialspace=True)
            reader.fieldnames = [name.strip() for name in reader.fieldnames or []]
            missing = [name for name in COLUMNS if name not in reader.fieldnames]
            if missing:
                found = ", ".join(reader.fieldnames) or "nothing"
                raise UserError(f"{path} lacks the columns {', '.join(missing)}; its first line holds {found}")
            if twice := [name for name in COLUMNS if reader.fieldnames.count(name) > 1]:
                raise UserError(f"{path} names the columns {', '.join(twice)} more than once")
            for row in reader:
                texts = {name: text.strip() if isinstance(text, str) else text for name, text in row.items()}
                yield reader.line_num, texts
    except FileNotFoundError:
        raise MissingFileError(f"{path} is missing; expected a CSV file of fixations") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not readable as CSV: {error}") from error


def _malformed(row):
    """What keeps a row from being looked up, or None. (csv puts the values beyond the columns under None.)"""
    if None in row:
        return f"expected {len(row) - 1} values, got {len(row) - 1 + len(row[None])}"
    empty = [name for name in ("subject", "image") if not row[name]]
    return f"{empty[0]}: expected a name, got nothing" if empty else None


def _numbers(row):
    """(x, y, duration) of a row and what is wrong with them, or None."""
    numbers = []
    for name in COLUMNS[2:]:
        try:
            numbers.append(float(row[name]))
        except (TypeError, ValueError):
            numbers.append(math.nan)
        if not math.isfinite(numbers[-1]):
            return numbers, f"{name}: expected a number, got {row[name]!r}"
    return numbers, f"duration: expected 0 or more, got {row['duration']!r}" if numbers[2] < 0 else None


def _beside(row, x, y, height, width):
    """What to say of a point outside its image, or None."""
    if -0.5 <= x < width - 0.5 and -0.5 <= y < height - 0.5:
        return None
    return f"({x:g}, {y:g}) lies outside {row['image']}, {width} x {height} pixels"


def _table(rows, unknown, outside):
    subject, image, x, y, duration, label = zip(*rows) if rows else [()] * 6
    return Fixations(
        subject=np.array(subject, dtype=object),
        image=np.array(image, dtype=object),
        points=np.array([x, y], float).T.reshape(-1, 2),
        duration=np.array(duration, float),
        label=np.array(label, dtype=object),
        unknown=unknown,
        outside=outside,
    )


def _grouped(keys):
    groups = {}
    for row, key in enumerate(keys):
        groups.setdefault(key, []).append(row)
    return {key: np.array(rows) for key, rows in groups.items()}
