"""Fixtures: a small NPZ file, a small EDRAM trained on it, a recipe that trains in seconds, a small disk."""

import gc
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import filelock
import numpy as np
import pytest

from edram_fer import startup

# TensorFlow's threads would compete with those of the other test worker.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
startup.choose_kernels()  # tests also import Keras directly


def pytest_collection_finish():
    """Run TensorFlow's graphs unoptimised: optimising takes longer than the small models of the tests run.

    The modules and tests live until the end: garbage collections need not look through their million objects. Some
    tests send Ctrl-C, which shells have background processes ignore.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if "tensorflow" in sys.modules:
        sys.modules["tensorflow"].config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    """Random numbers, such as the initial weights of a model, do not depend on which tests ran before."""
    np.random.seed(0)
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)


EMOTIONS = ("sad", "happy", "contempt", "neutral", "fear", "anger", "disgust", "surprise")  # not in canonical order
COUNTS = {"train": 80, "validation": 40, "test": 24}


def make_images(count, seed, size=28):
    """The features of an NPZ file: noise whose brightness depends on the emotion.

    With an odd seed (validation) the dependence is reversed, so that the validation loss rises while a model learns.
    """
    rng = np.random.default_rng(seed)
    emotion = np.arange(count) % len(EMOTIONS)
    brightness = 15 * (7 - emotion if seed % 2 else emotion)
    image = rng.integers(0, 100, (count, size, size, 1)) + brightness[:, None, None, None]
    affect = rng.uniform(-1, 1, (count, 2)).astype("float32")
    affect[::3] = -2
    return {
        "image": image.astype("uint8"),
        "emotion": emotion,
        "affect": affect,
        "id": np.array([f"{seed}-{i}" for i in range(count)]),
        "subject": np.array([f"s{i % 4}" for i in range(count)]),
    }


@pytest.fixture(scope="session")
def contents():
    """{split: features} of `npz_file`."""
    return {split: make_images(count, seed) for seed, (split, count) in enumerate(COUNTS.items())}


@pytest.fixture(scope="session")
def common_folder(tmp_path_factory):
    """A folder that all test workers share."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def npz_file(common_folder, contents):
    """Path of an NPZ file with the eight emotions in another than the canonical order."""
    path = common_folder / "noise.npz"
    metadata = {"source": "noise", "version": "1.0.0", "fingerprint": "abc", "emotions": np.array(EMOTIONS)}
    parts = {f"{split}/{name}": value for split, content in contents.items() for name, value in content.items()}
    with filelock.FileLock(common_folder / "noise.lock"):
        if not path.exists():
            np.savez_compressed(path, **metadata, **parts)
    return path


@pytest.fixture(scope="session")
def small_edram(npz_file):
    """Settings of a small EDRAM with every part that has a state or draws random numbers; four epochs of five steps."""
    return [
        *("variant=ours", "loss_form=ours"),
        *("batch_size=14", "epochs=4", "checkpoint_steps=2", "learning_rate=0.045", "seed=2", "min_learning_rate=1e-4"),
        *("glimpses=2", "glimpse_size=14", "dropout=0.4", "glimpse_filters=(2, 2, 4, 4, 4, 4)"),
        *("glimpse_units=8", "head_units=8", "classification_units=8", "location_units=8", "context_filters=(4, 4, 8)"),
        *("label_smoothing=0.1", "mixup=0.3", "ema=0.5", "augmentation.erase=0.5"),
        f"data={npz_file}",
    ]


@pytest.fixture(scope="session")
def trained(common_folder, small_edram):
    """An uninterrupted run of `small_edram`, trained by the first worker that needs it, and its recipe."""
    from edram_fer.recipes import recipe
    from edram_fer.training import loop

    resolved = recipe.override(recipe.get("forch2019"), small_edram)
    run = common_folder / "trained"
    with filelock.FileLock(common_folder / "trained.lock"):
        if not run.exists():
            loop.train(resolved, run, verbose=0)
    return SimpleNamespace(run=run, recipe=resolved)


@pytest.fixture
def copied(trained, tmp_path):
    """A copy of the trained run that a test may damage."""
    shutil.copytree(trained.run, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture(scope="module")
def toy_recipe(npz_file):
    """A recipe for the toy: three epochs of five steps, with checkpoints after steps 2 and 4 and each epoch."""
    from support import toy

    from edram_fer import models
    from edram_fer.recipes import recipe as recipes

    settings = {"learning_rate": 0.05, "min_learning_rate": 1e-4, "batch_size": 14, "epochs": 3, "checkpoint_steps": 2}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(models.MODELS, "toy", toy.Toy)
        yield recipes.Recipe(data=str(npz_file), model="toy", **settings)


@pytest.fixture
def mounted(tmp_path):
    """mount(options) -> an empty folder on a small file system of its own in memory, unmounted afterwards."""
    folder = tmp_path / "mounted"
    folder.mkdir()

    def mount(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        try:
            process = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("no mount command here")
        if process.returncode:
            pytest.skip(f"mounting a small disk is not allowed here: {process.stderr.strip()}")
        return folder

    yield mount
    if os.path.ismount(folder):
        # Lazily: what failed to be written may still be open until its traceback is gone.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
