"""Data sets of empty image files, and what a reader finds in them."""

from pathlib import Path

from edram_fer.preprocessing.datasets import inspection
from edram_fer.preprocessing.records import OK, Annotations, FaceRecord


def touch(root: Path, *names: str) -> Path:
    """Make empty files."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def usable(annotations: Annotations) -> dict[str, FaceRecord]:
    """The usable rows by id."""
    return {record.id: record for record in annotations.records() if record.status == OK}


def unusable(annotations: Annotations) -> dict[str, str]:
    """The other rows: image or row -> status."""
    return {record.image or record.row: record.status for record in annotations.records() if record.status != OK}


def describe_lines(annotations: Annotations) -> set[str]:
    """The lines of `inspect`: counts and notes."""
    return {line.removeprefix("note: ") for line in inspection.describe_annotations(annotations)}
