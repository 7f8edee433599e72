"""Files of a run that somebody else made: no name leads out of its folder, and no content ends in a raw error."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.fake_runs import npz_file, random_run, write_run

from edram_fer import data, files
from edram_fer.errors import UserError
from edram_fer.evaluation import evaluate
from edram_fer.report import page
from edram_fer.run import checkpoints, layout, predictions
from edram_fer.run.evaluated_run import EvaluatedRun

OUTSIDE = ["../../OUTSIDE", "/tmp/OUTSIDE", "..", "a/b", r"a\b", "C:x", "", " ", "a\nb", "x" * 256, "é" * 101]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs") / "run", *random_run())


@pytest.mark.parametrize("split", OUTSIDE)
def test_a_split_is_a_single_component_of_a_path(split, whole, tmp_path):
    metrics, rows = files.read_json(whole / layout.METRICS), predictions.read(whole / layout.PREDICTIONS)
    files.write_json(tmp_path / "metrics.json", {**metrics, "splits": {split: metrics["splits"]["test"]}})
    with pytest.raises(
        UserError, match="metrics.json: split: expected a name that can be that of a file, got "
    ) as error:
        layout.read_metrics(tmp_path / "metrics.json")
    assert len(str(error.value)) < len(str(tmp_path)) + 150
    column = pa.array([split] * len(rows), pa.string())
    predictions.write(rows.set_column(0, "split", column), tmp_path / "predictions.parquet")
    with pytest.raises(UserError, match="predictions.parquet: split: expected a name"):
        predictions.read(tmp_path / "predictions.parquet")
    with pytest.raises(UserError, match="^split: expected a name"):
        evaluate.evaluate(whole, splits=("test", split))
    images, _ = random_run()
    path = npz_file(tmp_path / "faces.npz", images)
    with np.load(path) as content:
        renamed = {name.replace("test/", f"{split}/"): content[name] for name in content.files}
    if "\n" not in split and "/" not in split:  # the part of a key before the first slash
        np.savez(path, **renamed)
        with pytest.raises(UserError, match="faces.npz: split: expected a name"):
            data.splits(path)


@pytest.mark.parametrize(
    ("emotions", "message"),
    [
        (None, "expected a list of different class names, got None"),
        (7, "expected a list"),
        ({"a": 1}, "expected a list"),
        ([["happy"], ["sad"], ["anger"]], "expected a list"),
        ("neutral", "expected a list"),
        (["happy"], "expected a list of different class names"),
        (["happy", "sad", "face"], "face is the name of a column of predictions"),
        (["happy", "sad", "sad"], "expected a list of different class names"),
        (["happy", "sad", "a\x1b[2J"], "1 to 60 printable characters"),
        (["happy", "sad", "x" * 100_000], "1 to 60 printable characters"),
    ],
)
def test_class_names_in_predictions_are_checked(emotions, message, whole, tmp_path):
    rows = predictions.read(whole / layout.PREDICTIONS)
    changed = rows.replace_schema_metadata({**rows.schema.metadata, b"emotions": json.dumps(emotions)})
    predictions.write(changed, tmp_path / "predictions.parquet")
    with pytest.raises(UserError, match=f"predictions.parquet: emotions: .*{message}") as error:
        predictions.read(tmp_path / "predictions.parquet")
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("id", [7], "id: expected string, got int64"),
        ("windows", ["a"], "windows: expected list<.*>, got string"),
        ("windows", [[1.0]], r"windows: expected lists of \d+ numbers, got 1"),
        ("probabilities", [[0.5, 0.5]], "probabilities: expected lists of 3 numbers, got 2"),
        ("weights", [None], "weights: expected lists of one length"),
        ("step_predictions", [[]], "step_predictions: expected lists of one length"),
        ("prediction", [None], "prediction: expected a text in each row, got 40 without"),
    ],
)
def test_columns_of_predictions_fit_together(name, values, message, whole, tmp_path):
    rows = predictions.read(whole / layout.PREDICTIONS)
    kind = rows.schema.field(name).type if isinstance(values[0], (list, type(None))) else None
    column = pa.array(values * len(rows), kind)
    changed = rows.set_column(rows.column_names.index(name), name, column)
    pq.write_table(changed, tmp_path / "predictions.parquet")
    with pytest.raises(UserError, match=f"predictions.parquet: {message}"):
        predictions.read(tmp_path / "predictions.parquet")


def test_a_foreign_run_writes_nothing_outside(whole, tmp_path):
    metrics = files.read_json(whole / layout.METRICS)
    folder = tmp_path / "a" / "run"
    for name in (layout.RECIPE, layout.PREDICTIONS):
        files.copy(whole / name, folder / name)
    files.write_json(folder / layout.METRICS, {**metrics, "splits": {"../../../OUTSIDE": metrics["splits"]["test"]}})
    with pytest.raises(UserError, match="expected a name that can be that of a file"):
        EvaluatedRun(folder)
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(
        ["a", "run", layout.RECIPE, layout.PREDICTIONS, layout.METRICS]
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test/image": np.zeros((39, 16, 16, 1), np.uint8)}, "test/image: expected 4 dimensions, .* got uint8"),
        ({"test/image": np.zeros((40, 16, 16, 1))}, "test/image: expected 4 dimensions"),
        ({"test/affect": np.zeros(40)}, "test/affect: expected 2 dimensions"),
        ({"test/id": np.arange(40)}, "test/id: expected 1 dimensions"),
        ({"test/mask": np.zeros((3, 16, 16))}, "test/mask: expected 3 dimensions"),
        ({"emotions": np.array(["sad", "sad", "x"])}, "emotions: expected a list of different class names"),
        ({"emotions": np.array(3)}, "emotions: expected a list of different class names"),
        ({"preprocessing": np.array("{")}, "damaged or not an NPZ file"),
    ],
)
def test_arrays_of_a_data_set_fit_together(changes, message, tmp_path):
    path = npz_file(tmp_path / "faces.npz", random_run()[0])
    with np.load(path) as content:
        arrays = {name: content[name] for name in content.files} | changes
    np.savez(path, **arrays)
    with pytest.raises(UserError, match=f"faces.npz.* {message}"):
        data.describe(path)


@pytest.mark.parametrize("meta", ["7", "[" * 100_000, "9" * 5000, "{", "[]"])
def test_the_description_of_a_checkpoint_is_checked(meta, tmp_path):
    np.savez(tmp_path / "latest.npz", meta=np.array(meta), v00000=np.zeros(3))
    with pytest.raises(UserError, match="latest.npz is damaged: "):
        checkpoints.read_state(tmp_path / "latest.npz")


def test_metrics_without_what_a_report_shows(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    metrics = files.read_json(whole / layout.METRICS)
    figure = tmp_path / "run" / layout.FIGURES / "test" / layout.CONFUSION
    figure.parent.mkdir(parents=True, exist_ok=True)
    figure.write_text("<svg/>")  # so that none is drawn
    for remove in (
        lambda content: content["run"].pop("command"),
        lambda content: content["splits"]["test"]["glimpses"].pop("zoom"),
        lambda content: content["splits"]["test"]["per_class"].update(happy=7),
    ):
        changed = json.loads(json.dumps(metrics))
        remove(changed)
        files.write_json(tmp_path / "run" / layout.METRICS, changed)
        with pytest.raises(UserError, match="run: its files lack what a report shows, .*; evaluate the run again"):
            page.write(tmp_path / "run")
