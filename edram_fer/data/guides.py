"""The targets of guided glimpses: parts of the face, by its landmarks, or places that people looked at."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from edram_fer.attention import template_space
from edram_fer.attention.alignment import apply
from edram_fer.attention.regions import REGION_LANDMARKS
from edram_fer.errors import UserError

FREE, PEOPLE, PEOPLE_BY_EMOTION = "free", "people", "people by emotion"
REGIONS = {**REGION_LANDMARKS, "eyes": [*REGION_LANDMARKS["left eye"], *REGION_LANDMARKS["right eye"]]}
PARTS = (FREE, *REGIONS, PEOPLE, PEOPLE_BY_EMOTION)
MOST_PEOPLE = 5  # glimpses that follow people: `training.losses.GuideLoss` tries each of their 120 orders


@dataclass(frozen=True)
class Guide:
    """Where the glimpses of a model are guided to in training.

    Attributes:
        parts: A name of PARTS for each glimpse: "free", a region of the face, "people" (a place that someone looked
            at), or "people by emotion" (that someone looked at on a face of the image's emotion; on any face where
            nobody looked at this emotion). (): no glimpse is guided.
        fixations: File or folder of the people's fixations, see `gaze.recordings.read`.
        layout: Layout of the photos that they looked at, see `gaze.layouts.read`.
        epochs: The weight of all targets falls from 1 to 0 within this number of epochs, along a cosine, and is 0 in
            validation; 0: it is 1.
    """

    parts: tuple[str, ...] = ()
    fixations: str = ""
    layout: str = "kdef"
    epochs: float = 0.0

    @property
    def people(self) -> tuple[int, ...]:
        """Indices of the glimpses that follow people."""
        return tuple(i for i, part in enumerate(self.parts) if part in (PEOPLE, PEOPLE_BY_EMOTION))

    def weight(self, epoch: float) -> float:
        """The weight of the targets in an epoch, counted from 0.

        >>> [round(Guide(("mouth",), epochs=4).weight(epoch), 2) for epoch in range(6)]
        [1.0, 0.85, 0.5, 0.15, 0.0, 0.0]
        """
        return (1 + math.cos(math.pi * min(epoch / self.epochs, 1))) / 2 if self.epochs else 1.0

    def targets(self, landmarks: Any, looked_at: Any, weights: Any, size: tuple[int, int]) -> Any:
        """The target of each glimpse.

        Args:
            landmarks: float32 [B, 68, 2] = (x, y) in pixels, nan where unknown.
            looked_at: float32 [B, P, 2] in pixels for the P glimpses that follow people, see `Viewings.draw`; not used
                if there are none.
            weights: float32 [B].
            size: (H, W) of the images.

        Returns:
            float32 [B, N, 3] = (x, y, weight), with the mean of a region's landmarks or the place looked at in [-1, 1]
            (align corners); x and y are nan where a glimpse is free or its target unknown.
        """
        half = np.array([size[1] - 1, size[0] - 1], "float32") / 2
        nowhere = ops.full_like(landmarks[:, 0], np.nan)
        places = []
        for glimpse, part in enumerate(self.parts):
            if part in REGIONS:
                places.append(ops.mean(ops.take(landmarks, np.array(REGIONS[part]), axis=1), axis=1) / half - 1)
            elif glimpse in self.people:
                places.append(looked_at[:, self.people.index(glimpse)] / half - 1)
            else:
                places.append(nowhere)
        places = ops.stack(places, axis=1)
        return ops.concatenate([places, weights[:, None, None] * ops.ones_like(places[..., :1])], axis=-1)


class Viewings:
    """Places on faces where people would have looked: their fixations on other faces, brought to each face by its
    landmarks (`attention.template_space`).

    Args:
        guide: With at least one glimpse that follows people.
        landmarks: [n, 68, 2] of the faces in pixels, nan where unknown.
        emotions: Names [n] of their emotions.

    Raises:
        MissingFileError: There is no such file of fixations.
        UserError: No fixation is on a photo with a known layout, see also `gaze.recordings.read`.
    """

    def __init__(self, guide: Guide, landmarks: np.ndarray, emotions: Sequence[str]) -> None:
        from edram_fer.gaze import layouts, recordings  # pandas only where it is needed

        table, _ = layouts.in_frame(recordings.read([guide.fixations]).table, layouts.read(guide.layout))
        table = table[table["x"].notna()]
        if table.empty:
            raise UserError(f"guide_fixations: {guide.fixations}: no fixation is on a face")
        by_emotion = {name: of_emotion[["x", "y"]].to_numpy() for name, of_emotion in table.groupby("emotion")}
        self.pools = [table[["x", "y"]].to_numpy(), *by_emotion.values()]
        known = {name: index for index, name in enumerate(by_emotion, start=1)}
        of_emotion = np.array([known.get(name, 0) for name in emotions])
        self.chosen = [of_emotion * (guide.parts[i] == PEOPLE_BY_EMOTION) for i in guide.people]
        to_frame = template_space.to_frame(landmarks)
        linear = np.linalg.inv(to_frame[..., :2])
        self.to_faces = np.concatenate([linear, -linear @ to_frame[..., 2:]], axis=-1)

    def draw(self, seed: int, epoch: int) -> np.ndarray:
        """Draw fixations, with replacement, for each face and each glimpse that follows people.

        Returns:
            float32 [n, P, 2] = (x, y) in pixels of the faces, nan for faces without landmarks.
        """
        drawn = np.random.default_rng([seed, epoch, 4]).random((len(self.to_faces), len(self.chosen)))
        places = np.empty((*drawn.shape, 2))
        for column, chosen in enumerate(self.chosen):
            for index, pool in enumerate(self.pools):
                rows = chosen == index
                places[rows, column] = pool[(drawn[rows, column] * len(pool)).astype(int)]
        return apply(self.to_faces, places).astype("float32")
