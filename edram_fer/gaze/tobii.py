"""Exports of Tobii Studio and Tobii Pro Lab: one row per gaze sample, with the fixation that the sample belongs to.

A fixation is the rows of one observer, recording and stimulus with one fixation index. Its position is in pixels of the
displayed stimulus (MCSpx), in shares of its size (MCSnorm), or in pixels of the screen (ADCSpx, DACSpx), from which the
position of the stimulus is subtracted. Where the tracker leaves the position empty, people looked elsewhere, for
instance at a second monitor.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edram_fer.errors import UserError
from edram_fer.gaze.events import CUT, NEGATIVE, NO_NUMBER, NO_STIMULUS, REPEATED, Events, Fixation
from edram_fer.gaze.exports import Export, number

_COLUMNS = {  # in Tobii Studio and Pro Lab, see `exports.key`
    "subject": ("participantname", "participant"),
    "recording": ("recordingname",),
    "stimulus": ("medianame", "presentedstimulusname", "presentedmedianame"),
    "time": ("recordingtimestamp", "recordingtimestampms", "recordingtimestampμs"),
    "length": ("recordingduration", "recordingdurationms"),
    "type": ("gazeeventtype", "eyemovementtype"),
    "index": ("fixationindex", "eyemovementtypeindex"),
    "duration": ("gazeeventduration", "gazeeventdurationms"),
    "screen": ("recordingresolution",),
    "screen_width": ("recordingresolutionwidth", "recordingresolutionwidthpx"),
    "screen_height": ("recordingresolutionheight", "recordingresolutionheightpx"),
    "left": ("mediaposxadcspx", "presentedmediapositionxdacspx"),
    "top": ("mediaposyadcspx", "presentedmediapositionydacspx"),
    "width": ("mediawidth", "presentedmediawidth", "presentedmediawidthpx"),
    "height": ("mediaheight", "presentedmediaheight", "presentedmediaheightpx"),
    "gaze": ("gazepointxadcspx", "gazepointxdacspx", "gazepointx", "gazepointxmcspx", "gazepointxmcsnorm"),
    "sensor": ("sensor",),
}
_NEEDED = ("subject", "time", "type", "index", "duration")
_POSITIONS = {  # the first that a file has is used
    "stimulus": ("fixationpoint{}mcspx",),
    "share": ("fixationpoint{}mcsnorm",),
    "screen": ("fixationpoint{}adcspx", "fixationpoint{}dacspx", "fixationpoint{}"),
}


def read(path: Path | str) -> Events:
    """Read one export.

    Args:
        path: text with tabs, semicolons or commas, numbers with decimal points or commas, see `exports.Export`.

    Returns:
        Fixations in order of their first row. A file without a column for the stimulus holds the recordings of one
        stimulus and is named after it. Times in μs, as newer versions of Pro Lab write them, are recognised by their
        header or, without a unit there, by the duration of the recording.

    Raises:
        MissingFileError: there is no such file.
        UserError: a column is missing (the message names it), or see `exports.Export`.
    """
    export, events = Export(path), Events()
    columns = {name: export.column(*names) for name, names in _COLUMNS.items()}
    if missing := [name for name in _NEEDED if columns[name] is None]:
        names = ", ".join(_COLUMNS[name][0] for name in missing)
        raise UserError(f"{path} lacks the columns {names}; its header holds {', '.join(export.header[:12])}, ...")
    kind, x, y = _position_columns(export, columns)
    latest = length = 0.0
    pieces: list[tuple[list[float], list[bool]]] = []  # each is one presentation of a stimulus
    presentation = None
    fixations: dict[tuple[str, ...], Fixation] = {}
    for row in export.rows():
        values = {name: "" if column is None else row[column].strip() for name, column in columns.items()}
        if values["sensor"] not in ("", "Eye Tracker"):
            continue
        subject, stimulus = values["subject"], values["stimulus"]
        if columns["stimulus"] is None:
            stimulus = Path(path).stem
        events.subjects.setdefault(subject)
        time = number(values["time"])
        if not math.isfinite(time):
            events.counts[NO_NUMBER] += 1
            continue
        if time < 0:
            events.counts[NEGATIVE] += 1
            continue
        latest = max(latest, time)
        if columns["length"] is not None:
            length = max(length, number(values["length"]))
        if presentation != (subject, values["recording"], stimulus):
            presentation = (subject, values["recording"], stimulus)
            pieces.append(([], []))
        if stimulus:
            pieces[-1][0].append(time)
            pieces[-1][1].append(values["gaze"] != "")
        identity = (subject, values["recording"], stimulus, values["index"])
        if values["type"] != "Fixation" or identity in fixations:
            continue
        duration = number(values["duration"])
        if not math.isfinite(duration) or not values["index"]:
            events.counts[NO_NUMBER] += 1
        elif duration < 0:
            events.counts[NEGATIVE] += 1
        else:
            size = _size(values)
            screen = values["screen"] or "x".join(filter(None, (values["screen_width"], values["screen_height"])))
            position = _position(kind, row[x], row[y], values, size)
            fixations[identity] = Fixation(subject, stimulus, *position, time, duration, size, screen.replace(" ", ""))
    unit = _unit(export.header[columns["time"] or 0], latest, length)
    converted = [replace(fixation, start=fixation.start * unit) for fixation in fixations.values()]
    events.fixations = [fixation for fixation in converted if fixation.stimulus]
    events.counts[NO_STIMULUS] += len(converted) - len(events.fixations)
    if columns["gaze"] is not None:
        for times, seen in pieces:
            events.count_interruptions(np.array(times) * unit, seen)
    events.counts += {name: export.counts[name] for name in (CUT, REPEATED)}
    return events


def _position_columns(export: Export, columns: Mapping[str, int | None]) -> tuple[str, int, int]:
    """The kind of positions that a file has, and their two columns."""
    for kind, names in _POSITIONS.items():
        x, y = (export.column(*(name.format(axis) for name in names)) for axis in "xy")
        needed = {"stimulus": (), "share": ("width", "height"), "screen": ("left", "top")}[kind]
        if x is not None and y is not None and all(columns[name] is not None for name in needed):
            return kind, x, y
    raise UserError(
        f"{export.path} lacks the positions of the fixations on the stimulus: expected FixationPointX (MCSpx), or "
        "FixationPointX (MCSnorm) with the width and height of the stimulus, or Fixation point X with its position on "
        f"the screen; its header holds {', '.join(export.header[:12])}, ..."
    )


def _unit(name: str, latest: float, length: float) -> float:
    """ms per unit of the time stamps: by their header, or because times far beyond the end of the recording are in μs.

    Args:
        name: header of the time stamps.
        latest: the largest time stamp.
        length: of the recording, in ms; nan or 0 if unknown.
    """
    return 1e-3 if re.search("[μµ]s", name) or ("ms" not in name.split("amp")[-1] and latest > 2 * length > 0) else 1.0


def _size(values: Mapping[str, str]) -> tuple[float, float] | None:
    width, height = number(values["width"]), number(values["height"])
    return (width, height) if width > 0 and height > 0 else None


def _position(
    kind: str, x: str, y: str, values: Mapping[str, str], size: Sequence[float] | None
) -> tuple[float, float]:
    """A fixation in pixels of the stimulus, nan where it lies outside or the position of the stimulus is unknown."""
    point = number(x), number(y)
    if kind == "stimulus":
        return point
    if kind == "share":
        width, height = size or (math.nan, math.nan)
        return point[0] * width - 0.5, point[1] * height - 0.5
    return point[0] - number(values["left"]), point[1] - number(values["top"])
