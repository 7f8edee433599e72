"""From a place on disk to rows: what the readers of data sets share.

`find` looks for a data set in a source; `from_images` and `from_lines` make a row of each image file or line, and
whatever cannot be used is a row with a status.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from edram_fer.errors import MissingFileError, UserError
from edram_fer.preprocessing import emotions
from edram_fer.preprocessing.records import OK, FaceRecord, no_label

PHOTO_DETECTORS = ("yunet", "dlib")  # the detectors for images that show more than a face
EXTENSIONS = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
IGNORED_FILES = {"desktop.ini", "thumbs.db"}  # what Windows leaves in folders of images
LEVELS = 2  # how far below the source a data set may lie


class Place(NamedTuple):
    """Where a form of a data set lies: the folder that its images' paths start from, and its annotation files."""

    form: str
    root: Path
    files: tuple[Path, ...] = ()


def find(source, forms: Callable[[Path], Iterable[Place]], *, dataset: str, expected: str) -> Place:
    """The one place of a data set in `source`: a folder that holds it up to two levels down, or its annotation file.

    `forms` gives what lies directly in a folder. Raises FileNotFoundError where `source` does not exist, ValueError
    where nothing or more than one thing was found.
    """
    source = Path(source).expanduser().absolute()
    if source.is_dir():
        found = list(_search(source, forms, LEVELS))
    elif source.exists():
        found = [place for folder in source.parents[:LEVELS] for place in forms(folder) if source in place.files]
    else:
        raise MissingFileError(f"{dataset} source {source} does not exist")
    if len(found) == 1:
        return found[0]
    if found:
        listing = "".join(f"\n  {place.files[0] if place.files else place.root} ({place.form})" for place in found)
        raise UserError(f"{source} holds {dataset} more than once; name the file or folder to use:{listing}")
    folder = source if source.is_dir() else source.parent
    there = some(sorted(entry.name for entry in folder.iterdir())) or "nothing"
    raise UserError(
        f"no {dataset} in {source}. Looked for {expected}, up to {LEVELS} levels down (archives must "
        f"be unpacked). There was: {there}"
    )


def _search(folder: Path, forms: Callable[[Path], Iterable[Place]], levels: int) -> Iterator[Place]:
    found = list(forms(folder))
    yield from found
    if not found and levels:
        for below in subfolders(folder):
            yield from _search(below, forms, levels - 1)


def subfolders(folder: Path) -> list[Path]:
    """The folders directly in a folder, without hidden ones and what macOS adds to archives."""
    return sorted(
        entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith((".", "__MACOSX"))
    )


def child(folder: Path, *names: str) -> Path | None:
    """The file or folder `folder`/name/name/..., in whichever case its names are written; None where there is none."""
    for name in names:
        if not folder.is_dir():
            return None
        same = [entry for entry in folder.iterdir() if entry.name.casefold() == name.casefold()]
        if not same:
            return None
        folder = folder / name if folder / name in same else min(same)
    return folder


def only_images(paths: Iterable[Path]) -> tuple[list[Path], tuple[str, ...]]:
    """The paths that are images by their ending, and a note on the others. A link to a folder, of any name, is a
    image: one that cannot be read, for a link that hid a thousand images must not go unseen."""
    paths = [path for path in paths if path.name.casefold() not in IGNORED_FILES]
    kept = [path for path in paths if path.suffix.casefold() in EXTENSIONS or (path.is_symlink() and path.is_dir())]
    others = [path.name for path in sorted(set(paths).difference(kept))]
    notes = (f"left out, no images by their names: {len(others):,} ({some(others)})",) if others else ()
    return kept, notes


def from_images(root: Path, files: Iterable[Path], read: Callable[[PurePosixPath], dict]) -> Iterator[FaceRecord]:
    """A row for each image file. `read` gives its fields from its path below `root`; ValueError is its status."""
    names = (path.relative_to(root).as_posix() for path in files)
    return _unique(_row(name, read, PurePosixPath(name), image=name) for name in names)


def from_lines(path: Path, read: Callable[[int, str], dict], *, header: bool = False) -> Iterator[FaceRecord]:
    """A row for each of `lines`. `read` gives its fields from its number and text; ValueError is its status."""
    return _unique(_row(f"{path.name}:{number}", read, number, line) for number, line in lines(path, header=header))


def lines(path: Path, *, header: bool = False) -> Iterator[tuple[int, str]]:
    """The lines of a file that are not blank, with their numbers from 1; a `header` is not counted."""
    # Undecodable bytes become a character that no name and no number contains: a fault of their line alone.
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        if header:
            next(file, "")
        yield from ((number, line) for number, line in enumerate(file, 1) if line.strip())


def _row(row: str, read: Callable[..., dict], *arguments, image: str = "") -> FaceRecord:
    try:
        return FaceRecord(row=row, **{"image": image, **read(*arguments)})
    except ValueError as fault:
        return FaceRecord(id=row, row=row, image=image, split="", status=str(fault))


def _unique(rows: Iterable[FaceRecord]) -> Iterator[FaceRecord]:
    """The rows, where one whose id came before in its split bears a status and an id of its own."""
    first = {}
    for record in rows:
        before = first.setdefault((record.split, record.id), record.row)
        if before != record.row:
            status = f"its id {record.id} is also that of {before}" if record.status == OK else record.status
            record = dataclasses.replace(record, id=f"{record.id} ({record.row})", status=status)
        yield record


def emotion_named(name: str) -> str:
    """The emotion of a folder's name, in any usual spelling. ValueError says why it is none."""
    emotion = emotions.canonical(name)
    if not emotions.is_emotion(emotion):
        raise UserError(no_label(emotion))
    return emotion


def is_emotion(name: str) -> bool:
    """Whether a folder's name is that of an emotion, in any usual spelling."""
    try:
        return bool(emotion_named(name))
    except ValueError:
        return False


def some(names: Sequence[str], most: int = 20) -> str:
    """The first of some names, for a message."""
    return ", ".join([*names[:most], "..."] if len(names) > most else names)
