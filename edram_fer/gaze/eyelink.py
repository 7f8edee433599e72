"""EyeLink recordings in ASC files, as edf2asc writes them: fixations (EFIX), blinks (EBLINK) and messages (MSG).

Positions are in pixels of the screen. A message names the stimulus that is shown from then on, by default those that
SR Research's Data Viewer reads: `!V IMGLOAD FILL path`, `!V TRIAL_VAR image name`, and `TRIALID name`. A trial ends
with the next such message, `TRIAL_RESULT`, `!V CLEAR` or END.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from edram_fer.errors import MissingFileError, UserError
from edram_fer.gaze import detection
from edram_fer.gaze.events import BLINKS, CUT, NEGATIVE, NO_STIMULUS, OTHER_EYE, Events, Fixation
from edram_fer.gaze.exports import number

STIMULUS = (  # the first group is the name; later patterns count only in trials without an earlier one
    r"!V IMGLOAD \w+ (?P<name>.+?\.\w+)(?: [-\d. ]+)?$",
    r"!V TRIAL_VAR (?:image|stimulus|picture|stim_file) (?P<name>.+)$",
    r"TRIALID (?P<name>.+)$",
)
_ENDS = ("TRIAL_RESULT", "!V CLEAR")


def read(
    path: Path | str,
    *,
    message: str | None = None,
    detect: str | None = None,
    pixels_per_degree: float = detection.PIXELS_PER_DEGREE,
) -> Events:
    """Read one ASC file. The observer is named after the file.

    Of a binocular recording, the eye with more fixations is used; those of the other eye are counted.

    Args:
        path: the file.
        message: a regular expression for the messages that name a stimulus, with a group `name`; None: STIMULUS.
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
    blinks, samples = Counter[str](), detection.Samples()
    stimulus, rank, screen, recognised = "", len(patterns), "", False
    for words, text in _lines(path):
        kind = words[0]
        if kind == "MSG" and len(words) > 2:
            content = text.split(None, 2)[2].strip()
            recognised = True
            if match := re.match(r"(?:DISPLAY|GAZE)_COORDS\s+(-?\d+)\s+(-?\d+)\s+(-?\d+)\s+(-?\d+)", content):
                left, top, right, bottom = map(int, match.groups())
                screen = f"{right - left + 1}x{bottom - top + 1}"
            elif content.startswith(_ENDS):
                stimulus, rank = "", len(patterns)
            else:
                for position, pattern in enumerate(patterns):
                    if match := pattern.search(content):
                        if position == len(patterns) - 1 or position <= rank:
                            stimulus, rank = match["name"].strip(), position
                        break
        elif kind == "EFIX":
            recognised = True
            numbers = [number(word) for word in words[2:7]]
            if len(numbers) < 5 or words[1] not in eyes or any(value != value for value in numbers):
                counts[CUT] += 1
            elif numbers[0] < 0 or numbers[2] < 0:
                counts[NEGATIVE] += 1
            else:
                start, _, duration, x, y = numbers
                eyes[words[1]].append(Fixation(subject, stimulus, x, y, start, duration, None, screen))
        elif kind == "EBLINK" and len(words) > 1:
            blinks[words[1]] += 1
        elif kind == "END":
            stimulus, rank = "", len(patterns)
        elif detect and kind[0].isdigit() and len(words) >= 4:
            samples.append(stimulus, number(words[0]), number(words[1]), number(words[2]))
            recognised = True
    if detect:
        found_fixations = [
            Fixation(subject, shown, x, y, start, duration, None, screen)
            for shown, x, y, start, duration in samples.fixations(detect, pixels_per_degree)
        ]
        if not found_fixations:
            raise UserError(f"{path}: no fixations found in {len(samples)} samples")
        eyes = {"L": found_fixations, "R": []}
        counts = Counter()
    if not any(eyes.values()):
        if not recognised:
            raise UserError(f"{path}: expected an EyeLink ASC file with lines such as EFIX and MSG, found none")
        raise UserError(
            f"{path} has no fixations (EFIX): convert the EDF file without edf2asc's option -s, or detect fixations in "
            "the samples with --detect idt"
        )
    used, other = ("L", "R") if len(eyes["L"]) >= len(eyes["R"]) else ("R", "L")
    events.fixations = [fixation for fixation in eyes[used] if fixation.stimulus]
    events.counts = counts + Counter(
        {
            OTHER_EYE: len(eyes[other]),
            NO_STIMULUS: len(eyes[used]) - len(events.fixations),
            BLINKS: blinks[used] or blinks[other],
        }
    )
    return events


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
