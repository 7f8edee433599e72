"""Evaluation with a fake model: the table, the scores, clean splits, averages over views, and errors."""

import errno
import json
from types import SimpleNamespace

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.ndimage import map_coordinates

from edram_fer import data, files
from edram_fer.evaluation import cost, evaluate, inference, summary
from edram_fer.run import checkpoints, environment, layout, predictions

EMOTIONS = ["happy", "neutral", "sad"]  # not the canonical order, as an old file might have it
NAMES = ("neutral", "happy", "sad", "contempt")
SIZE, STEPS = 12, 2


class Brightness:
    """Reads the answer in the image's left upper pixel (255: happy, 128: neutral, 0: sad); unsure at first."""

    emotions = EMOTIONS
    image_shape = (SIZE, SIZE, 1)

    def __init__(self):
        self.batches = []

    def input_shapes(self):
        return {"image": (None, SIZE, SIZE, 1)}

    trainable_weights = [np.zeros((3, 4))]

    def __call__(self, inputs, training):
        return {"emotion": inputs["image"] * 2}  # one operation for each pixel, where they are counted

    def predict_on_batch(self, inputs):
        images = inputs["image"]
        assert images.dtype == np.float32 and images.max() <= 1
        self.batches.append(len(images))
        distance = np.abs(images[:, 0, 0, :] - np.array([1, 0.5, 0], np.float32))
        windows = np.tile(np.eye(2, 3, dtype=np.float32) / 2, (len(images), STEPS, 1, 1))
        windows[:, 1, 0, 2] = images[:, 0, 0, 0]
        return {
            "emotion": np.stack([-0.1 * distance, -20 * distance], axis=1),
            "affect": np.tile(images[:, None, 0, 0, :] * 2 - 1, (1, STEPS, 2)),
            "windows": windows,
            "weights": np.full((len(images), STEPS), 1 / STEPS),
            "emitted": np.zeros((len(images), STEPS + 1, 2, 3)),
        }


def make_images(n=50, seed=0, **optional):
    rng = np.random.default_rng(seed)
    emotion = rng.integers(0, 3, n)
    images = rng.integers(0, 256, (n, SIZE, SIZE, 1), dtype=np.uint8)
    images[:, 0, 0, 0] = np.array([128, 255, 0])[emotion]
    misclassified = rng.random(n) < 0.2
    images[misclassified, 0, 0, 0] = rng.choice([0, 128, 255], misclassified.sum())
    images[:, 0, -1] = images[:, 0, 0]  # the mirror image says the same
    affect = rng.uniform(-1, 1, (n, 2)).astype(np.float32)
    affect[::7] = -2
    names = np.array([f"p{i}" for i in range(n)])
    return {"image": images, "emotion": emotion, "affect": affect, "id": names, **optional}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run folder, a model and a data source in place of the real ones; the split `test` marks duplicates."""
    files.write_json(tmp_path / "recipe.json", {"name": "made_up", "model": "edram", "data": "drawn"})
    test = make_images(duplicate=np.arange(50) % 5 == 0, subject=np.array([f"s{i % 10}" for i in range(50)]))
    odd = make_images(30, seed=1)
    odd["emotion"][:4] = 3
    odd["emotion"][4] = -1
    splits = {"test": test, "test_clean": make_images(20, seed=2), "odd": odd}
    model = Brightness()
    monkeypatch.setattr(checkpoints, "open_model", lambda folder: model)
    monkeypatch.setattr(environment, "versions", lambda: {"keras": "3"})
    monkeypatch.setattr(data, "load_split", lambda source, split, data_dir=None: splits[split])
    monkeypatch.setattr(data, "emotions", lambda source, data_dir=None: NAMES)
    monkeypatch.setattr(data, "describe", lambda source, data_dir=None: {"fingerprint": "f"})
    return SimpleNamespace(folder=tmp_path, splits=splits, model=model)


def test_predict_keeps_one_batch_size_and_the_order():
    images = make_images(10)["image"]
    model = Brightness()
    actual = inference.predict(model, images, batch_size=4)
    assert model.batches == [4, 4, 4]  # one size, so that the model is compiled once
    whole = inference.predict(model, images, batch_size=100)
    assert set(actual) == {"probabilities", "affect", "windows", "weights", "emitted"}
    for key, values in actual.items():
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, whole[key])
    np.testing.assert_allclose(actual["probabilities"].sum(axis=-1), 1, atol=1e-6)
    assert actual["probabilities"].shape == (10, STEPS, 3)


def test_predict_rejects_other_sizes_and_non_finite_outputs():
    with pytest.raises(ValueError, match=r"\(12, 12, 1\), these have \(10, 12, 1\)"):
        inference.predict(Brightness(), np.zeros((3, 10, 12, 1), np.uint8))
    with pytest.raises(ValueError, match="n > 0"):
        inference.predict(Brightness(), np.zeros((0, 12, 12, 1), np.uint8))
    broken = Brightness()
    good = broken.predict_on_batch
    broken.predict_on_batch = lambda inputs: {**good(inputs), "emotion": np.full((len(inputs["image"]), 2, 3), np.nan)}
    with pytest.raises(ValueError, match="`emotion` is not finite for 5 of 5 images"):
        inference.predict(broken, make_images(5)["image"])


def test_a_table_holds_names_and_is_read_back(tmp_path):
    features = make_images(20, subject=np.array(["a"] * 20), duplicate=np.arange(20) < 3)
    outputs = inference.predict(Brightness(), features["image"])
    rows = predictions.table("test", features, outputs, NAMES, EMOTIONS)
    predictions.write(rows, tmp_path / "p.parquet")
    read = predictions.read(tmp_path / "p.parquet")
    assert read.equals(rows) and json.loads(read.schema.metadata[b"emotions"]) == EMOTIONS
    first = read.to_pylist()[1]
    assert first["truth"] == NAMES[features["emotion"][1]]
    assert first["prediction"] == EMOTIONS[outputs["probabilities"][1, -1].argmax()] == first["step_predictions"][-1]
    assert len(first["windows"]) == STEPS * 6 and len(first["step_probabilities"]) == STEPS * 3
    assert read["true_valence"][0].as_py() is None and first["true_valence"] == pytest.approx(features["affect"][1, 0])
    back = predictions.unpack(read.slice(5))
    np.testing.assert_array_equal(back["windows"], outputs["windows"][5:])
    np.testing.assert_array_equal(back["probabilities"], outputs["probabilities"][5:])
    assert back["duplicate"].sum() == 0 and np.isnan(back["true_affect"][2]).all()


def test_a_model_without_affect_head_gives_nulls():
    features = make_images(5)
    outputs = inference.predict(Brightness(), features["image"])
    del outputs["affect"]
    rows = predictions.table("test", features, outputs, NAMES, EMOTIONS)
    assert rows["valence"].null_count == 5
    assert "valence" not in summary.scores(rows, repeats=5)


def test_scores_are_in_canonical_order_whatever_the_order_of_the_model():
    features = make_images(60)
    outputs = inference.predict(Brightness(), features["image"])
    actual = summary.scores(predictions.table("t", features, outputs, NAMES, EMOTIONS), repeats=10)
    assert actual["confusion"]["emotions"] == ["neutral", "happy", "sad"] == list(actual["per_class"])
    predicted = np.array(EMOTIONS)[outputs["probabilities"][:, -1].argmax(axis=1)]
    truth = np.array(NAMES)[features["emotion"]]
    assert actual["accuracy"] == np.mean(predicted == truth)
    assert actual["confusion"]["counts"][1, 2] == np.sum((truth == "happy") & (predicted == "sad"))
    assert actual["valence"]["images"] == np.sum(features["affect"][:, 0] > -2)
    assert actual["glimpses"]["zoom"][0] == pytest.approx(0.5)
    assert actual["glimpses"]["collapsed"].tolist() == [True, False]


def test_a_class_named_none_is_not_an_unknown_emotion():
    features = make_images(6)
    features["emotion"][:3] = (-1, 0, 1)
    outputs = inference.predict(Brightness(), features["image"])
    rows = predictions.table("t", features, outputs, ("None", "Some", "Sad"), ("None", "Some", "Sad"))
    actual = summary.scores(rows, repeats=2)
    assert actual["images"] == 5 and actual["excluded"] == {"unknown": 1}


def test_equal_probabilities_are_the_same_prediction_in_table_and_scores():
    features = make_images(60)
    outputs = inference.predict(Brightness(), features["image"])
    outputs["probabilities"][:] = 1 / 3
    rows = predictions.table("t", features, outputs, NAMES, EMOTIONS)
    right = np.mean(np.array(rows["prediction"].to_pylist()) == np.array(rows["truth"].to_pylist()))
    assert EMOTIONS[0] != "neutral" and summary.scores(rows, repeats=2)["accuracy"] == right


def test_evaluate_writes_table_and_metrics_with_a_clean_split(run):
    metrics = evaluate.evaluate(run.folder, batch_size=16)
    assert (
        metrics
        == json.loads((run.folder / "metrics.json").read_text())
        == layout.read_metrics(run.folder / "metrics.json")
    )
    assert list(metrics["splits"]) == ["test", "test_clean"]
    rows = pq.read_table(run.folder / "predictions.parquet")
    assert rows["split"].unique().to_pylist() == ["test"] and len(rows) == 50
    correct = np.array(rows["truth"]) == np.array(rows["prediction"])
    clean = ~np.array(rows["duplicate"])
    assert metrics["splits"]["test"]["accuracy"] == correct.mean() and metrics["splits"]["test"]["images"] == 50
    assert metrics["splits"]["test_clean"]["accuracy"] == correct[clean].mean()
    assert len(metrics["splits"]["test"]["accuracy_after_glimpse"]) == STEPS
    low, high = metrics["splits"]["test"]["intervals"]["accuracy"]
    assert low <= correct.mean() <= high
    counted = keras.backend.backend() == "tensorflow"
    assert metrics["run"]["flops"] == (SIZE * SIZE if counted else None)
    assert metrics["run"]["recipe"] == "made_up" and metrics["run"]["data"] == "drawn" and metrics["run"]["command"]
    assert not list(run.folder.glob(".*"))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow counts")
def test_flops_are_multiplications_and_additions_of_one_image():
    inputs = keras.Input((7, 5, 3), name="image")
    convolved = keras.layers.Conv2D(4, 3, use_bias=False)(inputs)
    outputs = keras.layers.Dense(6, use_bias=False)(keras.layers.Flatten()(convolved))
    model = keras.Model({"image": inputs}, {"emotion": outputs})
    model.input_shapes = lambda: {"image": (None, 7, 5, 3)}
    assert cost.flops(model) == 2 * (5 * 3 * 4) * (3 * 3 * 3) + 2 * (5 * 3 * 4) * 6


def test_a_split_that_is_named_twice_counts_once(run):
    metrics = evaluate.evaluate(run.folder, splits=("test", "odd", "test"))
    assert [(name, actual["images"]) for name, actual in metrics["splits"].items()] == [
        ("test", 50),
        ("test_clean", 40),
        ("odd", 25),
    ]


def test_an_explicit_clean_split_is_read_from_the_data(run):
    metrics = evaluate.evaluate(run.folder, splits=("test", "test_clean"))
    assert {name: actual["images"] for name, actual in metrics["splits"].items()} == {"test": 50, "test_clean": 20}
    run.splits["test_clean"]["duplicate"] = np.zeros(20, bool)
    assert list(evaluate.evaluate(run.folder, splits="test_clean")["splits"]) == ["test_clean"]


def test_a_new_evaluation_leaves_no_file_of_the_previous_one(run, monkeypatch):
    evaluate.evaluate(run.folder)
    for name in ("report.html", "region_shares.json"):
        (run.folder / name).write_text("{}")

    def full(rows, path):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(predictions, "write", full)
    with pytest.raises(OSError, match="No space left on device: .*predictions.parquet"):
        evaluate.evaluate(run.folder)
    assert not {"report.html", "region_shares.json", "metrics.json"} & {path.name for path in run.folder.iterdir()}


def test_the_training_data_are_the_default(run, monkeypatch):
    files.write_json(run.folder / "environment.json", {"data_dir": "/prepared"})
    requested = []

    def load_split(source, split, data_dir):
        requested.append((source, data_dir))
        return run.splits["test"]

    monkeypatch.setattr(data, "load_split", load_split)
    evaluate.evaluate(run.folder)
    (run.folder / "model.keras").write_bytes(b"weights")
    evaluate.evaluate(run.folder, data="other.npz", data_dir="/elsewhere")
    assert requested == [("drawn", "/prepared"), ("other.npz", "/elsewhere")]


def test_unknown_emotions_are_rows_but_left_out_of_scores(run):
    metrics = evaluate.evaluate(run.folder, splits="odd")
    assert metrics["splits"]["odd"]["images"] == 25
    assert metrics["splits"]["odd"]["excluded"] == {"contempt": 4, "unknown": 1}
    assert len(predictions.read(run.folder / "predictions.parquet")) == 30
    run.splits["odd"]["emotion"][:] = 3
    with pytest.raises(ValueError, match=r"split odd: no image has an emotion .* \(neutral, happy, sad\)"):
        evaluate.evaluate(run.folder, splits="odd")


def test_the_flip_average_is_a_split_of_its_own(run):
    run.splits["test"]["image"][:, 0, -1] = 128
    metrics = evaluate.evaluate(run.folder, flip=True)
    assert list(metrics["splits"]) == ["test", "test_clean", "test_flip", "test_flip_clean"]
    rows = predictions.read(run.folder / "predictions.parquet")
    assert rows["split"].to_pylist() == ["test"] * 50 + ["test_flip"] * 50
    images = run.splits["test"]["image"]
    plain, mirrored = (inference.predict(run.model, view)["probabilities"] for view in (images, images[:, :, ::-1]))
    both = predictions.unpack(rows.slice(50))["probabilities"]
    np.testing.assert_allclose(both, (plain + mirrored) / 2, atol=1e-6)


@pytest.mark.parametrize("share", [0.75, 1])
def test_the_ten_crop_average_is_a_split_of_its_own(run, share):
    batches, model = [], run.model
    predict_on_batch = model.predict_on_batch

    def record(inputs):
        batches.append(inputs["image"])
        return predict_on_batch(inputs)

    model.predict_on_batch = record
    metrics = evaluate.evaluate(run.folder, ten_crop=share)
    assert list(metrics["splits"]) == ["test", "test_clean", "test_ten_crop", "test_ten_crop_clean"]
    images = run.splits["test"]["image"].astype("float32") / 255
    far, crops = (1 - share) * (SIZE - 1), []
    for left, top in ((0, 0), (far, 0), (0, far), (far, far), (far / 2, far / 2)):
        rows, columns = (start + share * np.arange(SIZE) for start in (top, left))
        places = np.meshgrid(rows, columns, indexing="ij")
        crop = np.stack([map_coordinates(image[..., 0], places, order=1) for image in images])[..., None]
        crops += [crop, crop[:, :, ::-1]]
    for actual, expected in zip(batches[1:11], crops, strict=True):  # after the whole image; then the speed is taken
        np.testing.assert_allclose(actual, expected, atol=1e-5)
    rows = predictions.read(run.folder / "predictions.parquet")
    expected = np.mean([inference.predict(model, crop.astype("float32"))["probabilities"] for crop in crops], axis=0)
    actual = predictions.unpack(rows.slice(50))["probabilities"]
    np.testing.assert_allclose(actual, expected, atol=1e-3)
    with pytest.raises(ValueError, match=r"ten_crop: expected a share of the image's side in \(0, 1\], got 1.5"):
        evaluate.evaluate(run.folder, ten_crop=1.5)


def test_a_model_that_needs_landmarks_says_so(run):
    run.model.input_shapes = lambda: {"image": None, "landmarks": (None, 68, 2)}
    with pytest.raises(ValueError, match="split test: the model needs landmarks, which the data set does not have"):
        evaluate.evaluate(run.folder)


@pytest.mark.slow
def test_a_real_model_and_an_npz_file(tmp_path):
    from edram_fer import models, report
    from edram_fer.run import checkpoints

    small = {"classification_units": 8, "location_units": 8, "glimpse_units": 8, "head_units": 8}
    model = models.build(
        "edram", image_size=(26, 26), emotions=EMOTIONS, glimpses=2, glimpse_size=14, glimpse_filters=(2,) * 6, **small
    )
    checkpoints.save(model, tmp_path / "model.keras")
    rng = np.random.default_rng(0)
    images, emotion = rng.integers(0, 256, (12, 26, 26, 1), dtype=np.uint8), np.arange(12) % 4
    test = {"image": images, "emotion": emotion, "id": np.arange(12).astype(str)}
    test["affect"] = np.zeros((12, 2), np.float32)
    metadata = {"emotions": NAMES, "source": "drawn", "version": "1", "fingerprint": "f"}
    np.savez(tmp_path / "drawn.npz", **metadata, **{f"test/{key}": values for key, values in test.items()})
    files.write_json(tmp_path / "recipe.json", {"name": "made_up", "data": str(tmp_path / "drawn.npz")})
    metrics = evaluate.evaluate(tmp_path, batch_size=8)
    assert metrics["splits"]["test"]["excluded"] == {"contempt": 3} and metrics["splits"]["test"]["images"] == 9
    saved = predictions.unpack(predictions.read(tmp_path / "predictions.parquet"))
    outputs = model(images, training=False)
    np.testing.assert_allclose(saved["windows"], outputs["windows"], atol=1e-5)
    assert saved["prediction"].tolist() == [EMOTIONS[k] for k in np.argmax(outputs["emotion"][:, -1], axis=-1)]
    assert "made_up" in report.write(tmp_path).read_text()


def test_damaged_files_are_rejected_by_name(run):
    with pytest.raises(FileNotFoundError, match="predictions.parquet is missing: evaluate the run first"):
        predictions.read(run.folder / "predictions.parquet")
    (run.folder / "predictions.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(ValueError, match="predictions.parquet is not a readable predictions table"):
        predictions.read(run.folder / "predictions.parquet")
    pq.write_table(pa.table({"id": ["a"]}), run.folder / "predictions.parquet")
    with pytest.raises(ValueError, match="predictions.parquet is not a complete predictions table: it lacks split"):
        predictions.read(run.folder / "predictions.parquet")
    (run.folder / "metrics.json").write_text('{"run": ')
    with pytest.raises(ValueError, match="metrics.json is not readable as JSON"):
        layout.read_metrics(run.folder / "metrics.json")
    for content, words in (("[1]", "expected a JSON object"), ("{}", "is not the recipe of a run")):
        (run.folder / "recipe.json").write_text(content)
        with pytest.raises(ValueError, match=f"recipe.json.*{words}"):
            evaluate.evaluate(run.folder)
    (run.folder / "recipe.json").unlink()
    with pytest.raises(FileNotFoundError, match="recipe.json is missing"):
        evaluate.evaluate(run.folder)
