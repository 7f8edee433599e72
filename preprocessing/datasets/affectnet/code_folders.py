"""AffectNet's crops sorted into folders by split and code, train/0 to train/7 and val/0 to val/7.

Many projects use this form. RAF-DB is sorted in the same way, but its codes begin with 1; a folder 0 tells them apart.
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from edram_fer.errors import UserError
from edram_fer.preprocessing import emotions, readers, records
from edram_fer.preprocessing.datasets.affectnet import values


def is_root(folder: Path) -> bool:
    """Whether a folder contains train or val with folders named 0, 1, ..., all of them codes of AffectNet."""
    names = {below.name for split in _split_folders(folder) for below in readers.subfolders(split)}
    return {"0", "1"} <= names <= {str(code) for code in emotions.codes("AffectNet")}


def _split_folders(folder: Path) -> list[Path]:
    return [split for split in readers.subfolders(folder) if split.name.casefold() in readers.SPLITS]


def find_images(root: Path) -> tuple[list[Path], dict[str, str]]:
    """The image files, and folder in lower case -> split.

    Without a folder test the validation folder is the test split, as in all publications.
    """
    folders = _split_folders(root)
    splits = {folder.name.casefold(): readers.split_name(folder.name) for folder in folders}
    if "test" not in splits.values():
        splits = {name: "train" if split == "train" else "test" for name, split in splits.items()}
    files = readers.select_images(path for folder in folders for path in records.image_files(folder))
    return files, splits


def image(splits: Mapping[str, str], path: PurePosixPath) -> dict[str, Any]:
    """The fields of the row of an image, see `readers.image_records`."""
    if len(path.parts) != 3:
        raise UserError("expected a path like train/0/image0000006.jpg")
    split, code, _ = path.parts
    return {"id": path.as_posix(), "split": splits[split.casefold()], "emotion": values.emotion(code)}
