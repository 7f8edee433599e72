"""What a reader finds in a recording: fixations, and counts of everything else."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

CUT = "rows with too few or too many values"
REPEATED = "repeated rows"
NEGATIVE = "rows or events with a negative time or duration"
NO_NUMBER = "rows or events without the numbers that they need"
OUTSIDE = "fixations outside their stimulus"
NO_STIMULUS = "fixations without a stimulus"
UNKNOWN = "fixations on unknown stimuli"
OTHER_SCREEN = "fixations on a screen of another size"
OTHER_EYE = "fixations of the other eye"
BLINKS, LOSSES, GAPS = "blinks", "losses of the eyes", "gaps in the samples"

BLINK, LOSS = 75.0, 500.0  # ms without gaze: a blink, and what is too long for one (Hershman et al. 2018: 100 to 400)
_GAP = 4  # times the median interval between samples, and at least as long as a blink


def loss_of(duration: float) -> list[str]:
    """As what the time without gaze, in ms, counts: [BLINKS], [LOSSES], or [] if it is shorter than a blink.

    >>> loss_of(100), loss_of(501), loss_of(74)
    (['blinks'], ['losses of the eyes'], [])
    """
    return [BLINKS if duration <= LOSS else LOSSES] if duration >= BLINK else []


@dataclass(frozen=True)
class Fixation:
    """One fixation.

    Attributes:
        subject: the observer.
        stimulus: name of the stimulus in the recording.
        x, y: position in pixels of the displayed stimulus, pixel centres at whole numbers; nan outside it.
        start, duration: in ms; the start by any clock that runs through the recording.
        size: (width, height) of the displayed stimulus in pixels, None if the recording does not say.
        screen: "1280x1024", or "" if the recording does not say.
    """

    subject: str
    stimulus: str
    x: float
    y: float
    start: float
    duration: float
    size: tuple[float, float] | None = None
    screen: str = ""


@dataclass
class Events:
    """The content of one or several files.

    Attributes:
        fixations: in the order of the files.
        counts: {what: number} of what is no usable fixation.
        subjects: all observers, also those without a fixation, in the order of the files.
        notes: sentences for the user.
    """

    fixations: list[Fixation] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    subjects: dict[str, None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, other: "Events") -> None:
        """Append the content of another file."""
        self.fixations += other.fixations
        self.counts += other.counts
        self.subjects |= other.subjects
        self.notes += [note for note in other.notes if note not in self.notes]

    def count_interruptions(self, times: ArrayLike, seen: ArrayLike) -> None:
        """Count the interruptions of one continuous piece of a recording.

        Args:
            times: [n], of the samples in ms, ascending.
            seen: [n], whether the tracker gives a gaze position.
        """
        times, seen = np.asarray(times, float), np.asarray(seen, bool)
        if len(times) < 2:
            return
        steps = np.diff(times)
        self.counts[GAPS] += int((steps > max(_GAP * np.median(steps), BLINK)).sum())
        edges = np.flatnonzero(np.diff(np.r_[False, ~seen, False].astype(int)))
        for first, end in zip(edges[::2], edges[1::2], strict=True):
            self.counts.update(loss_of(float(times[min(end, len(times) - 1)] - times[first])))
