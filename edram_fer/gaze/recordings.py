"""Read recordings of gaze from the files of any supported eye tracker into one table of fixations.

The table has the columns of `attention.fixations`, and `write` writes it as such a file. No row vanishes: whatever is
no fixation on a known stimulus is counted, and `Recordings.report` says it in a sentence.
"""

import dataclasses
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from edram_fer import files
from edram_fer.errors import UserError
from edram_fer.gaze import bids, detection, exports, eyelink, tobii
from edram_fer.gaze.events import CUT, NEGATIVE, NO_NUMBER, OTHER_SCREEN, OUTSIDE, REPEATED, UNKNOWN, Events, Fixation
from edram_fer.preprocessing.spreadsheet import csv_text, read_cell

COLUMNS = ("subject", "image", "start_x", "start_y", "duration", "timestamp")
KINDS = ("tobii", "eyelink", "bids", "samples", "csv")
CENTRE = "centre"
_ANY_PATTERN = ("*.asc", bids.PATTERN, "*.tsv", "*.csv", "*.txt")
_PATTERNS = {
    "tobii": ("*.tsv", "*.csv", "*.txt"),
    "eyelink": ("*.asc",),
    "bids": (bids.PATTERN,),
    "samples": ("*.csv", "*.tsv"),
    "csv": ("*.csv",),
}


@dataclasses.dataclass(frozen=True)
class Recordings:
    """Fixations of several observers on several stimuli.

    Attributes:
        table: a row per fixation with the columns "subject", "image", "start_x", "start_y" (pixels of the photo, pixel
            centres at whole numbers), "duration" and "timestamp" (its start) in ms; in the order of the files.
        counts: {what: number} of all rows and events that are no fixation of the table.
        unknown: {name: fixations} of stimuli that are not in the map of stimuli.
        without_fixations: observers who have no fixation in the table.
        screens: {"1280x1024": number of observers}.
        notes: sentences for the user.
    """

    table: pd.DataFrame
    counts: dict[str, int]
    unknown: dict[str, int]
    without_fixations: list[str]
    screens: dict[str, int]
    notes: list[str]

    def report(self) -> list[str]:
        """Sentences on what was read and what was left out."""
        table = self.table
        lines = [f"{len(table):,} fixations of {table.subject.nunique()} people on {table.image.nunique()} images"]
        lines += [f"{count:,} {what}" for what, count in self.counts.items() if count]
        if self.unknown:
            names = ", ".join(sorted(self.unknown)[:3]) + (", ..." if len(self.unknown) > 3 else "")
            lines.append(f"unknown stimuli: {names}")
        if people := self.without_fixations:
            lines.append(f"without fixations: {', '.join(people)}")
        if len(self.screens) > 1:
            sizes = ", ".join(f"{size} ({count} people)" for size, count in self.screens.items())
            lines.append(f"screens of different sizes: {sizes}; --screen keeps those of one size")
        return [*lines, *self.notes]

    def write(self, path: Path | str) -> None:
        """Write the table as CSV, which `attention.fixations.read` reads."""
        rows = (
            [*row[:2], *(float(f"{value:.10g}") for value in row[2:])] for row in self.table.itertuples(index=False)
        )
        with files.replace(path) as temporary:
            temporary.write_bytes(csv_text([COLUMNS, *rows]))


def read(
    paths: Sequence[Path | str],
    kind: str | None = None,
    *,
    stimuli: Path | str | None = None,
    size: tuple[int, int] | None = None,
    place: str | Sequence[float] | None = None,
    screen: str | None = None,
    message: str | None = None,
    detect: str | None = None,
    pixels_per_degree: float = detection.PIXELS_PER_DEGREE,
) -> Recordings:
    """Read recordings.

    Args:
        paths: files, or folders of files.
        kind: "tobii" (exports of Tobii Studio or Pro Lab), "eyelink" (ASC files), "bids", "samples" (a table with the
            columns subject, image, time in ms, x and y in pixels; fixations are detected) or "csv" (a table of
            fixations, see `attention.fixations`); None: recognised by the names and headers of the files.
        stimuli: CSV file of two columns, the name of a stimulus in the recordings and the file name of its photo; None:
            the recordings name the photos.
        size: (W, H) of all photos in pixels; None: as large as displayed.
        place: where the photos were on the screen: (left, top, width, height) in pixels of the screen, or "centre": in
            the middle in their own `size`. None: the recording says it (Tobii), or positions are in pixels of the
            photo.
        screen: "1280x1024": leave out and count fixations on screens of any other size.
        message: see `eyelink.read`.
        detect: "idt" or "ivt", see `detection.fixations`: detect the fixations in the samples of "eyelink", "bids" and
            "samples"; None: those of the recording, where it has some.
        pixels_per_degree: of the screen per degree of visual angle, for `detect`.

    Returns:
        At least one fixation.

    Raises:
        MissingFileError: a path or a file of a recording is missing.
        MissingPackageError: fixations must be detected without the extra `gaze`.
        UserError: an argument or a file is unusable, or no fixation is left; the message says what was left out.
    """
    if kind is not None and kind not in KINDS:
        raise UserError(f"kind: expected {', '.join(KINDS)}, got {kind!r}")
    kind = kind or _recognise(_sources(paths, _ANY_PATTERN, stimuli))
    detected: dict[str, Any] = {"detect": detect, "pixels_per_degree": pixels_per_degree}
    readers: dict[str, Callable[[Path], Events]] = {
        "tobii": tobii.read,
        "eyelink": lambda path: eyelink.read(path, message=message, **detected),
        "samples": lambda path: _samples(path, detect or "idt", pixels_per_degree),
        "csv": _table,
    }
    names = None if stimuli is None else _stimuli_map(stimuli)
    sources = _sources(paths, _PATTERNS[kind], stimuli)
    if kind == "bids":
        events = bids.read_runs(sources, **detected)
    else:
        events = Events()
        for path in sources:
            events.add(readers[kind](path))
    return _recordings(events, names, size, place, screen, ", ".join(map(str, paths)))


def _sources(paths: Sequence[Path | str], patterns: Sequence[str], stimuli: Path | str | None) -> list[Path]:
    """The files of recordings, without the map of stimuli, which may lie beside them."""
    files = exports.find(paths, patterns)
    return [path for path in files if stimuli is None or not path.exists() or not path.samefile(stimuli)]


def _recordings(
    events: Events,
    names: Mapping[str, str] | None,
    size: tuple[int, int] | None,
    place: str | Sequence[float] | None,
    screen: str | None,
    source: str,
) -> Recordings:
    counts, unknown, screens = events.counts, Counter[str](), dict[tuple[str, str], None]()
    rows, known = [], set()
    for fixation in events.fixations:
        screens.setdefault((fixation.subject, fixation.screen))
        image = fixation.stimulus if names is None else _photo(fixation.stimulus, names)
        if screen is not None and fixation.screen != screen:
            counts[OTHER_SCREEN] += 1
        elif image is None:
            unknown[fixation.stimulus] += 1
        else:
            x, y, inside = _in_photo(fixation, size, place)
            row = (fixation.subject, image, x, y, fixation.duration, fixation.start)
            if not inside:
                counts[OUTSIDE] += 1
            elif row in known:
                counts[REPEATED] += 1
            else:
                known.add(row)
                rows.append(row)
    counts[UNKNOWN] += unknown.total()
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    present = set(table.subject)
    sizes = Counter(size for _, size in screens if size)
    result = Recordings(
        table,
        {what: count for what, count in counts.items() if count},
        dict(unknown),
        [subject for subject in events.subjects if subject not in present],
        dict(sizes),
        events.notes,
    )
    if not rows:
        left_out = "; ".join(result.report()[1:]) or "nothing was left out"
        raise UserError(f"{source}: no fixation on any photo: {left_out}")
    return result


def _in_photo(
    fixation: Fixation, size: tuple[int, int] | None, place: str | Sequence[float] | None
) -> tuple[float, float, bool]:
    """A fixation in pixels of the photo, and whether it lies in it."""
    x, y, shown = fixation.x, fixation.y, fixation.size
    if place is not None:
        left, top, *shown = _rectangle(place, size, fixation.screen)
        x, y = x - left, y - top
    photo = size or shown
    if photo is not None and shown is not None and tuple(photo) != tuple(shown):
        x, y = ((value + 0.5) * own / other - 0.5 for value, own, other in zip((x, y), photo, shown, strict=True))
    inside = x == x and y == y and (photo is None or (-0.5 <= x < photo[0] - 0.5 and -0.5 <= y < photo[1] - 0.5))
    return x, y, inside


def _rectangle(place: str | Sequence[float], size: tuple[int, int] | None, screen: str) -> Sequence[float]:
    """(left, top, width, height) of the photo on the screen."""
    if not isinstance(place, str):
        if len(place) != 4 or not (place[2] > 0 and place[3] > 0):
            raise UserError(f"place: expected left, top, width and height, got {list(place)}")
        return place
    sides = re.fullmatch(r"(\d+)x(\d+)", screen)
    if place != CENTRE or size is None or sides is None:
        lacks = "the size of the photos" if size is None else "a recording with the size of the screen"
        raise UserError(f"place: expected {CENTRE!r} or four numbers, got {place!r}; {CENTRE!r} needs {lacks}")
    width, height = map(int, sides.groups())
    return (width - size[0]) / 2, (height - size[1]) / 2, *size


def _stimuli_map(path: Path | str) -> dict[str, str]:
    """{name in the recordings: photo} of a map of stimuli."""
    export = exports.Export(path)
    if len(export.header) != 2:
        raise UserError(f"{path}: expected two columns, the name of a stimulus and its photo, got {export.header}")
    names: dict[str, str] = {}
    for row in export.rows():
        name, photo = (value.strip() for value in row)
        if names.setdefault(_plain(name), photo) != photo:
            raise UserError(f"{path}: {name} has two photos, {names[_plain(name)]} and {photo}")
    if not names:
        raise UserError(f"{path} names no stimulus")
    return names


def _photo(stimulus: str, names: Mapping[str, str]) -> str | None:
    """The photo of a stimulus: by its name, its last part, or the number at the end of the name."""
    last = re.split(r"[/\\]", stimulus)[-1]
    stem = last.rpartition(".")[0] or last
    candidates = (stimulus, last, stem, stem.split("_")[-1])
    return next((names[_plain(name)] for name in candidates if _plain(name) in names), None)


def _plain(name):
    """A name without regard to case and to zeros before a number."""
    return str(int(name)) if name.isascii() and name.isdigit() else name.lower()


def _recognise(sources: Sequence[Path]) -> str:
    """The kind of some files."""
    if not sources:
        raise UserError("expected a file or folder of recordings, got none")
    for kind, pattern in (("bids", bids.PATTERN), ("eyelink", "*.asc")):
        if any(path.match(pattern) for path in sources):
            return kind
    header = {exports.key(name) for name in exports.Export(sources[0]).header}
    for kind, needed in (
        ("tobii", ({"gazeeventtype"}, {"eyemovementtype"})),
        ("csv", ({"startx", "starty"},)),
        ("samples", ({"time", "x", "y"},)),
    ):
        if any(names <= header for names in needed):
            return kind
    raise UserError(
        f"{sources[0]}: not recognised; expected {', '.join(KINDS)}, its columns are {', '.join(sorted(header))}"
    )


def _samples(path: Path, method: str, pixels_per_degree: float) -> Events:
    """Fixations in a table of samples."""
    export, events = exports.Export(path), Events()
    columns = _columns(export, ("subject", "image", "time", "x", "y"))
    people: dict[str, detection.Samples] = {}
    for row in export.rows():
        subject, image, *values = (row[column].strip() for column in columns)
        time, x, y = map(exports.number, values)
        events.subjects.setdefault(subject)
        if not math.isfinite(time) or not subject or not image:
            events.counts[NO_NUMBER] += 1
        elif time < 0:
            events.counts[NEGATIVE] += 1
        else:
            people.setdefault(subject, detection.Samples()).append(image, time, x, y)
    for subject, samples in people.items():
        for _, piece in samples.pieces():
            events.count_interruptions(piece[:, 0], (piece[:, 1:] == piece[:, 1:]).all(axis=1))
        for stimulus, x, y, start, duration in samples.fixations(method, pixels_per_degree):
            events.fixations.append(Fixation(subject, stimulus, x, y, start, duration))
    events.counts += {name: export.counts[name] for name in (CUT, REPEATED)}
    return events


def _table(path: Path) -> Events:
    """Fixations of a table of fixations."""
    export, events = exports.Export(path), Events()
    columns = _columns(export, COLUMNS[:5])
    timestamp = export.column("timestamp")
    for row in export.rows():
        subject, image, *values = (read_cell(row[column].strip()) for column in columns)
        x, y, duration = map(exports.number, values)
        start = math.nan if timestamp is None else exports.number(row[timestamp])
        events.subjects.setdefault(subject)
        if not subject or not image or not all(map(math.isfinite, (x, y, duration))):
            events.counts[NO_NUMBER] += 1
        elif duration < 0 or start < 0:
            events.counts[NEGATIVE] += 1
        else:
            events.fixations.append(Fixation(subject, image, x, y, start, duration))
    events.counts += {name: export.counts[name] for name in (CUT, REPEATED)}
    return events


def _columns(export, names):
    positions = {name: export.column(exports.key(name)) for name in names}
    if missing := [name for name, position in positions.items() if position is None]:
        raise UserError(f"{export.path} lacks the columns {', '.join(missing)}; its header holds {export.header}")
    return [position for position in positions.values() if position is not None]
