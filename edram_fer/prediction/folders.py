"""Which files of a folder are images or films to predict, and which are passed over."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from edram_fer.prediction import video
from edram_fer.preprocessing import photos

MARKER = "edram-fer-predict.json"  # lies in each folder that the command has written into
DRAWN = "images"  # the folder beside it
DRAWN_LIST = "edram-fer-predict-drawn.txt"  # names of the images and films that were drawn, one a line
TABLES = {"predictions.csv", "predictions.parquet", "predictions.jsonl", "predictions.unfinished.jsonl"}
PASSED_OVER = "passed_over.csv"
THUMBNAILS = {"@eadir", "__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "thumbnails", "$recycle.bin"}
MOST_NAMES = 10


class PassedOver(NamedTuple):
    """A file that is not predicted, or a folder that is not searched, the reason, and the number of files."""

    path: Path
    reason: str
    files: int = 1


def images(folder: Path, passed_over: list[PassedOver]) -> Iterator[Path]:
    """The images and films of a folder at any depth, in the order of their paths.

    Files are recognised by their content; a file with the name of an image is listed even if its content is not.

    Args:
        folder: the folder. It is searched even if it is hidden.
        passed_over: receives the other files, and folders that are not searched: hidden ones, thumbnails, links to
            folders, and images that an earlier prediction has drawn.
    """
    waiting = _entries(folder, passed_over)
    while waiting:
        path, predicted = waiting.pop()
        if reason := _reason(path, predicted):
            passed_over.append(PassedOver(path, reason, _count(path)))
        elif os.path.isdir(path):
            waiting += _entries(path, passed_over)
        elif not os.path.isfile(path) or photos.is_image(path) or video.is_film(path):
            yield path  # a broken link or a pipe becomes a row with a status
        else:
            passed_over.append(PassedOver(path, "not an image"))


def _entries(folder: Path, passed_over: list[PassedOver]) -> list[tuple[Path, bool]]:
    """The entries of a folder, the last one first, and whether it holds predictions."""
    predicted = os.path.isfile(folder / MARKER)
    try:
        return [(folder / name, predicted) for name in sorted(os.listdir(folder), reverse=True)]
    except OSError as error:
        passed_over.append(PassedOver(folder, f"cannot be read: {error.strerror}"))
        return []


def _count(path: Path) -> int:
    """The number of files in a folder at any depth; 1 for a file or a link."""
    if os.path.islink(path) or not os.path.isdir(path):
        return 1
    count, waiting = 0, [str(path)]
    while waiting:
        folder = waiting.pop()
        with contextlib.suppress(OSError):  # a folder that cannot be read
            for name in os.listdir(folder):
                inner = os.path.join(folder, name)
                if not os.path.isdir(inner):
                    count += 1
                elif not os.path.islink(inner):
                    waiting.append(inner)
    return count


def summary(passed_over: Sequence[PassedOver], most: int = MOST_NAMES) -> str:
    """The first names of files that were passed over, by reason.

    >>> summary([PassedOver(Path("a/notes.txt"), "not an image"), PassedOver(Path("a/.b"), "hidden", 3)])
    'not an image: notes.txt; hidden: .b (3 files)'
    """
    reasons: dict[str, list[str]] = {}
    for path, reason, files in passed_over:
        reasons.setdefault(reason, []).append(path.name if files == 1 else f"{path.name} ({files:,} files)")
    return "; ".join(
        f"{reason}: {', '.join(names[:most])}" + (f" and {len(names) - most:,} more" if len(names) > most else "")
        for reason, names in reasons.items()
    )


def _reason(path: Path, predicted: bool) -> str:
    """Why an entry of a folder is passed over, "" if it is not. `predicted`: the folder holds predictions."""
    name = path.name.casefold()
    if predicted and name in {DRAWN, DRAWN_LIST, MARKER, PASSED_OVER, *TABLES}:
        return "written by an earlier prediction"
    if name in THUMBNAILS or name == ".thumbnails":
        return "thumbnails or system files"
    if name.startswith("."):
        return "hidden"
    return "a link to a folder" if os.path.islink(path) and os.path.isdir(path) else ""
