"""The registry, the model cards and the page of the included models, and the command that shows them."""

import re
import shutil

import numpy as np
import pytest
from support.fake_runs import EMOTIONS, random_run, write_robustness, write_run

import edram_fer
from benchmarks import ship_model
from edram_fer import cli, files, keras_file, models, weights
from edram_fer.errors import UserError
from edram_fer.exporting import once
from edram_fer.run import checkpoints, layout

NAMES = weights.list_weights()
CALIBRATION = {
    "temperature": [1.25],
    "images": 40,
    "split": "validation",
    "conformal": {"level": 0.9, "threshold": 0.8},
}


@pytest.mark.parametrize("name", NAMES)
def test_the_files_are_those_of_the_registry(name):
    entry = weights.entry(name)
    assert weights.verify(name).stat().st_size == entry["bytes"] < 20e6
    config = keras_file.read(weights.model_path(name))["config.json"]["config"]
    assert config["calibration"] == entry["calibration"] and config["emotions"] == entry["emotions"]
    assert {"test", "test_clean"} <= set(entry["scores"]) and entry["seed"] == entry["recipe"]["seed"]


@pytest.mark.parametrize("name", NAMES)
def test_the_card_is_valid_for_the_hugging_face_hub(name):
    hub = pytest.importorskip("huggingface_hub")
    card, entry = hub.ModelCard.load(weights.card_path(name)), weights.entry(name)
    metadata = card.data.to_dict()
    assert metadata["library_name"] == "keras" and metadata["pipeline_tag"] == "image-classification"
    assert metadata["license"]
    results = {(result.dataset_split, result.metric_name): result.metric_value for result in card.data.eval_results}
    for split in ("test", "test_clean"):
        for key, title in (("accuracy", "accuracy"), ("ece", "expected calibration error")):
            assert results[split, title] == pytest.approx(entry["scores"][split][key], abs=5e-5)
    assert hub.ModelCard(str(card)).data.to_dict() == metadata


@pytest.mark.parametrize("name", NAMES)
def test_cards_and_page_are_written_from_the_registry(name):
    assert weights.card_path(name).read_text(encoding="utf-8") == ship_model.card(name)
    assert ship_model.PAGE.read_text(encoding="utf-8") == ship_model.page()


@pytest.fixture
def run(tmp_path, monkeypatch):
    """An evaluated run with a calibrated model and robustness; the registry is a new folder."""
    monkeypatch.setattr(weights, "FOLDER", tmp_path / "included")
    monkeypatch.setattr(ship_model, "PAGE", tmp_path / "models.md")
    run = write_run(tmp_path / "run", *random_run(), data="drawn_faces/grey48", test_clean=25)
    model = models.build("deep_emotion", image_size=(48, 48), emotions=EMOTIONS, trunk_filters=(3, 4, 5))
    model.calibration = CALIBRATION
    checkpoints.save(model, run / layout.MODEL)
    write_robustness(run, (0.8, 0.7, 0.3, 0.8, 0.2))
    recipe = {"name": "made_up", "seed": 7, "epochs": 3, "dtype": "float32", "guide": [], "options": {}}
    files.write_json(run / layout.RECIPE, {**recipe, "validation_split": "validation"})
    data = {"source": "x", "version": "1", "fingerprint": "f" * 64, "image_size": [48, 48], "channels": 1}
    starts = [{"command": "train.py made_up", "git_revision": "abc1234"}]
    files.write_json(run / layout.ENVIRONMENT, {"data": {**data, "splits": {"train": 9}}, "starts": starts})
    metrics = files.read_json(run / layout.METRICS)
    metrics["run"] |= {"parameters": 1234, "flops": None, "calibration": CALIBRATION}
    metrics["run"]["versions"] |= {"backend": "tensorflow", "tensorflow": "2"}
    files.write_json(run / layout.METRICS, metrics)
    other = run / layout.EVALUATIONS / "ferplus"
    other.mkdir(parents=True)
    shutil.copy(run / layout.METRICS, other / layout.METRICS)
    return run


def ship(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["ship_model", *map(str, arguments)])
    ship_model.main()


@pytest.mark.slow
def test_one_command_includes_a_run(run, monkeypatch):
    ship(monkeypatch, run, "new")
    entry, metrics = weights.entry("new"), files.read_json(run / layout.METRICS)
    assert weights.verify("new").name == "new.keras" and edram_fer.load("new").temperature == (1.25,)
    assert once.load("new")(np.zeros((1, 48, 48, 1), "uint8"))["emotion"].shape == (1, 1, len(EMOTIONS))
    assert entry["scores"]["test"]["accuracy"] == metrics["splits"]["test"]["accuracy"]
    assert entry["seed"] == 7 and entry["commit"] == "abc1234" and "glimpses" not in entry["scores"]["test"]
    text = weights.card_path("new").read_text(encoding="utf-8")
    for key in ("accuracy", "mean_class_accuracy", "macro_f1"):
        score, (low, high) = metrics["splits"]["test"][key], metrics["splits"]["test"]["intervals"][key]
        assert f"{100 * score:.1f} % ({100 * low:.1f} to {100 * high:.1f})" in text
    for words in ("`abc1234`", "Article 5(1)(f)", "medical or safety reasons", "an expression, not about a feeling"):
        assert re.search(words.replace("(", r"\(").replace(")", r"\)").replace(" ", r"\s"), text), words
    assert "30.0 %" in text and "90°: 20.0 %" in text
    ship(monkeypatch, run, "again")
    assert weights.list_weights() == ["again", "new"]
    assert "## new" in ship_model.PAGE.read_text(encoding="utf-8")


def test_a_run_without_current_scores_is_refused(run, monkeypatch):
    metrics = files.read_json(run / layout.METRICS)
    files.write_json(run / layout.METRICS, {**metrics, "run": {**metrics["run"], "data": "data/faces.npz"}})
    with pytest.raises(UserError, match="was evaluated on data/faces.npz: evaluate it on the prepared data set"):
        ship(monkeypatch, run, "new")
    files.write_json(run / layout.METRICS, {**metrics, "run": {**metrics["run"], "calibration": None}})
    with pytest.raises(UserError, match="was not evaluated on test after its calibration: run edram-fer evaluate"):
        ship(monkeypatch, run, "new")
    keras_file.set_option(run / layout.MODEL, "calibration", None)
    with pytest.raises(UserError, match="is not calibrated: run edram-fer calibrate"):
        ship(monkeypatch, run, "new")
    assert not weights.FOLDER.exists()


def command(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        cli.main(["weights", *arguments])
    output = capsys.readouterr()
    return end.value.code, output.out + str(end.value.code) + output.err


def test_the_command(capsys, monkeypatch, tmp_path):
    name = NAMES[0]
    accuracy = weights.entry(name)["scores"]["test"]["accuracy"]
    assert f"{accuracy:.1%}" in command(capsys)[1] and name in command(capsys, "list")[1]
    assert command(capsys, "path", name)[1].startswith(str(weights.model_path(name)))
    assert "# " + name in command(capsys, "card", name)[1]
    assert weights.entry(name)["sha256"] in command(capsys, "verify")[1]
    assert "expected an included model, " in command(capsys, "card", "nobody")[1]
    assert "expected one of list, card, path, verify, got 'show'" in command(capsys, "show")[1]
    shutil.copytree(weights.FOLDER, tmp_path / "copy", ignore=shutil.ignore_patterns("*.keras"))
    monkeypatch.setattr(weights, "FOLDER", tmp_path / "copy")
    weights.model_path(name).write_bytes(b"other")
    code, text = command(capsys, "verify")
    assert "is not the included model" in text and "reinstall edram-fer" in text and code != 0
