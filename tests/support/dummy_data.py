"""Dummy data in every layout of every data set, for testing readers and builders; no file comes from a real data set.

    python tests/support/dummy_data.py      # writes all preprocessing/datasets/<name>/dummy_data again

Each layout is written by one function, which returns the ground truth; test_dummy_data.py compares readers and builders
with it. The images are drawn: those of FER2013 and FERPlus by the functions of their tests, all others by
edram_fer.preprocessing.synthetic.
"""

import dataclasses
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

import numpy as np
from support import dummy_affectnet, dummy_folders, fer2013_files, ferplus_files
from support.dummy_drawing import Truth

from edram_fer.preprocessing.datasets.fer2013 import layouts
from edram_fer.preprocessing.emotions import EIGHT, SEVEN

DATASETS = ROOT / "preprocessing" / "datasets"


@dataclasses.dataclass(frozen=True, eq=False)
class DummyData:
    """The dummy data of one layout of a data set.

    Attributes:
        dataset: name of the data set.
        subfolder: below dummy_data; "" if there is only one layout.
        write: writes the files into a new folder and returns the ground truth.
        recognised: how the description by `inspect` begins; "" if the layout is read only with an option.
        options: of `datasets.prepare`.
    """

    dataset: str
    subfolder: str
    write: Callable[[Path], Truth]
    recognised: str
    options: Mapping = dataclasses.field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return DATASETS / self.dataset / "dummy_data" / self.subfolder


def _fer2013(layout: str) -> Callable[[Path], Truth]:
    """A function that writes one of the layouts; those without PublicTest draw a validation split from Training."""

    def write(folder: Path) -> Truth:
        folder.mkdir(parents=True)
        fer2013_files.LAYOUTS[layout](folder)
        if layout in (layouts.USAGE_FOLDERS, layouts.NUMBER_FOLDERS):
            return Truth(_in_folders(layout), SEVEN)
        splits, names = defaultdict(dict), {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
        for number, (usage, emotion, _) in enumerate(fer2013_files.ROWS):
            splits[names[usage]][f"fer2013-{number:05d}"] = emotion
        kaggle = layout == layouts.KAGGLE_CSV
        excluded = sum(len(rows) for split, rows in splits.items() if kaggle and split != "train")
        return Truth({"train": splits["train"]} if kaggle else splits, SEVEN, excluded)

    return write


def _in_folders(layout: str) -> dict[str, dict[str, str]]:
    splits, numbered = defaultdict(dict), layout == layouts.NUMBER_FOLDERS
    folders = fer2013_files.LONG_FOLDERS if numbered else fer2013_files.FOLDERS
    for number, (usage, emotion, _) in enumerate(fer2013_files.ROWS):
        split = "train" if usage == "Training" else "test"
        name = f"im{number}.png" if numbered else f"{usage}_{number}.jpg"
        label_split = "validation" if usage == "PublicTest" and not numbered else split
        splits[label_split][f"{split}/{folders.get(emotion, emotion)}/{name}"] = emotion
    return dict(splits)


def _ferplus(folder: Path) -> Truth:
    """The labels are those of the oracle of test_ferplus."""
    votes = [[int(count) for count in text.split()] for _, text in ferplus_files.VOTES]
    has_name = [name is not None for name, _ in ferplus_files.VOTES]
    ferplus_files.write_source(folder)
    labels = [name for name, _ in ferplus_files.expected(np.array(votes), has_name, "majority")]
    splits, names = defaultdict(dict), {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
    for number, ((usage, _, _), label) in enumerate(zip(fer2013_files.ROWS, labels)):
        if label:
            splits[names[usage]][f"fer2013-{number:05d}"] = label
    return Truth(splits, EIGHT, labels.count(""))


_ANNOTATION, _NONE = {"detectors": ("annotation",)}, {"detectors": ("none",)}
DUMMY_DATA = (
    DummyData("fer2013", "csv", _fer2013(layouts.FER2013_CSV), "FER2013 from fer2013.csv"),
    DummyData("fer2013", "icml", _fer2013(layouts.ICML_CSV), "FER2013 from icml_face_data.csv"),
    DummyData("fer2013", "kaggle", _fer2013(layouts.KAGGLE_CSV), "FER2013 from Kaggle"),
    DummyData("fer2013", "usage_folders", _fer2013(layouts.USAGE_FOLDERS), "FER2013 from folders with Training_"),
    DummyData("fer2013", "number_folders", _fer2013(layouts.NUMBER_FOLDERS), "FER2013 from folders with im"),
    DummyData("ferplus", "", _ferplus, "FERPlus, majority labels"),
    DummyData("affectnet", "csv2017", dummy_affectnet.lists_of_2017, "AffectNet, 2017: csv lists", _ANNOTATION),
    DummyData(
        "affectnet", "automatic2017", dummy_affectnet.automatic_list_of_2017, "", {**_ANNOTATION, "automatic": True}
    ),
    DummyData("affectnet", "npy2021", dummy_affectnet.npy_of_2021, "AffectNet, March 2021", _NONE),
    DummyData("affectnet", "json2024", dummy_affectnet.json_of_2024, "AffectNet, AffectNet+ 2024", _NONE),
    DummyData("raf_db", "list", dummy_folders.raf_db_list, "RAF-DB, list of labels, aligned", _NONE),
    DummyData("raf_db", "folders", dummy_folders.raf_db_folders, "RAF-DB, a folder per label", _NONE),
    DummyData("ck_plus", "sequences", dummy_folders.ck_plus_sequences, "CK+, sequences", _NONE),
    DummyData("ck_plus", "folders", dummy_folders.ck_plus_folders, "CK+, CK+48", _NONE),
    DummyData("ck_plus", "csv", dummy_folders.ck_plus_csv, "CK+, ckextended.csv", _NONE),
    DummyData("jaffe", "", dummy_folders.jaffe, "JAFFE, one folder", _NONE),
    DummyData("ferg", "", dummy_folders.ferg, "FERG, characters, strict split", _NONE),
    DummyData("kdef", "", dummy_folders.kdef, "KDEF, angles S", _NONE),
    DummyData("sfew", "", dummy_folders.sfew, "SFEW, a folder per split and emotion", _NONE),
    DummyData("expw", "", dummy_folders.expw, "ExpW, label.lst", _ANNOTATION),
    DummyData("folder", "emotions", dummy_folders.folder_of_emotions, "folder, a folder per emotion", _NONE),
    DummyData("folder", "splits", dummy_folders.folder_of_splits, "folder, a folder per split and emotion", _NONE),
    DummyData("table", "", dummy_folders.table_of_images, "table, faces.csv", _NONE),
)


def main() -> None:
    for dataset in dict.fromkeys(dummy.dataset for dummy in DUMMY_DATA):
        shutil.rmtree(DATASETS / dataset / "dummy_data", ignore_errors=True)
    for dummy in DUMMY_DATA:
        truth = dummy.write(dummy.folder)
        size = sum(path.stat().st_size for path in dummy.folder.rglob("*") if path.is_file())
        rows = ", ".join(f"{split} {len(rows)}" for split, rows in truth.splits.items())
        print(f"{dummy.dataset} {dummy.subfolder or '-'}: {rows}, left out {truth.excluded}, {size:,} bytes")


if __name__ == "__main__":
    main()
