"""Your own images in folders named after their classes: `<split>/<class>/*`, or `<class>/*`, which is all "train".

Classes are the eight emotions in any common spelling, or any names.
"""

import functools
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from edram_fer.errors import UserError
from edram_fer.preprocessing import emotions, readers, records
from edram_fer.preprocessing.records import Annotations, no_label

PER_EMOTION, PER_SPLIT = "a folder per emotion", "a folder per split and emotion"
SHARES = {"validation": 0.1, "test": 0.2}  # drawn from images without splits


def find(source: Path | str, classes: Sequence[str] | None = None) -> Annotations:
    """The folders in `source`, or up to two levels below.

    Images in folders with other names become rows with a status.

    Args:
        source: emotions may have any common spelling ("happy", "Happiness", "joy").
        classes: the names of the classes, see `emotions.parse_classes`; None: all emotions that have images.

    Raises:
        MissingFileError: `source` does not exist.
        UserError: there are no such folders, or a class has no images.
    """
    labels = emotions.Labels(classes or emotions.EIGHT)
    location = readers.locate(
        source,
        functools.partial(_recognise, labels),
        dataset="folder of classes" if classes else "folder of emotions",
        expected=f"folders named {', '.join(classes)}, or folders of splits with such folders"
        if classes
        else "folders named after emotions, such as happy or train/happy",
        hint=_suggest_classes,
    )
    files = readers.select_images(records.image_files(location.root))
    read = functools.partial(_image, labels, location.layout)
    counts = Counter(record.emotion for record in readers.image_records(location.root, files, read) if record.emotion)
    class_names = readers.present_classes(classes, counts, location.root)
    return Annotations(
        name="folder",
        layout=location.layout,
        root=location.root,
        classes=class_names,
        records=functools.partial(readers.image_records, location.root, files, read),
        notes=(
            f"labels: {', '.join(f'{label} {name}' for label, name in enumerate(class_names))}",
            "the images are assumed to be faces; if they show more, use --detectors",
        ),
        shares=SHARES if location.layout == PER_EMOTION else {"validation": SHARES["validation"]},
    )


def _recognise(labels: emotions.Labels, folder: Path) -> Iterator[readers.Location]:
    subfolders = readers.subfolders(folder)
    splits = [split for split in subfolders if any(_is_class(labels, below) for below in readers.subfolders(split))]
    if any(_is_class(labels, subfolder) for subfolder in subfolders):
        yield readers.Location(PER_EMOTION, folder)
    elif len(splits) > 1 or any(split.name.casefold() in readers.SPLITS for split in splits):
        yield readers.Location(PER_SPLIT, folder)
    # A single folder with another name is the outer folder of an archive.


def _is_class(labels: emotions.Labels, folder: Path) -> bool:
    try:
        return labels.name(folder.name) in labels.classes
    except UserError:
        return False


def _suggest_classes(folder: Path) -> str:
    """For a message: how to use the folders of images in `folder` as classes."""
    while len(subfolders := readers.subfolders(folder)) == 1 and not _has_images(subfolders[0]):
        [folder] = subfolders
    splits = [split for split in subfolders if split.name.casefold() in readers.SPLITS]
    candidates = [below for split in splits for below in readers.subfolders(split)] if splits else subfolders
    names = sorted({below.name for below in candidates if _has_images(below)})
    if len(names) < 2:
        return ""
    return f'. To use these folders as classes: --classes "{",".join(names)}"'


def _has_images(folder: Path) -> bool:
    return any(path.suffix.casefold() in readers.EXTENSIONS for path in readers.entries(folder))


def _image(labels: emotions.Labels, layout: str, path: PurePosixPath) -> dict[str, Any]:
    *split, name, _ = path.parts if len(path.parts) > 1 else ("", "", "")
    if len(split) != (layout == PER_SPLIT):
        raise UserError("expected in " + ("<split>/<emotion>/" if layout == PER_SPLIT else "<emotion>/"))
    emotion = labels.name(name)
    if emotion not in labels.classes:
        raise UserError(no_label(emotion))
    return {"id": path.as_posix(), "split": readers.split_name(split[0]) if split else "train", "emotion": emotion}
