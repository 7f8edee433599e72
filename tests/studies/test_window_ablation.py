"""Accuracies of a run with other windows in place of its own, and their comparison."""

import numpy as np
import pytest
from scipy import stats

from edram_fer import files, models
from edram_fer.attention.alternatives import KINDS, alternative
from edram_fer.evaluation import inference
from edram_fer.figures.window_ablation import window_ablation as draw
from edram_fer.run import layout
from edram_fer.studies import window_ablation


def test_differences_are_paired():
    rng = np.random.default_rng(1)
    hard = rng.random(400)
    correct = {"model": (hard < 0.7).astype(float), "mean": (hard < 0.6).astype(float)}  # "mean" is never correct alone
    result = window_ablation.compare_accuracies(correct)
    gap = result["contrasts"]["model - mean"]
    assert gap["value"] == pytest.approx(correct["model"].mean() - correct["mean"].mean())
    sd = np.sqrt(gap["value"] * (1 - gap["value"]) / 400)  # of a paired difference that is 0 or 1
    np.testing.assert_allclose(gap["interval"], gap["value"] + np.array([-1.96, 1.96]) * sd, atol=0.012)
    assert list(result["contrasts"]) == ["model - mean"]
    low, high = result["accuracy"]["model"]["interval"]
    assert high - low > gap["interval"][1] - gap["interval"][0]  # an unpaired interval would be wider than either
    assert len(draw(result).axes[0].get_yticklabels()) == 2


def test_intervals_allow_for_the_spread_of_the_draws():
    rng = np.random.default_rng(2)
    accuracies = (0.4, 0.5, 0.6)
    draws = np.stack([rng.random(3000) < accuracy for accuracy in accuracies], axis=1)
    result = window_ablation.compare_accuracies({"model": rng.random(3000) < 0.9, "random": draws})
    drawn = result["accuracy"]["random"]
    assert drawn["value"] == pytest.approx(draws.mean()) and drawn["sd"] == pytest.approx(draws.mean(0).std(ddof=1))
    expected = stats.ttest_1samp(draws.mean(axis=0), 0).confidence_interval()  # the draws differ most
    np.testing.assert_allclose(drawn["interval"], expected, rtol=0.05)
    gap = result["contrasts"]["model - random"]
    assert np.ptp(gap["interval"]) == pytest.approx(np.ptp(expected), rel=0.1)
    assert result["accuracy"]["model"]["sd"] is None and np.ptp(result["accuracy"]["model"]["interval"]) < 0.03


def test_a_run_is_ablated(copied):
    result = window_ablation.ablate_windows(copied, split="test", draws=2)
    assert list(result["accuracy"]) == ["model", *KINDS]
    assert result == files.read_json(copied / layout.WINDOW_ABLATION)
    figure = (copied / "figures" / layout.WINDOW_ABLATION_FIGURE).stat()
    assert figure.st_size > 1000 and figure.st_mtime_ns <= (copied / layout.WINDOW_ABLATION).stat().st_mtime_ns
    assert result["images"] == 21  # of 24; three are of contempt, which the model does not know


@pytest.mark.slow
def test_images_of_one_person_have_no_intervals(copied, monkeypatch):
    load = inference.load_labelled

    def of_one_person(*arguments, **options):
        features, labels = load(*arguments, **options)
        return {**features, "subject": np.full(len(labels), "ray")}, labels

    monkeypatch.setattr(inference, "load_labelled", of_one_person)
    window_ablation.ablate_windows(copied, split="test", draws=2)
    result = files.read_json(copied / layout.WINDOW_ABLATION)
    assert result["contrasts"]["model - mean"]["interval"] == [None, None]
    assert result["accuracy"]["random"]["interval"] == [None, None] and "undefined" in result["intervals_note"]
    assert draw(result).axes


def test_windows_in_place_of_windows_at_the_zoom_limit():
    """The sensor limits the zoom of its own windows but not of replacements; the where-path is not limited."""
    size = {"image_size": (32, 32), "glimpse_size": 16, "glimpse_units": 8, "head_units": 8, "classification_units": 8}
    model = models.build("edram", **size, glimpses=2, zoom_limit=0.3, zoom_mode="clip", location_units=8)
    image = np.random.default_rng(0).random((5, 32, 32, 1), np.float32)
    original = model({"image": image})
    replaced = model({"image": image, "windows": original["windows"], "emitted": original["emitted"][:, :2]})
    np.testing.assert_allclose(replaced["emotion"], original["emotion"], atol=1e-6)
    np.testing.assert_allclose(replaced["windows"], original["windows"], atol=1e-6)
    limited = model({"image": image, "windows": original["windows"]})
    assert np.abs(np.subtract(limited["emotion"], original["emotion"])).max() > 1e-5
    whole = alternative("whole", original["windows"]).astype(np.float32)
    free = models.build("edram", **size, glimpses=2, location_units=8)
    free.set_weights(model.get_weights())
    outputs = [network({"image": image, "windows": whole}) for network in (model, free)]
    np.testing.assert_array_equal(outputs[0]["windows"], whole)
    np.testing.assert_allclose(*(each["emotion"] for each in outputs), atol=1e-6)
