"""Options of EDRAM, one at a time: what is compared, and the row of a run."""

import dataclasses

from support.fake_runs import random_run, write_run

from benchmarks import edram_options
from edram_fer import files
from edram_fer.run.layout import METRICS


def test_all_runs_have_the_same_data_and_length():
    made = [edram_options.make_recipe(name, "ferplus/majority", 4, 1) for name in edram_options.TRIED]
    assert {(recipe.data, recipe.epochs, recipe.seed, recipe.batch_size) for recipe in made} == {
        ("ferplus/majority", 4, 1, 128)
    }
    base = dataclasses.asdict(made[0])
    for name, recipe in zip(edram_options.TRIED, made, strict=True):
        settings = dataclasses.asdict(recipe)
        changed = {key for key in base if settings[key] != base[key] and key != "options"}
        changed |= {key for key, value in settings["options"].items() if base["options"].get(key) != value}
        assert name == "cnn" or len(changed) == len(edram_options.TRIED[name])


def test_the_row_of_a_run(tmp_path):
    images, outputs = random_run(seed=3)
    run = write_run(tmp_path / "base", images, outputs, validation=30)
    metrics = files.read_json(run / METRICS)
    metrics["run"] |= {"flops": 30e6, "parameters": 5, "seconds_per_image": 0.002}
    files.write_json(run / METRICS, metrics)
    (run / "history.csv").write_text("epoch,seconds\n1,90\n2,20\n3,30\n")
    row = edram_options.row(run)
    assert row["run"] == "base" and row["operations"] == 30e6 and row["seconds_per_epoch"] == 30
    assert row["accuracy"] == metrics["splits"]["validation"]["accuracy"] and row["low"] < row["accuracy"] < row["high"]
