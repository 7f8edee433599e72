"""Which files of a folder are images or films to predict, and which are passed over."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from edram_fer.prediction import video
from edram_fer.preprocessing import photos

MARKER = "edram-fer-predict.json"  # lies in each folder that the command has written into
DRAWN = "images"  # the folder beside it
THUMBNAILS = {"@eadir", "__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "thumbnails", "$recycle.bin"}
MOST_NAMES = 10


class PassedOver(NamedTuple):
    """A file or folder that is not predicted, and the reason."""

    path: Path
    reason: str


def images(folder: Path, passed_over: list[PassedOver]) -> Iterator[Path]:
    """The images and films of a folder at any depth, in the order of their paths.

    Files are recognised by their content; a file with the name of an image is listed even if its content is not.

    Args:
        folder: the folder. It is searched even if it is hidden.
        passed_over: receives the other files, and folders that are not searched: hidden ones, thumbnails, links to
            folders, and images that an earlier prediction has drawn.
    """
    drawn = {DRAWN, MARKER} if (folder / MARKER).is_file() else set()
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        passed_over.append(PassedOver(folder, f"cannot be read: {error.strerror}"))
        return
    for entry in entries:
        path = folder / entry.name
        if reason := _reason(entry, drawn):
            passed_over.append(PassedOver(path, reason))
        elif entry.is_dir():
            yield from images(path, passed_over)
        elif (
            not entry.is_file() or photos.is_image(path) or video.is_film(path)
        ):  # a broken link or a pipe becomes a row with a status
            yield path
        else:
            passed_over.append(PassedOver(path, "not an image"))


def summary(passed_over: Sequence[PassedOver], most: int = MOST_NAMES) -> str:
    """How many files were passed over, and the first names by reason.

    >>> summary([PassedOver(Path("a/notes.txt"), "not an image"), PassedOver(Path("a/.b"), "hidden")])
    'not an image: notes.txt; hidden: .b'
    """
    reasons: dict[str, list[str]] = {}
    for path, reason in passed_over:
        reasons.setdefault(reason, []).append(path.name)
    return "; ".join(
        f"{reason}: {', '.join(names[:most])}" + (f" and {len(names) - most:,} more" if len(names) > most else "")
        for reason, names in reasons.items()
    )


def _reason(entry: os.DirEntry[str], drawn: set[str]) -> str:
    name = entry.name.casefold()
    if entry.name in drawn:
        return "written by an earlier prediction"
    if name in THUMBNAILS or name == ".thumbnails":
        return "thumbnails or system files"
    if name.startswith("."):
        return "hidden"
    return "a link to a folder" if entry.is_symlink() and entry.is_dir() else ""
