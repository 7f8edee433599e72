"""A row of annotations, the same for every data set: readers return it, and the face pipeline processes it.

A reader is a module `preprocessing/datasets/<name>/annotations.py` with a function `find(source, ...) -> Annotations`.
It reads only annotations, opens no image and does not need TensorFlow. An unusable row has a status that says why.
"""

import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from edram_fer.errors import UserError
from edram_fer.preprocessing.emotions import NON_EMOTIONS

OK = "ok"
UNKNOWN_AFFECT = -2.0
LANDMARK_COUNT = 68


@dataclasses.dataclass(frozen=True, slots=True)
class FaceRecord:
    """One annotated face.

    Attributes:
        id: stable, and unique in its split.
        row: location of the annotation, for messages: "training.csv:17" (rows count from 1, without the header) or a
            path.
        image: path relative to the root of the data set, with "/", as in the annotation (checked when it is read).
        split: "train", "validation", "test", or a fold or subject if the data set is split by these; "" if it is
            unknown for an unusable row.
        emotion: name of the class, for the eight emotions the canonical one; None without a label. A non-emotion
            ("uncertain") is a `status`.
        valence: in [-1, 1]; UNKNOWN_AFFECT if not annotated.
        arousal: in [-1, 1]; UNKNOWN_AFFECT if not annotated.
        box: (left, top, width, height) in pixels of the image, origin top left; None if not annotated.
        landmarks: 68 points (x, y) in pixels of the image; None if not annotated.
        subject: the person shown; "" if unknown.
        soft_label: probabilities in the order of `emotions.EIGHT`; None if not annotated.
        status: OK, or why the row cannot be used: "label uncertain", "valence 3.2 outside [-1, 1]".
        pixels: the image itself, uint8 [H, W] or [H, W, 3] RGB, if the annotation holds it; None if it is a file.

    Raises:
        ValueError: the status is OK without an emotion and a soft label, which is a bug in the reader, not a fault in
            the data.
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

    def __post_init__(self) -> None:
        if self.status == OK and self.emotion is None and self.soft_label is None:
            raise ValueError(f"{self.row}: a row without emotion and soft label needs a status that says why")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Annotations:
    """The annotations of a data set on disk.

    Attributes:
        name: name of the data set, as its authors write it.
        layout: the recognised layout.
        root: folder that image paths are relative to.
        files: annotation files, in reading order; () for data sets that consist only of folders of images.
        classes: names of the classes that the data set can have, in label order (`emotions.ordered`).
        records: iterates lazily over all rows in the order of the source; each call yields the same rows.
        published: split -> {emotion: rows with this label, usable or not}; {} if unknown. The splits are the splits of
            the records, or "" for all records together.
        published_rows: split, or "" -> number of rows with and without a label.
        detectors: default detectors for this data set: ("none",) if the images are crops, ("annotation",) for boxes.
        notes: remarks about this copy, for the user.
        shares: split -> share of the training faces that becomes this split if the data set does not have it.
        count: returns the number of rows, if that is faster than iterating over `records`.
        options: options of the reader that determine the rows along with `files`, as text, for the fingerprint.
        variant: names one of several interpretations of the same files, "" for the first; part of the name of the
            prepared data set.
    """

    name: str
    layout: str
    root: Path
    files: tuple[Path, ...] = ()
    classes: tuple[str, ...]
    records: Callable[[], Iterator[FaceRecord]]
    published: Mapping[str, Mapping[str, int]] = dataclasses.field(default_factory=dict)
    published_rows: Mapping[str, int] = dataclasses.field(default_factory=dict)
    detectors: tuple[str, ...] = ("none",)
    notes: tuple[str, ...] = ()
    shares: Mapping[str, float] = dataclasses.field(default_factory=lambda: {"validation": 0.05})
    count: Callable[[], int] | None = None
    options: str = ""
    variant: str = ""


def checked_affect(valence: float | str, arousal: float | str) -> tuple[float, float]:
    """Valence and arousal as numbers in [-1, 1]; both UNKNOWN_AFFECT if one of them is -2.

    Raises:
        UserError: a value is not a number or out of range.

    Example:
        >>> checked_affect("0.5", -1)
        (0.5, -1.0)
        >>> checked_affect(0.5, -2)
        (-2.0, -2.0)
    """
    values = []
    for name, annotated in (("valence", valence), ("arousal", arousal)):
        try:
            value = float(annotated)
        except (TypeError, ValueError):
            raise UserError(f"{name} {str(annotated)[:20]!r} is not a number") from None
        if value != UNKNOWN_AFFECT and not -1 <= value <= 1:
            raise UserError(f"{name} {value:g} outside [-1, 1]")
        values.append(value)
    return (UNKNOWN_AFFECT, UNKNOWN_AFFECT) if UNKNOWN_AFFECT in values else tuple(values)


def no_label(name: str) -> str:
    """The status of a row whose annotators chose one of NON_EMOTIONS.

    Example:
        >>> no_label("uncertain")
        'label uncertain'
    """
    if name not in NON_EMOTIONS:
        raise ValueError(f"expected one of {', '.join(NON_EMOTIONS)}, got {name!r}")
    return f"label {name}"


def image_files(folder: Path) -> list[Path]:
    """All files below `folder`, except hidden files and those in hidden folders, sorted by path.

    Broken links, links to folders, which are not followed, and folders that cannot be read are included: they become
    rows with a status.
    """
    paths: list[Path] = []
    unreadable: list[OSError] = []
    for root, folders, names in os.walk(folder, onerror=unreadable.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        links = [name for name in folders if os.path.islink(os.path.join(root, name))]
        paths += [Path(root, name) for name in (*names, *links) if not name.startswith(".")]
    return sorted([*paths, *(Path(error.filename) for error in unreadable)])


def fingerprint(annotations: Annotations) -> str:
    """SHA-256 of the annotation files or, if there are none, of the content of all rows."""
    options = f"{annotations.options}\n" if annotations.options else ""
    digest = hashlib.sha256(f"{annotations.layout}\n{options}".encode())
    for path in annotations.files:
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    if not annotations.files:
        for record in annotations.records():
            values = (getattr(record, field.name) for field in dataclasses.fields(record) if field.compare)
            digest.update(("\t".join(map(str, values)) + "\n").encode("utf-8", "backslashreplace"))
    return digest.hexdigest()
