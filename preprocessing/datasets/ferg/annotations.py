"""FERG-DB, drawn characters: `<character>/<character>_<emotion>/<character>_<emotion>_<n>.png`."""

import collections
import functools
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from edram_fer.errors import UserError
from edram_fer.preprocessing import emotions, records, sources, splits
from edram_fer.preprocessing.records import Annotations

CHARACTERS = ("aia", "bonnie", "jules", "malcolm", "mery", "ray")
IMAGES = 55_767  # published
DRAWN = {"test": 1000, "validation": 14_000, "seed": 0}  # test: of each emotion
SHARES = {"train": 34, "validation": 14, "test": 7}  # of a part of the data set, too small for these numbers


def find(source, split: str = splits.STRICT) -> Annotations:
    """FERG-DB in `source`: the folder of its characters, such as FERG_DB_256, or one above it.

    Args:
        split: "strict", where a split is a character, or "published": train, validation and test of about 34,000,
            14,000 and 7,000 images, 1,000 of each emotion in test, as Minaee and Abdolrashidi 2019 had, at random
            and with all characters in each, so that a score says nothing about a new character. Of a part of the data
            set with fewer than 2,000 images of an emotion: in the same proportion.
    """
    variant = splits.variant(split)
    place = sources.find(source, _forms, dataset="FERG", expected="folders like aia/aia_anger")
    files, notes = sources.only_images(records.image_files(place.root))
    drawn = _drawn(files) if variant else {}
    rows = functools.partial(sources.from_images, place.root, files, functools.partial(_image, drawn))
    return Annotations(
        "FERG",
        f"{place.form}, {split} split",
        place.root,
        (),
        emotions.SEVEN,
        rows,
        published_rows={"": IMAGES},
        notes=notes,
        variant=variant,
    )


def _forms(folder: Path) -> Iterator[sources.Place]:
    characters = [below for below in sources.subfolders(folder) if below.name.casefold() in CHARACTERS]
    if any(sources.child(below, f"{below.name}_{word}") for below in characters for word in emotions.codes("FERG")):
        yield sources.Place("characters", folder)


def _drawn(files: Iterable[PurePosixPath]) -> dict[str, str]:
    """Name of each image -> its split in published work."""
    words = {path.stem: path.parent.name.casefold().partition("_")[2] for path in files}
    if min(collections.Counter(words.values()).values(), default=0) < 2 * DRAWN["test"]:
        return {name: splits.by_digest(name, SHARES, DRAWN["seed"]) for name in words}
    return splits.by_class(words, **DRAWN)


def _image(drawn: dict[str, str], path: PurePosixPath) -> dict:
    character, _, word = path.parent.name.casefold().partition("_")
    if (
        len(path.parts) != 3
        or character not in CHARACTERS
        or path.parts[0].casefold() != character
        or not path.name.casefold().startswith(f"{character}_{word}_")
    ):
        raise UserError("expected a place like aia/aia_anger/aia_anger_1.png")
    return {
        "id": path.stem,
        "split": drawn.get(path.stem, character),
        "emotion": emotions.from_code("FERG", word),
        "subject": character,
    }
