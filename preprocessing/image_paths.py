"""The paths of the images that annotations name: only those inside the folder of their data set are opened."""

import os
from pathlib import Path

from edram_fer.preprocessing.photos import PhotoError


def path_inside(root: Path, relative: str) -> Path:
    """The path of an image that an annotation names, which must lie in the folder of its data set.

    Args:
        root: the folder of the data set.
        relative: the path of the image relative to it, with "/".

    Returns:
        the path, which need not exist.

    Raises:
        PhotoError: the path `leads_out`, or it is a link that leads out of `root`.
    """
    if leads_out(relative):
        raise PhotoError("its path leads out of the data set")
    if "\0" in relative:
        raise PhotoError("its path contains a null character")
    path = root / relative
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise PhotoError("it is a link that leads out of the data set")
    return path


def leads_out(relative: str) -> bool:
    """Whether the path of an image in an annotation is absolute or contains "..".

    >>> leads_out("train/1.jpg"), leads_out("../1.jpg"), leads_out("/1.jpg")
    (False, True, True)
    """
    path = Path(relative)
    return path.is_absolute() or ".." in path.parts or "\\" in relative
