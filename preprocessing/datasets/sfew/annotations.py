"""SFEW 2.0, frames of films: `Train|Val/<Emotion>/<name>.png`, and `Test` without labels."""

import functools
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from edram_fer.errors import UserError
from edram_fer.preprocessing import emotions, records, sources
from edram_fer.preprocessing.records import Annotations

SPLITS = {"train": "train", "val": "validation"}
PUBLISHED = {"train": 958, "validation": 436}  # aligned faces exist of 891 and 431 of them
_ALIKE = "folders of one's own can look the same; such are prepared as `folder`"


def find(source) -> Annotations:
    """SFEW in `source`: the folder that holds Train and Val, or one above it."""
    place = sources.find(source, _forms, dataset="SFEW", expected="folders like Train/Angry and Val/Angry")
    folders = [folder for name in SPLITS if (folder := sources.child(place.root, name))]
    files, notes = sources.only_images(path for folder in folders for path in records.image_files(folder))
    rows = functools.partial(sources.from_images, place.root, files, _image)
    test = sources.child(place.root, "Test")
    if test:
        unlabelled, _ = sources.only_images(records.image_files(test))
        notes += (f"images of Test, left out because their labels are not public: {len(unlabelled):,}",)
    return Annotations(
        "SFEW",
        place.form,
        place.root,
        (),
        emotions.SEVEN,
        rows,
        published_rows=PUBLISHED,
        detectors=sources.PHOTO_DETECTORS,
        notes=(*notes, _ALIKE),
    )


def _forms(folder: Path) -> Iterator[sources.Place]:
    splits = [split for name in SPLITS if (split := sources.child(folder, name))]
    named = {below.name for split in splits for below in sources.subfolders(split) if sources.is_emotion(below.name)}
    if named and named <= set(emotions.codes("SFEW")):  # "Happy", neither "happy" nor "Joy"
        yield sources.Place("a folder per split and emotion", folder)


def _image(path: PurePosixPath) -> dict:
    if len(path.parts) != 3:
        raise UserError("expected a place like Train/Angry/name.png")
    split, emotion, _ = path.parts
    return {"id": path.as_posix(), "split": SPLITS[split.casefold()], "emotion": emotions.from_code("SFEW", emotion)}
