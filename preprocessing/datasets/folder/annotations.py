"""Your own images in folders named after emotions: `<split>/<emotion>/*`, or `<emotion>/*`, which is all "train"."""

import functools
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from edram_fer.errors import UserError
from edram_fer.preprocessing import emotions, records, sources
from edram_fer.preprocessing.records import Annotations

PLAIN, SPLIT = "a folder per emotion", "a folder per split and emotion"
# How people name the three splits that training and evaluation ask for; other names stay as they are.
SPLITS = {"training": "train", "val": "validation", "valid": "validation", "testing": "test"}
SPLITS |= {split: split for split in ("train", "validation", "test")}


def find(source) -> Annotations:
    """The folders in `source`, or up to two levels below.

    Emotions may be written in any usual way ("happy", "Happiness", "joy"); a folder that is none raises ValueError.
    """
    place = sources.find(
        source,
        _forms,
        dataset="folder of emotions",
        expected="folders named after emotions, such as happy or train/happy",
    )
    named = {_emotion(folder) for folder in _folders(place)}
    known = tuple(emotion for emotion in emotions.EIGHT if emotion in named)
    files, notes = sources.only_images(records.image_files(place.root))
    order = ", ".join(f"{label} {emotion}" for label, emotion in enumerate(known))
    rows = functools.partial(sources.from_images, place.root, files, functools.partial(_image, place.form))
    return Annotations(
        "folder",
        place.form,
        place.root,
        (),
        known,
        rows,
        notes=(f"labels: {order}", "the images are taken as faces; where they show more, ask for a detector", *notes),
    )


def _forms(folder: Path) -> Iterator[sources.Place]:
    below = sources.subfolders(folder)
    if any(sources.is_emotion(entry.name) for entry in below):
        yield sources.Place(PLAIN, folder)
    elif any(sources.is_emotion(entry.name) for split in below for entry in sources.subfolders(split)):
        yield sources.Place(SPLIT, folder)


def _folders(place: sources.Place) -> list[Path]:
    below = sources.subfolders(place.root)
    return below if place.form == PLAIN else [entry for split in below for entry in sources.subfolders(split)]


def _emotion(folder: Path) -> str:
    try:
        return emotions.canonical(folder.name)
    except ValueError as fault:
        raise UserError(f"{folder}: {fault}") from None


def _image(form: str, path: PurePosixPath) -> dict:
    *split, name, _ = path.parts if len(path.parts) > 1 else ("", "", "")
    if len(split) != (form == SPLIT):
        raise UserError("expected in " + ("<split>/<emotion>/" if form == SPLIT else "<emotion>/"))
    emotion = sources.emotion_named(name)
    split = split[0] if split else "train"
    return {"id": path.as_posix(), "split": SPLITS.get(split.casefold(), split), "emotion": emotion}
