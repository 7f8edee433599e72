"""A grid of runs: what is trained, skipped, gone on with, and what becomes of a run that fails."""

import csv
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from toy import assert_same_run

from edram_fer import cli, recipe, sweep, training

SMALL = [
    *("batch_size=40", "epochs=1", "learning_rate=0.03", "glimpses=1", "glimpse_size=14", "affect=false"),
    *("glimpse_filters=(2, 2, 4, 4, 4, 4)", "glimpse_units=8", "head_units=8", "classification_units=8"),
    *("location_units=8", "context_filters=(4, 4, 8)"),
]


def test_a_grid_is_all_combinations_and_seeds():
    vary = {"zoom_limit": ["none", ".5"], "options.rotation": ["false"]}
    runs = sweep.grid("zoom_free", vary, 2, ["epochs=3", "seed=4"])
    assert list(runs) == [
        "zoom_limit=none-options.rotation=False-seed=4",
        "zoom_limit=none-options.rotation=False-seed=5",
        "zoom_limit=0.5-options.rotation=False-seed=4",
        "zoom_limit=0.5-options.rotation=False-seed=5",
    ]
    for name, made in runs.items():
        assert made.epochs == 3 and made.options["rotation"] is False and f"seed={made.seed}" in name
        assert made.options["zoom_limit"] == (None if "none" in name else 0.5)


def test_the_zoom_recipes_differ_in_the_limit_alone():
    free = recipe.get("zoom_free")
    for name, limit in (("zoom50", 0.5), ("zoom30", 0.3)):
        other = recipe.get(name)
        assert recipe.override(free, [f"zoom_limit={limit}", f"name={name}"]) == other


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (("zoom_free", {"zoom_limt": ["1"]}), "unknown key 'zoom_limt'"),
        (("zoom_99", {}), "recipe: expected one of"),
        (("zoom_free", {"zoom_limit": [".5", "0.5"]}), "zoom_limit=0.5-seed=0 comes twice"),
        (("zoom_free", {}, 0), "seeds: expected at least 1, got 0"),
    ],
)
def test_a_bad_grid(call, words):
    with pytest.raises(ValueError, match=words):
        sweep.grid(*call)


def test_runs_are_as_if_trained_alone_and_made_once(arrays_file, tmp_path):
    settings = [*SMALL, f"data={arrays_file}"]
    runs = sweep.grid("forch2019", {"zoom_limit": ["7", ".3"]}, 1, settings)
    rows = sweep.sweep(runs, tmp_path / "grid", verbose=0)
    assert [row["status"].split(":")[0] for row in rows] == ["failed", "finished"]
    assert "zoom_limit: expected None or a number in (0, 1], got 7" in rows[0]["status"]
    training.train(runs["zoom_limit=0.3-seed=0"], tmp_path / "alone", verbose=0)
    assert_same_run(tmp_path / "grid" / "zoom_limit=0.3-seed=0", tmp_path / "alone")
    with open(tmp_path / "grid" / "sweep.csv", newline="") as source:
        table = list(csv.DictReader(source))
    assert [row["run"] for row in table] == list(runs) and 0 <= float(table[1]["test_accuracy"]) <= 1
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "grid").rglob("*") if path.parent.name != "grid"}
    assert sweep.sweep(runs, tmp_path / "grid", verbose=0) == rows
    assert {path: path.stat().st_mtime_ns for path in before} == before
    longer = sweep.grid("forch2019", {"zoom_limit": [".3"]}, 1, [*settings, "epochs=2"])
    with pytest.raises(ValueError, match="another recipe: expected epochs 2, it has 1"):
        sweep.sweep(longer, tmp_path / "grid")


def test_means_over_seeds():
    scores = [0.5, 0.7, 0.6]
    rows = [
        {"run": f"zoom_limit=0.5-seed={seed}", "status": "finished", "test_accuracy": score}
        for seed, score in enumerate(scores)
    ]
    rows += [{"run": "zoom_limit=none-seed=0", "status": "failed: nan"}]
    half, free = sweep.means(rows)
    assert half["combination"] == "zoom_limit=0.5" and half["runs"] == 3
    assert half["test_accuracy"] == pytest.approx(0.6)
    assert half["test_accuracy_sd"] == pytest.approx(np.std(scores, ddof=1))
    assert free["runs"] == 0 and free["test_accuracy"] is None


def test_a_stopped_sweep_goes_on(arrays_file, tmp_path):
    options = [part for setting in [*SMALL, f"data={arrays_file}", "epochs=20"] for part in ("--set", setting)]
    words = ["sweep", "forch2019", "--zoom-limit", ".5", "--out", str(tmp_path / "grid"), *options, "--quiet"]
    call = [sys.executable, "-c", "import sys; from edram_fer.cli import main; main(sys.argv[1:])", *words]
    process = subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "grid" / "zoom_limit=0.5-seed=0" / "history.csv").exists() and process.poll() is None:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM and "The same command goes on." in errors
    assert (tmp_path / "grid" / "zoom_limit=0.5-seed=0" / "checkpoints" / "latest.npz").exists()
    cli.app(words, standalone_mode=False)
    with open(tmp_path / "grid" / "means.csv", newline="") as source:
        assert [row["runs"] for row in csv.DictReader(source)] == ["1"]
