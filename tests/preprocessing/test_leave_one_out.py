"""Data sets that are split by subject: trained on a sum of splits, evaluated on the one left out."""

import pyarrow.parquet
import pytest
from support import toy
from support.dummy_data import DUMMY_DATA

from edram_fer import cli, data, files, models

pytest.importorskip("tensorflow_datasets")
SUBJECTS = {"jaffe": ("KA", "KL", "KM"), "ck_plus": ("fold_0", "fold_1", "fold_2")}


def command(*words):
    with pytest.raises(SystemExit) as end:
        cli.main([str(word) for word in words])
    assert not end.value.code


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.slow
def test_from_files_to_scores(name, tmp_path, monkeypatch):
    dummy = next(dummy for dummy in DUMMY_DATA if dummy.dataset == name)
    monkeypatch.setitem(models.MODELS, "toy", toy.Toy)
    first, second, excluded = SUBJECTS[name]
    training = f"{first}+{second}"
    command(
        "prepare",
        name,
        "--source",
        dummy.folder,
        "--out",
        tmp_path,
        "--size",
        28,
        "--detectors",
        "none",
        "--workers",
        1,
    )
    settings = (
        "model=toy",
        f"data={name}",
        f"train_split={training}",
        f"validation_split={excluded}",
        "batch_size=7",
        "epochs=1",
    )
    command(
        "train",
        "forch2019",
        *(word for setting in settings for word in ("--set", setting)),
        "--out",
        tmp_path / "run",
        "--data-dir",
        tmp_path,
        "--quiet",
    )
    command("evaluate", tmp_path / "run", "--split", excluded, "--split", training, "--no-figures")
    rows = pyarrow.parquet.read_table(tmp_path / "run" / "predictions.parquet").to_pylist()
    subjects = {split: {row["subject"] for row in rows if row["split"] == split} for split in (excluded, training)}
    assert len(subjects[excluded]) == 1 and not subjects[excluded] & subjects[training]
    assert len(rows) == sum(data.splits(name, data_dir=tmp_path).values())
    assert set(files.read_json(tmp_path / "run" / "metrics.json")["splits"]) == {excluded, training}
