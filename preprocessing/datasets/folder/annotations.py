"""Your own images in folders named after emotions: `<split>/<emotion>/*`, or `<emotion>/*`, which is all "train"."""

import functools
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from edram_fer.errors import UserError
from edram_fer.preprocessing import emotions, readers, records
from edram_fer.preprocessing.records import Annotations

PER_EMOTION, PER_SPLIT = "a folder per emotion", "a folder per split and emotion"
# Common names of the three splits that training and evaluation use; other names stay unchanged.
SPLITS = {
    **{"training": "train", "val": "validation", "valid": "validation", "testing": "test"},
    **{split: split for split in ("train", "validation", "test")},
}


def find(source: Path | str) -> Annotations:
    """The folders in `source`, or up to two levels below.

    Args:
        source: emotions may have any common spelling ("happy", "Happiness", "joy").

    Raises:
        MissingFileError: `source` does not exist.
        UserError: there are no such folders, or a folder is not named after an emotion.
    """
    location = readers.locate(
        source,
        _recognise,
        dataset="folder of emotions",
        expected="folders named after emotions, such as happy or train/happy",
    )
    present = {_emotion(folder) for folder in _emotion_folders(location)}
    classes = tuple(emotion for emotion in emotions.EIGHT if emotion in present)
    labels = ", ".join(f"{label} {emotion}" for label, emotion in enumerate(classes))
    files, notes = readers.select_images(records.image_files(location.root))
    read = functools.partial(_image, location.layout)
    return Annotations(
        name="folder",
        layout=location.layout,
        root=location.root,
        classes=classes,
        records=functools.partial(readers.image_records, location.root, files, read),
        notes=(
            f"labels: {labels}",
            "the images are assumed to be faces; if they show more, use --detectors",
            *notes,
        ),
    )


def _recognise(folder: Path) -> Iterator[readers.Location]:
    subfolders = readers.subfolders(folder)
    if any(readers.is_emotion_folder(subfolder.name) for subfolder in subfolders):
        yield readers.Location(PER_EMOTION, folder)
    elif any(readers.is_emotion_folder(below.name) for split in subfolders for below in readers.subfolders(split)):
        yield readers.Location(PER_SPLIT, folder)


def _emotion_folders(location: readers.Location) -> list[Path]:
    subfolders = readers.subfolders(location.root)
    if location.layout == PER_EMOTION:
        return subfolders
    return [below for split in subfolders for below in readers.subfolders(split)]


def _emotion(folder: Path) -> str:
    try:
        return emotions.canonical(folder.name)
    except UserError as error:
        raise UserError(f"{folder}: {error}") from None


def _image(layout: str, path: PurePosixPath) -> dict[str, Any]:
    *split, name, _ = path.parts if len(path.parts) > 1 else ("", "", "")
    if len(split) != (layout == PER_SPLIT):
        raise UserError("expected in " + ("<split>/<emotion>/" if layout == PER_SPLIT else "<emotion>/"))
    emotion = readers.emotion_from_folder(name)
    split = split[0] if split else "train"
    return {"id": path.as_posix(), "split": SPLITS.get(split.casefold(), split), "emotion": emotion}
