"""SFEW 2.0, frames of films: `Train|Val/<Emotion>/<name>.png`, and `Test` without labels."""

import functools
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from edram_fer.errors import UserError
from edram_fer.preprocessing import emotions, readers, records
from edram_fer.preprocessing.records import Annotations

SPLITS = {"train": "train", "val": "validation"}
PUBLISHED = {"train": 958, "validation": 436}  # 891 and 431 of them are also published as aligned faces
_SIMILAR = "your own folders can look the same; prepare those as `folder`"


def find(source: Path | str) -> Annotations:
    """SFEW in `source`.

    Args:
        source: the folder that contains Train and Val, or a folder above it.

    Raises:
        MissingFileError: `source` does not exist.
        UserError: the data set is not there, or occurs more than once.
    """
    location = readers.locate(source, _recognise, dataset="SFEW", expected="folders like Train/Angry and Val/Angry")
    folders = [folder for name in SPLITS if (folder := readers.find_child(location.root, name))]
    files = readers.select_images(path for folder in folders for path in records.image_files(folder))
    test = readers.find_child(location.root, "Test")
    unlabelled = readers.select_images(records.image_files(test)) if test else []
    notes = (f"images of Test, left out because their labels are not public: {len(unlabelled):,}",) if test else ()
    return Annotations(
        name="SFEW",
        layout=location.layout,
        root=location.root,
        classes=emotions.SEVEN,
        records=functools.partial(readers.image_records, location.root, files, _image),
        published_rows=PUBLISHED,
        detectors=readers.PHOTO_DETECTORS,
        notes=(*notes, _SIMILAR),
    )


def _recognise(folder: Path) -> Iterator[readers.Location]:
    splits = [split for name in SPLITS if (split := readers.find_child(folder, name))]
    names = {below.name for split in splits for below in readers.subfolders(split)}
    emotion_names = {name for name in names if readers.is_emotion_folder(name)}
    if emotion_names and emotion_names <= set(emotions.codes("SFEW")):  # "Happy", not "happy" or "Joy"
        yield readers.Location("a folder per split and emotion", folder)


def _image(path: PurePosixPath) -> dict[str, Any]:
    if len(path.parts) != 3:
        raise UserError("expected a path like Train/Angry/name.png")
    split, emotion, _ = path.parts
    return {"id": path.as_posix(), "split": SPLITS[split.casefold()], "emotion": emotions.from_code("SFEW", emotion)}
