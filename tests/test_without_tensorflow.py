"""Where TensorFlow cannot be imported: train, stop, resume and evaluate by the command line on JAX."""

import json
import os
import subprocess
import sys

import pytest
from support.paths import ROOT

pytest.importorskip("jax", reason="the JAX backend needs jax")

SCRIPT = """
import os, signal, sys
from pathlib import Path

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "tensorflow_datasets"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
from edram_fer.run import layout
from edram_fer import cli
from edram_fer.run import checkpoints
from edram_fer.training import callbacks, loop
from edram_fer.data.augment import Augmentation
from edram_fer.recipes.recipe import Recipe

def run(*arguments):
    try:
        cli.main([*arguments])
    except SystemExit as end:
        return end.code or 0

def stop_at(step):
    count = iter(range(1, 100))
    def on_train_batch_end(self, batch, logs=None):
        inner(self, batch, logs)
        if next(count) == step:
            os.kill(os.getpid(), signal.SIGTERM)
    callbacks.NanGuard.on_train_batch_end = on_train_batch_end

folder, source = Path(sys.argv[1]), sys.argv[2]
inner = callbacks.NanGuard.on_train_batch_end
small = ("glimpse_units=8", "head_units=8", "hidden_units=8", "glimpse_filters=(2, 2, 4, 4, 4, 4)", "dropout=0.3")
settings = ("model=cnn", f"data={source}", "batch_size=14", "epochs=1", *small)
options = [part for setting in settings for part in ("--set", setting)]
stop_at(3)
codes = [run("train", "forch2019", *options, "--out", f"{folder}/cnn", "--quiet")]
callbacks.NanGuard.on_train_batch_end = inner
step = checkpoints.read_state(folder / "cnn" / layout.LATEST)[1]["step"]
codes += [run("train", "--resume", f"{folder}/cnn", "--quiet"), run("evaluate", f"{folder}/cnn", "--no-figures")]

# Exactness with a model that is quick to compile: stopped in the second epoch against never stopped.
from edram_fer import models
from support.toy import Toy, assert_same_run
models.MODELS["toy"] = Toy
toy = Recipe(model="toy", data=source, batch_size=14, epochs=3, learning_rate=0.05, checkpoint_steps=2,
             optimizer="sgd", weight_decay=1e-3, mixup=0.3, ema=0.9, augmentation=Augmentation(erase=0.5))
loop.train(toy, folder / "whole", verbose=0)
stop_at(8)
try:
    loop.train(toy, folder / "stopped", verbose=0)
except checkpoints.Interrupted as stop:
    place = str(stop)
callbacks.NanGuard.on_train_batch_end = inner
loop.resume(folder / "stopped", verbose=0)
assert_same_run(folder / "stopped", folder / "whole")
assert "tensorflow" not in sys.modules
print(codes, step, place, sep="; ")
"""


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory, npz_file):
    """(process, folder) of the script."""
    folder = tmp_path_factory.mktemp("jax")
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    settings = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": path}
    settings["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"  # compiles faster
    call = [sys.executable, "-c", SCRIPT, str(folder), str(npz_file)]
    return subprocess.run(call, cwd=ROOT, env={**os.environ, **settings}, capture_output=True, text=True), folder


def test_train_stop_resume_and_evaluate(finished_run):
    process, folder = finished_run
    assert process.returncode == 0, process.stderr
    last_line = process.stdout.strip().splitlines()[-1]
    assert last_line == "[143, 0, 0]; 3; in epoch 2, after step 3", process.stderr
    message = f"Stopped and saved in epoch 1, after step 3. Resume with: edram-fer train --resume {folder}/cnn"
    assert message in process.stderr and "Warning" not in process.stderr


def test_the_evaluation_holds_every_image(finished_run):
    metrics = json.loads((finished_run[1] / "cnn" / "metrics.json").read_text())
    assert metrics["splits"]["test"]["images"] == 21 and 0 <= metrics["splits"]["test"]["accuracy"] <= 1
