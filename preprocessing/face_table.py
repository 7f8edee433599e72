"""The chunk files of a preparation as one table: final splits, duplicates, counts and sample images."""

import array
import dataclasses
import hashlib
import heapq
import io
import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
from PIL import Image
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from edram_fer.errors import UserError
from edram_fer.preprocessing import contact_sheet, counts, face_chunks, image_paths, photos, splits
from edram_fer.preprocessing.records import OK, Annotations

_SUMMARY_COLUMNS = ("split", "emotion", "status")
_LIGHT = (*_SUMMARY_COLUMNS, "digest", "image_digest", "subject")
_SAMPLE_COLUMNS = ("image", "face")
_DRAWN = ("", "validation", "test")  # the splits that can be drawn from training, at the positions in `_flags`
_DUPLICATE = 4  # flag: equal to a training face, or from an equal image
_SAME_BOX = 0.5  # overlap (IoU) below which a detected and an annotated box are reported as different


@dataclasses.dataclass(frozen=True)
class SplitSettings:
    """How the faces are divided into splits.

    If a data set has "train" but no "validation" or no "test", shares of its training faces become these splits. The
    selection is stratified by class (`splits.stratified`) and a function of the seed, the pixels and the subjects:
    equal faces, faces from equal images and all faces of a subject are always in the same split.

    Attributes:
        validation: the share of validation, in [0, 1).
        seed: seed of the selection.
        test: the share of test, in [0, 1).
    """

    validation: float = 0.05
    seed: int = 0
    test: float = 0.0

    def __post_init__(self) -> None:
        for name in ("validation", "test"):
            share = getattr(self, name)
            if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share < 1:
                raise UserError(f"{name}: expected a share in [0, 1), got {share!r}")
        if self.validation + self.test >= 1:
            raise UserError(
                f"validation and test: expected shares below 1 in total, got {self.validation + self.test:g}"
            )


class _TrainingFaces:
    """The training faces and their source images, each represented by eight bytes of its digest.

    Args:
        faces, images: these numbers [n] for the faces and for their images, in the same order.
        subjects: a number [n] for the subject of each face; 0 if it is unknown.
        classes: the label [n] of each face.
    """

    def __init__(
        self,
        faces: "array.array[int]",
        images: "array.array[int]",
        subjects: "array.array[int]",
        classes: "array.array[int]",
    ) -> None:
        self.faces, face = np.unique(np.frombuffer(faces, np.uint64), return_inverse=True)
        self.images, self._image = np.unique(np.frombuffer(images, np.uint64), return_inverse=True)
        self.classes, persons = np.frombuffer(classes, np.int32), np.frombuffer(subjects, np.uint64)
        known = np.flatnonzero(persons)
        subject_numbers, subject = np.unique(persons[known], return_inverse=True)
        # A graph whose nodes are images, faces and subjects; what is connected must stay together.
        first_subject = len(self.images) + len(self.faces)
        ends = np.concatenate([len(self.images) + face, first_subject + subject])
        starts = np.concatenate([self._image, self._image[known]])
        count = first_subject + len(subject_numbers)
        links = coo_matrix((np.ones(len(ends), bool), (starts, ends)), (count, count))
        group = connected_components(links, directed=False)[1][: len(self.images)]
        smallest = np.full(group.max(initial=-1) + 1, np.iinfo(np.uint64).max, np.uint64)
        np.minimum.at(smallest, group, self.images)
        self.group = smallest[group]  # the same number for all images that are connected

    def contain(self, row: dict[str, Any]) -> bool:
        """Whether the face of a row, or its image, is among them."""
        return any(
            numbers[_position(numbers, _number(row[name]))] == _number(row[name])
            for numbers, name in ((self.faces, "digest"), (self.images, "image_digest"))
            if len(numbers)
        )

    def draw(self, shares: dict[str, float], seed: int) -> dict[int, str]:
        """Group -> split, for the groups that leave "train"; see `splits.stratified`."""
        return splits.stratified(self.group[self._image], self.classes, shares, seed)

    def group_of(self, row: dict[str, Any]) -> int:
        """A number that is the same for all training faces that must be in the same split as the face of a row."""
        return int(self.group[_position(self.images, _number(row["image_digest"]))])


def _number(digest: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(digest[-8:]))


def _subject_number(subject: str | None) -> int:
    """A number for a subject, 0 for an unknown one."""
    return int.from_bytes(hashlib.blake2b(subject.encode(), digest_size=8).digest()) or 1 if subject else 0


def _position(numbers: np.ndarray, number: np.uint64) -> int:
    """The position of a number among sorted numbers, if it is one of them."""
    return min(int(np.searchsorted(numbers, number)), len(numbers) - 1)


class FaceTable:
    """All rows of the chunk files with their final split and status. In memory it holds a few bytes per row.

    Args:
        chunks: files of `face_chunks.process`.
        classes: emotions that are labels; a row with another emotion gets a status that says so.
        split_settings: how validation and test are selected.

    Attributes:
        splits: their names, in order.
        counts: {split: {emotion: faces}}.
        statuses: {status: rows}.
        duplicates: {split: number of faces that equal a training face, or are from an image that equals a training
            image}.
        repeated: number of faces that equal an earlier face, of any split.
        clean: whether the test faces without duplicates form a separate split.
        drawn: the splits that were selected from training.
        not_drawn: the splits for which there are too few training faces.
        subjects: number of subjects.
        straddling: number of subjects that occur in more than one split.
        annotated: {split: {emotion or None: rows}} of all annotations, usable or not, by the annotated splits.
    """

    def __init__(self, chunks: Sequence[Path], classes: Sequence[str], split_settings: SplitSettings) -> None:
        self.chunks, self.classes, self.split_settings = chunks, classes, split_settings
        self.annotated = defaultdict(Counter)
        split_subjects = self._read_training()
        subject_splits = Counter(itertools.chain.from_iterable(split_subjects.values()))
        self.subjects = len(subject_splits.keys() - {0})
        self.straddling = sum(count > 1 for subject, count in subject_splits.items() if subject)
        shares = {name: getattr(split_settings, name) for name in _DRAWN[1:] if name not in split_subjects}
        shares = {name: share for name, share in shares.items() if share and "train" in split_subjects}
        self._groups = self._training.draw(shares, split_settings.seed)
        self.drawn = tuple(shares) if self._groups else ()
        self.not_drawn = () if self._groups else tuple(shares)
        self._flags = bytearray(self._row_flags(row) for row in face_chunks.read_chunks(chunks, _LIGHT))
        self.counts: dict[str, Counter[str]] = {}
        self.statuses, self.duplicates = Counter(), Counter()
        for row in self.rows(_SUMMARY_COLUMNS):
            self.statuses[row["status"]] += 1
            if row["status"] == OK:
                self.counts.setdefault(row["split"], Counter())[row["emotion"]] += 1
                self.duplicates[row["split"]] += row["duplicate"]
        self.clean = 0 < self.duplicates["test"] < self.counts.get("test", Counter()).total()
        order = [split for split in ("train", "validation", "test") if split in self.counts]
        self.splits = [*order, *sorted(set(self.counts) - set(order))]

    def _read_training(self) -> dict[str, set[int]]:
        """Read all rows once: count annotations and repeated faces, keep the training faces.

        Returns:
            Annotated split of usable faces -> the numbers of its subjects.
        """
        split_subjects, previous, all_faces = defaultdict(set), object(), array.array("Q")
        digests, images, subjects, labels = (array.array(kind) for kind in "QQQi")
        for row in face_chunks.read_chunks(self.chunks, (*_LIGHT, "row")):
            if row["row"] != previous:  # the faces of one annotation are consecutive
                self.annotated[row["split"]][row["emotion"]] += 1
            previous = row["row"]
            if self._status(row) != OK:
                continue
            subject = _subject_number(row["subject"])
            split_subjects[row["split"]].add(subject)
            all_faces.append(int(_number(row["digest"])))
            if row["split"] == "train":
                digests.append(all_faces[-1])
                images.append(int(_number(row["image_digest"])))
                subjects.append(subject)
                labels.append(self.classes.index(row["emotion"]))
        self._training = _TrainingFaces(digests, images, subjects, labels)
        self.repeated = len(all_faces) - len(np.unique(np.frombuffer(all_faces, np.uint64)))
        return split_subjects

    def __len__(self) -> int:
        """Number of rows of any status."""
        return len(self._flags)

    def rows(
        self,
        columns: Sequence[str] | None = None,
        chosen: Callable[[dict[str, Any]], bool] = lambda row: True,
    ) -> Iterator[dict[str, Any]]:
        """Iterate over the rows in their order.

        Args:
            columns: None for all, or some columns including "split", "emotion" and "status".
            chosen: whether to yield a row; called with these three columns and "duplicate". The faces of other rows are
                not decoded.

        Yields:
            the columns with final "split" and "status", and "duplicate", true for a face outside training that equals a
            training face, or is from an equal image.
        """
        start = 0
        for path in self.chunks:
            part = pyarrow.parquet.read_table(path, columns=None if columns is None else list(columns))
            summaries = [
                self._final(row, self._flags[position])
                for position, row in enumerate(part.select(_SUMMARY_COLUMNS).to_pylist(), start)
            ]
            start += len(summaries)
            positions = [position for position, row in enumerate(summaries) if chosen(row)]
            complete = len(positions) == len(summaries)
            selected = part if complete else part.take(pyarrow.array(positions, pyarrow.int64()))
            for position, row in zip(positions, selected.to_pylist()):
                yield row | summaries[position]

    def _final(self, row: dict[str, Any], flags: int) -> dict[str, Any]:
        split = _DRAWN[flags & ~_DUPLICATE] or row["split"]
        return {**row, "split": split, "status": self._status(row), "duplicate": bool(flags & _DUPLICATE)}

    def _row_flags(self, row: dict[str, Any]) -> int:
        """The position of a drawn split in _DRAWN, _DUPLICATE or 0; known only after all faces have been read."""
        if row["digest"] is None:
            return 0
        if row["split"] != "train":
            return _DUPLICATE * self._training.contain(row)
        usable = self._groups and self._status(row) == OK
        return _DRAWN.index(self._groups.get(self._training.group_of(row), "")) if usable else 0

    def _status(self, row: dict[str, Any]) -> str:
        if row["status"] == OK and row["emotion"] not in self.classes:
            return f"label {row['emotion']}, not among the {len(self.classes)} classes"
        return row["status"]


def describe_excluded(table: FaceTable) -> str:
    """Why rows cannot be used, with the numbers of rows, in one line."""
    return ", ".join(f"{reason} {count}" for reason, count in counts.reasons(table.statuses))


def summary(annotations: Annotations, table: FaceTable) -> list[str]:
    """Lines to print: rows read, faces, statuses, faces per split and class, duplicates, published counts, notes."""
    rows = sum(classes.total() for classes in table.annotated.values())
    lines = [f"{rows} rows read, {table.statuses[OK]} faces written"]
    if table.repeated:
        lines.append(f"{table.repeated} faces equal an earlier one, of the same or another split")
    if excluded := describe_excluded(table):
        lines.append(f"left out: {excluded}")
    if table.drawn:
        lines.append(
            f"drawn from train: {' and '.join(table.drawn)}, stratified by class"
            + (", no subject in two of them" if table.subjects else "")
        )
    if table.not_drawn:
        lines.append(
            f"WARNING: too few different images or subjects to draw {' and '.join(table.not_drawn)} from train"
        )
    if table.straddling:
        lines.append(f"WARNING: {table.straddling} subjects occur in more than one of the data set's splits")
    for split in table.splits:
        classes = table.counts[split]
        per_class = ", ".join(f"{name} {classes[name]}" for name in table.classes)
        lines.append(f"{split} {classes.total()}: {per_class}")
        if table.duplicates[split]:
            lines.append(
                f"{split}: {table.duplicates[split]} faces, or their images, equal a training face or image"
                + ("; test_clean excludes them" if split == "test" and table.clean else "")
            )
    lines += _box_agreement(table)
    return [*lines, *counts.compare_with_published(annotations, table.annotated), *annotations.notes]


def _box_agreement(table: FaceTable) -> Iterator[str]:
    """How well the annotated boxes agree with the detector that checked them."""
    overlaps = np.array(
        [
            row["annotation_iou"]
            for row in face_chunks.read_chunks(table.chunks, ["annotation_iou"])
            if row["annotation_iou"] is not None
        ],
        np.float32,
    )
    if len(overlaps):
        low = int((overlaps < _SAME_BOX).sum())
        yield (
            f"annotated boxes compared with detected boxes in {len(overlaps):,} images: median overlap (IoU) "
            f"{np.median(overlaps):.2f}, below {_SAME_BOX:g} in {low:,}, none in {int((overlaps == 0).sum()):,}"
        )


def write_rows(table: FaceTable, path: Path) -> None:
    """Write every row without its pixels, in the order of the annotations, as a Parquet file."""
    fields = [field for field in face_chunks.SCHEMA if field.name != "face"]
    schema = pyarrow.schema([*fields, pyarrow.field("duplicate", pyarrow.bool_())])
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        rows = table.rows([field.name for field in fields])
        while part := list(itertools.islice(rows, 10_000)):
            writer.write_table(pyarrow.Table.from_pylist(part, schema=schema))


def _sample(
    table: FaceTable, key: Callable[[dict[str, Any]], str | None], most: int = 12
) -> dict[str, list[dict[str, Any]]]:
    """Up to `most` rows for each value of `key` except None: the rows whose ids have the smallest digests.

    The selection is random but the same in every run. It takes one pass over the small columns; images are read only
    for the selected rows.
    """
    heaps = defaultdict(list)  # the largest digest on top
    for position, row in enumerate(table.rows((*_SUMMARY_COLUMNS, "id"))):
        if (name := key(row)) is not None:
            digest = int.from_bytes(hashlib.blake2b(row["id"].encode(), digest_size=8).digest())
            push = heapq.heappush if len(heaps[name]) < most else heapq.heappushpop
            push(heaps[name], (-digest, position))
    rows = dict(_rows_at(table.chunks, {position for heap in heaps.values() for _, position in heap}))
    return {name: [rows[position] for _, position in sorted(heap, reverse=True)] for name, heap in heaps.items()}


def _rows_at(chunks: Sequence[Path], positions: set[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """(position, _SAMPLE_COLUMNS) of some rows; positions are counted through all chunk files."""
    start = 0
    for path in chunks:
        end = start + pyarrow.parquet.read_metadata(path).num_rows
        positions_here = sorted(position for position in positions if start <= position < end)
        if positions_here:
            part = pyarrow.parquet.read_table(path, columns=list(_SAMPLE_COLUMNS))
            yield from zip(positions_here, part.take([position - start for position in positions_here]).to_pylist())
        start = end


def some_faces(table: FaceTable) -> dict[str, list[np.ndarray]]:
    """{emotion: some of its faces}, for a contact sheet."""
    samples = _sample(table, lambda row: row["emotion"] if row["status"] == OK else None)
    return {
        name: [np.asarray(Image.open(io.BytesIO(row["face"]))) for row in samples.get(name, [])]
        for name in table.classes
    }


def some_failures(table: FaceTable, annotations: Annotations) -> dict[str, list[np.ndarray]]:
    """{reason why rows have no face: some of their images}, most frequent reasons first, for a contact sheet."""
    frequent = dict(itertools.islice(counts.status_groups(table.statuses).items(), 12))
    reasons = {status: reason for reason, kind in frequent.items() for status in kind}
    samples = _sample(table, lambda row: reasons.get(row["status"]))
    return {
        f"{reason}: {kind.total()}": [_thumbnail(annotations.root, row["image"]) for row in samples[reason]]
        for reason, kind in frequent.items()
    } or {"no failures": []}


def _thumbnail(root: Path, image: str) -> np.ndarray:
    """A thumbnail of an image for a contact sheet; a grey square if the image cannot be read."""
    try:
        return contact_sheet.thumbnail(photos.read(image_paths.path_inside(root, image)))
    except photos.PhotoError:
        return np.full((8, 8), 128, np.uint8)
