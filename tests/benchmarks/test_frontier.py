"""Points of the frontier: the runs of all families, and early exit from the predictions of a run."""

import json

import numpy as np
import pytest
from support.fake_runs import random_run, write_run

from benchmarks import frontier
from edram_fer.attention import early_exit
from edram_fer.run.evaluated_run import EvaluatedRun
from edram_fer.studies import sweep


def test_all_points_differ_in_the_model_alone():
    runs = frontier.runs("ferplus/majority", 12, 2)
    assert len(runs) == 2 * len(frontier.POINTS)
    assert {recipe.model for recipe in runs.values()} == {"cnn", "edram", "deep_emotion", "ran"}
    shared = ("data", "epochs", "optimizer", "learning_rate", "schedule", "augmentation", "batch_size", "emotions")
    assert len({tuple(str(getattr(recipe, name)) for name in shared) for recipe in runs.values()}) == 1


def test_early_exit_costs_the_glimpses_that_it_takes(tmp_path):
    images, outputs = random_run(seed=3)
    run = write_run(tmp_path / "edram-3-16-12-seed=0", images, outputs, validation=30)
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["run"] |= {"flops": 30e6, "parameters": 5, "seconds_per_image": 0.002}
    (run / "metrics.json").write_text(json.dumps(metrics))
    whole, early = frontier.point(run)
    assert (whole["family"], early["family"]) == ("edram", "exit") and whole["milliseconds"] == 2
    evaluated = EvaluatedRun(run)
    curve = early_exit.curve_from_predictions(evaluated.predictions("validation"))
    within = np.array(curve["accuracy"]) >= curve["accuracy"][-1] - frontier.SLACK
    threshold = curve["thresholds"][np.flatnonzero(within)[0]]
    taken = 1 + early_exit.stops(evaluated.predictions("test")["probabilities"], [threshold])[:, 0]
    assert early["glimpses"] == pytest.approx(taken.mean())
    assert early["operations"] == pytest.approx(30e6 * taken.mean() / 3)
    frontier.draw([whole, early], tmp_path / "frontier.svg")
    assert "million operations" in (tmp_path / "frontier.svg").read_text()


def test_runs_that_fail_are_named(monkeypatch, tmp_path, capsys):
    rows = [{"run": "cnn-4-seed=0", "status": "finished"}, {"run": "ran-2-seed=0", "status": "failed: no memory"}]
    monkeypatch.setattr(sweep, "sweep", lambda chosen, out, **options: rows)
    frontier.train({}, tmp_path, ("test",), None)
    assert capsys.readouterr().out == "ran-2-seed=0 failed: no memory\n"
