"""The experiments of the papers: their runs exist, missing data are named, and a small one goes from data to page."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.dummy_data import DUMMY_DATA

from edram_fer import cli, data
from edram_fer.errors import MissingFileError, UserError
from edram_fer.papers import paper, reproduction
from edram_fer.papers.paper import Benchmark, Experiment, Figure, Paper, Value
from edram_fer.preprocessing import datasets
from edram_fer.report.reproduction import write
from edram_fer.run import layout
from edram_fer.studies import sweep

SMALL = ("model=toy", "batch_size=40", "epochs=1", "learning_rate=0.03")


@pytest.mark.parametrize("name", paper.NAMES)
def test_every_experiment_has_a_run_for_each_value(name):
    for experiment in paper.get(name).experiments:
        if isinstance(experiment, Benchmark):
            continue
        for quick in (False, True):
            runs = experiment.runs(2, quick)
            assert {recipe.data for recipe in runs.values()} == {experiment.data}
            combinations = {run.rpartition("seed=")[0].rstrip("-") or "recipe" for run in runs}
            assert {value.combination for value in experiment.values} == combinations
        assert {value.split for value in experiment.values} <= set(experiment.splits)
        assert set(experiment.studies) <= set(reproduction.STUDIES)
        assert all(value.value is None or 0.4 < value.value < 1 for value in experiment.values)


def test_missing_data_are_named_with_a_way_to_get_them(tmp_path):
    data_dir = tmp_path / "my data"
    outcomes = {outcome.experiment.name: outcome for outcome in reproduction.check(paper.get("wang2020"), data_dir)}
    assert outcomes["raf_db"].status.startswith("data missing: data set raf_db is not prepared in")
    assert outcomes["raf_db"].status.endswith(
        "Request RAF-DB (http://www.whdeng.cn/RAF/model1.html). Then: edram-fer prepare raf_db --source SOURCE "
        f"--validation 0.1 --data-dir '{data_dir}'"
    )
    assert reproduction.prepared(tmp_path) == []
    with pytest.raises(UserError, match=r"paper: expected one of ablavatski2017, .*, got 'x'"):
        paper.get("x")


@pytest.mark.slow
def test_from_data_to_the_page(npz_file, toy_recipe, monkeypatch, tmp_path):
    monkeypatch.setattr(sweep, "draw", lambda run, features: (run / layout.REGION_SHARES).write_text("{}"))
    experiment = Experiment(
        "small",
        "A small experiment",
        recipe="demo",
        data=str(npz_file),
        access="It is there.",
        settings=(*SMALL, "guide=()"),
        vary={"dropout": ("0.1",)},
        values=(Value(0.75, combination="dropout=0.1"), Value(None, "test", "dropout=0.1", "mean_class_accuracy")),
        figures=(Figure("a curve", "curves.svg"),),
        differences=("All.",),
    )
    small = Paper("small2020", "A, B: C. 2020", (experiment,))
    lines = []
    [outcome] = reproduction.reproduce(small, tmp_path, seeds=2, report=lines.append, verbose=0)
    assert outcome.status == "finished" and list(outcome.runs) == ["dropout=0.1"]
    for result in outcome.results:
        runs = outcome.runs[result.published.combination]
        scores = [layout.read_metrics(run / layout.METRICS)["splits"]["test"][result.published.score] for run in runs]
        assert result.obtained == pytest.approx(sum(scores) / 2) and result.seeds == 2
    low, high = outcome.results[0].interval
    assert low <= outcome.results[0].obtained <= high
    trained = {path: path.stat().st_mtime for path in tmp_path.rglob("model.keras")}
    assert len(trained) == 2
    [again] = reproduction.reproduce(small, tmp_path, seeds=2, report=lines.append, verbose=0)
    assert {path: path.stat().st_mtime for path in tmp_path.rglob("model.keras")} == trained
    assert again.results == outcome.results

    page = write(small, [outcome], tmp_path, seeds=2).read_text()
    assert "A small experiment" in page and "75.00 %" in page and "What differs from the paper: All." in page
    assert f"edram-fer sweep demo --seeds 2 --vary dropout=0.1 --set data={npz_file}" in page
    with (tmp_path / "reproduction.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["published"] for row in rows] == ["0.75", ""] and float(rows[0]["obtained"]) == outcome.results[
        0
    ].obtained

    with pytest.raises(UserError, match="--set: the data set belongs to the experiment"):
        reproduction.reproduce(small, tmp_path, settings=["data=other.npz"])
    with pytest.raises(UserError, match="only: expected one of small, got 'large'"):
        reproduction.reproduce(small, tmp_path, only=["large"])
    with pytest.raises(UserError, match="source: expected a data set of small2020, .*, got 'affectnet'"):
        reproduction.reproduce(small, tmp_path, sources={"affectnet": tmp_path})


def test_a_benchmark_is_read_once_it_has_a_result(tmp_path):
    benchmark = Benchmark("digits", "Digits", "benchmarks.cluttered_digits", "numpy", (), (Value(0.9876),))
    digits = Paper("digits2017", "", (benchmark, Benchmark("none", "", "benchmarks.no_module", "numpy", (), ())))
    (tmp_path / "digits").mkdir()
    edram = {"error_percent": [40.0, 12.5], "error_percent_interval": [[30.0, 50.0], [10.0, 15.0]], "seconds": 60}
    result = {"models": {"edram": edram}}
    (tmp_path / "digits" / "result.json").write_text(json.dumps(result))
    measured, missing = reproduction.reproduce(digits, tmp_path, report=lambda line: None)
    assert measured.results[0].obtained == 0.875 and measured.results[0].interval == pytest.approx((0.85, 0.9))
    assert measured.seconds == 60
    assert missing.status.startswith("data missing: benchmarks.no_module is in a checkout")


def test_a_benchmark_runs_in_the_checkout_and_a_trial_is_no_result(monkeypatch, tmp_path):
    # The command `edram-fer` begins without the current folder in its path.
    monkeypatch.setattr(sys, "path", [path for path in sys.path if not (Path(path) / "benchmarks").exists()])
    for name in [name for name in sys.modules if name.partition(".")[0] == "benchmarks"]:
        monkeypatch.delitem(sys.modules, name)
    calls = []

    def run(words, cwd, **options):
        calls.append(words)
        edram = {"error_percent": [50.0], "error_percent_interval": [[40.0, 60.0]], "seconds": 1}
        Path(words[-1], "result.json").write_text(json.dumps({"models": {"edram": edram}}))
        assert (Path(cwd) / "benchmarks" / "cluttered_digits.py").exists()
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(subprocess, "run", run)
    digits = Benchmark("digits", "", "benchmarks.cluttered_digits", "numpy", ("--a",), (Value(0.9),), quick=("--b",))
    paper = Paper("digits2017", "", (digits,))
    for quick, status in ((True, "finished"), (True, "finished"), (False, "failed: .*--a --b: expected another --out")):
        [outcome] = reproduction.reproduce(paper, tmp_path, quick=quick, report=lambda line: None)
        assert re.match(status, outcome.status)
    [words] = calls
    assert words[2:-2] == ["benchmarks.cluttered_digits", "--a", "--b"] and Path(words[-1]) == tmp_path / "digits"


def test_a_failed_run_is_reported_and_the_next_experiment_goes_on(npz_file, toy_recipe, tmp_path):
    broken = Experiment(
        "broken",
        "",
        "demo",
        str(npz_file),
        "",
        settings=("model=toy", "guide=()", "batch_size=500"),
        values=(Value(0.5),),
    )
    other = Experiment("other", "", "demo", str(tmp_path / "none.npz"), "Ask.", values=(Value(0.5),))
    outcomes = reproduction.reproduce(
        Paper("p", "", (broken, other)), tmp_path / "out", report=lambda line: None, verbose=0
    )
    assert outcomes[0].status.startswith("seed=0: failed: ") and outcomes[0].results[0].obtained is None
    assert outcomes[1].status.startswith("data missing: ")
    assert data.describe(str(npz_file))["splits"]["train"] == 80


@pytest.mark.slow
@pytest.mark.parametrize("name", ["jaffe", "ck_plus", "ferg", "raf_db", "sfew", "affectnet"])
def test_a_preparation_makes_the_data_of_its_experiment(name, tmp_path):
    """From dummy data in the layout of the data set, as `reproduce --source` does it."""
    pytest.importorskip("tensorflow_datasets")
    dummy = next(entry for entry in DUMMY_DATA if entry.dataset == name)
    experiments = {
        (experiment.data, tuple(experiment.preparation.items())): experiment
        for paper_name in paper.NAMES
        for experiment in paper.get(paper_name).experiments
        if isinstance(experiment, Experiment) and experiment.data.startswith(f"{name}/")
    }
    for experiment in experiments.values():
        # Dummy photos are drawn: the detectors of the published preparation find no faces in them.
        options = {**experiment.preparation, **experiment.reader, **dummy.options, "detectors": ("none",)}
        options = {key: value for key, value in options.items() if key != "published"}
        builder = datasets.prepare(name, dummy.folder, tmp_path, report=lambda line: None, **options)
        published = experiment.preparation.get("published")
        made = f"{name}/{builder.builder_config.name}" + (f"-{published}" if published else "")
        assert made == experiment.data


def test_a_failed_preparation_and_settings_over_those_of_a_trial(tmp_path):
    """No experiment is trained: its data are not there."""
    [outcome] = reproduction.reproduce(
        paper.get("minaee2019"),
        tmp_path,
        data_dir=tmp_path,
        sources={"jaffe": tmp_path / "nowhere"},
        only=["jaffe"],
        settings=["epochs=2"],
        quick=True,
        report=lambda line: None,
    )
    assert outcome.status.startswith("failed: ") and "nowhere" in outcome.status
    with pytest.raises(MissingFileError, match="none.csv is missing"):  # not after days of training
        reproduction.reproduce(paper.get("minaee2019"), tmp_path, fixations=tmp_path / "none.csv")
    assert {recipe.epochs for recipe in outcome.experiment.runs(quick=True).values()} == {2}


@pytest.mark.slow
def test_runs_are_evaluated_on_the_other_data_sets(npz_file, toy_recipe, monkeypatch, tmp_path):
    monkeypatch.setattr(sweep, "draw", lambda run, features: (run / layout.REGION_SHARES).write_text("{}"))
    experiment = Experiment("small", "", "demo", str(npz_file), "", settings=(*SMALL, "guide=()"), values=(Value(0.5),))
    other = tmp_path / "other.npz"
    other.write_bytes(npz_file.read_bytes())
    outcomes = reproduction.reproduce(
        Paper("p", "", (experiment,)), tmp_path / "out", report=lambda line: None, verbose=0
    )
    sources = [str(npz_file), str(other), str(tmp_path / "none.npz")]
    [row] = reproduction.across(outcomes, sources)
    assert row.pop("run") == "small/seed=0" and list(row) == sources
    assert row[sources[0]] == row[sources[1]] == outcomes[0].results[0].obtained and row[sources[2]] is None
    page = write(Paper("p", "", (experiment,)), outcomes, tmp_path, across=[{"run": "small/seed=0", **row}]).read_text()
    assert "Across data sets" in page


def test_the_command_prints_what_else_failed(monkeypatch, tmp_path, capsys):
    experiment = paper.get("minaee2019").experiments[0]
    outcome = reproduction.Outcome(experiment, "finished", [], notes=["seed=0, saliency: no memory"])
    monkeypatch.setattr(reproduction, "reproduce", lambda *arguments, **options: [outcome])
    with pytest.raises(SystemExit) as end:
        cli.main(["reproduce", "minaee2019", f"--out={tmp_path}"])
    assert not end.value.code and "  finished\n  seed=0, saliency: no memory\n" in capsys.readouterr().out
