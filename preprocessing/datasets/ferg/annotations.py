"""FERG-DB, animated characters: `<character>/<character>_<emotion>/<character>_<emotion>_<n>.png`."""

import collections
import functools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from edram_fer.errors import UserError
from edram_fer.preprocessing import emotions, readers, records, splits
from edram_fer.preprocessing.records import Annotations

CHARACTERS = ("aia", "bonnie", "jules", "malcolm", "mery", "ray")
IMAGES = 55_767  # published
PUBLISHED_SPLIT = {"test": 1000, "validation": 14_000, "seed": 0}  # test: number per emotion
SHARES = {"train": 34, "validation": 14, "test": 7}  # for subsets of the data set that are too small for these numbers


def find(source: Path | str, split: str = splits.STRICT) -> Annotations:
    """FERG-DB in `source`.

    Args:
        source: the folder of its characters, such as FERG_DB_256, or a folder above it.
        split: "strict" for one split per character; "published" for train, validation and test with about 34,000,
            14,000 and 7,000 random images, 1,000 of each emotion in test, as in Minaee and Abdolrashidi 2019. All
            characters are then in all splits, so a score says nothing about a new character. A subset of the data set
            with fewer than 2,000 images of an emotion is split in the same proportions.

    Raises:
        MissingFileError: `source` does not exist.
        UserError: the data set is not there, or occurs more than once, or `split` is invalid.
    """
    variant = splits.variant(split)
    location = readers.locate(source, _recognise, dataset="FERG", expected="folders like aia/aia_anger")
    files = readers.select_images(records.image_files(location.root))
    read = functools.partial(_image, _published_split(files) if variant else {})
    return Annotations(
        name="FERG",
        layout=f"{location.layout}, {split} split",
        root=location.root,
        classes=emotions.SEVEN,
        records=functools.partial(readers.image_records, location.root, files, read),
        published_rows={"": IMAGES},
        variant=variant,
    )


def _recognise(folder: Path) -> Iterator[readers.Location]:
    characters = [subfolder for subfolder in readers.subfolders(folder) if subfolder.name.casefold() in CHARACTERS]
    codes = emotions.codes("FERG")
    if any(readers.find_child(character, f"{character.name}_{code}") for character in characters for code in codes):
        yield readers.Location("characters", folder)


def _published_split(files: Iterable[Path]) -> dict[str, str]:
    """Name of each image -> its split, with the published numbers."""
    classes = {path.stem: path.parent.name.casefold().partition("_")[2] for path in files}
    if min(collections.Counter(classes.values()).values(), default=0) < 2 * PUBLISHED_SPLIT["test"]:
        return {name: splits.digest_split(name, SHARES, PUBLISHED_SPLIT["seed"]) for name in classes}
    return splits.class_splits(classes, **PUBLISHED_SPLIT)


def _image(published_split: Mapping[str, str], path: PurePosixPath) -> dict[str, Any]:
    character, _, word = path.parent.name.casefold().partition("_")
    if (
        len(path.parts) != 3
        or character not in CHARACTERS
        or path.parts[0].casefold() != character
        or not path.name.casefold().startswith(f"{character}_{word}_")
    ):
        raise UserError("expected a path like aia/aia_anger/aia_anger_1.png")
    return {
        "id": path.stem,
        "split": published_split.get(path.stem, character),
        "emotion": emotions.from_code("FERG", word),
        "subject": character,
    }
