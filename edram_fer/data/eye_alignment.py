"""Faces of a data set aligned by their eyes, as the training faces of face-recognition backbones are."""

import json
from collections.abc import MutableMapping, Sequence

import numpy as np

from edram_fer.errors import UserError

# Centres (x, y) of the left and the right eye, as shares of width and height. "arcface": InsightFace's template of 112
# pixels (python-package/insightface/utils/face_align.py), its pixel centres at whole numbers.
ALIGNMENTS = {"arcface": ((38.7946 / 112, 52.1963 / 112), (74.0318 / 112, 52.0014 / 112))}
MEAN = "mean"


def check(name: str) -> None:
    """Raise a UserError unless `name` is one that `align` takes."""
    if name not in (MEAN, *ALIGNMENTS):
        raise UserError(f"align: expected one of {', '.join((MEAN, *ALIGNMENTS))}, got {name!r}")


def align(content: MutableMapping[str, np.ndarray], splits: Sequence[str], name: str) -> None:
    """Align the faces in the content of an NPZ file in place: images, landmarks and masks.

    Args:
        content: as `data.write_arrays` writes it, with "<split>/landmarks" [n, 68, 2].
        splits: names of the splits.
        name: "mean": the eyes come to their mean places in the data set, which keeps the size of the faces. A key of
            ALIGNMENTS: to these places.

    Raises:
        UserError: no landmarks.
    """
    from edram_fer.preprocessing import crop  # OpenCV, which training does not need

    if not all(f"{split}/landmarks" in content for split in splits):
        raise UserError("the data set has no landmarks to align its faces with; the option --landmarks finds them")
    known = {split: _usable(content[f"{split}/landmarks"]) for split in splits}
    if not any(rows.any() for rows in known.values()):
        raise UserError("no face of the data set has landmarks to align it with")
    eyes = np.array(ALIGNMENTS.get(name, ()))
    if name == MEAN:
        centres = [crop.eye_centres(content[f"{split}/landmarks"][rows]) for split, rows in known.items()]
        height, width = content[f"{splits[0]}/image"].shape[1:3]
        eyes = (np.concatenate(centres).mean(axis=0) + 0.5) / (width, height)
    for split, rows in known.items():
        images, points, masks = content[f"{split}/image"], content[f"{split}/landmarks"], content.get(f"{split}/mask")
        for row in np.flatnonzero(rows):
            if masks is not None:
                masks[row] = crop.align_face(masks[row], points[row], eyes, labels=True)[0].reshape(masks[row].shape)
            aligned, points[row] = crop.align_face(images[row], points[row], eyes)
            images[row] = aligned.reshape(images[row].shape)  # OpenCV drops the axis of a single channel
        content[f"{split}/aligned"] = rows
    made = json.loads(str(content["preprocessing"])) or {"clahe": 0, "chin": False}
    content["preprocessing"] = np.array(json.dumps({**made, "landmarks": True, "eyes": eyes.round(4).tolist()}))
    content["fingerprint"] = np.array(f"{content['fingerprint']}-eyes-{name}")


def _usable(landmarks):
    """Which faces have all landmarks and eyes at two places, bool [n]."""
    from edram_fer.preprocessing import crop

    left, right = np.moveaxis(crop.eye_centres(landmarks), 1, 0)
    return np.asarray(np.isfinite(landmarks).all(axis=(1, 2)) & (left != right).any(axis=1))
