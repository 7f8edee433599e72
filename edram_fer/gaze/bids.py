"""Eye tracking in BIDS (Brain Imaging Data Structure 1.10 and later): `*_physio.tsv.gz` with `PhysioType: eyetrack`.

The fixations are those of `*_physioevents.tsv.gz` at the mean position of their samples; without such a file they are
detected (`detection`). `*_events.tsv` says in its column `stim_file` which stimulus was shown when. Blinks, losses and
gaps are those in the samples while a stimulus was shown. Metadata may lie in any folder above, as BIDS allows.
"""

import csv
import gzip
import io
import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edram_fer import files
from edram_fer.errors import MissingFileError, UserError
from edram_fer.gaze import detection
from edram_fer.gaze.events import CUT, NEGATIVE, NO_NUMBER, NO_STIMULUS, OTHER_EYE, Events, Fixation
from edram_fer.gaze.exports import number

PATTERN = "*_physio.tsv.gz"
_LONGEST = 60.0  # s: a longer "fixation" is one whose duration is in ms


def read(
    path: Path | str, *, detect: str | None = None, pixels_per_degree: float = detection.PIXELS_PER_DEGREE
) -> Events:
    """Read one recording of one eye.

    Args:
        path: `sub-..._physio.tsv.gz`.
        detect: "idt" or "ivt": detect fixations even where the recording has some.
        pixels_per_degree: see `detection.fixations`.

    Returns:
        Fixations with positions on the screen; no fixations for physiological recordings of another kind.

    Raises:
        MissingFileError: a file of the recording is missing; the message names it.
        UserError: a file is damaged, coordinates are not in pixels, or no event has a `stim_file`.
        MissingPackageError: fixations must be detected without the extra `gaze`.
    """
    path = Path(path)
    subject = (re.match(r"sub-([^_]+)", path.name) or [path.name, path.name])[1]
    about = _metadata(path, "physio")
    if about.get("PhysioType") != "eyetrack":
        return Events(notes=[f"{path.name} is no recording of gaze"])
    events = Events(subjects={subject: None})
    stem = path.name.removesuffix("_physio.tsv.gz")
    run = _run(path)
    times, points = _samples(path, about, events)
    shown = _stimuli(path.with_name(f"{run}_events.tsv"), times, about)
    screen = _screen(_metadata(path.with_name(f"{run}_events.tsv"), "events"))
    logged = path.with_name(f"{stem}_physioevents.tsv.gz")
    if detect is None and logged.exists():
        fixations = _logged_fixations(logged, times, points, about, events)
    else:
        fixations = [
            fixation
            for start, end, _ in shown
            for piece in [(times >= start) & (times < end)]
            for fixation in detection.fixations(
                times[piece], points[piece], detect or "idt", pixels_per_degree=pixels_per_degree
            ).tolist()
        ]
    for x, y, start, duration in fixations:
        name = next((name for first, end, name in shown if first <= start < end), "")
        if name:
            events.fixations.append(Fixation(subject, name, x, y, start, duration, None, screen))
        else:
            events.counts[NO_STIMULUS] += 1
    for start, end, _ in shown:
        piece = (times >= start) & (times < end)
        events.count_interruptions(times[piece], np.isfinite(points[piece]).all(axis=1))
    return events


def read_runs(paths: Iterable[Path | str], **options: Any) -> Events:
    """Read recordings; of each run with several, such as both eyes, the one with the most fixations on a stimulus.

    Args:
        paths: `sub-..._physio.tsv.gz`.
        options: see `read`.

    Returns:
        As `read`; the fixations of the other recordings, and their unusable rows, are counted.

    Raises:
        MissingFileError, UserError, MissingPackageError: see `read`.
    """
    runs: dict[Path, list[Events]] = {}
    for path in map(Path, paths):
        runs.setdefault(path.with_name(_run(path)), []).append(read(path, **options))
    events = Events()
    for recordings in runs.values():
        used = max(recordings, key=lambda recording: len(recording.fixations))
        for recording in recordings:
            if recording is not used:
                counts = Counter({what: recording.counts[what] for what in (CUT, NEGATIVE, NO_NUMBER)})
                counts[OTHER_EYE] = len(recording.fixations) + recording.counts[NO_STIMULUS]
                recording = Events([], counts, recording.subjects, recording.notes)
            events.add(recording)
    return events


def _run(path: Path) -> str:
    """The name of a recording without its ending and without the eye."""
    return re.sub(r"_recording-[^_]+", "", path.name.removesuffix("_physio.tsv.gz"))


def _samples(path: Path, about: Mapping[str, Any], events: Events) -> tuple[np.ndarray, np.ndarray]:
    """Times [n] in ms and points [n, 2] in pixels."""
    columns = about.get("Columns")
    if not isinstance(columns, list) or not {"timestamp", "x_coordinate", "y_coordinate"} <= {*map(str, columns)}:
        raise UserError(
            f"{path.name}: expected metadata with the Columns timestamp, x_coordinate and y_coordinate, got {columns!r}"
        )
    for name in ("x_coordinate", "y_coordinate"):
        unit = _unit(about, name, "pixel")
        if unit not in ("pixel", "pixels", "px"):
            raise UserError(f"{path.name}: expected {name} in pixels, got {unit!r}")
    positions = [columns.index(name) for name in ("timestamp", "x_coordinate", "y_coordinate")]
    rows = []
    for row in _rows(path):
        if len(row) != len(columns):
            events.counts[CUT] += 1
            continue
        rows.append([number(row[position]) for position in positions])
        if not math.isfinite(rows[-1][0]):
            events.counts[NO_NUMBER] += 1
            rows.pop()
    values = np.array(rows, float).reshape(-1, 3)
    return values[:, 0] * _milliseconds(about), values[:, 1:]


def _unit(about: Mapping[str, Any], column: str, default: str) -> str:
    described = about.get(column)
    return str(described.get("Units", default)) if isinstance(described, dict) else default


def _milliseconds(about: Mapping[str, Any]) -> float:
    """ms per unit of the time stamps."""
    unit = _unit(about, "timestamp", "ms")
    units = {"s": 1000.0, "ms": 1.0, "us": 1e-3, "μs": 1e-3, "µs": 1e-3, "ns": 1e-6}
    if unit not in units:
        raise UserError(f"timestamp: expected Units {', '.join(units)}, got {unit!r}")
    return units[unit]


def _logged_fixations(
    path: Path, times: np.ndarray, points: np.ndarray, about: Mapping[str, Any], events: Events
) -> Iterator[tuple[float, float, float, float]]:
    """(x, y, start, duration) of the fixations that the tracker logged."""
    columns = _metadata(path, "physioevents").get("Columns", ["onset", "duration", "trial_type", "blink", "message"])
    if not isinstance(columns, list):
        raise UserError(f"{path.name}: expected a list of Columns, got {columns!r}")
    if missing := [name for name in ("onset", "duration", "trial_type") if name not in columns]:
        raise UserError(f"{path.name}: its metadata lack the Columns {', '.join(missing)}")
    spans = []
    for row in _rows(path):
        if len(row) != len(columns):
            events.counts[CUT] += 1
            continue
        values = dict(zip(columns, row, strict=True))
        if values["trial_type"] == "fixation":
            spans.append((number(values["onset"]) * _milliseconds(about), number(values["duration"])))
    lengths = [duration for _, duration in spans if duration > 0]
    factor = 1.0 if lengths and np.median(lengths) > _LONGEST else 1000.0
    for start, duration in spans:
        within = (times >= start) & (times <= start + duration * factor)
        seen = points[within][np.isfinite(points[within]).all(axis=1)]
        if duration < 0:
            events.counts[NEGATIVE] += 1
        elif not len(seen) or not math.isfinite(duration):
            events.counts[NO_NUMBER] += 1
        else:
            x, y = seen.mean(axis=0).tolist()
            yield x, y, start, duration * factor


def _stimuli(path: Path, times: np.ndarray, about: Mapping[str, Any]) -> list[tuple[float, float, str]]:
    """(start, end, stimulus) of the events in ms on the clock of the samples."""
    if not path.exists():
        raise MissingFileError(f"{path} is missing; its column stim_file says which stimulus was shown when")
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = [*csv.DictReader(file, delimiter="\t")]
    except (UnicodeError, csv.Error) as error:
        raise UserError(f"{path} is not readable as a table: {error}") from error
    first = number(str(about.get("StartTime") or 0))
    if not math.isfinite(first):
        raise UserError(f"StartTime: expected a number of seconds, got {about['StartTime']!r}")
    origin = (times[0] if len(times) else 0.0) - 1000 * first
    shown = []
    for row in rows:
        name, onset, duration = (
            row.get("stim_file") or "n/a",
            number(row.get("onset") or ""),
            number(row.get("duration") or ""),
        )
        if name != "n/a" and math.isfinite(onset):
            start = origin + 1000 * onset
            shown.append((start, start + 1000 * duration if duration > 0 else math.inf, name))
    if not shown:
        raise UserError(f"{path}: no event has a stim_file")
    starts = [start for start, _, _ in shown[1:]] + [math.inf]
    return [(start, min(end, following), name) for (start, end, name), following in zip(shown, starts, strict=True)]


def _screen(about: Mapping[str, Any]) -> str:
    shown = about.get("StimulusPresentation")
    size = shown.get("ScreenResolution") if isinstance(shown, dict) else None
    return "x".join(str(side) for side in size) if isinstance(size, list) and len(size) == 2 else ""


def _metadata(path: Path, suffix: str) -> dict[str, Any]:
    """The metadata of a file: those of all JSON files that apply to it, the nearest last.

    A JSON file in a folder above applies if all entities in its name are also in that of the file.
    """
    entities, described = set(path.name.split(".")[0].split("_")), []
    for folder in [path.parent, *path.resolve().parent.parents][:4]:
        applicable = [
            other
            for other in folder.glob(f"*{suffix}.json")
            if set(other.name.removesuffix(".json").split("_")) <= entities | {suffix}
        ]
        described += sorted(applicable, key=lambda other: -len(other.name))
    merged: dict[str, Any] = {}
    for other in reversed(described):
        content = files.read_json(other)
        if not isinstance(content, dict):
            raise UserError(f"{other}: expected a JSON object, got {json.dumps(content)[:80]}")
        merged |= content
    return merged


def _rows(path: Path) -> Iterator[list[str]]:
    """The rows of a compressed table."""
    try:
        with gzip.open(path) as file:
            yield from csv.reader(io.TextIOWrapper(file, encoding="utf-8", newline=""), delimiter="\t")
    except FileNotFoundError:
        raise MissingFileError(f"{path} is missing; expected a recording in BIDS") from None
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeError, csv.Error) as error:
        raise UserError(f"{path} is damaged: {error}") from error
