"""What environment.json says about the code of a run."""

import subprocess
from pathlib import Path

import keras
import pytest

from edram_fer.preprocessing.cores import available_cores
from edram_fer.run import environment

ROOT = Path(__file__).resolve().parents[2]


def test_threads_are_counted_with_any_value_of_the_variable(monkeypatch):
    cores = available_cores()
    for value, threads in (("3", 3), ("0", cores), ("", cores), ("all", cores)):
        monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", value)
        expected = threads if keras.backend.backend() == "tensorflow" else cores
        assert environment.arithmetic()["threads"] == expected


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not in a checkout")
def test_the_revision_is_that_of_the_checkout():
    git = ["git", "rev-parse", "--short", "HEAD"]
    expected = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    assert environment._git_revision().removesuffix("+") == expected
