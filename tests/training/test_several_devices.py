"""On two devices and in two processes, on the JAX backend: losses and weights equal those of one device."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support.paths import ROOT

from edram_fer.run import checkpoints, layout

pytest.importorskip("jax", reason="several devices need jax")
pytestmark = pytest.mark.slow

SETTINGS = (
    *("model=toy", "normalised=true", "dtype=float32", "batch_size=14", "checkpoint_steps=2", "learning_rate=0.01"),
    *("optimizer=sgd", "weight_decay=1e-3", "mixup=0.3", "ema=0.9", "augmentation.erase=0.5"),
)


@pytest.fixture(scope="module")
def command(npz_file):
    """command(*words, devices=1): start the command line with that number of virtual devices in each process."""
    started = []

    def start(*words, devices=1):
        environment = {
            **os.environ,
            "KERAS_BACKEND": "jax",
            "JAX_PLATFORMS": "cpu",
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # compiles faster
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
            "PYTHONUNBUFFERED": "1",
        }
        call = [sys.executable, str(ROOT / "tests" / "support" / "toy_cli.py"), *map(str, words)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(call, cwd=ROOT, env=environment, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.terminate()
        process.communicate()


@pytest.fixture(scope="module")
def train(command, npz_file):
    """train(run, *before, epochs, devices): the process that trains the toy after the words `before`."""

    def start(run, *before, epochs=3, devices=1, settings=()):
        given = [*SETTINGS, f"epochs={epochs}", f"data={npz_file}", *settings]
        words = [word for setting in given for word in ("--set", setting)]
        return command(*before, "train", "forch2019", *words, "--quiet", "--out", run, "--devices", devices, devices=2)

    return start


def finish(process, status=0):
    """Wait for a process, and return its standard error."""
    _, errors = process.communicate(timeout=600)
    assert process.returncode == status, errors
    return errors


@pytest.fixture(scope="module")
def single(train, tmp_path_factory):
    """A run on one device."""
    run = tmp_path_factory.mktemp("single") / "run"
    finish(train(run))
    return run


def rows(run):
    with open(run / layout.HISTORY, newline="") as file:
        return [
            {name: float(value) for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)
        ]


def assert_close(run, expected):
    """Equal weights, optimizer, averages, metrics and history, up to the rounding of sums in another order."""
    arrays, meta = checkpoints.read_state(run / layout.LATEST)
    others, expected_meta = checkpoints.read_state(expected / layout.LATEST)
    assert (meta["epoch"], meta["step"]) == (expected_meta["epoch"], expected_meta["step"])
    for value, other in zip(arrays, others, strict=True):
        np.testing.assert_allclose(value, other, rtol=1e-3, atol=1e-4)
    for row, other in zip(rows(run), rows(expected), strict=True):
        assert row == pytest.approx(other, rel=1e-3, abs=1e-4)


def starts(run):
    return json.loads((run / layout.ENVIRONMENT).read_text())["starts"]


def test_two_devices_equal_one(train, single, tmp_path):
    run = tmp_path / "run"
    errors = finish(train(run, devices=2))
    assert "training on cpu:0, cpu:1 with jax" in errors and "Warning" not in errors
    assert_close(run, single)
    assert starts(run)[0]["devices"] == 2


def test_two_processes_equal_one_and_only_one_writes(train, single, tmp_path):
    run = tmp_path / "run"
    errors = finish(train(run, "launch", "-n", 2, "--"))
    assert errors.count("training on") == 1
    assert_close(run, single)
    names = [sorted(str(path.relative_to(folder)) for path in folder.glob("*")) for folder in (run, single)]
    assert names[0] == names[1]
    [start] = starts(run)
    assert (start["processes"], start["devices"]) == (2, 2)


def test_several_steps_a_call_equal_single_steps(train, tmp_path):
    runs = [tmp_path / "1", tmp_path / "2"]
    for number, run in enumerate(runs, 1):  # of five steps in an epoch: 2, 2 and 1
        finish(train(run, settings=("ema=0", f"steps_per_call={number}")))
    (arrays, meta), (others, other_meta) = (checkpoints.read_state(run / layout.LATEST) for run in runs)
    for row in (*meta["history"], *other_meta["history"]):
        del row["seconds"]
    assert meta == other_meta
    for value, other in zip(arrays, others, strict=True):
        np.testing.assert_array_equal(value, other)


def wait_for_epoch(run, number):
    deadline = time.monotonic() + 600
    while not (run / layout.HISTORY).exists() or len(rows(run)) < number:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def children(process):
    return [int(number) for number in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="finds the processes in /proc")
def test_a_killed_process_ends_the_job_and_one_process_resumes(command, train, tmp_path):
    run, whole = tmp_path / "run", tmp_path / "whole"
    process = train(run, "launch", "-n", 2, "--", epochs=40)
    wait_for_epoch(run, 2)
    os.kill(children(process)[1], signal.SIGKILL)
    errors = finish(process, 1)
    assert errors.splitlines()[-1].startswith(
        "error: process 2 of 2 was killed by signal 9, so the others were stopped"
    )
    assert "Traceback" not in errors
    finish(command("train", "--resume", run, "--quiet"))
    finish(train(whole, epochs=40))
    assert [start["processes"] for start in starts(run)] == [2, 1]
    assert_close(run, whole)


def test_a_signal_stops_all_processes_after_the_same_step(command, train, tmp_path):
    run = tmp_path / "run"
    process = train(run, "launch", "-n", 2, "--", epochs=10_000)
    wait_for_epoch(run, 2)
    process.terminate()
    errors = finish(process, 128 + signal.SIGTERM)
    assert f"Resume with: edram-fer train --resume {run}" in errors.splitlines()[-1]
    assert errors.count("Stopped and saved") == 1 and "Traceback" not in errors
    _, meta = checkpoints.read_state(run / layout.LATEST)
    assert (
        f"in epoch {meta['epoch'] + 1}, after step {meta['step']}" in errors or f"after epoch {meta['epoch']}" in errors
    )


@pytest.mark.parametrize(
    ("words", "settings", "message"),
    [
        (("--devices", 3), (), "error: devices: expected a number from 1 to 2 (cpu:0, cpu:1), or all, got 3"),
        (
            ("--devices", "all"),
            ("batch_size=15",),
            "error: batch_size: expected a multiple of 2, the number of devices",
        ),
    ],
)
def test_what_does_not_fit_is_refused(command, npz_file, tmp_path, words, settings, message):
    given = [word for setting in (*SETTINGS, f"data={npz_file}", *settings) for word in ("--set", setting)]
    errors = finish(command("train", "forch2019", *given, "--out", tmp_path / "run", *words, devices=2), 1)
    assert errors.splitlines()[-1].startswith(message)
    assert not (tmp_path / "run").exists()
