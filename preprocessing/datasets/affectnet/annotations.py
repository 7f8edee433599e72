"""AffectNet on disk: which of its three official forms lies there, and what is published about it.

    2017              training.csv, validation.csv or the automatic list, Manually_Annotated_Images/<dir>/<hash>.<...>
    March 2021        train_set|val_set/images/<N>.jpg, annotations/<N>_exp.npy, _val.npy, _aro.npy, _lnd.npy
    AffectNet+ 2024   train_set|validation_set/images/<N>.jpg, annotations/<N>.json

Mollahosseini, Hasani, Mahoor, "AffectNet: A Database for Facial Expression, Valence, and Arousal Computing in the
Wild", 2019. The labels of the test split were never published; everyone tests on the validation split.
"""

import functools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from edram_fer.errors import MissingFileError, UserError
from edram_fer.preprocessing.datasets.affectnet import csv2017, json2024, npy2021
from edram_fer.preprocessing.emotions import EIGHT
from edram_fer.preprocessing.records import Annotations

CSV = "2017: csv lists, whole photos"
AUTOMATIC_CSV = "2017: the automatic csv list, whole photos"
NPY = "March 2021: npy files, crops of 224x224 pixels"
JSON = "AffectNet+ 2024: json files"

LEVELS = 3  # how far below the source things are looked for: the folders are moved around in practice
LISTS = {"training.csv": "train", "validation.csv": "test"}
AUTOMATIC_LISTS = {"automatically_annotated.csv": "train"}
IMAGES, AUTOMATIC_IMAGES = "manually_annotated_images", "automatically_annotated_images"
SETS = {"train_set": "train", "val_set": "test", "validation_set": "test"}
_LARGE = (IMAGES, AUTOMATIC_IMAGES, "images", "annotations")  # hold nothing but images, or a million files

TRAIN = dict(zip(EIGHT, (74874, 134415, 25459, 14090, 6378, 3803, 24882, 3750)))
TEST = dict.fromkeys(EIGHT, 500)
ROWS = {CSV: {"train": 414_799, "test": 5_500}, NPY: {"train": sum(TRAIN.values()), "test": 3_999}}
_TEST_NOTE = "the validation split is the test split here, as in all publications; choose models on a part of training"


class Folder(NamedTuple):
    """A folder of the source: its path, and the names of the folders and files in it."""

    path: Path
    folders: list[str]
    files: list[str]


def find(source, automatic: bool = False) -> Annotations:
    """AffectNet in the folder `source`, in any of its forms, up to three levels down.

    Args:
        source: the folder, or one of its lists: then the folder that it lies in, or the one above.
        automatic: take the list of 2017 that a network labelled, instead of the ones that people did.

    Raises FileNotFoundError where `source` is no folder or the images of a list are not there, ValueError where
    nothing or more than one thing was found, or where a list is not what its name promises.
    """
    source = Path(source).expanduser().absolute()
    if source.is_file() and source.name.casefold() in (*LISTS, *AUTOMATIC_LISTS):
        try:
            return find(source.parent, automatic)
        except FileNotFoundError:  # the images lie beside the folder of the lists
            return find(source.parent.parent, automatic)
    if not source.is_dir():
        raise MissingFileError(f"AffectNet source {source} is not a folder")
    folders = list(_walk(source))
    lists = _by_split(_files(folders, AUTOMATIC_LISTS if automatic else LISTS))
    sets = {} if automatic else _by_split(_sets(folders))
    if bool(lists) == bool(sets):
        raise UserError(_not_one(source, folders, lists, sets, automatic))
    if sets:
        return _of_sets(sets)
    return _of_lists(lists, folders, automatic)


def _walk(source: Path) -> Iterator[Folder]:
    for path, folders, files in os.walk(source, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield Folder(Path(path), list(folders), sorted(files))
        deep = len(Path(path).relative_to(source).parts) >= LEVELS
        folders[:] = [] if deep else [name for name in folders if name.casefold() not in _LARGE]


def _files(folders: Iterable[Folder], names: dict[str, str]) -> Iterator[tuple[str, Path]]:
    for folder in folders:
        yield from ((names[name.casefold()], folder.path / name) for name in folder.files if name.casefold() in names)


def _sets(folders: Iterable[Folder]) -> Iterator[tuple[str, Path]]:
    for folder in folders:
        if folder.path.name.casefold() in SETS and "annotations" in folder.folders:
            yield SETS[folder.path.name.casefold()], folder.path


def _by_split(found: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    """{split: path}, train first. ValueError where a split is there twice."""
    paths = {}
    for split, path in found:
        if split in paths:
            raise UserError(
                f"AffectNet's {split} split is there more than once: {paths[split]} and {path}; name a "
                f"folder with one of them"
            )
        paths[split] = path
    return {split: paths[split] for split in ("train", "test") if split in paths}


def _not_one(source: Path, folders: list[Folder], lists: dict, sets: dict, automatic: bool) -> str:
    if lists:
        places = ", ".join(str(path) for path in (*lists.values(), *sets.values()))
        return f"{source} holds AffectNet in more than one form, name the folder of one: {places}"
    if automatic:
        return f"no {', '.join(AUTOMATIC_LISTS)} in {source}, up to {LEVELS} levels down; only the form of 2017 has it"
    there = [*folders[0].folders, *folders[0].files]
    other = [str(path) for _, path in _files(folders, AUTOMATIC_LISTS)]
    return (
        f"no AffectNet in {source}. Looked for training.csv, validation.csv, or train_set and val_set (or "
        f"validation_set) with annotations, up to {LEVELS} levels down. There was: "
        f"{', '.join(there[:20]) + (', ...' if len(there) > 20 else '') or 'nothing'}"
        + (f"; {other[0]} is the automatic list, which has to be asked for" if other else "")
    )


def _of_lists(lists: dict[str, Path], folders: list[Folder], automatic: bool) -> Annotations:
    notes = [] if automatic else [_TEST_NOTE, *_missing(lists, LISTS)]
    for path in lists.values():
        if not csv2017.layout(path).header:
            notes.append(f"{path.name} has no header: the columns are taken to be in the published order")
    images = _images(folders, lists, AUTOMATIC_IMAGES if automatic else IMAGES)
    rows = functools.partial(csv2017.records, lists, images.name)
    form = AUTOMATIC_CSV if automatic else CSV
    published = {} if automatic else _published({"train": TRAIN, "test": TEST}, lists)
    return Annotations(
        "AffectNet",
        form,
        images.parent,
        tuple(lists.values()),
        EIGHT,
        rows,
        published,
        _published(ROWS.get(form, {}), lists),
        ("annotation",),
        tuple(notes),
        functools.partial(csv2017.count, lists),
    )


def _images(folders: list[Folder], lists: dict[str, Path], usual: str) -> Path:
    """The folder that the paths in the lists start from: the one of the usual name, or where the first rows lead."""
    named = [folder.path / name for folder in folders for name in folder.folders if name.casefold() == usual]
    first = [path for listed in lists.values() for path in csv2017.first_images(listed)]
    holding = [
        path
        for path in (*named, *(folder.path for folder in folders))
        if any(os.path.isfile(path / image) for image in first)
    ]
    if not holding and not named:
        raise MissingFileError(
            f"no images for {', '.join(map(str, lists.values()))}: looked for a folder {usual} "
            f"in any case, and for {first[0] if first else 'the images'} in all folders around"
        )
    return (holding or named)[0]


def _of_sets(sets: dict[str, Path]) -> Annotations:
    """The forms of 2021 and 2024: a file or more per image."""
    plus = {_is_json(path / "annotations") for path in sets.values()}
    if len(plus) > 1:
        raise UserError(f"one of {', '.join(map(str, sets.values()))} is of the form of 2021, another of AffectNet+")
    form, module = (JSON, json2024) if plus.pop() else (NPY, npy2021)
    root = Path(os.path.commonpath([path.parent for path in sets.values()]))
    # One image is missing from the validation split of 2021; of which class is not published.
    published = _published({"train": TRAIN} | ({"test": TEST} if form == JSON else {}), sets)
    note = "the images are taken to be crops; name detectors where they are whole photos"
    return Annotations(
        "AffectNet",
        form,
        root,
        (),
        EIGHT,
        functools.partial(module.records, root, sets),
        published,
        _published(ROWS.get(form, {}), sets),
        ("none",),
        (_TEST_NOTE, *_missing(sets, SETS), *([note] if form == JSON else [])),
        functools.partial(module.count, sets),
    )


def _is_json(folder: Path) -> bool:
    """Whether a folder of annotations holds json files; ValueError where it holds neither these nor npy files."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith((".json", ".npy")):
                return entry.name.endswith(".json")
    raise UserError(f"{folder} holds no annotations: expected files <N>_exp.npy or <N>.json")


def _missing(found: dict[str, Path], names: dict[str, str]) -> list[str]:
    return [
        f"there is no {split} split: no {' or '.join(name for name, part in names.items() if part == split)}"
        for split in ("train", "test")
        if split not in found
    ]


def _published(counts: dict, found: dict[str, Path]) -> dict:
    """Those of the splits that are there."""
    return {split: numbers for split, numbers in counts.items() if split in found}
