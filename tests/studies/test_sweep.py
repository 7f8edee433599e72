"""A grid of runs: which are trained, skipped or resumed, and what a run that fails leaves behind."""

import csv
import dataclasses
import os
import shlex
import signal
import threading
import time

import numpy as np
import pytest
from support.fake_runs import random_outputs, random_run, write_run
from support.toy import assert_same_run

from edram_fer import cli, data, files, intervals
from edram_fer.errors import UserError
from edram_fer.preprocessing import folder_lock
from edram_fer.recipes import recipe, settings
from edram_fer.studies import sweep
from edram_fer.training import loop

SMALL = ("model=toy", "batch_size=40", "epochs=1", "learning_rate=0.03")


@pytest.fixture
def no_figures(monkeypatch):
    """Drawing takes longer than the runs."""
    monkeypatch.setattr(sweep, "draw", lambda *arguments: None)


def test_a_grid_is_all_combinations_and_seeds():
    vary = {"zoom_limit": ["none", ".5"], "options.rotation": ["false"]}
    runs = sweep.grid("zoom_free", vary, 2, ["epochs=3", "seed=4"])
    assert list(runs) == [
        "zoom_limit=none-options.rotation=False-seed=4",
        "zoom_limit=none-options.rotation=False-seed=5",
        "zoom_limit=0.5-options.rotation=False-seed=4",
        "zoom_limit=0.5-options.rotation=False-seed=5",
    ]
    for name, resolved in runs.items():
        assert resolved.epochs == 3 and resolved.options["rotation"] is False and f"seed={resolved.seed}" in name
        assert resolved.options["zoom_limit"] == (None if "none" in name else 0.5)


def test_values_of_any_kind_can_be_varied():
    runs = sweep.grid("fer2013", {"class_weights": ["sqrt", "none"], "labels": ["hard"]})
    assert [(name, run.class_weights) for name, run in runs.items()] == [
        ("class_weights=sqrt-labels=hard-seed=0", "sqrt"),
        ("class_weights=none-labels=hard-seed=0", "none"),
    ]
    values = settings.split_values("(2,2,2,2,2,2),[4,4,4,4,4,4]")
    runs = sweep.grid("fer2013", {"glimpse_filters": values, "augmentation.flip": ["0"]})
    assert [(*run.options["glimpse_filters"], run.augmentation.flip) for run in runs.values()] == [
        (2, 2, 2, 2, 2, 2, 0),
        (4, 4, 4, 4, 4, 4, 0),
    ]
    runs = sweep.grid("fer2013", {"glimpses": ["2"], "model": ["edram", "cnn"]})  # the latter has no such option
    assert list(runs) == ["glimpses=2-model=edram-seed=0", "glimpses=2-model=cnn-seed=0"]
    assert not set('<>:"/\\|?*') & set("".join(sweep.grid("fer2013", {"data": ["C:\\faces/a.npz"]})))


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
        (("zoom_free", {"zoom_limit": [".5", "0.5"]}), "zoom_limit=0.5-seed=0 occurs twice"),
        (("zoom_free", {}, 0), "seeds: expected at least 1, got 0"),
        (("zoom_free", {"seed": ["1", "2"]}), "the seed cannot be varied: use --seeds instead of seed=1,2"),
    ],
)
def test_a_bad_grid(call, words):
    with pytest.raises(ValueError, match=words):
        sweep.grid(*call)


def test_a_run_that_another_machine_began_keeps_its_dtype(npz_file, toy_recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "_finish", lambda run, recipe, *options: {"status": f"in use: {recipe.dtype}"})
    runs = sweep.grid("forch2019", {"dtype": ["auto"]}, 1, [*SMALL, f"data={npz_file}", "emotions=data"])
    [(name, begun)] = runs.items()
    [here] = sweep.sweep(runs, tmp_path)
    other = "float32" if here["status"] == "in use: mixed_bfloat16" else "mixed_bfloat16"
    begun = dataclasses.replace(begun, dtype=other).with_classes_of(data.emotions(npz_file))
    files.write_json(tmp_path / name / "recipe.json", begun.to_json())
    [row] = sweep.sweep(runs, tmp_path)
    assert row["status"] == f"in use: {other}"


@pytest.mark.slow
def test_runs_equal_runs_trained_alone_and_are_not_repeated(npz_file, toy_recipe, tmp_path):
    changes = [*SMALL, f"data={npz_file}"]
    runs = sweep.grid("forch2019", {"learning_rate": ["1e38", ".03"]}, 1, changes)
    rows = sweep.sweep(runs, tmp_path / "grid", verbose=0)
    assert [row["status"].split(":")[0] for row in rows] == ["failed", "finished"]
    trace = tmp_path / "grid" / rows[0]["traceback"]
    assert "nan" in rows[0]["status"] and trace == tmp_path / "grid" / "learning_rate=1e+38-seed=0" / "traceback.txt"
    assert trace.read_text().startswith("Traceback") and "DivergedError: the validation loss" in trace.read_text()
    loop.train(runs["learning_rate=0.03-seed=0"], tmp_path / "alone", verbose=0)
    assert_same_run(tmp_path / "grid" / "learning_rate=0.03-seed=0", tmp_path / "alone")
    assert (tmp_path / "grid" / "learning_rate=0.03-seed=0" / "figures" / "test" / "confusion.svg").exists()
    with open(tmp_path / "grid" / "sweep.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["run"] for row in table] == list(runs) and 0 <= float(table[1]["test_accuracy"]) <= 1
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "grid" / "learning_rate=0.03-seed=0").rglob("*")}
    assert sweep.sweep(runs, tmp_path / "grid", verbose=0) == rows
    assert {path: path.stat().st_mtime_ns for path in before} == before
    (tmp_path / "grid" / "learning_rate=0.03-seed=0" / "region_shares.json").unlink()  # killed while it drew
    figure = tmp_path / "grid" / "learning_rate=0.03-seed=0" / "figures" / "test" / "confusion.svg"
    figure.unlink()
    assert sweep.sweep(runs, tmp_path / "grid", verbose=0) == rows and figure.exists()
    with folder_lock.reserved(tmp_path / "grid", "sweeping"):
        with pytest.raises(BlockingIOError, match=f"another process is sweeping in {tmp_path / 'grid'}"):
            sweep.sweep(runs, tmp_path / "grid", verbose=0)
    longer = sweep.grid("forch2019", {"learning_rate": [".03"]}, 1, [*changes, "epochs=2"])
    with pytest.raises(ValueError, match="another recipe: expected epochs 2, it has 1"):
        sweep.sweep(longer, tmp_path / "grid")


def test_a_bad_option_ends_the_sweep_before_the_first_run(npz_file, toy_recipe, tmp_path):
    runs = sweep.grid("forch2019", {"dropout": [".3", "7"]}, 1, [*SMALL, f"data={npz_file}"])
    with pytest.raises(ValueError, match="(?s)Invalid value received for argument `rate`.*dropout=7-seed=0"):
        sweep.sweep(runs, tmp_path / "grid", verbose=0)
    assert not (tmp_path / "grid").exists()


def test_the_command_fails_where_a_run_fails(npz_file, toy_recipe, tmp_path, capsys):
    options = [part for setting in (*SMALL, f"data={npz_file}") for part in ("--set", setting)]
    with pytest.raises(SystemExit) as ended:
        cli.main(["sweep", "forch2019", "--vary", "learning_rate=1e38", "--out", str(tmp_path / "g"), *options])
    assert ended.value.code == 1 and "learning_rate=1e+38-seed=0 failed: " in capsys.readouterr().err


def test_a_fault_in_one_run_does_not_end_the_sweep(npz_file, toy_recipe, tmp_path, monkeypatch, capsys, no_figures):
    train, folders = loop.train, []

    def faulty(resolved, run, **options):
        folders.append(run.name)
        if resolved.seed == 0 and len(folders) == 1:
            raise KeyError("a fault")
        train(resolved, run, **options)

    monkeypatch.setattr(loop, "train", faulty)
    options = [part for setting in (*SMALL, f"data={npz_file}") for part in ("--set", setting)]
    call = ["sweep", "forch2019", "--seeds", "2", "--out", str(tmp_path / "g"), "--quiet", *options]
    with pytest.raises(SystemExit) as ended:
        cli.main(call)
    assert ended.value.code == 1 and "seed=0 failed: KeyError: 'a fault' (" in capsys.readouterr().err
    with open(tmp_path / "g" / "sweep.csv", newline="") as file:
        rows = {row["run"]: row for row in csv.DictReader(file)}
    assert rows["seed=0"]["status"] == "failed: KeyError: 'a fault'" and rows["seed=1"]["status"] == "finished"
    assert "in faulty" in (tmp_path / "g" / rows["seed=0"]["traceback"]).read_text()
    with pytest.raises(SystemExit) as ended:
        cli.main(call)
    assert ended.value.code == 0 and folders == ["seed=0", "seed=1", "seed=0"]
    assert not (tmp_path / "g" / "seed=0" / "traceback.txt").exists()


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


def test_intervals_over_seeds_and_images_from_the_predictions(tmp_path):
    images, _ = random_run()
    rows, correct = [], {}
    for combination, runs in (("dropout=0.2", 3), ("dropout=0.3", 2)):
        for seed in range(runs):
            outputs = random_outputs(images["emotion"], seed=10 * runs + seed)
            run = write_run(tmp_path / f"{combination}-seed={seed}", images, outputs)
            right = outputs["probabilities"][:, -1].argmax(axis=1) == images["emotion"]
            correct.setdefault(combination, []).append(right)
            rows.append({"run": run.name, "status": "finished", "test_accuracy": right.mean()})
    first, second = sweep.means(rows, tmp_path)
    groups = [np.stack(columns, axis=1) for columns in correct.values()]
    low, high = intervals.crossed(groups[1], groups[0])
    assert [second["test_accuracy_difference_low"], second["test_accuracy_difference_high"]] == pytest.approx(
        [low, high]
    )
    assert second["test_accuracy_difference"] == pytest.approx(groups[1].mean() - groups[0].mean())
    assert [first["test_accuracy_low"], first["test_accuracy_high"]] == pytest.approx(intervals.crossed(groups[0]))


@pytest.mark.slow
def test_a_stopped_sweep_is_resumed(npz_file, toy_recipe, tmp_path, capsys, no_figures):
    options = [part for setting in (*SMALL, f"data={npz_file}", "epochs=12") for part in ("--set", setting)]
    call = ["sweep", "forch2019", "--vary", "dropout=.2,.3", "--out", str(tmp_path / "grid"), *options, "--quiet"]
    first, second = (tmp_path / "grid" / f"dropout={share}-seed=0" for share in (0.2, 0.3))

    def stop():
        while not (second / "history.csv").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=stop, daemon=True).start()
    with pytest.raises(SystemExit) as ended:
        cli.main(call)
    printed = capsys.readouterr().err
    assert ended.value.code == 128 + signal.SIGINT and printed.endswith("The same command resumes the sweep.\n")
    assert (second / "checkpoints" / "latest.npz").exists() and not (second / "metrics.json").exists()
    model = (first / "model.keras").stat().st_mtime_ns
    with pytest.raises(SystemExit) as ended:
        cli.main(call)
    assert ended.value.code == 0 and (first / "model.keras").stat().st_mtime_ns == model
    with open(tmp_path / "grid" / "means.csv", newline="") as file:
        assert [(row["combination"], row["runs"]) for row in csv.DictReader(file)] == [
            ("dropout=0.2", "1"),
            ("dropout=0.3", "1"),
        ]


@pytest.mark.slow
def test_printed_jobs_do_the_runs_and_the_same_command_makes_the_tables(
    npz_file, toy_recipe, tmp_path, capsys, no_figures
):
    options = [part for setting in (*SMALL, f"data={npz_file}") for part in ("--set", setting)]
    call = ["sweep", "forch2019", "--vary", "learning_rate=.03,1e38", "--out", str(tmp_path / "g"), *options]
    with pytest.raises(SystemExit) as ended:
        cli.main([*call, "--print-jobs"])
    commands = [shlex.split(line) for line in capsys.readouterr().out.splitlines()]
    assert ended.value.code == 0 and not (tmp_path / "g").exists()
    assert [words[-1] for words in commands] == ["learning_rate=0.03-seed=0", "learning_rate=1e+38-seed=0"]
    codes = []
    for program, *words in commands:
        assert program == "edram-fer"
        with pytest.raises(SystemExit) as ended:
            cli.main(words)
        codes.append(ended.value.code)
    assert codes == [0, 1] and not (tmp_path / "g" / "sweep.csv").exists()
    finished, failed = (tmp_path / "g" / words[-1] for words in commands)
    model, trace = finished / "model.keras", failed / "traceback.txt"
    before = model.stat().st_mtime_ns, trace.stat().st_mtime_ns
    rows = sweep.sweep(
        sweep.grid("forch2019", {"learning_rate": [".03", "1e38"]}, 1, [*SMALL, f"data={npz_file}"]),
        tmp_path / "g",
        retry=False,
        verbose=0,
    )
    assert [row["status"].split(":")[0] for row in rows] == ["finished", "failed"] and "nan" in rows[1]["status"]
    assert (model.stat().st_mtime_ns, trace.stat().st_mtime_ns) == before and (tmp_path / "g" / "sweep.csv").exists()


def test_a_run_of_another_process_is_left_to_it(npz_file, toy_recipe, tmp_path):
    runs = sweep.grid("forch2019", {}, 1, [*SMALL, f"data={npz_file}"])
    with folder_lock.reserved(tmp_path / "g" / "seed=0", "sweeping"):
        [row] = sweep.sweep(runs, tmp_path / "g", verbose=0)
    assert row["status"] == f"in use: another process is sweeping in {tmp_path / 'g' / 'seed=0'}"
    assert not list((tmp_path / "g" / "seed=0").iterdir())
    with pytest.raises(UserError, match="only: expected one of seed=0, got seed=7"):
        sweep.sweep(runs, tmp_path / "g", only=["seed=7"])
