"""Recognise the data set and the layout of a file or folder, and summarise its annotations.

Nothing is prepared, and TensorFlow is not needed.
"""

import functools
import importlib
import inspect as inspect_module
import os
import shlex
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edram_fer.errors import MissingFileError, UserError, as_status
from edram_fer.preprocessing import counts, datasets, image_paths, readers, unread
from edram_fer.preprocessing.datasets.fer2013 import layouts, published, table
from edram_fer.preprocessing.datasets.ferplus import joined
from edram_fer.preprocessing.records import OK, UNKNOWN_AFFECT, Annotations, FaceRecord
from edram_fer.preprocessing.values import split_component

_ANNOTATED = ("affectnet", "raf_db", "ck_plus", "jaffe", "ferg", "kdef", "expw")
# Each is tried only if no reader before it recognises the source: the files of several data sets fit these forms.
_OWN = ("sfew", "folder", "table")
_SHOWN = 3  # rows that are named for each reason why rows cannot be used


def inspect(source: Path | str, *, all_faulty: bool = False, **options: Any) -> list[str]:
    """Describe the data sets that a file or folder is recognised as.

    Args:
        source: the file or folder.
        all_faulty: name every row that cannot be used, and not only a few for each reason.
        options: options of the readers, such as `classes`; readers that lack one of them are not tried.

    Returns:
        Lines of text.

    Raises:
        MissingFileError: `source` does not exist.
        UserError: it is not a known data set; the message gives each reader's reason, or for prepared data sets the
            command that describes them.

    Example:
        >>> inspect("fer2013.csv")[0]  # doctest: +SKIP
        'FER2013 from fer2013.csv: train 28,709, validation 3,589, test 3,589, test_clean 3,301, test_distinct 3,150'
    """
    source = Path(source).expanduser()
    if not source.exists():
        raise MissingFileError(f"{source} does not exist")
    tried: dict[str, Callable[[Path], list[str]]] = {}
    if not options:
        tried = {
            "FERPlus": functools.partial(_describe_ferplus, all_faulty),
            "FER2013": functools.partial(_describe_fer2013, all_faulty),
        }
    describe = functools.partial(_describe_annotated, all_faulty, options)
    tried |= {name: functools.partial(describe, name) for name in _ANNOTATED if _has_options(name, options)}
    lines, reasons = _try_readers(source, tried)
    for name in (name for name in _OWN if _has_options(name, options)):
        if not lines:
            lines, more = _try_readers(source, {name: functools.partial(describe, name)})
            reasons |= more
    if not lines and (prepared := _prepared(source)):
        name, data_dir = prepared[0]
        raise UserError(
            f"{source} holds prepared data sets ({', '.join(name for name, _ in prepared)}), no original files: "
            f"edram-fer inspect {name} --data-dir {shlex.quote(str(data_dir))}"
        )
    if not lines:
        listing = "".join(f"\n  {name}: {reason}" for name, reason in reasons.items())
        raise UserError(f"{source} holds no known data set{listing}")
    return lines


def _prepared(folder: Path) -> list[tuple[str, Path]]:
    """The prepared data sets in a folder, or the one it is a part of: (name, folder of data sets)."""
    paths = [path.absolute() for level in range(4) for path in sorted(folder.glob("*/" * level + "dataset_info.json"))]
    parts = [(path.parts[-4], path.parts[-3], path.parents[3]) for path in paths]
    return [(f"{name}/{config}", data_dir) for name, config, data_dir in parts if name in datasets.NAMES]


def _reader(name: str) -> Callable[..., Annotations]:
    return importlib.import_module(f"edram_fer.preprocessing.datasets.{name}.annotations").find


def _has_options(name: str, options: Mapping[str, Any]) -> bool:
    return options.keys() <= inspect_module.signature(_reader(name)).parameters.keys()


def _try_readers(source: Path, readers: Mapping[str, Callable[[Path], list[str]]]) -> tuple[list[str], dict[str, str]]:
    """The lines of all readers that recognise the source, and the reasons of the others."""
    lines, reasons = [], {}
    for name, read in readers.items():
        try:
            lines += read(source)
        except UserError as error:
            reasons[name] = str(error).splitlines()[0]
    return lines, reasons


def _describe_fer2013(all_faulty: bool, source: Path) -> list[str]:
    location = layouts.locate(source)
    if location.layout == layouts.OTHER_FOLDERS:  # any data set of faces can look like this
        raise UserError(f"{location.layout}; if they are FER2013, prepare them as fer2013")
    faces = table.read(location)
    lines = published.report(published.summary(faces))
    faults = _name_rejected(faces.faults if all_faulty else faces.faults[:_SHOWN])
    return [*lines, *faults, *unread.describe_folder(source, location.files)]


def _describe_ferplus(all_faulty: bool, source: Path) -> list[str]:
    data = joined.read(source, "majority")
    lines = joined.report(joined.summary(data))
    faults = _name_rejected(data.rejected if all_faulty else data.faces.faults[:_SHOWN])
    return [*lines, *faults, *unread.describe_folder(source, data.source.files)]


def _name_rejected(rows: Sequence[table.Rejected]) -> list[str]:
    return [f"faulty: {Path(row.file).name}{row.row and ':' + row.row}: {row.status}" for row in rows]


def _describe_annotated(all_faulty: bool, options: Mapping[str, Any], name: str, source: Path) -> list[str]:
    annotations = _reader(name)(source, **options)
    lines = list(describe_annotations(annotations, all_faulty=all_faulty))
    images = (record.image for record in annotations.records() if record.pixels is None)
    return [*lines, *unread.describe(source, annotations, images)]


def describe_annotations(annotations: Annotations, *, all_faulty: bool = False) -> Iterator[str]:
    """Lines that summarise annotations: rows per split and class, affect, boxes, landmarks, and unusable rows.

    Args:
        annotations: the annotations of a data set.
        all_faulty: name every unusable row, and not only a few for each reason.
    """
    usable, annotated = defaultdict(Counter), defaultdict(Counter)
    statuses, features, ranges, faulty = Counter(), Counter(), {}, defaultdict(list)
    for record in annotations.records():
        status = _status(record, annotations.root)
        statuses[status] += 1
        if status != OK and (all_faulty or len(faulty[status]) < _SHOWN):
            faulty[status].append(_location(record))
        annotated[record.split][record.emotion] += 1
        if status == OK:
            usable[record.split][record.emotion] += 1
            features.update(_annotated_features(record))
            for name in ("valence", "arousal"):
                value = getattr(record, name)
                if value != UNKNOWN_AFFECT:
                    low, high = ranges.get(name, (value, value))
                    ranges[name] = min(low, value), max(high, value)
    yield (
        f"{annotations.name}, {annotations.layout}, in {annotations.root}: "
        f"{statuses.total():,} rows, {statuses[OK]:,} of them usable"
    )
    for split, rows in usable.items():
        yield f"{split} {rows.total():,}: {', '.join(f'{name} {rows[name]:,}' for name in annotations.classes)}"
    yield from counts.compare_with_published(annotations, annotated)
    if features:
        yield "annotated: " + ", ".join(f"{name} {count:,}" for name, count in features.items())
    for name, (low, high) in ranges.items():
        yield f"{name} from {low:.3g} to {high:.3g}"
    yield from _faulty_lines(statuses, faulty, all_faulty)
    yield from (f"note: {note}" for note in annotations.notes)


def _faulty_lines(statuses: Counter[str], faulty: Mapping[str, list[str]], all_faulty: bool) -> Iterator[str]:
    """The reasons with their numbers of rows and some of these rows, or with every row on a line of its own."""
    groups = counts.status_groups(statuses)
    for reason, count in counts.reasons(statuses):
        rows = [row for status in groups.get(reason.removesuffix(counts.AND_THE_LIKE), ()) for row in faulty[status]]
        examples = f": {readers.abbreviate(rows, _SHOWN)}" if rows and not all_faulty else ""
        yield f"not usable: {reason}, {count:,}{examples}"
    if all_faulty:
        yield from (f"{row}: {status}" for group in groups.values() for status in group for row in faulty[status])


def _location(record: FaceRecord) -> str:
    """The row of a record and its image, for a message."""
    return record.row if record.image in ("", record.row) else f"{record.row} {record.image}"


def _status(record: FaceRecord, root: Path) -> str:
    """The status of a row, or a fault of its split or image that can be detected without opening the image."""
    if record.status != OK:
        return record.status
    try:
        split_component(record.split)
    except UserError as error:
        return as_status(error)
    if record.pixels is not None:
        return OK
    if image_paths.leads_out(record.image):
        return "its path leads out of the data set"
    return OK if os.path.exists(root / record.image) else "its image does not exist"


def _annotated_features(record: FaceRecord) -> Iterator[str]:
    """The names of the annotations of a usable row other than its label."""
    if record.valence != UNKNOWN_AFFECT:
        yield "valence and arousal"
    for name in ("box", "landmarks", "soft_label", "subject"):
        if getattr(record, name):
            yield name.replace("_", " ")
