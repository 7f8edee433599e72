"""JAFFE: images in one folder, named `KA.AN1.39.tiff` = subject, emotion and its number, number of the image."""

import functools
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from edram_fer.errors import UserError
from edram_fer.preprocessing import counts, emotions, records, sources, splits
from edram_fer.preprocessing.records import Annotations

NAME = re.compile(r"([A-Z]{2})\.([A-Z]{2})\d+\.\d+", re.IGNORECASE)
SUBJECTS = 10  # published, as are these 213 images
DRAWN = {"test": 10, "validation": 23, "seed": 0}  # test: of each emotion
PUBLISHED = dict(zip(emotions.SEVEN, (30, 31, 31, 30, 32, 29, 30)))


def find(source, split: str = splits.STRICT) -> Annotations:
    """JAFFE in `source`: its folder or one above it.

    Args:
        split: "strict", where a split is a subject: to leave one out is to choose splits; or "published": train,
            validation and test of 120, 23 and 70 images, 10 of each emotion in test, as many as Minaee and
            Abdolrashidi 2019 had, at random with all subjects in each.
    """
    variant = splits.variant(split)
    place = sources.find(source, _forms, dataset="JAFFE", expected="images named like KA.AN1.39.tiff")
    files, notes = sources.only_images(records.image_files(place.root))
    names = {path.stem: match for path in files if (match := NAME.fullmatch(path.stem))}
    subjects = {match[1].upper() for match in names.values()}
    drawn = splits.by_class({name: match[2].upper() for name, match in names.items()}, **DRAWN) if variant else {}
    notes += (counts.beside("subjects", len(subjects), SUBJECTS),)
    form = f"{place.form}, {variant} split" if variant else place.form
    return Annotations(
        "JAFFE",
        form,
        place.root,
        (),
        emotions.SEVEN,
        functools.partial(sources.from_images, place.root, files, functools.partial(_image, drawn)),
        {"": PUBLISHED},
        {"": sum(PUBLISHED.values())},
        sources.PHOTO_DETECTORS,
        notes,
        variant=variant,
    )


def _forms(folder: Path) -> Iterator[sources.Place]:
    if any(NAME.fullmatch(path.stem) for path in folder.iterdir() if path.suffix.casefold() in sources.EXTENSIONS):
        yield sources.Place("one folder", folder)


def _image(drawn: dict[str, str], path: PurePosixPath) -> dict:
    match = NAME.fullmatch(path.stem)
    if not match:
        raise UserError("expected a name like KA.AN1.39.tiff")
    subject = match[1].upper()
    return {
        "id": path.stem,
        "split": drawn.get(path.stem, subject),
        "emotion": emotions.from_code("JAFFE", match[2]),
        "subject": subject,
    }
