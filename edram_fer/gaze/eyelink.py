"""EyeLink recordings in ASC files, as edf2asc writes them: fixations (EFIX), blinks (EBLINK) and messages (MSG).

Positions are in pixels of the screen. A message names the stimulus that is shown from then on, by default those that
SR Research's Data Viewer reads: `!V IMGLOAD FILL path`, or in trials without it `!V TRIAL_VAR image name` anywhere in
the trial, or in trials without both `TRIALID name`. A trial ends with `TRIAL_RESULT` or the next `TRIALID`; nothing is
shown after `!V CLEAR` and the END of a recording. A fixation is on the stimulus that was shown when it began. A message
that begins with a whole number was sent that many ms too late (a negative one: too early).
"""

import bisect
import dataclasses
import math
import operator
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from edram_fer.errors import MissingFileError, UserError
from edram_fer.gaze import detection
from edram_fer.gaze.events import CUT, NEGATIVE, NO_STIMULUS, OTHER_EYE, Events, Fixation, loss_of
from edram_fer.gaze.exports import number

# The stimulus is the group `name`: of the first, from then on; of the others, in the whole trial, which the last one
# begins. Later patterns count only in trials without an earlier one.
STIMULUS = (
    r"!V IMGLOAD \w+ (?P<name>.+?\.\w+)(?: [-\d. ]+)?$",
    r"!V TRIAL_VAR (?:image|stimulus|picture|stim_file) (?P<name>.+)$",
    r"TRIALID (?P<name>.+)$",
)
_CLEAR, _RESULT = "!V CLEAR", "TRIAL_RESULT"
_SCREEN = re.compile(r"(?:DISPLAY|GAZE)_COORDS[\s=]+" + r"\s+".join([r"(-?\d+(?:\.\d+)?)"] * 4))  # left, top, ...


def read(
    path: Path | str,
    *,
    message: str | None = None,
    detect: str | None = None,
    pixels_per_degree: float = detection.PIXELS_PER_DEGREE,
) -> Events:
    """Read one ASC file. The observer is named after the file.

    Of a binocular recording, the eye with more fixations is used; those of the other eye are counted. Blinks and longer
    losses are those that the tracker logged (EBLINK), with `detect` those in the samples, and then also gaps.

    Args:
        path: the file.
        message: a regular expression for the messages that name a stimulus that is shown from then on, with a group
            `name`; None: STIMULUS.
        detect: "idt" or "ivt": ignore the fixations of the file and detect them in its samples
            (`detection.fixations`).
        pixels_per_degree: see `detection.fixations`.

    Returns:
        Fixations with positions on the screen, whose size is `screen`.

    Raises:
        MissingFileError: there is no such file.
        UserError: the file is no ASC file, or contains no fixations; or the expression is not valid.
        MissingPackageError: `detect` needs the extra `gaze`.
    """
    patterns = _patterns(message)
    subject = Path(path).stem
    events, counts = Events(subjects={subject: None}), Counter[str]()
    eyes: dict[str, list[Fixation]] = {"L": [], "R": []}
    losses = {"L": Counter[str](), "R": Counter[str]()}
    trials, samples = [_Trial(-math.inf)], []
    screen, recognised = "", False
    for words, text in _lines(path):
        kind = words[0]
        if kind == "MSG" and len(words) > 2:
            recognised = True
            time, content = _message(text)
            if match := _SCREEN.match(content):
                left, top, right, bottom = (round(float(side)) for side in match.groups())
                screen = f"{right - left + 1}x{bottom - top + 1}"
            elif content.startswith((_CLEAR, _RESULT)):
                trials[-1].changes.append((time, ""))
                if content.startswith(_RESULT):
                    trials.append(_Trial(time))
            else:
                _add_name(trials, patterns, time, text.split(None, 2)[2].strip())
        elif kind == "EFIX":
            recognised = True
            numbers = [number(word) for word in words[2:7]]
            if len(numbers) < 5 or words[1] not in eyes or any(value != value for value in numbers):
                counts[CUT] += 1
            elif numbers[0] < 0 or numbers[2] < 0:
                counts[NEGATIVE] += 1
            else:
                start, _, duration, x, y = numbers
                eyes[words[1]].append(Fixation(subject, "", x, y, start, duration, None, screen))
        elif kind == "EBLINK" and len(words) > 4 and words[1] in losses:
            losses[words[1]].update(loss_of(number(words[4])))
        elif kind in ("START", "END") and len(words) > 1:
            trials[-1].changes.append((number(words[1]), None if kind == "START" else ""))
        elif detect and kind[0].isdigit() and len(words) >= 4:
            samples.append((number(words[0]), number(words[1]), number(words[2])))
            recognised = True
    times, names = _timeline(trials)
    if detect:
        eyes, losses, counts = {"L": [], "R": []}, {"L": Counter[str](), "R": Counter[str]()}, Counter[str]()
        values = np.array([sample for sample in samples if math.isfinite(sample[0])], float).reshape(-1, 3)
        shown = np.searchsorted(times, values[:, 0], "right") - 1
        changes = np.flatnonzero(np.diff(shown)) + 1
        for rows, change in zip(np.split(values, changes), np.split(shown, changes), strict=True):
            detected = detection.fixations(
                rows[:, 0], rows[:, 1:], detect, pixels_per_degree=pixels_per_degree
            ).tolist()
            eyes["L"] += [
                Fixation(subject, "", x, y, start, duration, None, screen) for x, y, start, duration in detected
            ]
            if len(rows) and names[change[0]]:
                events.count_interruptions(rows[:, 0], np.isfinite(rows[:, 1:]).all(axis=1))
        if not eyes["L"]:
            raise UserError(f"{path}: no fixations found in {len(samples)} samples")
    if not any(eyes.values()):
        if not recognised:
            raise UserError(f"{path}: expected an EyeLink ASC file with lines such as EFIX and MSG, found none")
        raise UserError(
            f"{path} has no fixations (EFIX): convert the EDF file without edf2asc's option -s, or detect fixations in "
            "the samples with --detect idt"
        )
    used, other = ("L", "R") if len(eyes["L"]) >= len(eyes["R"]) else ("R", "L")
    for fixation in eyes[used]:
        if stimulus := names[bisect.bisect_right(times, fixation.start) - 1]:
            events.fixations.append(dataclasses.replace(fixation, stimulus=stimulus))
    events.counts += counts + (losses[used] or losses[other])
    events.counts += Counter({OTHER_EYE: len(eyes[other]), NO_STIMULUS: len(eyes[used]) - len(events.fixations)})
    return events


class _Trial:
    """What the messages of one trial say.

    Attributes:
        start: in ms.
        name: of the stimulus, by a message that describes the whole trial.
        rank: position of the pattern of that message.
        changes: (time, stimulus from then on): "" where the screen was cleared or the recording ended, None where a
            recording began, before which the screen may have been cleared, too.
    """

    def __init__(self, start: float, name: str = "", rank: int = len(STIMULUS)) -> None:
        self.start, self.name, self.rank = start, name, rank
        self.changes: list[tuple[float, str | None]] = []

    def shown(self) -> Iterator[tuple[float, str]]:
        """(time, stimulus from then on): those that were loaded, or else that of the whole trial."""
        loaded = any(name for _, name in self.changes)
        yield self.start, "" if loaded else self.name
        for time, name in self.changes:
            if name is not None or not loaded:
                yield time, self.name if name is None else name


def _message(text: str) -> tuple[float, str]:
    """Time and content of a message. It may begin with an offset: by how many ms it was sent too late."""
    time, content = text.split(None, 2)[1:]
    offset, _, rest = content.strip().partition(" ")
    if rest and re.fullmatch(r"[-+]?\d{1,9}", offset):
        return number(time) - int(offset), rest.strip()
    return number(time), content.strip()


def _add_name(trials: list[_Trial], patterns: Sequence[re.Pattern[str]], time: float, content: str) -> None:
    """Add the stimulus that a message names, if it names one, to the trials."""
    for rank, pattern in enumerate(patterns):
        if match := pattern.search(content):
            name = match["name"].strip()
            if rank == 0:
                trials[-1].changes.append((time, name))
            elif rank == len(patterns) - 1:
                trials.append(_Trial(time, name, rank))
            elif rank <= trials[-1].rank:
                trials[-1].name, trials[-1].rank = name, rank
            return


def _timeline(trials: Sequence[_Trial]) -> tuple[list[float], list[str]]:
    """Times in ascending order, and the stimulus that was shown from each of them on, "" for none."""
    times, names = [-math.inf], [""]
    changes = (change for trial in trials for change in trial.shown() if not math.isnan(change[0]))
    for time, name in sorted(changes, key=operator.itemgetter(0)):
        if name != names[-1]:
            times.append(time)
            names.append(name)
    return times, names


def _patterns(message):
    if message is None:
        return [re.compile(pattern) for pattern in STIMULUS]
    try:
        pattern = re.compile(message)
    except re.error as error:
        raise UserError(f"message: not a regular expression: {error}: {message!r}") from error
    if "name" not in pattern.groupindex:
        raise UserError(f"message: expected a regular expression with a group (?P<name>...), got {message!r}")
    return [pattern]


def _lines(path: Path | str) -> Iterator[tuple[list[str], str]]:
    """(words, line) of all lines with a word."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                if words := line.split():
                    yield words, line
    except FileNotFoundError:
        raise MissingFileError(f"{path} is missing; expected an EyeLink ASC file") from None
