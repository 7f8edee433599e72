"""Where TensorFlow cannot be imported: train, stop, resume exactly and evaluate by the command line on JAX."""

import json
import os
import subprocess
import sys

import pytest
from support.paths import ROOT

pytest.importorskip("jax", reason="the JAX backend needs jax")
pytestmark = pytest.mark.slow

SCRIPT = """
import os, signal, sys
from pathlib import Path

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "tensorflow_datasets"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
from edram_fer import cli, devices, models
from edram_fer.data.batches import Batches
from edram_fer.training import callbacks
from support.toy import Toy, assert_same_run, history

def run(*arguments):
    try:
        cli.main([*arguments])
    except SystemExit as end:
        return end.code or 0

inner, count = callbacks.NanGuard.on_train_batch_end, iter(range(1, 100))
def stop(self, batch, logs=None):
    inner(self, batch, logs)
    if next(count) == 8:
        os.kill(os.getpid(), signal.SIGTERM)

folder, source = Path(sys.argv[1]), sys.argv[2]
whole, stopped = str(folder / "whole"), str(folder / "stopped")
models.MODELS["toy"] = Toy  # quick to compile
settings = ("model=toy", f"data={source}", "batch_size=14", "epochs=3", "learning_rate=0.05", "checkpoint_steps=2",
            "optimizer=sgd", "weight_decay=1e-3", "mixup=0.3", "ema=0.9", "augmentation.erase=0.5")
train = ("train", "forch2019", "--quiet", *(part for setting in settings for part in ("--set", setting)), "--out")
codes = [run(*train, whole)]
callbacks.NanGuard.on_train_batch_end = stop
codes += [run(*train, stopped)]
callbacks.NanGuard.on_train_batch_end = inner
codes += [run("train", "--resume", stopped, "--quiet"), run("evaluate", stopped, "--no-figures")]
assert_same_run(folder / "stopped", folder / "whole")
devices.has_accelerator = lambda: True  # from here on the images stay on the device
prepare, prepared = Batches.prepare, []
Batches.prepare = lambda self, **arguments: prepared.append(arguments) or prepare(self, **arguments)
codes += [run(*train, str(folder / "device"))]
assert len(prepared) == 1  # inside the training step, which is compiled once
for row, expected in zip(history(folder / "device"), history(folder / "whole"), strict=True):
    for name, value in expected.items():
        assert abs(row[name] - value) < 1e-3, (name, row[name], value)
assert "tensorflow" not in sys.modules
print(codes)
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
    assert last_line == "[0, 143, 0, 0, 0]", process.stderr
    message = f"Stopped and saved in epoch 2, after step 3. Resume with: edram-fer train --resume {folder}/stopped"
    assert message in process.stderr and "Warning" not in process.stderr


def test_the_evaluation_holds_every_image(finished_run):
    metrics = json.loads((finished_run[1] / "stopped" / "metrics.json").read_text())
    assert metrics["splits"]["test"]["images"] == 21 and 0 <= metrics["splits"]["test"]["accuracy"] <= 1
