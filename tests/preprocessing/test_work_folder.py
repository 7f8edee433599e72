"""Preparations delete only files that preparations have written."""

import os

import pytest

from edram_fer.errors import UserError
from edram_fer.preprocessing import work_folder

DATA = "incomplete.AB12CD_1.0.0/incomplete.AB12CD.fer-train.tfrecord-00000-of-00002"
OWN = ("fingerprint", "lock", "chunks/000001.parquet", "chunks/000002.incomplete", "chunks/000003.records",
       "tfds/fer/.config/metadata.json", f"tfds/fer/grey48/{DATA}", "old/emotion.labels.txt",
       "tfds/fer/1.0.0/bucket_0b9d4c1e-1111-4222-8333-0123456789ab_007.tmp", "old/rejected.csv")  # fmt: skip
OTHERS = ("notes.txt", "chunks/list.csv", "chunks/1.parquet", "tfds/.DS_Store", "old/backup/features.json",
          "old/thesis.tex", "mine/lock", "faces.png")  # fmt: skip


def make(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def left(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def test_a_folder_with_nothing_else_is_removed(tmp_path):
    make(tmp_path / "work", OWN)
    (tmp_path / "work" / "tfds" / "empty").mkdir()
    work_folder.remove(tmp_path / "work")
    assert os.listdir(tmp_path) == []


def test_other_files_stay(tmp_path):
    work = tmp_path / "work"
    make(work, [*OWN, *OTHERS])
    (work / "old" / "faces.png").symlink_to(work / "faces.png")
    for name, found in {"tfds": ".DS_Store", "old": "backup/features.json", "chunks": "1.parquet"}.items():
        with pytest.raises(UserError, match=f"{work}/{name}/{found} was not written by edram-fer"):
            work_folder.clear(work, name)
    work_folder.remove(work)
    assert left(work) == sorted([*OTHERS, "old/faces.png"])


def test_a_folder_in_it_is_cleared(tmp_path):
    make(tmp_path, OWN)
    work_folder.clear(tmp_path, "tfds")
    work_folder.clear(tmp_path, "nothing")
    assert left(tmp_path) == sorted(name for name in OWN if not name.startswith("tfds"))


@pytest.mark.parametrize("name", ["notes.txt", "backup/features.json"])
def test_a_data_set_with_another_file_is_not_replaced(tmp_path, name):
    make(tmp_path, ["features.json", "rows.parquet"])
    work_folder.check_replaceable(tmp_path)
    work_folder.check_replaceable(tmp_path / "nothing")
    make(tmp_path, [name])
    with pytest.raises(UserError, match=f"{name} was not written by edram-fer"):
        work_folder.check_replaceable(tmp_path)
