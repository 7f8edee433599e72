"""Models that come with the package: kept in float16, loaded by name."""

import numpy as np
import pytest

import edram_fer
from edram_fer import checkpoints, weights


def test_a_run_put_among_them_is_loaded_by_its_name(trained, contents, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    monkeypatch.chdir(tmp_path)
    weights.halve(trained.run / "model.keras", weights.path_of("faces"))
    original, halved = edram_fer.load(trained.run), edram_fer.load("faces")
    assert halved.emotions == original.emotions and weights.names() == ["faces"]
    for ours, theirs in zip(halved.weights, original.weights, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, np.asarray(theirs).astype("float16").astype(ours.dtype))
    images = {"image": contents["validation"]["image"].astype("float32") / 255}
    outputs, expected = halved.predict_on_batch(images), original.predict_on_batch(images)
    for name, values in outputs.items():
        np.testing.assert_allclose(values, expected[name], atol=0.02)


def test_an_unknown_name_is_told_what_there_is():
    with pytest.raises(FileNotFoundError, match="nobody is missing; expected a run folder .*, a .keras file, or one of"):
        edram_fer.load("nobody")


def test_values_that_float16_cannot_hold_are_named(trained, tmp_path):
    model = edram_fer.load(trained.run)
    model.trainable_weights[0].assign(np.full(model.trainable_weights[0].shape, 1e6, "float32"))
    checkpoints.save(model, tmp_path / "wild.keras", model.emotions)
    with pytest.raises(ValueError, match=r"float16 cannot hold its values, up to 1e\+06"):
        weights.halve(tmp_path / "wild.keras", tmp_path / "half.keras")
    assert not (tmp_path / "half.keras").exists()
