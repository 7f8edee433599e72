"""benchmarks.gpu on the CPU, at a size that takes seconds: its measurements, and the training after them."""

import csv
import json
import os
import subprocess
import sys

import pytest
from support.paths import ROOT

pytest.importorskip("jax", reason="benchmarks.gpu needs jax")
pytestmark = pytest.mark.slow

SIZES = (
    "--image-size",
    28,
    "--glimpses",
    1,
    "--images",
    16,
    "--steps",
    2,
    "--rounds",
    1,
    "--steps-per-call",
    3,
    "--seconds",
    9000,
)
TINY = ("glimpse_size=14", "glimpse_filters=(2,2,4,4,4,4)", "glimpse_units=8", "head_units=8")
MORE = ("classification_units=8", "location_units=8", "context_filters=(4,4,8)")


def run(*words):
    settings = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    call = [sys.executable, "-m", "benchmarks.gpu", *map(str, words)]
    process = subprocess.run(call, cwd=ROOT, env={**os.environ, **settings}, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_measures_both_paths_and_trains(npz_file, tmp_path):
    words = ("--batches", 4, "--host-batches", 4, *SIZES, "--dtype", "float32", "--peak", 1e9, "--out", tmp_path)
    printed = run(
        *words, "--data", npz_file, "--set", *TINY, *MORE, "epochs=2", "batch_size=14", "glimpses=1", "guide=()"
    )
    results = json.loads((tmp_path / "results.json").read_text())
    assert [(row["path"], row["batch"]) for row in results["rows"]] == [("device", 4), ("host", 4)]
    assert 1e4 < results["flops"] < 1e8
    for row in results["rows"]:
        assert row["images_per_second"] > 0 and row["memory_gib"] is None
        assert row["share_of_peak"] == pytest.approx(row["images_per_second"] * results["flops"] / 1e9)
        line = f"| {row['path']} | 4 | {row['images_per_second']:,.0f} | {row['share_of_peak']:.1%} |  | "
        assert line in printed
    with open(tmp_path / "run" / "history.csv", newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]
