"""Models that come with the package: kept in float16, loaded by name."""

import numpy as np
import pytest
from PIL import Image
from support.genuine import FER2013, needs_fer2013

import edram_fer
from edram_fer import files, keras_file, weights
from edram_fer.errors import UserError
from edram_fer.evaluation.inference import predict
from edram_fer.exporting import once
from edram_fer.preprocessing import emotions
from edram_fer.run import checkpoints

ACCURACY = 0.654  # of the package's model on the test images of FER2013, docs/measurements.md


@pytest.mark.slow
def test_a_run_put_among_them_is_loaded_by_its_name(trained, contents, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    monkeypatch.chdir(tmp_path)
    include(trained.run / "model.keras", tmp_path / "faces.keras")
    original, halved = edram_fer.load(trained.run), edram_fer.load("faces")
    assert halved.emotions == original.emotions and weights.list_weights() == ["faces"]
    for ours, theirs in zip(halved.weights, original.weights, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, np.asarray(theirs).astype("float16").astype(ours.dtype))
    images = {"image": contents["validation"]["image"].astype("float32") / 255}
    outputs, expected = halved.predict_on_batch(images), original.predict_on_batch(images)
    for name, values in outputs.items():
        np.testing.assert_allclose(values, expected[name], atol=0.02)


@pytest.mark.parametrize("name", [name for name in weights.list_weights() if "graph" in weights.entry(name)])
def test_the_graph_has_the_outputs_of_the_model(name, tmp_path):
    pytest.importorskip("onnxruntime")
    model, graph = edram_fer.load(name), once.load(name)
    checkpoints.save(model, tmp_path / "again.keras")  # with all options of this version
    assert once.architecture(tmp_path / "again.keras") == weights.entry(name)["graph"]["architecture"]
    model = model.in_float32()
    assert graph.emotions == model.emotions and graph.calibration == model.calibration
    images = np.random.default_rng(0).random((3, *model.image_shape), np.float32)
    outputs, expected = graph(images), model(images)
    assert set(outputs) == set(expected)
    for key, values in expected.items():
        np.testing.assert_allclose(outputs[key], np.asarray(values), atol=2e-4, err_msg=key)


def include(source, target):
    """Put a model into a folder of included models."""
    keras_file.strip(source, target, half=True)
    entry = {"file": target.name, "sha256": files.digest(target), "bytes": target.stat().st_size}
    files.write_json(target.parent / weights.REGISTRY, {target.stem: entry})


@pytest.mark.parametrize("change", ["changed", "missing"])
def test_a_file_that_is_not_the_included_one_is_refused(change, copied, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    monkeypatch.chdir(tmp_path)
    include(copied / "model.keras", tmp_path / "faces.keras")
    assert weights.verify("faces") == tmp_path / "faces.keras"
    if change == "changed":
        (tmp_path / "faces.keras").write_bytes((copied / "model.keras").read_bytes())  # a model, but another file
    else:
        (tmp_path / "faces.keras").unlink()
    with pytest.raises(UserError, match="faces.keras is not the included model faces: expected SHA-256 .*reinstall"):
        edram_fer.load("faces")


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(FileNotFoundError, match="nobody is missing; expected a run folder .*, or one of the models"):
        edram_fer.load("nobody")


def test_values_that_float16_cannot_hold_are_named(trained, tmp_path):
    model = edram_fer.load(trained.run)
    model.trainable_weights[0].assign(np.full(model.trainable_weights[0].shape, 1e6, "float32"))
    checkpoints.save(model, tmp_path / "wild.keras")
    with pytest.raises(ValueError, match=r"float16 cannot hold its values, up to 1e\+06"):
        keras_file.strip(tmp_path / "wild.keras", tmp_path / "half.keras", half=True)
    assert not (tmp_path / "half.keras").exists()


@needs_fer2013
@pytest.mark.slow
def test_the_package_s_model_of_fer2013_scores_what_the_docs_say():
    Image.MAX_IMAGE_PIXELS = None
    index, mosaic = np.load(FER2013 / "index.npz"), np.asarray(Image.open(FER2013 / "mosaic.png"))
    tiles = mosaic.reshape(mosaic.shape[0] // 48, 48, -1, 48).swapaxes(1, 2).reshape(-1, 48, 48, 1)
    chosen = np.flatnonzero(index["usage"] == 2)[::3]
    model = edram_fer.load("fer2013-edram")
    images = tiles[index["tile"][chosen]]
    probabilities = predict(model, images)["probabilities"]
    labels = probabilities[:, -1].argmax(axis=-1)
    truth = [model.emotions.index(emotions.from_code("FER2013", code)) for code in index["emotion"][chosen].tolist()]
    assert np.mean(labels == truth) == pytest.approx(ACCURACY, abs=0.04)  # of a third of the test images
    assert model.temperature == tuple(weights.entry("fer2013-edram")["calibration"]["temperature"])
    model.calibration = None
    plain = predict(model, images[:256])["probabilities"]
    np.testing.assert_array_equal(plain.argmax(axis=-1), probabilities[:256].argmax(axis=-1))  # the same accuracy
    assert np.abs(plain - probabilities[:256]).max() > 0.005
