"""Calibrating a run: what its file holds afterwards, what stays the same, and what the evaluation says."""

import zipfile

import numpy as np
import pytest
from scipy.special import softmax
from support.tiny import TINIES, draw_weights

import edram_fer
from edram_fer import files, models, report
from edram_fer.errors import MissingFileError, UserError
from edram_fer.evaluation import calibration, inference
from edram_fer.evaluation.calibrate import calibrate
from edram_fer.evaluation.evaluate import evaluate
from edram_fer.preprocessing.emotions import SEVEN
from edram_fer.recipes.recipe import Recipe
from edram_fer.run import checkpoints, layout


@pytest.fixture(scope="module")
def model():
    options = {**TINIES["deep_emotion"], "image_size": (28, 28), "classes": 7}
    return draw_weights(models.build("deep_emotion", emotions=SEVEN, **options))


@pytest.fixture
def run(model, npz_file, tmp_path):
    """A run whose weights are random."""
    files.write_json(tmp_path / "run" / layout.RECIPE, Recipe(data=str(npz_file), model="deep_emotion").to_json())
    checkpoints.save(model, tmp_path / "run" / layout.MODEL)
    return tmp_path / "run"


def weights_of(run):
    with zipfile.ZipFile(run / layout.MODEL) as archive:
        return archive.read("model.weights.h5")


def test_a_calibrated_run(run, contents):
    images = contents["validation"]["image"]
    before, weights = edram_fer.load(run), weights_of(run)
    logits = np.asarray(before.predict_on_batch({"image": images.astype("float32") / 255})["emotion"])
    fitted = calibrate(run)
    loaded = edram_fer.load(run)
    assert loaded.calibration == fitted and weights_of(run) == weights
    assert (fitted["split"], fitted["images"]) == ("validation", 35)  # five of 40 show an emotion it does not know
    after = inference.predict(loaded, images)["probabilities"]
    expected = softmax(logits / np.reshape(loaded.temperature, (-1, 1)), axis=-1)
    np.testing.assert_allclose(after, expected, atol=1e-5)
    np.testing.assert_array_equal(after.argmax(axis=-1), logits.argmax(axis=-1))
    assert calibrate(run)["temperature"] == pytest.approx(fitted["temperature"], rel=1e-6)


@pytest.mark.slow
def test_the_evaluation_before_and_after(run):
    plain = evaluate(run, flip=True)
    fitted = calibrate(run)
    metrics = evaluate(run, flip=True)
    assert plain["run"]["calibration"] is None and metrics["run"]["calibration"] == fitted
    before, after = plain["splits"]["test"], metrics["splits"]["test"]
    assert before["accuracy"] == after["accuracy"] and before["confusion"] == after["confusion"]
    assert before["calibration"]["uncalibrated"] is before["calibration"]["conformal"] is None
    uncalibrated = after["calibration"]["uncalibrated"]
    for name in ("ece", "ece_adaptive", "nll", "brier", "aurc"):
        assert uncalibrated[name] == pytest.approx(before["calibration"][name], rel=1e-4), name
    assert after["calibration"]["nll"] != before["calibration"]["nll"]
    assert after["calibration"]["conformal"]["level"] == calibration.LEVEL
    averaged = metrics["splits"]["test_flip"]["calibration"]
    assert averaged["uncalibrated"] is averaged["conformal"] is None
    text = report.write(run).read_text(encoding="utf-8")
    assert "fitted to 35 images of validation" in text and "a guess about an expression, not about a feeling" in text


def test_a_file_alone(run, npz_file, tmp_path):
    fitted, file = calibrate(run), tmp_path / "alone.keras"
    (run / layout.MODEL).rename(file)
    with pytest.raises(UserError, match="alone.keras does not name the data set it was trained on: expected --data"):
        calibrate(file)
    assert calibrate(file, data=str(npz_file)) == fitted == edram_fer.load(file).calibration


def test_what_cannot_be_calibrated(run, npz_file, tmp_path):
    with pytest.raises(
        UserError, match="--split: expected images that .* was not trained on, got 'validation[+]train'"
    ):
        calibrate(run, split="validation+train")
    with pytest.raises(UserError, match="split: expected one of train, validation, test, got 'nowhere'"):
        calibrate(run, split="nowhere")
    with pytest.raises(MissingFileError, match="nowhere is missing; expected a run folder"):
        calibrate("nowhere")
    with pytest.raises(UserError, match="fer2013-edram is an included model, which is calibrated"):
        calibrate("fer2013-edram")
    content = dict(np.load(npz_file))
    few = {name: values[:9] if name.startswith("test/") else values for name, values in content.items()}
    np.savez(tmp_path / "few.npz", **few)
    with pytest.raises(UserError, match="calibration: expected at least 10 images, got [89]"):
        calibrate(run, split="test", data=str(tmp_path / "few.npz"))
    (run / layout.MODEL).write_bytes(b"")
    with pytest.raises(UserError, match="model.keras is damaged"):
        calibrate(run)
    files.write_json(run / layout.RECIPE, {})
    with pytest.raises(UserError, match="recipe.json is not the recipe of a run"):
        calibrate(run)
