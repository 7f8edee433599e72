"""Which faces of a film belong together: the number of a track for each face.

A track is a place that moves, followed by ByteTrack (Zhang et al., "ByteTrack: Multi-Object Tracking by Associating
Every Detection Box", 2022). Nobody is recognised: a person who leaves the film and comes back has a new track.
"""

import itertools
import logging
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

LONGEST_GAP = 3.0  # seconds for which a face may be missing and keeps its track
MOST_PER_FRAME = LONGEST_GAP / 4  # seconds that count between two frames, so that three frames may miss a face
GROWTH = 2.5  # sides of the boxes that are compared, so that a face may move by more than its size between two frames
LEAST_OVERLAP = 0.1  # overlap (IoU) of these boxes


class FaceTracks:
    """Numbers the tracks of the faces of films, from 1 in each film."""

    def __init__(self) -> None:
        self.source: object = None

    def number(self, rows: Iterable[dict[str, Any]]) -> None:
        """Set "track" in the rows of some frames; None in rows without a face and of still images.

        A track depends only on the rows up to its own. So a film can be continued after its first rows were passed to
        this method again.

        Args:
            rows: with "source", "frame", "time", "box" and "track"; whole frames, in their order.
        """
        for (source, frame), group in itertools.groupby(rows, key=lambda row: (row["source"], row["frame"])):
            if frame is None:
                continue
            if source != self.source:
                self._start(source)
            if self.tracker is not None:
                self._follow([row for row in group])

    def _start(self, source: object) -> None:
        self.source, self.tracker, self.numbers = source, _byte_track(), dict[str, int]()
        self.time, self.clock = 0.0, 0.0

    def _follow(self, rows: Sequence[dict[str, Any]]) -> None:
        time = rows[0]["time"]
        self.clock += min(max(time - self.time, 0.0), MOST_PER_FRAME)
        self.time = time
        faces = [row for row in rows if row["box"] is not None]
        boxes = np.array([row["box"] for row in faces], np.float32).reshape(-1, 4)
        centres, sides = boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:] * GROWTH
        corners = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)
        scores, labels = np.ones(len(faces), np.float32), np.zeros(len(faces), np.uintp)
        for row, track in zip(
            faces, self.tracker.update(corners, scores, labels, round(self.clock * 1e9)), strict=True
        ):
            if track is not None:
                row["track"] = self.numbers.setdefault(track.uuid, len(self.numbers) + 1)


def _byte_track() -> Any:
    """A tracker, or None with a warning if its package is not installed."""
    try:
        from edgefirst.tracker import ByteTrack
    except ImportError:
        logging.getLogger(__name__).warning("faces have no tracks: pip install 'edram-fer[video]'")
        return None
    # The boxes of detectors are exact: a filter that follows them fully keeps up with faces that turn round.
    return ByteTrack(high_conf=0.0, iou=LEAST_OVERLAP, update=1.0, lifespan_ns=round(LONGEST_GAP * 1e9))
