"""environment.json: the software, hardware and data of a run."""

import datetime
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras

from edram_fer import files, installation, keras_file
from edram_fer.devices import ONE, Replicas
from edram_fer.errors import UserError
from edram_fer.preprocessing.cores import available_cores
from edram_fer.recipes.recipe import Recipe
from edram_fer.run import checkpoints, layout

VARIABLES = {"threads": "TF_NUM_INTRAOP_THREADS", "onednn": "TF_ENABLE_ONEDNN_OPTS"}  # that set the `arithmetic`
TEACHER = "teacher_weights_sha256"  # a key


def versions() -> dict[str, str | None]:
    """`installation.versions` and the Keras backend."""
    return {**installation.versions(), "backend": keras.backend.backend()}


def machine() -> dict[str, Any]:
    """{"processor", "cores", "system", "devices"}: the hardware of a run."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "devices": keras.distribution.list_devices(),
    }


def arithmetic() -> dict[str, Any]:
    """What sums of floats on a CPU depend on in their last bits, by the names of VARIABLES.

    "threads" compute one operation; on JAX, all cores. "onednn", with TensorFlow only: "0" for its own kernels.
    """
    if keras.backend.backend() != "tensorflow":
        return {"threads": available_cores()}
    import tensorflow as tf

    configured = tf.config.threading.get_intra_op_parallelism_threads()
    chosen = os.environ.get(VARIABLES["threads"], "")  # TensorFlow passes over what is no number
    threads = configured or (int(chosen) if chosen.isdecimal() else 0) or available_cores()
    return {"threads": threads, "onednn": os.environ.get(VARIABLES["onednn"])}


def remedy(name: str) -> str:
    """How a user gives one value of `arithmetic` another, as the end of a sentence."""
    if keras.backend.backend() != "tensorflow":
        return "let it use as many cores, with taskset"
    return f"set {VARIABLES[name]}"


def record(
    run: Path | str,
    recipe: Recipe,
    described: dict[str, Any],
    data_dir: Path | str | None,
    replicas: Replicas = ONE,
) -> None:
    """Write environment.json at the start of a run, or add another start to it when the run is resumed.

    Args:
        run: The run folder.
        recipe: Its recipe.
        described: The result of `edram_fer.data.describe` for its data.
        data_dir: Folder of prepared data sets.
        replicas: The devices that train.
    """
    path = Path(run) / layout.ENVIRONMENT
    content: dict[str, Any] = read(run) if path.exists() else {"versions": versions(), "machine": machine()}
    content.setdefault(layout.WORKING_FOLDER, str(Path.cwd()))
    data_folder = None if data_dir is None else str(Path(data_dir).absolute())
    content |= {"seed": recipe.seed, "data": described, "data_dir": data_folder}
    if recipe.initial_weights and "initial_weights_sha256" not in content:
        content["initial_weights_sha256"] = files.digest(checkpoints.model_path(recipe.initial_weights))
    if recipe.teacher and TEACHER not in content:
        content[TEACHER] = keras_file.weights_digest(checkpoints.model_path(recipe.teacher))
    start = {"time": _timestamp(), "command": shlex.join(sys.argv), "git_revision": _git_revision()}
    numbers = {"devices": replicas.count, "processes": replicas.processes}
    content["starts"] = [*content.get("starts", []), start | arithmetic() | numbers]
    files.write_json(path, content)


def other_arithmetic(run: Path | str) -> dict[str, tuple[Any, Any]]:
    """{name: (then, now)} of `arithmetic` where the last start of a run recorded another value than it has now."""
    last = read(run).get("starts", [{}])[-1]
    return {name: (last[name], now) for name, now in arithmetic().items() if last.get(name, now) != now}


def finish(run: Path | str) -> None:
    """Record the time at which training ended."""
    files.write_json(Path(run) / layout.ENVIRONMENT, {**read(run), "finished": _timestamp()})


def read(run: Path | str) -> dict[str, Any]:
    """The content of environment.json.

    Raises:
        MissingFileError: There is no such file.
        UserError: The file is damaged; the message names it.
    """
    path = Path(run) / layout.ENVIRONMENT
    content = files.read_json(path)
    if "data_dir" not in content or not isinstance(content.get("data"), dict):
        raise UserError(f"{path} does not describe a run: expected `data` and `data_dir`, found {', '.join(content)}")
    return content


def _timestamp():
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def _git_revision():
    """The Git revision of the checkout that contains this package, with "+" for changes; None without a checkout."""
    folder = Path(__file__).resolve().parents[2]

    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout

    try:
        if Path(git("rev-parse", "--show-toplevel").strip()) != folder:
            return None
        return git("rev-parse", "--short", "HEAD").strip() + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
