"""FERG-DB, drawn characters: `<character>/<character>_<emotion>/<character>_<emotion>_<n>.png`."""
import functools
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from preprocessing import emotions, records, sources, splits
from preprocessing.records import Annotations

CHARACTERS = ("aia", "bonnie", "jules", "malcolm", "mery", "ray")
PICTURES = 55_767   # published
SHARES = {"train": 34, "validation": 14, "test": 7}     # thousands of pictures


def find(source, split: str = splits.STRICT) -> Annotations:
    """FERG-DB in `source`: the folder of its characters, such as FERG_DB_256, or one above it.

    Args:
        split: "strict", where a split is a character, or "published": train, validation and test as in published
            work, at random and with all characters in each, so that a score says nothing about a new character.
    """
    variant = splits.variant(split)
    place = sources.find(source, _forms, dataset="FERG", looked_for="folders like aia/aia_anger")
    files, notes = sources.only_pictures(records.pictures(place.root))
    rows = functools.partial(sources.from_pictures, place.root, files, functools.partial(_picture, split))
    return Annotations("FERG", f"{place.form}, {split} split", place.root, (), emotions.SEVEN, rows,
                       published_rows={"": PICTURES}, notes=notes, variant=variant)


def _forms(folder: Path) -> Iterator[sources.Place]:
    characters = [below for below in sources.subfolders(folder) if below.name.casefold() in CHARACTERS]
    if any(sources.child(below, f"{below.name}_{word}") for below in characters for word in emotions.codes("FERG")):
        yield sources.Place("characters", folder)


def _picture(split: str, path: PurePosixPath) -> dict:
    character, _, word = path.parent.name.casefold().partition("_")
    if (len(path.parts) != 3 or character not in CHARACTERS or path.parts[0].casefold() != character
            or not path.name.casefold().startswith(f"{character}_{word}_")):
        raise ValueError("expected a place like aia/aia_anger/aia_anger_1.png")
    part = character if split == splits.STRICT else splits.by_digest(path.name, SHARES, seed=0)
    return {"id": path.stem, "split": part, "emotion": emotions.from_code("FERG", word), "subject": character}
