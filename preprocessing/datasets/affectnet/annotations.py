"""Read AffectNet in any of its three official layouts or sorted into folders, and its published counts.

    2017              training.csv, validation.csv or the automatic list, Manually_Annotated_Images/<dir>/<hash>.<...>
    March 2021        train_set|val_set/images/<N>.jpg, annotations/<N>_exp.npy, _val.npy, _aro.npy, _lnd.npy
    AffectNet+ 2024   train_set|validation_set/images/<N>.jpg, annotations/<N>.json
    folders           train|val/<0 to 7>/*.jpg, as other projects sort the crops; no valence, arousal and landmarks

The folder of one split of 2021 or 2024 may have any name: images/ with annotations/ beside it are then training data.

Mollahosseini, Hasani, Mahoor, "AffectNet: A Database for Facial Expression, Valence, and Arousal Computing in the
Wild", 2019. The labels of the test split were never published; all published work tests on the validation split.
"""

import functools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edram_fer.errors import MissingFileError, UserError
from edram_fer.preprocessing import readers
from edram_fer.preprocessing.datasets.affectnet import code_folders, csv2017, json2024, npy2021
from edram_fer.preprocessing.emotions import EIGHT
from edram_fer.preprocessing.readers import abbreviate
from edram_fer.preprocessing.records import Annotations

CSV = "2017: csv lists, whole photos"
AUTOMATIC_CSV = "2017: the automatic csv list, whole photos"
NPY = "March 2021: npy files, crops of 224x224 pixels"
JSON = "AffectNet+ 2024: json files"
FOLDERS = "a folder per split and code, crops"

LEVELS = 3  # number of levels below the source that are searched: users often move the folders
LISTS = {"training.csv": "train", "validation.csv": "test"}
AUTOMATIC_LISTS = {"automatically_annotated.csv": "train"}
IMAGES, AUTOMATIC_IMAGES = "manually_annotated_images", "automatically_annotated_images"
SETS = {"train_set": "train", "val_set": "test", "validation_set": "test"}
_LARGE = (IMAGES, AUTOMATIC_IMAGES, "images", "annotations")  # contain only images, or a million files

TRAIN = dict(zip(EIGHT, (74874, 134415, 25459, 14090, 6378, 3803, 24882, 3750)))
TEST = dict.fromkeys(EIGHT, 500)
ROWS = {CSV: {"train": 414_799, "test": 5_500}, NPY: {"train": sum(TRAIN.values()), "test": 3_999}}
_TEST_NOTE = "the validation split is the test split here, as in all publications; select models on part of training"


class Folder(NamedTuple):
    """A folder of the source: its path, and the names of the folders and files in it."""

    path: Path
    folders: list[str]
    files: list[str]


def find(source: Path | str, automatic: bool = False) -> Annotations:
    """AffectNet in any of its layouts.

    Args:
        source: a folder that contains the data set up to three levels down, or one of its lists, whose folder or
            parent folder is then searched.
        automatic: read the list of 2017 that was labelled by a network instead of the manually labelled lists.

    Raises:
        MissingFileError: `source` is not a folder, or the images of a list do not exist.
        UserError: the data set is not there, or occurs more than once, or a list has unexpected content.
    """
    source = Path(source).expanduser().absolute()
    if source.is_file() and source.name.casefold() in (*LISTS, *AUTOMATIC_LISTS):
        try:
            return find(source.parent, automatic)
        except MissingFileError:  # the images are next to the folder of the lists
            return find(source.parent.parent, automatic)
    if not source.is_dir():
        raise MissingFileError(f"AffectNet source {source} is not a folder")
    folders = list(_walk(source))
    lists = _group_by_split(_find_files(folders, AUTOMATIC_LISTS if automatic else LISTS))
    sets = {} if automatic else _group_by_split(_find_sets(folders))
    roots = [] if automatic else [folder.path for folder in folders if code_folders.is_root(folder.path)]
    if bool(lists) + bool(sets) + len(roots) > 1:
        paths = ", ".join(str(path) for path in (*lists.values(), *sets.values(), *roots))
        raise UserError(f"{source} holds AffectNet more than once, name the folder of one: {paths}")
    if roots:
        return _read_folders(roots[0])
    if sets:
        return _read_sets(sets)
    if lists:
        return _read_lists(lists, folders, automatic)
    raise UserError(_nothing_found(source, folders, automatic))


def _walk(source: Path) -> Iterator[Folder]:
    for path, folders, files in os.walk(source, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield Folder(Path(path), list(folders), sorted(files))
        at_lowest_level = len(Path(path).relative_to(source).parts) >= LEVELS
        folders[:] = [] if at_lowest_level else [name for name in folders if name.casefold() not in _LARGE]


def _find_files(folders: Iterable[Folder], names: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """(split, path) of the files with the names of {name: split}."""
    for folder in folders:
        yield from ((names[name.casefold()], folder.path / name) for name in folder.files if name.casefold() in names)


def _find_sets(folders: Iterable[Folder]) -> Iterator[tuple[str, Path]]:
    """(split, path) of the folders of the layouts of 2021 and 2024; those with other names are training data."""
    for folder in folders:
        if "annotations" in folder.folders and (folder.path.name.casefold() in SETS or "images" in folder.folders):
            yield SETS.get(folder.path.name.casefold(), "train"), folder.path


def _group_by_split(pairs: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    """{split: path}, train first."""
    paths = {}
    for split, path in pairs:
        if split in paths:
            raise UserError(
                f"AffectNet's {split} split is there more than once: {paths[split]} and {path}; name a "
                f"folder with one of them"
            )
        paths[split] = path
    return {split: paths[split] for split in ("train", "test") if split in paths}


def _nothing_found(source: Path, folders: Sequence[Folder], automatic: bool) -> str:
    if automatic:
        return (
            f"no {', '.join(AUTOMATIC_LISTS)} in {source}, up to {LEVELS} levels down; only the layout of 2017 has it"
        )
    content = abbreviate([*folders[0].folders, *folders[0].files]) or "nothing"
    automatic_lists = [str(path) for _, path in _find_files(folders, AUTOMATIC_LISTS)]
    return (
        f"no AffectNet in {source}. Looked for training.csv, validation.csv, for train_set and val_set (or "
        f"validation_set) with images and annotations, and for folders train/0 to train/7, up to {LEVELS} levels down. "
        f"There was: {content}"
        + (
            f"; {automatic_lists[0]} is the automatic list, which is read with automatic=True"
            if automatic_lists
            else ""
        )
    )


def _read_lists(lists: Mapping[str, Path], folders: Sequence[Folder], automatic: bool) -> Annotations:
    """The layout of 2017."""
    notes = [] if automatic else [_TEST_NOTE, *_missing_splits(lists, LISTS)]
    for path in lists.values():
        if not csv2017.read_columns(path).header:
            notes.append(f"{path.name} has no header: its columns are assumed to be in the published order")
    images = _find_images(folders, lists, AUTOMATIC_IMAGES if automatic else IMAGES)
    layout = AUTOMATIC_CSV if automatic else CSV
    return Annotations(
        name="AffectNet",
        layout=layout,
        root=images.parent,
        files=tuple(lists.values()),
        classes=EIGHT,
        records=functools.partial(csv2017.records, lists, images.name),
        published={} if automatic else _present_splits({"train": TRAIN, "test": TEST}, lists),
        published_rows=_present_splits(ROWS.get(layout, {}), lists),
        detectors=("annotation",),
        notes=tuple(notes),
        count=functools.partial(csv2017.count, lists),
    )


def _find_images(folders: Sequence[Folder], lists: Mapping[str, Path], usual_name: str) -> Path:
    """The folder that the paths in the lists are relative to: it has the usual name, or contains the first images."""
    usual = [folder.path / name for folder in folders for name in folder.folders if name.casefold() == usual_name]
    first = [image for path in lists.values() for image in csv2017.first_images(path)]
    candidates = [*usual, *(folder.path for folder in folders)]
    containing = [path for path in candidates if any(os.path.isfile(path / image) for image in first)]
    if not containing and not usual:
        raise MissingFileError(
            f"no images for {', '.join(map(str, lists.values()))}: looked for a folder {usual_name} "
            f"in any case, and for {first[0] if first else 'the images'} in all folders around"
        )
    return (containing or usual)[0]


def _read_folders(root: Path) -> Annotations:
    """The crops sorted into folders by split and code."""
    files, splits = code_folders.find_images(root)
    test_note = (_TEST_NOTE,) if "test" not in splits and "testing" not in splits else ()
    return Annotations(
        name="AffectNet",
        layout=FOLDERS,
        root=root,
        classes=EIGHT,
        records=functools.partial(readers.image_records, root, files, functools.partial(code_folders.image, splits)),
        published=_present_splits({"train": TRAIN, "test": TEST}, dict.fromkeys(splits.values(), root)),
        notes=(*test_note, "the images are assumed to be crops; use --detectors if they are whole photos"),
    )


def _read_sets(sets: Mapping[str, Path]) -> Annotations:
    """The layouts of 2021 and 2024: one or more annotation files per image."""
    layouts = {_layout(path / "annotations") for path in sets.values()}
    if len(layouts) > 1:
        paths = ", ".join(map(str, sets.values()))
        raise UserError(f"one of {paths} has the layout of 2021, another the layout of AffectNet+")
    [layout] = layouts
    module = json2024 if layout == JSON else npy2021
    root = Path(os.path.commonpath([path.parent for path in sets.values()]))
    # One image is missing from the validation split of 2021; its class is not published.
    published = {"train": TRAIN, "test": TEST} if layout == JSON else {"train": TRAIN}
    unnamed = [str(path) for path in sets.values() if path.name.casefold() not in SETS]
    unnamed_note = f"all of {', '.join(unnamed)} is training data; only the names {', '.join(SETS)} say more"
    crops_note = "the images are assumed to be crops; use --detectors if they are whole photos"
    return Annotations(
        name="AffectNet",
        layout=layout,
        root=root,
        classes=EIGHT,
        records=functools.partial(module.records, root, sets),
        published=_present_splits(published, sets),
        published_rows=_present_splits(ROWS.get(layout, {}), sets),
        notes=(
            _TEST_NOTE,
            *_missing_splits(sets, SETS),
            *([unnamed_note] if unnamed else []),
            *([crops_note] if layout == JSON else []),
        ),
        count=functools.partial(module.count, sets),
    )


def _layout(folder: Path) -> str:
    """Whether a folder of annotations contains json or npy files."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith((".json", ".npy")):
                return JSON if entry.name.endswith(".json") else NPY
    raise UserError(f"{folder} holds no annotations: expected files <N>_exp.npy or <N>.json")


def _missing_splits(present: Mapping[str, Path], names: Mapping[str, str]) -> list[str]:
    """A note for each missing split."""
    return [
        f"there is no {split} split: no {' or '.join(name for name, part in names.items() if part == split)}"
        for split in ("train", "test")
        if split not in present
    ]


def _present_splits(published: Mapping[str, Any], present: Mapping[str, Path]) -> dict[str, Any]:
    """The published values for the splits that are present."""
    return {split: numbers for split, numbers in published.items() if split in present}
