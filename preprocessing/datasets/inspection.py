"""Which data set lies in a folder, in which form, and what its annotations hold. Nothing is prepared; no TensorFlow."""

import importlib
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from edram_fer.errors import MissingFileError, UserError
from edram_fer.preprocessing import counts, photos
from edram_fer.preprocessing.datasets.fer2013 import published, table
from edram_fer.preprocessing.datasets.ferplus import joined
from edram_fer.preprocessing.records import OK, UNKNOWN_AFFECT, Annotations

_ANNOTATED = ("affectnet", "raf_db", "ck_plus", "jaffe", "ferg", "kdef", "expw")
# Each only where nothing before it fits: folders named after emotions, which several of the others have, too.
_FOLDERS = ("sfew", "folder")


def inspect(source) -> list[str]:
    """Lines for people on every data set that `source`, a file or a folder, is recognised as.

    Raises FileNotFoundError where it does not exist, ValueError with every reader's reason where none knows it.
    """
    source = Path(source).expanduser()
    if not source.exists():
        raise MissingFileError(f"{source} does not exist")
    readers = {"FERPlus": _ferplus, "FER2013": _fer2013}
    readers |= {name: _annotated(name) for name in _ANNOTATED}
    lines, reasons = _tried(source, readers)
    for name in _FOLDERS:
        if not lines:
            lines, more = _tried(source, {name: _annotated(name)})
            reasons |= more
    if not lines:
        listing = "".join(f"\n  {name}: {reason}" for name, reason in reasons.items())
        raise UserError(f"{source} holds no data set that is known here{listing}")
    return lines


def _tried(source: Path, readers: Mapping[str, Callable[[Path], list[str]]]) -> tuple[list[str], dict[str, str]]:
    """Lines of those that know the source; the reasons of the others."""
    lines, reasons = [], {}
    for name, read in readers.items():
        try:
            lines += read(source)
        except (ValueError, FileNotFoundError) as reason:
            reasons[name] = str(reason).splitlines()[0]
    return lines, reasons


def _fer2013(source: Path) -> list[str]:
    return published.report(published.summary(table.read(source)))


def _ferplus(source: Path) -> list[str]:
    return joined.report(joined.summary(joined.read(source, "majority")))


def _annotated(name: str) -> Callable[[Path], list[str]]:
    module = importlib.import_module(f"edram_fer.preprocessing.datasets.{name}.annotations")
    return lambda source: list(describe_annotations(module.find(source)))


def describe_annotations(found: Annotations) -> Iterator[str]:
    """What the annotations of a data set hold: rows per split and class, affect, boxes, landmarks, what is wrong."""
    classes, annotated, statuses, held = defaultdict(Counter), defaultdict(Counter), Counter(), Counter()
    ranges = {}
    for record in found.records():
        status = _status(record, found.root)
        statuses[status] += 1
        annotated[record.split][record.emotion] += 1
        if status == OK:
            classes[record.split][record.emotion] += 1
            held.update(_held(record))
            for name in ("valence", "arousal"):
                value = getattr(record, name)
                if value != UNKNOWN_AFFECT:
                    low, high = ranges.get(name, (value, value))
                    ranges[name] = min(low, value), max(high, value)
    yield f"{found.name}, {found.form}, in {found.root}: {statuses.total():,} rows, {statuses[OK]:,} of them usable"
    for split, rows in classes.items():
        yield f"{split} {rows.total():,}: {', '.join(f'{name} {rows[name]:,}' for name in found.classes)}"
    yield from counts.compared(found, annotated)
    if held:
        yield "annotated: " + ", ".join(f"{name} {count:,}" for name, count in held.items())
    for name, (low, high) in ranges.items():
        yield f"{name} from {low:.3g} to {high:.3g}"
    yield from (f"not usable: {reason}, {count:,}" for reason, count in counts.reasons(statuses))
    yield from (f"note: {note}" for note in found.notes)


def _status(record, root: Path) -> str:
    """What is wrong with a row or, as far as that is seen without opening it, with its image."""
    if record.status != OK or record.pixels is not None:
        return record.status
    if photos.leads_out(record.image):
        return "its path leads out of the data set"
    return OK if os.path.exists(root / record.image) else "its image is not there"


def _held(record) -> Iterator[str]:
    """What a usable row has beside its label."""
    if record.valence != UNKNOWN_AFFECT:
        yield "valence and arousal"
    for name in ("box", "landmarks", "soft_label", "subject"):
        if getattr(record, name):
            yield name.replace("_", " ")
