"""A model from elsewhere is evaluated, perturbed and compared like a run."""

import json

import keras
import numpy as np
import pytest

import edram_fer
from edram_fer import data, files
from edram_fer.comparison import runs
from edram_fer.errors import UserError
from edram_fer.evaluation.calibrate import calibrate
from edram_fer.evaluation.evaluate import evaluate
from edram_fer.studies.observer import Observer
from edram_fer.studies.robustness import robustness
from edram_fer.studies.window_ablation import ablate_windows

CLASSES = {"Surprised": "surprise", "happiness": "happy", "SAD": "sad", "afraid": "fear", "bored": "bored"}


@pytest.fixture(scope="module")
def weights():
    return np.random.default_rng(0).normal(0, 0.1, (28 * 28, len(CLASSES))).astype("float32")


@pytest.fixture
def card(tmp_path, weights):
    """A linear model without four of the data set's emotions, and with a class that the data set lacks."""
    inputs = keras.Input((28, 28, 1))
    model = keras.Model(inputs, keras.layers.Dense(len(CLASSES), use_bias=False)(keras.layers.Flatten()(inputs)))
    model.layers[-1].kernel.assign(weights)
    (tmp_path / "theirs").mkdir()
    model.save(tmp_path / "theirs" / "linear.h5")
    content = {"model": "linear.h5", "classes": list(CLASSES), "image_size": 28, "colour": "grey", "scaling": [0, 1]}
    (tmp_path / "theirs" / "linear.yaml").write_text(json.dumps(content | {"output": "logits"}))
    return tmp_path / "theirs" / "linear.yaml"


def answers(content, weights, classes):
    """The names that the model answers, computed with NumPy."""
    logits = content["image"].reshape(len(content["image"]), -1) / 255 @ weights[:, : len(classes)]
    return np.array(classes)[logits.argmax(axis=1)]


def test_its_run_is_a_run(card, npz_file, contents, weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    metrics = evaluate(card, data=str(npz_file))
    run = tmp_path / "evaluations" / "linear-noise"
    scores, test = metrics["splits"]["test"], contents["test"]
    truth = np.array([data.emotions(npz_file)[label] for label in test["emotion"]])
    known = np.isin(truth, list(CLASSES.values()))
    predicted = answers(test, weights, list(CLASSES.values()))
    assert scores["images"] == known.sum() == 12
    assert scores["excluded"] == {"anger": 3, "contempt": 3, "disgust": 3, "neutral": 3}
    assert scores["accuracy"] == pytest.approx((predicted == truth)[known].mean())
    assert (metrics["run"]["recipe"], metrics["run"]["model"]) == ("linear", "linear.h5")
    assert metrics["run"]["parameters"] == weights.size
    card.rename(card.with_name("moved.yaml"))  # the run does not need the original
    result = robustness(Observer(run), sides=(0, 0.5), angles=(0,))
    assert result["occlusion"][0]["accuracy"] == pytest.approx(scores["accuracy"])
    with pytest.raises(UserError, match="sees the whole of every image"):
        ablate_windows(run)
    table = edram_fer.predict(run, test["image"])
    assert table["emotion"].tolist() == predicted.tolist()


def test_a_class_that_others_lack_can_be_ignored(card, npz_file, contents, weights, tmp_path):
    evaluate(card, data=str(npz_file), out=tmp_path / "all")
    content = json.loads(card.read_text())
    card.write_text(json.dumps(content | {"ignored_classes": ["bored"]}))
    evaluate(card, data=str(npz_file), out=tmp_path / "four")
    rows = runs.read([tmp_path / "four"], minimum=1).runs[0].predictions
    expected = answers(contents["test"], weights, list(CLASSES.values())[:4])
    assert dict(zip(rows["id"], rows["prediction"])).items() <= dict(zip(contents["test"]["id"], expected)).items()
    with pytest.raises(UserError, match="emotions: .*four has .*; expected the same; `ignored_classes` in a card"):
        runs.read([tmp_path / "four", tmp_path / "all"])


def test_its_probabilities_are_calibrated_in_its_card(card, npz_file, tmp_path):
    evaluate(card, data=str(npz_file), out=tmp_path / "run")
    before = edram_fer.predict(tmp_path / "run", np.full((1, 28, 28), 99, "uint8"))
    result = calibrate(tmp_path / "run")
    assert (result["images"], result["split"]) == (20, "validation")
    (temperature,) = edram_fer.load(tmp_path / "run").calibration["temperature"]
    assert temperature == result["temperature"][0]
    after = edram_fer.predict(tmp_path / "run", np.full((1, 28, 28), 99, "uint8"))
    ratios = np.log(before.fear / before.happy) / np.log(after.fear / after.happy)
    assert ratios[0] == pytest.approx(temperature, rel=1e-3)


def test_a_corrected_card_replaces_the_evaluation(card, npz_file, tmp_path):
    before = evaluate(card, data=str(npz_file), out=tmp_path / "out")
    content = json.loads(card.read_text())
    card.write_text(json.dumps(content | {"scaling": [1, 0]}))
    after = evaluate(card, data=str(npz_file), out=tmp_path / "out")
    assert before["splits"] != after["splits"]
    assert files.read_json(tmp_path / "out" / "recipe.json")["card"]["scaling"] == [1, 0]


def test_a_model_file_without_a_card_is_told_what_is_missing(card, npz_file, tmp_path):
    with pytest.raises(UserError, match=r"linear\.h5: expected the card of this model, a YAML file"):
        evaluate(card.with_name("linear.h5"), data=str(npz_file), out=tmp_path / "out")
    with pytest.raises(UserError, match="no image has an emotion that the model knows"):
        content = json.loads(card.read_text())
        card.write_text(json.dumps(content | {"classes": ["a", "b", "c", "d", "e"]}))
        evaluate(card, data=str(npz_file), out=tmp_path / "out")
