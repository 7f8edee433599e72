"""Exact resume after kills, signals and early stopping; states from which a run cannot be resumed."""

import dataclasses
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from io import BytesIO

import filelock
import numpy as np
import pytest
from support.paths import ROOT
from support.scratch import AUGMENTATION, SCRATCH
from support.toy import STEPS, assert_same_run, history

import edram_fer
from edram_fer import files, keras_file
from edram_fer.run import checkpoints, environment, layout
from edram_fer.training import callbacks, loop

# Runs train.py with the threads and graphs of this process, whose run is the standard of comparison. Arguments: a
# number, then those of train.py: the process dies while it writes that checkpoint.
TRAIN = """
import os, runpy, signal, sys
import numpy
import tensorflow
tensorflow.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})

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


@pytest.fixture(scope="module")
def toy_run(toy_recipe, tmp_path_factory):
    """A run of the toy that nothing stopped."""
    run = tmp_path_factory.mktemp("toy") / "run"
    loop.train(toy_recipe, run, verbose=0)
    return run


@pytest.fixture
def at_step(monkeypatch):
    """at_step(n, action): call `action` in the n-th training step from now on."""

    def install(number, action):
        count, inner = iter(range(1, 1000)), callbacks.NanGuard.on_train_batch_end

        def step(self, batch, logs=None):
            inner(self, batch, logs)
            if next(count) == number:
                action()

        monkeypatch.setattr(callbacks.NanGuard, "on_train_batch_end", step)

    return install


def send(*numbers):
    return lambda: [os.kill(os.getpid(), number) for number in numbers]


def unfinish(run):
    """As if the process had died just before it noted the end."""
    recorded = environment.read(run)
    del recorded["finished"]
    files.write_json(run / "environment.json", recorded)


@pytest.fixture
def unfinished(toy_run, tmp_path):
    """A copy of the toy's run that may be broken, not finished."""
    run = tmp_path / "run"
    shutil.copytree(toy_run, run)
    unfinish(run)
    return run


def test_a_run_resumes_from_another_folder(toy_recipe, toy_run, tmp_path, monkeypatch):
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "first")
    shutil.copy(toy_recipe.data, "faces.npz")
    shutil.copytree(toy_run, "teacher")
    recipes = []
    monkeypatch.setattr(loop, "_fit", lambda setup, verbose: recipes.append(setup.recipe))
    loop.train(dataclasses.replace(toy_recipe, data="faces.npz", teacher="teacher"), "run", verbose=0)
    monkeypatch.chdir(tmp_path / "second")
    loop.resume("../first/run", verbose=0)
    first, resumed = recipes
    assert (first.data, resumed.data) == ("faces.npz", str(tmp_path / "first" / "faces.npz"))
    assert (first.teacher, resumed.teacher) == ("teacher", str(tmp_path / "first" / "teacher"))
    assert checkpoints.read_recipe("../first/run").data == "faces.npz"
    teacher = tmp_path / "first" / "teacher" / "model.keras"
    keras_file.set_option(teacher, "calibration", {"temperature": 2.0})  # as `calibrate` does
    loop.resume("../first/run", verbose=0)
    changed = edram_fer.load(teacher)
    changed.answer.bias.assign(np.ones(7))
    checkpoints.save(changed, teacher)
    with pytest.raises(ValueError, match=f"^teacher: the weights of {teacher.parent} have changed since the run began"):
        loop.resume("../first/run", verbose=0)


@pytest.mark.parametrize(("name", "before"), [("threads", 64), ("onednn", "0"), ("threads", None)])
def test_another_arithmetic_is_reported(unfinished, caplog, name, before):
    recorded = environment.read(unfinished)
    now = recorded["starts"][-1]
    assert now["threads"] == int(os.environ["TF_NUM_INTRAOP_THREADS"])
    assert now["onednn"] == os.environ.get("TF_ENABLE_ONEDNN_OPTS")
    if before is not None:
        recorded["starts"][-1] = now | {name: before}
        files.write_json(unfinished / "environment.json", recorded)
    loop.resume(unfinished, verbose=0)
    expected = f"trained with {name}={before} and resumes with {now[name]},"
    assert (expected in caplog.text) == ("which changes the last bits" in caplog.text) == (before is not None)
    assert environment.read(unfinished)["starts"][-1][name] == now[name]


@pytest.mark.slow
def test_killed_while_it_writes_a_checkpoint_and_resumed(small_edram, trained, tmp_path):
    run, settings = tmp_path / "run", [part for setting in small_edram for part in ("--set", setting)]
    # Number 5 is that of step 4 in epoch 2; number 4, of step 2, stays.
    call = [sys.executable, "-c", TRAIN, "5", "forch2019", *settings, "--quiet", "--out", str(run)]
    assert subprocess.run(call, cwd=ROOT, capture_output=True, timeout=600).returncode == -signal.SIGKILL
    [half] = run.glob("checkpoints/.*/latest.npz")
    with pytest.raises(ValueError, match="is damaged"):
        checkpoints.read_state(half)
    _, meta = checkpoints.read_state(run / layout.LATEST)
    assert (meta["epoch"], meta["step"]) == (1, 2)
    assert [row["epoch"] for row in history(run)] == [1]
    loop.resume(run, verbose=0)
    assert not half.exists()
    assert_same_run(run, trained.run)
    assert len({row["learning_rate"] for row in history(run)}) > 1  # the plateau schedule has acted
    assert len(environment.read(run)["starts"]) == 2


@pytest.mark.parametrize(
    "step",
    [2, pytest.param(STEPS, marks=pytest.mark.slow), pytest.param(2 * STEPS - 1, marks=pytest.mark.slow), 3 * STEPS],
)
def test_stopped_by_a_signal_and_resumed(toy_recipe, toy_run, at_step, tmp_path, step):
    run, (epoch, rest) = tmp_path / "run", divmod(step, STEPS)
    position = f"in epoch {epoch + 1}, after step {rest}" if rest else f"after epoch {epoch}"
    at_step(step, send(signal.SIGTERM if step % 2 else signal.SIGINT))
    with pytest.raises(checkpoints.Interrupted, match=f"^{position}$"):
        loop.train(toy_recipe, run, verbose=0)
    assert len(history(run) if epoch else []) == epoch  # the last step of an epoch waits for its validation
    loop.resume(run, verbose=0)
    assert_same_run(run, toy_run)


@pytest.mark.parametrize(
    ("settings", "calls"),
    [
        ({"steps_per_call": 2}, 4),  # of the five steps of an epoch: calls of 2, 2 and 1
        pytest.param({"device_data": True}, STEPS + 2, marks=pytest.mark.slow),
    ],
)
def test_how_steps_get_their_batches_changes_nothing(toy_recipe, toy_run, at_step, tmp_path, settings, calls):
    run, recipe = tmp_path / "run", dataclasses.replace(toy_recipe, **settings)
    at_step(calls, send(signal.SIGTERM))
    with pytest.raises(checkpoints.Interrupted, match="^in epoch 2, after step 2$"):
        loop.train(recipe, run, verbose=0)
    loop.resume(run, verbose=0)
    assert_same_run(run, toy_run)


@pytest.mark.slow
def test_training_from_scratch_is_resumed_exactly(toy_recipe, at_step, tmp_path):
    recipe = dataclasses.replace(toy_recipe, augmentation=AUGMENTATION, **SCRATCH)
    run, whole = tmp_path / "run", tmp_path / "whole"
    loop.train(recipe, whole, verbose=0)
    at_step(STEPS + 3, send(signal.SIGTERM))
    with pytest.raises(checkpoints.Interrupted, match="^in epoch 2, after step 3$"):
        loop.train(recipe, run, verbose=0)
    loop.resume(run, verbose=0)
    assert_same_run(run, whole)


def test_the_second_ctrl_c_stops_at_once(toy_recipe, at_step, tmp_path):
    at_step(3, send(signal.SIGTERM, signal.SIGTERM, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        loop.train(toy_recipe, tmp_path / "run", verbose=0)
    assert checkpoints.read_state(tmp_path / "run" / layout.LATEST)[1]["step"] == 2
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL  # as it was


def test_a_run_stopped_before_its_first_checkpoint_starts_again(toy_recipe, toy_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(toy_run, run)
    shutil.rmtree(run / "checkpoints")
    unfinish(run)
    loop.resume(run, verbose=0)
    assert_same_run(run, toy_run)


def test_resuming_a_finished_run_changes_nothing(toy_run, caplog):
    before = {path: path.read_bytes() for path in toy_run.rglob("*") if path.is_file()}
    with caplog.at_level(logging.INFO):
        loop.resume(toy_run)
    assert "is finished: nothing to resume" in caplog.text
    assert before == {path: path.read_bytes() for path in toy_run.rglob("*") if path.is_file()}


def test_only_one_process_trains_in_a_folder(unfinished, toy_recipe, tmp_path):
    (tmp_path / "new" / "checkpoints").mkdir(parents=True)
    for folder, begin in ((unfinished, loop.resume), (tmp_path / "new", partial(loop.train, toy_recipe))):
        with filelock.FileLock(folder / "checkpoints" / "lock"):
            with pytest.raises(BlockingIOError, match=f"another process is training in {folder}"):
                begin(folder, verbose=0)
    loop.resume(unfinished, verbose=0)


def test_early_stopping_holds_after_a_resume(toy_recipe, tmp_path, caplog):
    run = tmp_path / "run"
    loop.train(dataclasses.replace(toy_recipe, epochs=9, patience=1, monitor="val_glimpse_1_zoom"), run, verbose=0)
    rows = history(run)
    assert len(rows) == 2  # the toy's zoom never changes: no epoch is better than the first
    unfinish(run)
    with caplog.at_level(logging.INFO):
        loop.resume(run, verbose=0)
    assert history(run) == rows and environment.read(run)["finished"]
    assert "best val_glimpse_1_zoom 0.5000" in caplog.text


def test_resuming_with_changed_data(unfinished, toy_recipe, contents, tmp_path):
    changed = dict(np.load(toy_recipe.data))
    np.savez(tmp_path / "changed.npz", **{**changed, "fingerprint": "xyz"})
    files.write_json(unfinished / "recipe.json", {**toy_recipe.to_json(), "data": str(tmp_path / "changed.npz")})
    with pytest.raises(ValueError, match="changed.npz has changed.*expected fingerprint abc, found xyz"):
        loop.resume(unfinished)


def test_resuming_a_damaged_or_foreign_checkpoint(unfinished, toy_recipe):
    path = unfinished / layout.LATEST
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", content[:2000] + bytes(500) + content[2500:]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=f"{path} is damaged"):
            loop.resume(unfinished)
    arrays = dict(np.load(BytesIO(content)))
    meta = json.loads(str(arrays["meta"]))
    del meta["epoch"]
    fewer = {name: value for name, value in arrays.items() if name != "v00000"}
    for changed, words in (({**arrays, "meta": json.dumps(meta)}, "lacks epoch"), (fewer, "differ from the shapes")):
        np.savez(path, **changed)
        with pytest.raises(ValueError, match=f"{path} is damaged: it.* {words}"):
            loop.resume(unfinished)
    path.write_bytes(content)
    files.write_json(unfinished / "recipe.json", {**toy_recipe.to_json(), "emotions": "eight"})
    with pytest.raises(ValueError, match=f"{path} holds the state of another model or optimizer"):
        loop.resume(unfinished)
    recorded = environment.read(unfinished)
    files.write_json(unfinished / "environment.json", {**recorded, "data": 3})
    with pytest.raises(ValueError, match="environment.json does not describe a run: expected `data`"):
        loop.resume(unfinished)
    files.write_json(unfinished / "environment.json", recorded)
    files.write_json(unfinished / "recipe.json", {**toy_recipe.to_json(), "epochs": "many"})
    with pytest.raises(ValueError, match="recipe.json: epochs: expected a whole number, got 'many'"):
        loop.resume(unfinished)
