"""JAFFE: pictures in one folder, named `KA.AN1.39.tiff` = subject, emotion and its number, number of the picture."""
import functools
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from preprocessing import counts, emotions, records, sources
from preprocessing.records import Annotations

NAME = re.compile(r"([A-Z]{2})\.([A-Z]{2})\d+\.\d+", re.IGNORECASE)
SUBJECTS = 10   # published, as are these 213 pictures
PUBLISHED = dict(zip(emotions.SEVEN, (30, 31, 31, 30, 32, 29, 30)))


def find(source) -> Annotations:
    """JAFFE in `source`: its folder or one above it. A split is a subject: to leave one out is to choose splits."""
    place = sources.find(source, _forms, dataset="JAFFE", looked_for="pictures named like KA.AN1.39.tiff")
    files, notes = sources.only_pictures(records.pictures(place.root))
    subjects = {match[1].upper() for path in files if (match := NAME.fullmatch(path.stem))}
    notes += (counts.beside("subjects", len(subjects), SUBJECTS),)
    return Annotations("JAFFE", place.form, place.root, (), emotions.SEVEN,
                       functools.partial(sources.from_pictures, place.root, files, _picture), {"": PUBLISHED},
                       {"": sum(PUBLISHED.values())}, sources.PHOTOS, notes)


def _forms(folder: Path) -> Iterator[sources.Place]:
    if any(NAME.fullmatch(path.stem) for path in folder.iterdir() if path.suffix.casefold() in sources.ENDINGS):
        yield sources.Place("one folder", folder)


def _picture(path: PurePosixPath) -> dict:
    match = NAME.fullmatch(path.stem)
    if not match:
        raise ValueError("expected a name like KA.AN1.39.tiff")
    subject = match[1].upper()
    return {"id": path.stem, "split": subject, "emotion": emotions.from_code("JAFFE", match[2]), "subject": subject}
