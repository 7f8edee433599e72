"""JAFFE: images in one folder, named `KA.AN1.39.tiff` = subject, emotion with a number, number of the image."""

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from edram_fer.errors import UserError
from edram_fer.preprocessing import counts, emotions, readers, records, splits
from edram_fer.preprocessing.records import Annotations

NAME = re.compile(r"([A-Z]{2})\.([A-Z]{2})\d+\.\d+", re.IGNORECASE)
SUBJECTS = 10  # published, like the 213 images
PUBLISHED: dict[str, int] = dict(zip(emotions.SEVEN, (30, 31, 31, 30, 32, 29, 30)))
PUBLISHED_SPLIT = {"test": 10, "validation": 23, "seed": 0}  # test: number per emotion


def find(source: Path | str, split: str = splits.STRICT) -> Annotations:
    """JAFFE in `source`.

    Args:
        source: its folder or a folder above it.
        split: "strict" for one split per subject, for leave-one-subject-out evaluation; "published" for train,
            validation and test with 120, 23 and 70 random images, 10 of each emotion in test, as in Minaee and
            Abdolrashidi 2019. All subjects are then in all splits.

    Raises:
        MissingFileError: `source` does not exist.
        UserError: the data set is not there, or occurs more than once, or `split` is invalid.
    """
    variant = splits.variant(split)
    location = readers.locate(source, _recognise, dataset="JAFFE", expected="images named like KA.AN1.39.tiff")
    files = readers.select_images(records.image_files(location.root))
    matches = {path.stem: match for path in files if (match := NAME.fullmatch(path.stem))}
    subjects = {match[1].upper() for match in matches.values()}
    classes = {name: match[2].upper() for name, match in matches.items()}
    read = functools.partial(_image, splits.class_splits(classes, **PUBLISHED_SPLIT) if variant else {})
    return Annotations(
        name="JAFFE",
        layout=f"{location.layout}, {variant} split" if variant else location.layout,
        root=location.root,
        classes=emotions.SEVEN,
        records=functools.partial(readers.image_records, location.root, files, read),
        published={"": PUBLISHED},
        published_rows={"": sum(PUBLISHED.values())},
        detectors=readers.PHOTO_DETECTORS,
        notes=(counts.published_line("subjects", len(subjects), SUBJECTS),),
        variant=variant,
    )


def _recognise(folder: Path) -> Iterator[readers.Location]:
    images = (path for path in readers.entries(folder) if path.suffix.casefold() in readers.EXTENSIONS)
    if any(NAME.fullmatch(path.stem) for path in images):
        yield readers.Location("one folder", folder)


def _image(published_split: Mapping[str, str], path: PurePosixPath) -> dict[str, Any]:
    match = NAME.fullmatch(path.stem)
    if not match:
        raise UserError("expected a name like KA.AN1.39.tiff")
    subject = match[1].upper()
    return {
        "id": path.stem,
        "split": published_split.get(path.stem, subject),
        "emotion": emotions.from_code("JAFFE", match[2]),
        "subject": subject,
    }
