"""The faces that a preparation has made, as one table: final splits, duplicates, counts, and what people look at."""

import array
import dataclasses
import hashlib
import heapq
import io
import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
from PIL import Image
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from edram_fer.errors import UserError
from edram_fer.preprocessing import contact_sheet, counts, faces, photos
from edram_fer.preprocessing.records import OK, Annotations

_SUMMARY_COLUMNS = ("split", "emotion", "status")
_LIGHT = (*_SUMMARY_COLUMNS, "digest", "image_digest")
_SHOWN = ("image", "face")
_VALIDATION, _DUPLICATE = 1, 2  # drawn from training; equal to a face or of an image of training
_ANNOTATED = (*_LIGHT, "row")
_AGREED = 0.5  # overlap below which a detector's and an annotation's box are told to differ


@dataclasses.dataclass(frozen=True)
class SplitSettings:
    """How the faces are divided among the splits.

    A data set that has "train" but no "validation" gives a share of its training faces to validation. Which ones is a
    function of (seed, pixels): equal faces, and faces of equal images, are never on both sides.

    Attributes:
        validation: that share, in [0, 1).
        seed: of the choice.
    """

    validation: float = 0.05
    seed: int = 0

    def __post_init__(self):
        if not 0 <= self.validation < 1:
            raise UserError(f"validation: expected a share in [0, 1), got {self.validation!r}")

    def is_validation(self, digest: bytes) -> bool:
        number = hashlib.blake2b(digest, digest_size=8, key=str(self.seed).encode()).digest()
        return int.from_bytes(number) < self.validation * 2**64


class _Training:
    """Training's faces and the images that they were cut from, as numbers: eight bytes of their digests.

    Args:
        faces, images: numbers [n] of the faces and of their images, in the same order.
    """

    def __init__(self, faces: array.array, images: array.array):
        self.faces, face = np.unique(np.frombuffer(faces, np.uint64), return_inverse=True)
        self.images, image = np.unique(np.frombuffer(images, np.uint64), return_inverse=True)
        count = len(self.faces) + len(self.images)
        links = coo_matrix((np.ones(len(face), bool), (face, len(self.faces) + image)), (count, count))
        group = connected_components(links, directed=False)[1][len(self.faces) :]
        smallest = np.full(group.max(initial=-1) + 1, np.iinfo(np.uint64).max, np.uint64)
        np.minimum.at(smallest, group, self.images)
        self.group = smallest[group]  # one number for all images that share a face, and all that these share, ...

    def holds(self, row: dict) -> bool:
        """Whether a face or its image is one of training."""
        return any(
            known[_place(known, _number(row[name]))] == _number(row[name])
            for known, name in ((self.faces, "digest"), (self.images, "image_digest"))
            if len(known)
        )

    def lot(self, row: dict) -> bytes:
        """What decides on the side of a training face: the same for all that must not be parted from it."""
        return int(self.group[_place(self.images, _number(row["image_digest"]))]).to_bytes(8)


def _number(digest: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(digest[-8:]))


def _place(known: np.ndarray, number: np.uint64) -> int:
    return min(np.searchsorted(known, number), len(known) - 1)


class FaceTable:
    """All rows of the chunk files with their final split and status. Holds some bytes of each row only.

    Attributes: `splits`; `counts` {split: {emotion: faces}}; `statuses` {status: rows}; `duplicates` {split: faces that
    equal one of training, or are of an equal image}; `repeated`, faces that equal one before them, of any split;
    `clean`, whether the test faces without these are a split of their own; `drawn`, whether
    validation was drawn from training; `annotated` {split: {emotion or None: rows}} of all annotations, usable or not,
    in the splits that they name.

    Args:
        chunks: files of `faces.process`.
        classes: emotions that are labels; a row with another one gets a status that says so.
        split_settings: see there.
    """

    def __init__(self, chunks: Sequence[Path], classes: Sequence[str], split_settings: SplitSettings):
        self.chunks, self.classes, self.split_settings = chunks, classes, split_settings
        named, self.annotated, last = set(), defaultdict(Counter), object()
        every, training = array.array("Q"), (array.array("Q"), array.array("Q"))
        for row in faces.read_chunks(chunks, _ANNOTATED):
            if row["row"] != last:  # several faces of one annotation stand together
                self.annotated[row["split"]][row["emotion"]] += 1
            last = row["row"]
            if self._status(row) == OK:
                named.add(row["split"])
                every.append(_number(row["digest"]))
                if row["split"] == "train":
                    training[0].append(_number(row["digest"]))
                    training[1].append(_number(row["image_digest"]))
        self._training = _Training(*training)
        self.repeated = len(every) - len(np.unique(np.frombuffer(every, np.uint64)))
        self.drawn = "train" in named and "validation" not in named and split_settings.validation > 0
        self._sides = bytearray(self._side(row) for row in faces.read_chunks(chunks, _LIGHT))
        self.counts: dict[str, Counter] = {}
        self.statuses, self.duplicates = Counter(), Counter()
        for row in self.rows(_SUMMARY_COLUMNS):
            self.statuses[row["status"]] += 1
            if row["status"] == OK:
                self.counts.setdefault(row["split"], Counter())[row["emotion"]] += 1
                self.duplicates[row["split"]] += row["duplicate"]
        self.clean = 0 < self.duplicates["test"] < self.counts.get("test", Counter()).total()
        order = [split for split in ("train", "validation", "test") if split in self.counts]
        self.splits = [*order, *sorted(set(self.counts) - set(order))]

    def __len__(self) -> int:
        """Number of rows, whatever their status."""
        return len(self._sides)

    def rows(
        self,
        columns: Sequence[str] | None = None,
        chosen: Callable[[dict], bool] = lambda row: True,
    ) -> Iterator[dict]:
        """Rows in their order, "split" and "status" final, and "duplicate": not of training, and equal to one of it.

        `columns`: None for all, or some with "split", "emotion" and "status" among them; `chosen`: told these three and
            "duplicate", whether a row is wanted. The others' faces are not unpacked.
        """
        start = 0
        for path in self.chunks:
            part = pyarrow.parquet.read_table(path, columns=None if columns is None else list(columns))
            told = [
                self._final(row, self._sides[place])
                for place, row in enumerate(part.select(_SUMMARY_COLUMNS).to_pylist(), start)
            ]
            start += len(told)
            places = [place for place, row in enumerate(told) if chosen(row)]
            wanted = part if len(places) == len(told) else part.take(pyarrow.array(places, pyarrow.int64()))
            for place, row in zip(places, wanted.to_pylist()):
                yield row | told[place]

    def _final(self, row: dict, side: int) -> dict:
        split = "validation" if side & _VALIDATION else row["split"]
        return {**row, "split": split, "status": self._status(row), "duplicate": bool(side & _DUPLICATE)}

    def _side(self, row: dict) -> int:
        """What only the digests of all faces tell of a row, as flags."""
        if row["digest"] is None:
            return 0
        if row["split"] != "train":
            return _DUPLICATE * self._training.holds(row)
        drawn = self.drawn and self._status(row) == OK
        return _VALIDATION * (drawn and self.split_settings.is_validation(self._training.lot(row)))

    def _status(self, row: dict) -> str:
        if row["status"] == OK and row["emotion"] not in self.classes:
            return f"label {row['emotion']}, not among the {len(self.classes)} classes"
        return row["status"]


def listed(table: FaceTable) -> str:
    """Why rows cannot be used, with their numbers, in a line."""
    return ", ".join(f"{why} {count}" for why, count in counts.reasons(table.statuses))


def summary(found: Annotations, table: FaceTable) -> list[str]:
    """Lines for people: rows read, faces, statuses, faces per split and class beside the published, duplicates."""
    rows = sum(classes.total() for classes in table.annotated.values())
    lines = [f"{rows} rows read, {table.statuses[OK]} faces written"]
    if table.repeated:
        lines.append(f"{table.repeated} faces equal one before them, of the same or another split")
    if excluded := listed(table):
        lines.append(f"left out: {excluded}")
    for split in table.splits:
        classes = table.counts[split]
        per_class = ", ".join(f"{name} {classes[name]}" for name in table.classes)
        lines.append(f"{split} {classes.total()}: {per_class}")
        if table.duplicates[split]:
            lines.append(
                f"{split}: {table.duplicates[split]} faces, or their images, equal one of training"
                + (", test_clean is without them" if split == "test" and table.clean else "")
            )
    lines += _check(table)
    return [*lines, *counts.compare_with_published(found, table.annotated), *found.notes]


def _check(table: FaceTable) -> Iterator[str]:
    """How the boxes of the annotations agree with those of the detector that was asked to check them."""
    overlaps = np.array(
        [
            row["annotation_iou"]
            for row in faces.read_chunks(table.chunks, ["annotation_iou"])
            if row["annotation_iou"] is not None
        ],
        np.float32,
    )
    if len(overlaps):
        low = int((overlaps < _AGREED).sum())
        yield (
            f"given boxes against the detector's in {len(overlaps):,} images: median overlap (IoU) "
            f"{np.median(overlaps):.2f}, below {_AGREED:g} in {low:,}, none in {int((overlaps == 0).sum()):,}"
        )


def write_rows(table: FaceTable, path: Path) -> None:
    """Every row but its pixels, in the order of the annotations."""
    fields = [field for field in faces.SCHEMA if field.name != "face"]
    schema = pyarrow.schema([*fields, pyarrow.field("duplicate", pyarrow.bool_())])
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        rows = table.rows([field.name for field in fields])
        while part := list(itertools.islice(rows, 10_000)):
            writer.write_table(pyarrow.Table.from_pylist(part, schema=schema))


def _drawn_lots(table: FaceTable, key: Callable[[dict], str | None], most: int = 12) -> dict[str, list[dict]]:
    """Some rows for each value of `key` but None, by a digest of their ids: random, and the same in every run.

    One pass over the light columns; images are read of the chosen rows only.
    """
    lots = defaultdict(list)  # heaps with the greatest digest on top
    for place, row in enumerate(table.rows((*_SUMMARY_COLUMNS, "id"))):
        if (name := key(row)) is not None:
            digest = int.from_bytes(hashlib.blake2b(row["id"].encode(), digest_size=8).digest())
            push = heapq.heappush if len(lots[name]) < most else heapq.heappushpop
            push(lots[name], (-digest, place))
    rows = dict(_rows_at(table.chunks, {place for heap in lots.values() for _, place in heap}))
    return {name: [rows[place] for _, place in sorted(heap, reverse=True)] for name, heap in lots.items()}


def _rows_at(chunks: Sequence[Path], places: set[int]) -> Iterator[tuple[int, dict]]:
    """The rows at some places of all chunk files, counted through, with what people look at."""
    start = 0
    for path in chunks:
        end = start + pyarrow.parquet.read_metadata(path).num_rows
        here = [place for place in range(start, end) if place in places]
        if here:
            part = pyarrow.parquet.read_table(path, columns=list(_SHOWN)).take([place - start for place in here])
            yield from zip(here, part.to_pylist())
        start = end


def some_faces(table: FaceTable) -> dict[str, list[np.ndarray]]:
    """Some faces of each emotion, for a contact sheet."""
    chosen = _drawn_lots(table, lambda row: row["emotion"] if row["status"] == OK else None)
    return {
        name: [np.asarray(Image.open(io.BytesIO(row["face"]))) for row in chosen.get(name, [])]
        for name in table.classes
    }


def some_failures(table: FaceTable, found: Annotations) -> dict[str, list[np.ndarray]]:
    """Some images of each of the most frequent reasons why rows have no face, for a contact sheet."""
    frequent = dict(itertools.islice(counts.status_groups(table.statuses).items(), 12))
    reasons = {status: why for why, kind in frequent.items() for status in kind}
    chosen = _drawn_lots(table, lambda row: reasons.get(row["status"]))
    return {
        f"{why}: {kind.total()}": [_thumbnail(found.root, row["image"]) for row in chosen[why]]
        for why, kind in frequent.items()
    } or {"no failures": []}


def _thumbnail(root: Path, image: str) -> np.ndarray:
    try:
        return contact_sheet.fitted(photos.read(photos.inside(root, image)))
    except ValueError:
        return np.full((8, 8), 128, np.uint8)  # cannot be shown: a grey square
