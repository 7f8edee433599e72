"""One row of a data set's annotations, whichever the data set: what every reader gives and the face pipeline takes.

A reader is a module `preprocessing/datasets/<name>/annotations.py` with `find(source, ...) -> Annotations`. It reads
annotations only, opens no image, and needs no TensorFlow. Rows that cannot be used are rows with a status.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from edram_fer.errors import UserError
from edram_fer.preprocessing.emotions import EIGHT, NON_EMOTIONS

OK = "ok"
UNKNOWN_AFFECT = -2.0
LANDMARK_COUNT = 68


@dataclasses.dataclass(frozen=True, slots=True)
class FaceRecord:
    """One annotated face.

    Attributes:
        id: stable, unique in its split.
        row: where it stands, for people: "training.csv:17" (rows from 1, the header not counted) or a file's path.
        image: path relative to the data set's root, with "/", as the annotation gives it (it is checked when read).
        pixels: the image itself, uint8 [H, W] or [H, W, 3] RGB, where the annotation holds it; None: it is a file.
        split: "train", "validation", "test", or a fold or subject where the data set is split by these; "" where a
            row that cannot be used does not tell.
        emotion: canonical name; None without a label. A non-emotion ("uncertain") goes into `status`.
        valence, arousal: in [-1, 1]; UNKNOWN_AFFECT where not annotated.
        box: (left, top, width, height) in pixels of the image, origin top left; None without.
        landmarks: 68 points (x, y) in pixels of the image; None without.
        subject: who is shown; "" where unknown.
        soft_label: probabilities in the order of `emotions.EIGHT`; None without.
        status: OK, or why the row cannot be used: "label uncertain", "valence 3.2 outside [-1, 1]".
    """

    id: str
    row: str
    image: str
    split: str
    emotion: str | None = None
    valence: float = UNKNOWN_AFFECT
    arousal: float = UNKNOWN_AFFECT
    box: tuple[float, float, float, float] | None = None
    landmarks: tuple[tuple[float, float], ...] | None = None
    subject: str = ""
    soft_label: tuple[float, ...] | None = None
    status: str = OK
    pixels: np.ndarray | None = dataclasses.field(default=None, compare=False, repr=False)

    def __post_init__(self):
        if self.emotion is not None and self.emotion not in EIGHT:
            raise UserError(f"{self.row}: expected an emotion of {', '.join(EIGHT)} or None, got {self.emotion!r}")
        if self.status == OK and self.emotion is None and self.soft_label is None:
            raise UserError(f"{self.row}: a row without emotion and soft label needs a status that says why")


@dataclasses.dataclass(frozen=True)
class Annotations:
    """A data set found on disk.

    Attributes:
        name: of the data set, as people write it.
        form: which of its forms lies there.
        root: folder that the paths of the images start from.
        files: annotation files, in reading order; for data sets that are only folders of images, ().
        classes: the emotions that it can have, in canonical order.
        records: gives all rows anew in the order of the source, lazily; the same rows each time.
        published: split -> {emotion: rows with this label}, usable or not; {} where nothing is known. The split is
            one of the records, or "" for all of them.
        published_rows: split, or "", -> rows with and without a label.
        detectors: of the face pipeline by default: ("none",) where the images are crops, ("annotation",) for boxes.
        notes: what is worth saying about what lies there.
        count: how many rows `records` gives, where that is told faster than by going through them.
        variant: which of several ways to read the same files, where it is not the first; a part of the name under which
            the data set lies prepared.
    """

    name: str
    form: str
    root: Path
    files: tuple[Path, ...]
    classes: tuple[str, ...]
    records: Callable[[], Iterator[FaceRecord]]
    published: Mapping[str, Mapping[str, int]] = dataclasses.field(default_factory=dict)
    published_rows: Mapping[str, int] = dataclasses.field(default_factory=dict)
    detectors: tuple[str, ...] = ("none",)
    notes: tuple[str, ...] = ()
    count: Callable[[], int] | None = None
    variant: str = ""


def checked_affect(valence, arousal) -> tuple[float, float]:
    """Both as numbers in [-1, 1], or both UNKNOWN_AFFECT where one is -2. ValueError says which is out of range."""
    values = []
    for name, given in (("valence", valence), ("arousal", arousal)):
        try:
            value = float(given)
        except (TypeError, ValueError):
            raise UserError(f"{name} {str(given)[:20]!r} is not a number") from None
        if value != UNKNOWN_AFFECT and not -1 <= value <= 1:
            raise UserError(f"{name} {value:g} outside [-1, 1]")
        values.append(value)
    return (UNKNOWN_AFFECT, UNKNOWN_AFFECT) if UNKNOWN_AFFECT in values else tuple(values)


def no_label(name: str) -> str:
    """The status of a row whose annotators named one of NON_EMOTIONS."""
    if name not in NON_EMOTIONS:
        raise UserError(f"expected one of {', '.join(NON_EMOTIONS)}, got {name!r}")
    return f"label {name}"


def image_files(folder: Path, pattern: str = "**/*") -> list[Path]:
    """All files under `folder` that match, hidden ones left out, in the order of their paths.

    A link to nowhere or to a folder, which is not entered, is one of them: it will be a row that says so.
    """
    found = (path for path in folder.glob(pattern) if path.is_file() or path.is_symlink())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def fingerprint(found: Annotations) -> str:
    """SHA-256 of the annotation files, or without any of all that the rows say."""
    digest = hashlib.sha256(f"{found.form}\n".encode())
    for path in found.files:
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    if not found.files:
        for record in found.records():
            said = (getattr(record, field.name) for field in dataclasses.fields(record) if field.compare)
            digest.update(("\t".join(map(str, said)) + "\n").encode())
    return digest.hexdigest()
