"""Training: the run folder, exact resume after kills and signals, early stopping, and what ends in an error."""

import csv
import dataclasses
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

import edram_fer
import models
from edram_fer import checkpoints, data, environment, files, training
from edram_fer import recipe as recipes
from edram_fer.recipe import Recipe
from preprocessing.emotions import SEVEN

ROOT = Path(__file__).resolve().parent.parent
STEPS = 5  # of an epoch

# Writes checkpoints as ever, but dies in the middle of number MOMENT. Arguments: MOMENT, then those of train.py.
SABOTEUR = """
import os, runpy, signal, sys
import numpy

moment, write, count = int(sys.argv.pop(1)), numpy.savez, 0

def savez(path, **arrays):
    global count
    count += 1
    write(path, **arrays)
    if count == moment:
        os.truncate(path, os.path.getsize(path) // 2)
        os.kill(os.getpid(), signal.SIGKILL)

numpy.savez = savez
runpy.run_path("train.py", run_name="__main__")
"""


@keras.saving.register_keras_serializable(package="tests")
class Toy(keras.Model):
    """The contract of a model in two dense layers with dropout: two windows, quick to trace."""

    def __init__(self, image_size=(28, 28), channels=1, classes=7, dropout=0.3, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.arguments = dict(image_size=image_size, channels=channels, classes=classes, dropout=dropout, seed=seed)
        self.drop = keras.layers.Dropout(dropout, seed=seed)
        self.look, self.answer = keras.layers.Dense(4, "tanh"), keras.layers.Dense(classes)
        size = image_size[0] * image_size[1] * channels
        self.look.build((None, size))
        self.answer.build((None, size))
        self.built = True

    def call(self, inputs, training=False):
        x = self.drop(ops.reshape(inputs["image"], (-1, self.look.kernel.shape[0])), training=training)
        centres = ops.reshape(self.look(x), (-1, 2, 2, 1))
        zoom = 0.5 * ops.eye(2)[None, None] + 0 * centres
        return {
            "emotion": self.answer(x)[:, None] + ops.sum(centres, axis=(1, 2))[:, None],
            "windows": ops.concatenate([zoom, centres], axis=-1),
            "weights": 0 * centres[:, :, 0, 0] + 0.5,
        }

    def get_config(self):
        return {**super().get_config(), **self.arguments}


@pytest.fixture(scope="module")
def toy(arrays_file):
    """A recipe that trains the toy: three epochs of five steps, checkpoints after steps 2 and 4 and each epoch."""
    settings = {"learning_rate": 0.05, "min_learning_rate": 1e-4, "batch_size": 14, "epochs": 3, "checkpoint_steps": 2}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(models.MODELS, "toy", Toy)
        patch.setitem(recipes._CHOICES, "model", ("toy",))
        yield Recipe(data=str(arrays_file), model="toy", **settings)


@pytest.fixture(scope="module")
def toy_run(toy, tmp_path_factory):
    """A run of the toy that nothing stopped."""
    run = tmp_path_factory.mktemp("toy") / "run"
    training.train(toy, run, verbose=0)
    return run


@pytest.fixture
def at_step(monkeypatch):
    """at_step(n, deed): call `deed` in the n-th training step from now on."""

    def install(number, deed):
        count, inner = iter(range(1, 1000)), training.NanGuard.on_train_batch_end

        def step(self, batch, logs=None):
            inner(self, batch, logs)
            if next(count) == number:
                deed()

        monkeypatch.setattr(training.NanGuard, "on_train_batch_end", step)

    return install


def send(*numbers):
    return lambda: [os.kill(os.getpid(), number) for number in numbers]


def history(run):
    """Rows of history.csv without the seconds."""
    with open(run / "history.csv", newline="") as source:
        return [{k: float(v) for k, v in row.items() if k != "seconds"} for row in csv.DictReader(source)]


def assert_same_run(found, expected):
    """Weights, optimizer, schedule, best so far, history and best model of two runs are equal, bit for bit."""
    arrays, meta = checkpoints.read_state(found / checkpoints.LATEST)
    others, expected_meta = checkpoints.read_state(expected / checkpoints.LATEST)
    for key in ("epoch", "step", "ended", "callbacks"):
        assert meta[key] == expected_meta[key]
    assert len(arrays) == len(others)
    for value, other in zip(arrays, others, strict=True):
        np.testing.assert_array_equal(value, other)
    assert history(found) == history(expected)
    for value, other in zip(edram_fer.load(found).weights, edram_fer.load(expected).weights, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(value), ops.convert_to_numpy(other))


def command(*arguments, preamble=None):
    """Run train.py in a process of its own, with a preamble or not."""
    start = [sys.executable, "train.py"] if preamble is None else [sys.executable, "-c", preamble]
    run = subprocess.run([*start, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=600)
    return run.returncode, run.stderr.strip().splitlines()


def unfinish(run):
    """As if the process had died just before it noted the end."""
    noted = environment.read(run)
    del noted["finished"]
    files.write_json(run / "environment.json", noted)


def test_the_run_folder_is_complete(trained, arrays_file):
    run, recipe = trained.run, trained.recipe
    for name in ("recipe.json", "environment.json", "history.csv", "model.keras", "checkpoints/latest.npz"):
        assert (run / name).stat().st_size > 0
    assert not list(run.rglob(".*"))  # no temporary files
    assert checkpoints.read_recipe(run) == recipe
    noted = environment.read(run)
    assert noted["data"] == data.describe(arrays_file) and noted["seed"] == recipe.seed
    assert noted["versions"]["keras"] == keras.__version__ and len(noted["starts"]) == 1 and noted["finished"]
    rows = history(run)
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    windows = [f"{value}_1{sd}" for value in ("x", "y", "zoom") for sd in ("", "_sd")]
    names = ["loss", "emotion_loss", "emitted_loss", "emotion_accuracy", *windows]
    assert {"learning_rate", *names, *(f"val_{name}" for name in names)} <= set(rows[0])
    assert all(np.isfinite(value) for row in rows for value in row.values())
    assert 0 < rows[0]["val_zoom_1"] < 1
    if keras.backend.backend() == "tensorflow":
        assert list((run / "tensorboard").rglob("events*"))


def test_the_best_model_is_loaded_with_its_emotions(trained, contents):
    model, again = edram_fer.load(trained.run), edram_fer.load(trained.run / "model.keras")
    assert model.emotions == SEVEN
    images = {"image": contents["validation"]["image"].astype("float32") / 255}
    outputs, others = model.predict_on_batch(images), again.predict_on_batch(images)
    for name, values in outputs.items():
        np.testing.assert_array_equal(values, others[name])
    rows = history(trained.run)
    best = min(rows, key=lambda row: row["val_loss"])
    known = contents["validation"]["emotion"] != 2  # contempt is not among the seven
    zoom = np.sqrt(np.abs(np.linalg.det(outputs["windows"][known, 0, :, :2]))).mean()
    assert zoom == pytest.approx(best["val_zoom_1"], abs=1e-5)


def test_killed_while_it_writes_a_checkpoint_and_resumed(trained, tmp_path):
    run = tmp_path / "run"
    # Number 5 is that of step 4 in epoch 2; number 4, of step 2, stays.
    code, _ = command(5, "forch2019", *trained.settings, "--out", run, "--quiet", preamble=SABOTEUR)
    assert code == -signal.SIGKILL
    [half] = run.glob("checkpoints/.*")
    with pytest.raises(ValueError, match="is damaged"):
        checkpoints.read_state(half)
    _, meta = checkpoints.read_state(run / checkpoints.LATEST)
    assert (meta["epoch"], meta["step"]) == (1, 2)
    assert [row["epoch"] for row in history(run)] == [1]
    code, lines = command("--resume", run, "--quiet")
    assert code == 0, lines
    assert not any("UserWarning" in line for line in lines)
    assert_same_run(run, trained.run)
    assert len({row["learning_rate"] for row in history(run)}) > 1  # the plateau schedule has acted
    assert len(environment.read(run)["starts"]) == 2


@pytest.mark.parametrize("step", [2, STEPS, 2 * STEPS - 1, 3 * STEPS])
def test_stopped_by_a_signal_and_resumed(toy, toy_run, at_step, tmp_path, step):
    run, (epoch, rest) = tmp_path / "run", divmod(step, STEPS)
    place = f"in epoch {epoch + 1}, after step {rest}" if rest else f"after epoch {epoch}"
    at_step(step, send(signal.SIGTERM if step % 2 else signal.SIGINT))
    with pytest.raises(checkpoints.Interrupted, match=f"^{place}$"):
        training.train(toy, run, verbose=0)
    assert len(history(run) if epoch else []) == epoch  # the last step of an epoch waits for its validation
    training.resume(run, verbose=0)
    assert_same_run(run, toy_run)


def test_the_second_ctrl_c_stops_at_once(toy, at_step, tmp_path):
    at_step(3, send(signal.SIGTERM, signal.SIGTERM, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        training.train(toy, tmp_path / "run", verbose=0)
    assert checkpoints.read_state(tmp_path / "run" / checkpoints.LATEST)[1]["step"] == 2
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL  # as it was


def test_a_run_stopped_before_its_first_checkpoint_begins_anew(toy, toy_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(toy_run, run)
    shutil.rmtree(run / "checkpoints")
    unfinish(run)
    training.resume(run, verbose=0)
    assert_same_run(run, toy_run)


def test_resuming_a_finished_run_changes_nothing(toy_run, caplog):
    before = {path: path.read_bytes() for path in toy_run.rglob("*") if path.is_file()}
    with caplog.at_level(logging.INFO):
        training.resume(toy_run)
    assert "is finished: nothing to go on with" in caplog.text
    assert before == {path: path.read_bytes() for path in toy_run.rglob("*") if path.is_file()}


def test_early_stopping_holds_after_a_resume(toy, tmp_path, caplog):
    run = tmp_path / "run"
    training.train(dataclasses.replace(toy, epochs=9, patience=1, monitor="val_zoom_1"), run, verbose=0)
    rows = history(run)
    assert len(rows) == 2  # the toy's zoom never changes: no epoch is better than the first
    unfinish(run)
    with caplog.at_level(logging.INFO):
        training.resume(run, verbose=0)
    assert history(run) == rows and environment.read(run)["finished"]
    assert "best val_zoom_1 0.5000" in caplog.text


def test_a_loss_that_is_not_finite_ends_the_run(toy, tmp_path):
    run = tmp_path / "run"
    wild = dataclasses.replace(toy, learning_rate=1e38, checkpoint_steps=1)
    with pytest.raises(FloatingPointError, match=r"became (nan|inf) in epoch 1, step [2-5]; a smaller learning rate"):
        training.train(wild, run, verbose=0)
    arrays, _ = checkpoints.read_state(run / checkpoints.LATEST)
    assert all(np.isfinite(value).all() for value in arrays)
    with pytest.raises(FloatingPointError, match=r"in epoch 1, step [2-5];"):  # the step of the epoch, not of `fit`
        training.resume(run, verbose=0)


def test_weights_that_are_not_finite_reach_no_checkpoint(toy, tmp_path):
    setting = training._Setting(toy, tmp_path, data.describe(toy.data), None)
    setting.checkpoint.set_model(setting.model)
    setting.model.answer.bias.assign(np.full(7, np.nan))
    setting.checkpoint.epoch, setting.checkpoint.step = 3, 4
    with pytest.raises(FloatingPointError, match="bias is nan or infinite in epoch 4, after step 4"):
        setting.checkpoint.write()
    assert not (tmp_path / checkpoints.LATEST).exists()


@pytest.fixture
def copied(toy_run, tmp_path):
    """A copy of the toy's run that may be broken, not finished."""
    run = tmp_path / "run"
    shutil.copytree(toy_run, run)
    unfinish(run)
    return run


def test_resuming_with_changed_data(copied, toy, contents, tmp_path):
    changed = dict(np.load(toy.data))
    np.savez(tmp_path / "changed.npz", **{**changed, "fingerprint": "xyz"})
    files.write_json(copied / "recipe.json", {**toy.to_json(), "data": str(tmp_path / "changed.npz")})
    with pytest.raises(ValueError, match="changed.npz has changed.*expected fingerprint abc, found xyz"):
        training.resume(copied)


def test_resuming_a_damaged_or_foreign_checkpoint(copied, toy):
    path = copied / checkpoints.LATEST
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", content[:2000] + bytes(500) + content[2500:]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=f"{path} is damaged"):
            training.resume(copied)
    path.write_bytes(content)
    files.write_json(copied / "recipe.json", {**toy.to_json(), "emotions": "eight"})
    with pytest.raises(ValueError, match=f"{path} holds the state of another model or optimizer"):
        training.resume(copied)
    files.write_json(copied / "recipe.json", {**toy.to_json(), "epochs": "many"})
    with pytest.raises(ValueError, match="recipe.json: epochs: expected a whole number, got 'many'"):
        training.resume(copied)


def test_a_folder_that_holds_a_run_and_one_that_holds_none(copied, toy, tmp_path):
    with pytest.raises(FileExistsError, match="already holds a run: go on with --resume"):
        training.train(toy, copied)
    with pytest.raises(FileNotFoundError, match="nowhere/recipe.json is missing"):
        training.resume(tmp_path / "nowhere")
    bad = dataclasses.replace(toy, options={"dropout": 7})
    with pytest.raises(ValueError):
        training.train(bad, tmp_path / "new")
    assert not (tmp_path / "new").exists()  # a bad recipe leaves no run behind


def test_damaged_models_are_named(copied, tmp_path):
    path = copied / "model.keras"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match=f"{path} is damaged or no .keras file"):
        edram_fer.load(copied)
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match="other.keras holds no emotions.json"):
        edram_fer.load(tmp_path / "other.keras")
    with pytest.raises(FileNotFoundError, match="expected a run folder with model.keras"):
        edram_fer.load(tmp_path / "nowhere")


def test_collapsed_glimpses_are_told_in_the_log(tmp_path, caplog):
    logs = {f"val_{name}_{t}_sd": sd for t, sd in ((1, 0.0), (2, 0.3), (3, 0.01)) for name in ("x", "y")}
    logs |= {f"val_x_{t}": 0.0 for t in (1, 2, 3)}
    training.Log(tmp_path, [], fixed_first=True)._warn(logs)
    assert "glimpse 3 has collapsed: its centre scatters by 0.0100" in caplog.text
    assert caplog.text.count("collapsed") == 1
    training.Log(tmp_path, [], fixed_first=False)._warn(logs)
    assert "glimpse 1 has collapsed" in caplog.text


@pytest.mark.filterwarnings("ignore:Early stopping conditioned")
def test_an_unknown_monitor_is_named(toy, tmp_path):
    with pytest.raises(ValueError, match="monitor: expected one of .*val_loss.*, got 'val_accurracy'"):
        training.train(dataclasses.replace(toy, monitor="val_accurracy"), tmp_path / "run", verbose=0)
