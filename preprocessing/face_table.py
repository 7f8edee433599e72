"""The faces that a preparation has made, as one table: final splits, duplicates, counts, and what people look at."""
import dataclasses
import hashlib
import heapq
import io
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
from PIL import Image

from preprocessing import faces, photos
from preprocessing.records import OK, Annotations

_LIGHT = ("split", "emotion", "status", "digest")
_SHOWN = (*_LIGHT, "id", "picture", "face")


@dataclasses.dataclass(frozen=True)
class Division:
    """How the faces are divided among the splits.

    A data set that has "train" but no "validation" gives a share of its training faces to validation. Which ones is a
    function of (seed, pixels of the face): equal faces are never on both sides.

    Attributes:
        validation: that share, in [0, 1).
        seed: of the choice.
    """
    validation: float = 0.05
    seed: int = 0

    def __post_init__(self):
        if not 0 <= self.validation < 1:
            raise ValueError(f"validation: expected a share in [0, 1), got {self.validation!r}")

    def is_validation(self, digest: bytes) -> bool:
        number = hashlib.blake2b(digest, digest_size=8, key=str(self.seed).encode()).digest()
        return int.from_bytes(number) < self.validation * 2**64


class FaceTable:
    """All rows of the chunk files with their final split and status. Holds the digests of the training faces only.

    Attributes: `splits`; `counts` {split: {emotion: faces}}; `statuses` {status: rows}; `duplicates` {split: faces that
    equal one of training}; `drawn`, whether validation was drawn from training.

    Args:
        chunks: files of `faces.process`.
        classes: emotions that are labels; a row with another one gets a status that says so.
        division: see there.
    """

    def __init__(self, chunks: Sequence[Path], classes: Sequence[str], division: Division):
        self.chunks, self.classes, self.division = chunks, classes, division
        light = [(row["split"], row["digest"]) for row in faces.read_chunks(chunks, _LIGHT) if self._status(row) == OK]
        named = {split for split, _ in light}
        self.drawn = "train" in named and "validation" not in named and division.validation > 0
        self._training = frozenset(digest for split, digest in light if split == "train")
        self.counts: dict[str, Counter] = {}
        self.statuses, self.duplicates = Counter(), Counter()
        for row in self.rows(_LIGHT):
            self.statuses[row["status"]] += 1
            if row["status"] == OK:
                self.counts.setdefault(row["split"], Counter())[row["emotion"]] += 1
                self.duplicates[row["split"]] += row["duplicate"]
        order = [split for split in ("train", "validation", "test") if split in self.counts]
        self.splits = [*order, *sorted(set(self.counts) - set(order))]

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[dict]:
        """Rows in their order, "split" and "status" final, and "duplicate": not of training, equal to one of it."""
        for row in faces.read_chunks(self.chunks, columns):
            row["status"] = self._status(row)
            row["duplicate"] = row["split"] != "train" and row["digest"] in self._training
            if row["status"] == OK and self.drawn and row["split"] == "train":
                row["split"] = "validation" if self.division.is_validation(row["digest"]) else "train"
            yield row

    def _status(self, row: dict) -> str:
        if row["status"] == OK and row["emotion"] not in self.classes:
            return f"label {row['emotion']}, not among the {len(self.classes)} classes"
        return row["status"]


def listed(table: FaceTable) -> str:
    """The statuses and their numbers in a line."""
    return ", ".join(f"{status} {count}" for status, count in table.statuses.most_common(8))


def summary(found: Annotations, table: FaceTable) -> list[str]:
    """Lines for people: rows read, faces, statuses, faces per split and class beside the published, duplicates."""
    rows, good = sum(table.statuses.values()), table.statuses[OK]
    lines = [f"{rows} rows read, {good} faces written"]
    if rows > good:
        lines.append(f"left out: {', '.join(f'{s} {n}' for s, n in table.statuses.most_common() if s != OK)}")
    for split in table.splits:
        counts = table.counts[split]
        per_class = ", ".join(f"{name} {counts[name]}" for name in table.classes)
        lines.append(f"{split} {counts.total()}: {per_class}")
        if table.duplicates[split]:
            lines.append(f"{split}: {table.duplicates[split]} faces equal one of training"
                         + (", test_clean is without them" if split == "test" else ""))
    for split, published in found.published.items():
        drawn = ("validation",) if split == "train" and table.drawn else ()
        counts = sum((table.counts.get(part, Counter()) for part in (split, *drawn)), Counter())
        if any(counts[name] != number for name, number in published.items() if name in table.classes):
            lines.append(f"published {split}: {', '.join(f'{name} {number}' for name, number in published.items())}")
    return [*lines, *found.notes]


def write_rows(table: FaceTable, path: Path) -> None:
    """Every row but its pixels, in the order of the annotations."""
    fields = [field for field in faces.SCHEMA if field.name != "face"]
    schema = pyarrow.schema([*fields, pyarrow.field("duplicate", pyarrow.bool_())])
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        rows = table.rows([field.name for field in fields])
        while part := list(itertools.islice(rows, 10_000)):
            writer.write_table(pyarrow.Table.from_pylist(part, schema=schema))


def _drawn_lots(rows: Iterator[dict], count: int = 12) -> list[dict]:
    """Some rows, by a digest of their ids: random, and the same in every run."""
    return heapq.nsmallest(count, rows, key=lambda row: hashlib.blake2b(row["id"].encode(), digest_size=8).digest())


def some_faces(table: FaceTable) -> dict[str, list[np.ndarray]]:
    """Some faces of each emotion, for a contact sheet."""
    chosen = {name: _drawn_lots(row for row in table.rows(_SHOWN) if row["status"] == OK and row["emotion"] == name)
              for name in table.classes}
    return {name: [np.asarray(Image.open(io.BytesIO(row["face"]))) for row in rows] for name, rows in chosen.items()}


def some_failures(table: FaceTable, found: Annotations) -> dict[str, list[np.ndarray]]:
    """Some pictures of each status that is not OK, for a contact sheet."""
    sheets = {}
    for status, count in table.statuses.most_common(12):
        if status != OK:
            rows = _drawn_lots(row for row in table.rows(_SHOWN) if row["status"] == status)
            sheets[f"{status}: {count}"] = [_thumbnail(found.root, row["picture"]) for row in rows]
    return sheets or {"no failures": []}


def _thumbnail(root: Path, picture: str) -> np.ndarray:
    try:
        return photos.read(photos.inside(root, picture))
    except ValueError:
        return np.full((8, 8), 128, np.uint8)     # cannot be shown: a grey square
