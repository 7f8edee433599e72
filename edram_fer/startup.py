"""Import Keras and its backend: without the startup messages of TensorFlow's libraries, with the faster kernels."""

import contextlib
import json
import os
import platform
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

# Packages that TensorFlow and Keras import where they are installed, for functions that no command uses: converting
# models of JAX, taking tables of pandas, wrapping models for scikit-learn, drawing.
UNUSED = ("jax", "pandas", "sklearn", "matplotlib", "IPython")


def load_keras() -> None:
    """Import Keras and its backend silently. If that fails, their output is shown before the error."""
    from edram_fer.preprocessing import quiet

    choose_kernels()
    quiet.import_module("keras")


def choose_kernels() -> None:
    """Let TensorFlow, if it is not imported yet, compute with oneDNN's kernels on every x86 processor.

    By itself it does so only where the processor has the newer AVX-512 instructions. With AVX2, gradients take a third
    to four fifths of the time (docs/benchmarks.md). TF_ENABLE_ONEDNN_OPTS=0 keeps TensorFlow's own.
    """
    if platform.machine().lower() in ("x86_64", "amd64"):
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def load_keras_alone() -> None:
    """Like `load_keras`, but Keras and TensorFlow do not import UNUSED packages: a third less memory, half the time.

    For a process that is a command's own, because Keras then takes no tables of pandas.
    """
    with _hidden([] if "keras" in sys.modules else [name for name in UNUSED if name != _backend()]):
        load_keras()


def _backend() -> str:
    """The backend that Keras will import."""
    if backend := os.environ.get("KERAS_BACKEND"):
        return backend
    try:
        settings = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras", "keras.json").read_text(
            encoding="utf-8"
        )
        return json.loads(settings)["backend"]
    except (OSError, ValueError, KeyError, TypeError):  # without settings
        return "tensorflow"


@contextlib.contextmanager
def _hidden(names: list[str]) -> Generator[None, None, None]:
    """Let the import of packages that are not imported yet fail, as if they were not installed."""
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = cast(Any, None)
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
