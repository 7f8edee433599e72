"""Windows in place of a model's own, and what their accuracies are compared to."""

import numpy as np
import pytest

from edram_fer import attention, files, models
from edram_fer.attention.alternatives import KINDS, alternative
from edram_fer.figures.window_ablation import window_ablation as draw
from edram_fer.run import layout
from edram_fer.studies import window_ablation


def windows(count=200, steps=3, seed=0):
    rng = np.random.default_rng(seed)
    linear = rng.uniform(0.2, 0.6, (count, steps, 1, 1)) * np.eye(2) + rng.normal(0, 0.05, (count, steps, 2, 2))
    return np.concatenate([linear, rng.uniform(-0.3, 0.3, (count, steps, 2, 1))], axis=-1)


def test_alternatives_keep_what_they_say():
    own = windows()
    made = {kind: alternative(kind, own, seed=3) for kind in KINDS}
    assert all(value.shape == own.shape for value in made.values())
    np.testing.assert_allclose(made["mean"][7], own.sum(axis=0) / len(own))
    rows = [np.flatnonzero((own == other).all(axis=(1, 2, 3))).item() for other in made["shuffled"]]
    assert sorted(rows) == list(range(len(own))) and all(row != place for place, row in enumerate(rows))
    np.testing.assert_array_equal(made["random"][..., :2], own[..., :2])
    corners = attention.corners(made["random"])
    assert np.abs(corners).max() <= 1 + 1e-12 and attention.centres(made["random"]).std() > 0.25
    np.testing.assert_array_equal(made["whole"], np.broadcast_to(np.eye(2, 3), own.shape))
    np.testing.assert_array_equal(alternative("random", own, 3), made["random"])
    assert (alternative("random", own, 4) != made["random"]).any()


def test_a_window_larger_than_the_image_stays_in_the_middle():
    large = np.array([[[[1.2, 0, 0.5], [0, 0.5, 0.5]]]])
    x, y = alternative("random", large)[0, 0, :, 2]
    assert x == 0 and abs(y) <= 0.5


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="expected one of mean, shuffled, random, whole, got 'model'"):
        alternative("model", windows())
    with pytest.raises(ValueError, match="at least 2 images, got 1"):
        alternative("shuffled", windows(1))


def test_differences_are_paired():
    rng = np.random.default_rng(1)
    hard = rng.random(400)
    right = {"model": (hard < 0.7).astype(float), "mean": (hard < 0.6).astype(float)}  # never right alone
    found = window_ablation.compare_accuracies(right)
    gap = found["contrasts"]["model - mean"]
    assert gap["value"] == pytest.approx(right["model"].mean() - right["mean"].mean())
    sd = np.sqrt(gap["value"] * (1 - gap["value"]) / 400)  # of a paired difference that is 0 or 1
    np.testing.assert_allclose(gap["interval"], gap["value"] + np.array([-1.96, 1.96]) * sd, atol=0.012)
    assert list(found["contrasts"]) == ["model - mean"]
    low, high = found["accuracy"]["model"]["interval"]
    assert high - low > gap["interval"][1] - gap["interval"][0]  # unpaired it would be wider than either
    assert len(draw(found).axes[0].get_yticklabels()) == 2


def test_a_run_is_asked(trained):
    result = window_ablation.ablate_windows(trained.run, split="test", draws=2)
    assert list(result["accuracy"]) == ["model", *KINDS]
    assert result == files.read_json(trained.run / layout.WINDOW_ABLATION)
    assert (trained.run / "figures" / layout.WINDOW_ABLATION_FIGURE).stat().st_size > 1000
    assert result["images"] == 21  # of 24, three of contempt, which the model does not know


def test_windows_given_in_place_of_those_that_were_cut():
    """Where the sensor cuts at the limit the where-path does not, and what it is given instead it does not cut."""
    size = {"image_size": (32, 32), "glimpse_size": 16, "glimpse_units": 8, "head_units": 8, "classification_units": 8}
    model = models.build("edram", **size, glimpses=2, zoom_limit=0.3, zoom_mode="clip", location_units=8)
    image = np.random.default_rng(0).random((5, 32, 32, 1), np.float32)
    own = model({"image": image})
    given = model({"image": image, "windows": own["windows"], "emitted": own["emitted"][:, :2]})
    np.testing.assert_allclose(given["emotion"], own["emotion"], atol=1e-6)
    np.testing.assert_allclose(given["windows"], own["windows"], atol=1e-6)
    cut = model({"image": image, "windows": own["windows"]})
    assert np.abs(np.subtract(cut["emotion"], own["emotion"])).max() > 1e-5
    whole = alternative("whole", own["windows"]).astype(np.float32)
    free = models.build("edram", **size, glimpses=2, location_units=8)
    free.set_weights(model.get_weights())
    found = [each({"image": image, "windows": whole}) for each in (model, free)]
    np.testing.assert_array_equal(found[0]["windows"], whole)
    np.testing.assert_allclose(*(each["emotion"] for each in found), atol=1e-6)
