"""FERPlus' labels laid on FER2013's pixels: finds the files, joins them by row number, splits and counts.

Needs no TensorFlow.
"""

import collections
import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edram_fer.errors import MissingFileError, UserError
from edram_fer.preprocessing import emotions, records
from edram_fer.preprocessing.datasets.fer2013 import layouts, published, table
from edram_fer.preprocessing.datasets.ferplus import labels, subsets

PIXELS = ("fer2013.csv", "icml_face_data.csv")  # the first that is there; both hold the same rows
VOTES = "fer2013new.csv"
ROWS = {  # labelled rows of train, validation and test in the published files
    "majority": (25060, 3199, 3153),
    "probability": (27956, 3505, 3505),
    "multi_target": (27671, 3472, 3472),
    "argmax": (28389, 3553, 3546),
}
# Of test in the mode majority, and rows that each list names.
MAJORITY = dict(
    zip(
        ("neutral", "happy", "surprise", "sad", "anger", "disgust", "fear", "contempt"),
        (1090, 893, 396, 384, 273, 18, 83, 16),
    )
)
LISTS = {"test_occlusion": 605, "test_pose30": 1170, "test_pose45": 633}


class Source(NamedTuple):
    """What `find` found: the pixels, the votes, and the lists by the name of their split."""

    pixels: layouts.Source
    votes: Path
    lists: dict[str, Path]

    @property
    def files(self) -> tuple[Path, ...]:
        return *self.pixels.files, self.votes, *self.lists.values()


@dataclasses.dataclass(frozen=True)
class Joined:
    """All faces of FER2013 with what FERPlus says of them; `rows` int [n]: the row of the labels for every face."""

    source: Source
    mode: str
    faces: table.Faces
    rows: np.ndarray
    labels: labels.Labels
    lists: Mapping[str, np.ndarray]  # split -> rows of the labels

    @property
    def emotions(self) -> np.ndarray:
        """Names [n] of all faces, "" without a label."""
        return self.labels.emotions[self.rows]

    @property
    def rejected(self) -> list[table.Rejected]:
        """The rows without pixels and those without a label, with the reason."""
        left = [
            table.Rejected(str(self.source.votes), str(row), self.labels.statuses[row])
            for row in self.rows.tolist()
            if self.labels.statuses[row] != records.OK
        ]
        return self.faces.rejected + left


def find(source) -> Source:
    """Recognise a folder that holds fer2013.csv (or icml_face_data.csv), fer2013new.csv and perhaps the three lists,
    each up to two levels down.

    Raises FileNotFoundError where `source` is no folder, ValueError where a file is missing or there twice.
    """
    folder = Path(source).expanduser()
    if not folder.is_dir():
        raise MissingFileError(f"FERPlus source {folder} is not a folder; expected one with {PIXELS[0]} and {VOTES}")
    pixels = next((path for path in (_file(folder, name) for name in PIXELS) if path), None)
    if pixels is None:
        raise UserError(
            f"no {' or '.join(PIXELS)} in {folder}, up to two levels down. FERPlus is joined to FER2013 "
            f"by row number, which Kaggle's train.csv and folders of images do not keep"
        )
    votes = _file(folder, VOTES)
    if votes is None:
        raise UserError(f"no {VOTES} in {folder}, up to two levels down; it is in github.com/microsoft/FERPlus")
    lists = {split: path for split, name in subsets.LISTS.items() if (path := _file(folder, name))}
    return Source(layouts.Source(layouts.csv_layout(pixels), pixels.parent, (pixels,)), votes, lists)


def _file(folder: Path, name: str) -> Path | None:
    found = [path for depth in ("", "*/", "*/*/") for path in sorted(folder.glob(depth + name))]
    if len(found) > 1:
        raise UserError(f"{folder} holds {name} more than once, expected one: {', '.join(map(str, found))}")
    return found[0] if found else None


def fingerprint(source) -> str:
    """SHA-256 of the names and contents of all files that are read."""
    digest = hashlib.sha256()
    for path in (source if isinstance(source, Source) else find(source)).files:
        with open(path, "rb") as file:
            digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def read(source, mode: str) -> Joined:
    """Read and join everything in `source` (see `find`) with the labels of one of `labels.MODES`.

    Raises ValueError naming the file where one is not what it should be, or where the two files have different
    numbers of rows or disagree on a row's Usage.
    """
    source = source if isinstance(source, Source) else find(source)
    faces = table.read(source.pixels)
    rows = np.array([int(name.rpartition("-")[2]) for name in faces.ids])  # rejected rows are gaps in the numbers
    votes = labels.read(source.votes, rows=len(faces.ids) + len(faces.rejected))
    differ = np.flatnonzero(votes.usages[rows] != faces.usages)
    if differ.size:
        row = rows[differ[0]]
        raise UserError(
            f"{source.votes}: row {row} is {votes.usages[row]}, but {faces.usages[differ[0]]} in "
            f"{source.pixels.files[0]}; the two must have their rows in the same order"
        )
    lists = {split: subsets.read(path, votes) for split, path in source.lists.items()}
    return Joined(source, mode, faces, rows, labels.label(votes, mode), lists)


def splits(joined: Joined) -> dict[str, np.ndarray]:
    """Split name -> places int [m] among the labelled faces, in source order; empty splits are left out.

    Those of FER2013, and the three lists as parts of test.
    """
    parts = published.splits(joined.faces)
    parts |= {split: np.flatnonzero(np.isin(joined.rows, rows)) for split, rows in joined.lists.items()}
    labelled = joined.emotions != ""
    return {name: places[labelled[places]] for name, places in parts.items() if labelled[places].any()}


def summary(joined: Joined) -> dict:
    """Everything known about a copy, ready for JSON: counts and differences from the published."""
    names, labelled = joined.emotions, joined.emotions != ""
    left = collections.Counter(joined.labels.statuses)
    found = {
        "mode": joined.mode,
        "rows": len(joined.labels.statuses),
        "excluded": {status: count for status, count in left.items() if status != records.OK},
        "faults": len(joined.faces.faults),
        "splits": {
            name: {"rows": len(places), "classes": _classes(names[places])} for name, places in splits(joined).items()
        },
        "agreement": float(np.mean((names == joined.faces.emotions)[labelled])) if labelled.any() else 0.0,
    }
    found["differences"] = _differences(joined, found["splits"])
    return found


def _differences(joined: Joined, parts: Mapping[str, dict]) -> list[str]:
    """What deviates from the published counts, each as "place: found, published ..."."""
    empty = {"rows": 0, "classes": dict.fromkeys(emotions.EIGHT, 0)}
    pairs = [
        (name, parts.get(name, empty)["rows"], known)
        for name, known in zip(("train", "validation", "test"), ROWS[joined.mode])
    ]
    if joined.mode == "majority":
        classes = parts.get("test", empty)["classes"]
        pairs += [(f"test {name}", classes[name], known) for name, known in MAJORITY.items()]
    pairs += [(f"rows in the list of {name}", len(rows), LISTS[name]) for name, rows in joined.lists.items()]
    return [f"{place}: {count:,}, published {known:,}" for place, count, known in pairs if count != known]


def _classes(names: np.ndarray) -> dict[str, int]:
    counts = collections.Counter(names.tolist())
    return {name: counts[name] for name in emotions.EIGHT}


def report(found: dict) -> list[str]:
    """The `summary` in a few lines for people."""
    parts = ", ".join(f"{name} {part['rows']:,}" for name, part in found["splits"].items())
    most = sorted(found["excluded"].items(), key=lambda item: -item[1])
    lines = [
        f"FERPlus, {found['mode']} labels: {parts}",
        "left out: " + (", ".join(f"{status} {count:,}" for status, count in most[:6]) or "nothing"),
        f"{found['agreement']:.0%} of the labels are FER2013's own",
    ]
    if found["agreement"] < 0.5:  # two thirds in the published files; a fifth where the rows are shifted
        lines.append("WARNING: labels and images seem to be joined wrongly; are both files in their original order?")
    if found["faults"]:
        lines.append(f"WARNING: {found['faults']:,} FAULTY ROWS of the pixels are left out; rejected.csv names each")
    lines.append(
        "all counts as published"
        if not found["differences"]
        else f"WARNING: counts differ from the published ones: {'; '.join(found['differences'])}"
    )
    return lines
