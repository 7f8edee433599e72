"""Made annotations of data sets of photos."""

from pathlib import Path

from edram_fer.preprocessing.datasets import inspection
from edram_fer.preprocessing.records import OK


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def good(found) -> dict:
    """Its usable rows by id."""
    return {record.id: record for record in found.records() if record.status == OK}


def bad(found) -> dict:
    """The other rows: image or row -> status."""
    return {record.image or record.row: record.status for record in found.records() if record.status != OK}


def told(found) -> set[str]:
    """All that is said beside the rows: counts and notes."""
    return {line.removeprefix("note: ") for line in inspection.describe_annotations(found)}
