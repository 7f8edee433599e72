"""Name what lies in the folder of a data set and is not read: other files, and images that no row names."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from edram_fer.errors import utf8
from edram_fer.preprocessing.readers import IGNORED_FILES, abbreviate, absolute
from edram_fer.preprocessing.records import Annotations

_MOST_NAMES = 10


def describe(source: Path, annotations: Annotations, images: Iterable[str]) -> list[str]:
    """At most one line that names the files and folders in a source that are not read.

    Args:
        source: the folder or file with the data set. For a file, only the folders with its images are searched, because
            it may lie in a folder with much else.
        annotations: the annotations in it.
        images: the images of all rows, relative to `annotations.root`.
    """
    root = absolute(annotations.root)
    files = (str(absolute(path.parent) / path.name) for path in annotations.files)
    read = (*files, *(os.path.normpath(os.path.join(root, image)) for image in images if image))
    return describe_paths(absolute(source) if source.is_dir() else root, read, other_folders=source.is_dir())


def describe_folder(source: Path | str, read: Iterable[Path]) -> list[str]:
    """At most one line that names what is not read in the folder `source`; none if `source` is a file."""
    source = Path(source).expanduser()
    return describe_paths(source, map(str, read)) if source.is_dir() else []


def describe_paths(base: Path, read: Iterable[str], *, other_folders: bool = True) -> list[str]:
    """At most one line that names the files and folders in `base` that are not among the paths `read`.

    Args:
        base: the folder that is searched.
        read: the paths of all files that are read.
        other_folders: whether to count the files in folders without a file that is read.
    """
    files, folders = set(), set()
    for path in read:
        path = utf8(path)
        files.add(hash(path))  # a million paths would take hundreds of megabytes
        folder = os.path.dirname(path)
        while folder not in folders and len(folder) >= len(str(base)):
            folders.add(folder)
            folder = os.path.dirname(folder)
    entries = list(_unread(str(base), files, folders, other_folders))
    total = sum(count for _, count in entries)
    names = [f"{name}{os.sep} ({_count(count)})" if os.path.isdir(base / name) else name for name, count in entries]
    return [f"not read: {_count(total)}: {abbreviate(names, _MOST_NAMES)}"] if entries else []


def _count(files: int) -> str:
    return "1 file" if files == 1 else f"{files:,} files"


def _unread(base: str, files: set[int], folders: set[str], other_folders: bool) -> Iterator[tuple[str, int]]:
    """(path relative to `base`, number of files) of each unread file, and of each folder without any read file."""
    for folder, subfolders, names in os.walk(base, followlinks=True):
        visible = sorted(name for name in subfolders if not name.startswith((".", "__MACOSX")))
        subfolders[:] = [name for name in visible if utf8(os.path.join(folder, name)) in folders]
        for name in sorted(set(visible) - set(subfolders)) if other_folders else ():
            count = sum(_is_content(file) for _, _, below in os.walk(os.path.join(folder, name)) for file in below)
            if count:
                yield os.path.relpath(os.path.join(folder, name), base), count
        for name in sorted(names):
            path = os.path.join(folder, name)
            if hash(utf8(path)) not in files and _is_content(name):
                yield os.path.relpath(path, base), 1


def _is_content(name: str) -> bool:
    return not name.startswith(".") and name.casefold() not in IGNORED_FILES
