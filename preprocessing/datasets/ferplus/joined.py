"""Join FERPlus' labels with FER2013's pixels: locate the files, join them by row number, split and count.

Does not need TensorFlow.
"""

import collections
import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edram_fer.errors import MissingFileError, UserError
from edram_fer.preprocessing import emotions, records
from edram_fer.preprocessing.datasets.fer2013 import layouts, published, table
from edram_fer.preprocessing.datasets.ferplus import labels, subsets
from edram_fer.preprocessing.readers import Location

PIXELS = ("fer2013.csv", "icml_face_data.csv")  # the first that exists is used; both contain the same rows
VOTES = "fer2013new.csv"
ROWS = {  # labelled rows of train, validation and test in the published files
    "majority": (25060, 3199, 3153),
    "probability": (27956, 3505, 3505),
    "multi_target": (27671, 3472, 3472),
    "argmax": (28389, 3553, 3546),
}
# Counts of the test labels in the mode majority.
MAJORITY = dict(
    zip(
        ("neutral", "happy", "surprise", "sad", "anger", "disgust", "fear", "contempt"),
        (1090, 893, 396, 384, 273, 18, 83, 16),
    )
)
LISTS = {"test_occlusion": 605, "test_pose30": 1170, "test_pose45": 633}


class Source(NamedTuple):
    """The files of FERPlus.

    Attributes:
        pixels: location of FER2013's csv file.
        votes: path of fer2013new.csv.
        lists: split -> path of its list.
    """

    pixels: Location
    votes: Path
    lists: dict[str, Path]

    @property
    def files(self) -> tuple[Path, ...]:
        """All files, in reading order."""
        return *self.pixels.files, self.votes, *self.lists.values()


@dataclasses.dataclass(frozen=True)
class Joined:
    """All n faces of FER2013 with their labels in FERPlus.

    Attributes:
        source: the files.
        mode: one of `labels.MODES`.
        faces: pixels and FER2013's labels.
        rows: int [n], the row of the labels for each face.
        labels: FERPlus' labels, one row for each row of fer2013.csv.
        lists: split -> rows of the labels, int [m].
    """

    source: Source
    mode: str
    faces: table.Faces
    rows: np.ndarray
    labels: labels.Labels
    lists: Mapping[str, np.ndarray]

    @property
    def emotions(self) -> np.ndarray:
        """Canonical names, text [n]; "" without a label."""
        return self.labels.emotions[self.rows]

    @property
    def rejected(self) -> list[table.Rejected]:
        """The rows without pixels and those without a label, with the reason."""
        unlabelled = [
            table.Rejected(str(self.source.votes), str(row), self.labels.statuses[row])
            for row in self.rows.tolist()
            if self.labels.statuses[row] != records.OK
        ]
        return self.faces.rejected + unlabelled


def locate(source: Path | str) -> Source:
    """Find fer2013.csv (or icml_face_data.csv), fer2013new.csv and, if they exist, the three lists.

    Args:
        source: a folder that contains the files up to two levels down.

    Raises:
        MissingFileError: `source` is not a folder.
        UserError: a file is missing or occurs more than once.
    """
    folder = Path(source).expanduser()
    if not folder.is_dir():
        raise MissingFileError(f"FERPlus source {folder} is not a folder; expected one with {PIXELS[0]} and {VOTES}")
    pixels = next((path for path in (_find_file(folder, name) for name in PIXELS) if path), None)
    if pixels is None:
        raise UserError(
            f"no {' or '.join(PIXELS)} in {folder}, up to two levels down. FERPlus is joined to FER2013 "
            f"by row number, which Kaggle's train.csv and folders of images do not keep"
        )
    votes = _find_file(folder, VOTES)
    if votes is None:
        raise UserError(f"no {VOTES} in {folder}, up to two levels down; it is in github.com/microsoft/FERPlus")
    lists = {split: path for split, name in subsets.LISTS.items() if (path := _find_file(folder, name))}
    return Source(Location(layouts.csv_layout(pixels), pixels.parent, (pixels,)), votes, lists)


def _find_file(folder: Path, name: str) -> Path | None:
    """The only file of that name in a folder or up to two levels below; None if there is none."""
    paths = [path for levels in ("", "*/", "*/*/") for path in sorted(folder.glob(levels + name))]
    if len(paths) > 1:
        raise UserError(f"{folder} holds {name} more than once, expected one: {', '.join(map(str, paths))}")
    return paths[0] if paths else None


def fingerprint(source: Path | str | Source) -> str:
    """SHA-256 of the names and contents of all files that are read.

    Args:
        source: see `locate`, or its result.
    """
    digest = hashlib.sha256()
    for path in (source if isinstance(source, Source) else locate(source)).files:
        with open(path, "rb") as file:
            digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def read(source: Path | str | Source, mode: str) -> Joined:
    """Read and join all files.

    Args:
        source: see `locate`, or its result.
        mode: one of `labels.MODES`.

    Raises:
        UserError: a file does not have the expected content, or the two csv files differ in the number of rows or in
            the Usage of a row.
    """
    source = source if isinstance(source, Source) else locate(source)
    faces = table.read(source.pixels)
    rows = np.array([int(name.rpartition("-")[2]) for name in faces.ids])  # rejected rows are missing
    votes = labels.read(source.votes, rows=len(faces.ids) + len(faces.rejected))
    differing = np.flatnonzero(votes.usages[rows] != faces.usages)
    if differing.size:
        row = rows[differing[0]]
        raise UserError(
            f"{source.votes}: row {row} is {votes.usages[row]}, but {faces.usages[differing[0]]} in "
            f"{source.pixels.files[0]}; both files must have their rows in the same order"
        )
    lists = {split: subsets.read(path, votes) for split, path in source.lists.items()}
    return Joined(source, mode, faces, rows, labels.label(votes, mode), lists)


def splits(joined: Joined) -> dict[str, np.ndarray]:
    """Split -> indices of labelled faces, int [m], in the order of the source; empty splits are omitted.

    The splits are FER2013's splits, and the three lists as parts of test.
    """
    indices = published.splits(joined.faces)
    indices |= {split: np.flatnonzero(np.isin(joined.rows, rows)) for split, rows in joined.lists.items()}
    labelled = joined.emotions != ""
    return {split: faces[labelled[faces]] for split, faces in indices.items() if labelled[faces].any()}


def summary(joined: Joined) -> dict[str, Any]:
    """All counts of a copy, ready for JSON, with differences from the published counts."""
    names, labelled = joined.emotions, joined.emotions != ""
    statuses = collections.Counter(joined.labels.statuses)
    split_counts = {
        split: {"rows": len(faces), "classes": _count_classes(names[faces])} for split, faces in splits(joined).items()
    }
    return {
        "mode": joined.mode,
        "rows": len(joined.labels.statuses),
        "excluded": {status: count for status, count in statuses.items() if status != records.OK},
        "faults": len(joined.faces.faults),
        "splits": split_counts,
        "agreement": float(np.mean((names == joined.faces.emotions)[labelled])) if labelled.any() else 0.0,
        "differences": _differences(joined, split_counts),
    }


def _differences(joined: Joined, split_counts: Mapping[str, dict[str, Any]]) -> list[str]:
    """Deviations from the published counts, each as "subject: count, published ..."; empty if all agree."""
    empty = {"rows": 0, "classes": dict.fromkeys(emotions.EIGHT, 0)}
    triples = [
        (split, split_counts.get(split, empty)["rows"], published_count)
        for split, published_count in zip(("train", "validation", "test"), ROWS[joined.mode])
    ]
    if joined.mode == "majority":
        classes = split_counts.get("test", empty)["classes"]
        triples += [(f"test {name}", classes[name], published_count) for name, published_count in MAJORITY.items()]
    triples += [(f"rows in the list of {split}", len(rows), LISTS[split]) for split, rows in joined.lists.items()]
    return [
        f"{subject}: {count:,}, published {published_count:,}"
        for subject, count, published_count in triples
        if count != published_count
    ]


def _count_classes(names: np.ndarray) -> dict[str, int]:
    counts = collections.Counter(names.tolist())
    return {name: counts[name] for name in emotions.EIGHT}


def report(counts: Mapping[str, Any]) -> list[str]:
    """The `summary` in a few lines of text."""
    rows = ", ".join(f"{split} {part['rows']:,}" for split, part in counts["splits"].items())
    excluded = sorted(counts["excluded"].items(), key=lambda item: -item[1])
    lines = [
        f"FERPlus, {counts['mode']} labels: {rows}",
        "left out: " + (", ".join(f"{status} {count:,}" for status, count in excluded[:6]) or "nothing"),
        f"{counts['agreement']:.0%} of the labels equal those of FER2013",
    ]
    if counts["agreement"] < 0.5:  # two thirds in the published files; a fifth if the rows are shifted
        lines.append(
            "WARNING: labels and images do not seem to belong together; are both files in their original order?"
        )
    if counts["faults"]:
        lines.append(f"WARNING: {counts['faults']:,} FAULTY ROWS of the pixels are left out; see rejected.csv")
    if counts["differences"]:
        lines.append(f"WARNING: counts differ from the published ones: {'; '.join(counts['differences'])}")
    else:
        lines.append("all counts as published")
    return lines
