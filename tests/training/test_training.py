"""Training: the run folder, the best model, and errors."""

import dataclasses
import logging
import re

import keras
import numpy as np
import pytest
from support import toy
from support.toy import history

import edram_fer
from edram_fer import data, files
from edram_fer.errors import ExistingRunError
from edram_fer.preprocessing.emotions import SEVEN
from edram_fer.run import checkpoints, environment, layout
from edram_fer.training import callbacks, loop


def test_the_run_folder_is_complete(trained, npz_file):
    run, recipe = trained.run, trained.recipe
    for name in ("recipe.json", "environment.json", "history.csv", "model.keras", "checkpoints/latest.npz"):
        assert (run / name).stat().st_size > 0
    assert not list(run.rglob(".*"))  # no temporary files
    assert checkpoints.read_recipe(run) == recipe
    content = environment.read(run)
    assert content["data"] == data.describe(npz_file) and content["seed"] == recipe.seed
    assert content["versions"]["keras"] == keras.__version__ and len(content["starts"]) == 1 and content["finished"]
    rows = history(run)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    windows = [f"glimpse_1_{value}{sd}" for value in ("x", "y", "zoom") for sd in ("", "_sd")]
    names = ["loss", "emotion_loss", "location_loss", "emotion_accuracy", *windows]
    assert {"learning_rate", *names, *(f"val_{name}" for name in names)} <= set(rows[0])
    assert all(np.isfinite(value) for row in rows for value in row.values())
    assert 0 < rows[0]["val_glimpse_1_zoom"] < 2**0.5  # the root of |a0 a4 - a1 a3|, each at most 1
    if keras.backend.backend() == "tensorflow":
        assert list((run / "tensorboard").rglob("events*"))


def test_the_best_model_is_loaded_with_its_emotions(trained, contents):
    model, model_of_file = edram_fer.load(trained.run), edram_fer.load(trained.run / "model.keras")
    assert model.emotions == SEVEN
    images = {"image": contents["validation"]["image"].astype("float32") / 255}
    assert model.get_config() == model_of_file.get_config()
    for value, other in zip(model.get_weights(), model_of_file.get_weights(), strict=True):
        np.testing.assert_array_equal(value, other)
    outputs = model.predict_on_batch(images)
    rows = history(trained.run)
    best = min(rows, key=lambda row: row["val_loss"])
    has_class = contents["validation"]["emotion"] != 2  # contempt is not among the seven
    zoom = np.sqrt(np.abs(np.linalg.det(outputs["windows"][has_class, 0, :, :2]))).mean()
    assert zoom == pytest.approx(best["val_glimpse_1_zoom"], abs=1e-5)


def test_float16_scales_the_loss_and_determinism_is_a_setting(toy_recipe, tmp_path, monkeypatch):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: pytest.fail("is deterministic"))
    recipe = dataclasses.replace(toy_recipe, dtype="mixed_float16", deterministic=False, epochs=1)
    loop.train(recipe, tmp_path / "run", verbose=0)
    arrays, meta = checkpoints.read_state(tmp_path / "run" / layout.LATEST)
    variables = zip((name for name, _ in meta["variables"]), arrays, strict=False)  # metrics follow
    assert [int(value) for name, value in variables if name.endswith("dynamic_scale")] == [2**15]
    assert all(np.isfinite(value) for value in history(tmp_path / "run")[0].values())
    assert files.read_json(tmp_path / "run" / layout.RECIPE)["dtype"] == "mixed_float16"


def test_a_loss_that_is_not_finite_ends_the_run(toy_recipe, tmp_path):
    run = tmp_path / "run"
    wild = dataclasses.replace(toy_recipe, learning_rate=1e38, checkpoint_steps=1)
    with pytest.raises(FloatingPointError, match=r"became (nan|inf) in epoch 1, step [2-5]; a smaller learning rate"):
        loop.train(wild, run, verbose=0)
    arrays, _ = checkpoints.read_state(run / layout.LATEST)
    assert all(np.isfinite(value).all() for value in arrays)
    with pytest.raises(FloatingPointError, match=r"in epoch 1, step [2-5];"):  # the step of the epoch, not of `fit`
        loop.resume(run, verbose=0)


def test_a_validation_loss_that_is_not_finite_ends_the_run(toy_recipe, tmp_path):
    """The last step of the run may be the one that spoils it: no other tells."""
    wild = dataclasses.replace(toy_recipe, learning_rate=1e38, batch_size=40, epochs=1)
    with pytest.raises(FloatingPointError, match=r"the validation loss became (nan|inf) in epoch 1, after step 1;"):
        loop.train(wild, tmp_path / "run", verbose=0)
    assert not (tmp_path / "run" / "model.keras").exists()


def test_weights_that_are_not_finite_reach_no_checkpoint(toy_recipe, tmp_path):
    setting = loop._TrainingSetup(toy_recipe, tmp_path, data.describe(toy_recipe.data), None)
    setting.checkpoint.set_model(setting.model)
    setting.model.answer.bias.assign(np.full(7, np.nan))
    setting.checkpoint.epoch, setting.checkpoint.step = 3, 4
    with pytest.raises(FloatingPointError, match="bias is nan or infinite in epoch 4, after step 4"):
        setting.checkpoint.write()
    assert not (tmp_path / layout.LATEST).exists()


def test_training_needs_a_free_folder_and_resuming_a_run(copied, toy_recipe, tmp_path):
    with pytest.raises(FileExistsError, match="already holds a run: continue it with --resume"):
        loop.train(toy_recipe, copied)
    with pytest.raises(FileNotFoundError, match="nowhere/recipe.json is missing"):
        loop.resume(tmp_path / "nowhere")
    bad = dataclasses.replace(toy_recipe, options={"dropout": 7})
    with pytest.raises(ValueError):
        loop.train(bad, tmp_path / "new")
    assert not (tmp_path / "new").exists()  # a bad recipe leaves no run behind
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(ExistingRunError, match=f"for the run at {folder}, found the file {tmp_path}/file"):
            loop.train(toy_recipe, folder)


def test_missing_and_damaged_models_are_named(copied, tmp_path):
    path = copied / "model.keras"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match=f"{path} is damaged or not a .keras file"):
        edram_fer.load(copied)
    with pytest.raises(FileNotFoundError, match="expected a run folder with model.keras"):
        edram_fer.load(tmp_path / "nowhere")


def test_losses_are_renamed_in_the_order_of_their_names():
    """The order of sets of texts changes from process to process, and with it that of the columns of history.csv."""
    names, logs = {name: f"new_{name}" for name in "abcd"}, {"loss": 0.0}
    logs |= {f"{part}{name}_loss": 1.0 for part in ("", "val_") for name in "dcba"}
    callbacks.LossNames(names).on_epoch_end(0, logs)
    assert list(logs) == ["loss", *(f"{part}new_{name}_loss" for name in "abcd" for part in ("", "val_"))]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX compiles everything")
def test_images_on_the_device_are_augmented_where_keras_chooses_xla(toy_recipe, tmp_path, monkeypatch):
    """As on a GPU with deterministic=false."""
    monkeypatch.setattr(toy.Toy, "_resolve_auto_jit_compile", lambda model: True)
    monkeypatch.setattr("keras.src.trainers.trainer.model_supports_jit", lambda model: True)
    recipe = dataclasses.replace(toy_recipe, device_data=True, deterministic=False)
    setup = loop._TrainingSetup(recipe, tmp_path, data.describe(recipe.data), None)
    [batch] = setup.training.start().take(1)
    assert np.isfinite(float(setup.model.train_function(iter([batch]))["loss"]))


def test_collapsed_glimpses_are_logged(tmp_path, caplog):
    logs = {f"val_glimpse_{t}_{name}_sd": sd for t, sd in ((1, 0.0), (2, 0.3), (3, 0.01)) for name in ("x", "y")}
    logs |= {f"val_glimpse_{t}_x": 0.0 for t in (1, 2, 3)}
    callbacks.Log(tmp_path, [], fixed_first=True)._warn_of_collapse(logs)
    assert "glimpse 3 has collapsed: the spread of its centre over the validation images is 0.0100" in caplog.text
    assert caplog.text.count("collapsed") == 1
    callbacks.Log(tmp_path, [], fixed_first=False)._warn_of_collapse(logs)
    assert "glimpse 1 has collapsed" in caplog.text


def test_an_unknown_monitor_is_named_before_training(toy_recipe, tmp_path):
    with pytest.raises(ValueError, match="monitor: expected one of val_loss, .*, got 'val_accurracy'") as raised:
        loop.train(dataclasses.replace(toy_recipe, monitor="val_accurracy"), tmp_path / "run", verbose=0)
    assert not (tmp_path / "run").exists()
    named = str(raised.value).removeprefix("monitor: expected one of ").split(", got")[0].split(", ")
    loop.train(dataclasses.replace(toy_recipe, epochs=1), tmp_path / "run", verbose=0)
    assert set(named) == {name for name in history(tmp_path / "run")[0] if name.startswith("val_")}


def test_a_model_is_initialised_from_another_where_shapes_match(toy_recipe, tmp_path):
    loop.train(dataclasses.replace(toy_recipe, epochs=1), tmp_path / "first", verbose=0)
    first = edram_fer.load(tmp_path / "first")
    begun = dataclasses.replace(toy_recipe, seed=9, emotions="eight", initial_weights=str(tmp_path / "first"))
    model = loop._TrainingSetup(begun, tmp_path / "second", data.describe(begun.data), None).model
    np.testing.assert_array_equal(model.look.kernel, first.look.kernel)
    assert model.answer.kernel.shape == (784, 8)  # eight emotions: drawn
    loop.train(dataclasses.replace(begun, epochs=1), tmp_path / "second", verbose=0)
    (tmp_path / "first" / "model.keras").unlink()
    content = environment.read(tmp_path / "second")
    assert content.pop("finished") and len(content["initial_weights_sha256"]) == 64
    files.write_json(tmp_path / "second" / "environment.json", content)
    loop.resume(tmp_path / "second", verbose=0)  # its own checkpoint is all that it needs
    with pytest.raises(FileNotFoundError, match="model.keras is missing"):
        loop.train(begun, tmp_path / "third", verbose=0)
    assert not (tmp_path / "third").exists()


def test_weights_none_of_which_fits_are_rejected(toy_recipe, tmp_path):
    setting = loop._TrainingSetup(toy_recipe, tmp_path, data.describe(toy_recipe.data), None)
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match="other.keras: no weight of its Sequential fits Toy"):
        checkpoints.initialise_from(setting.model, tmp_path / "other.keras")


def test_the_progress_counts_to_the_last_epoch_of_the_run(capsys):
    """A resumed run ends the epoch in hand by a `fit` of its own."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    x = np.zeros((4, 2), "float32")
    model.fit(x, x[:, :1], initial_epoch=1, epochs=2, verbose=2, callbacks=[callbacks.Progress(6)])
    assert "Epoch 2/6" in capsys.readouterr().out


def test_a_warm_up_longer_than_training_is_logged(toy_recipe, tmp_path, caplog):
    short = dataclasses.replace(toy_recipe, schedule="cosine", warmup_epochs=2, min_learning_rate=0, epochs=1)
    loop.train(short, tmp_path / "run", verbose=0)
    assert "still warming up when training ends: warmup_epochs=2, epochs=1" in caplog.text
    assert history(tmp_path / "run")[0]["learning_rate"] == pytest.approx(short.learning_rate / 2)


def test_the_progress_fits_on_a_line_and_the_glimpses_are_logged(toy_recipe, tmp_path, capsys, caplog):
    with caplog.at_level(logging.INFO):
        loop.train(dataclasses.replace(toy_recipe, epochs=1), tmp_path / "run", verbose=1)
    lines = re.split("[\\r\\n\b]+", re.sub("\x1b\\[[0-9;]*m", "", capsys.readouterr().out))
    assert max(map(len, lines)) < 160 and "val_emotion_accuracy: " in lines[-2]
    assert re.search(r"glimpse 1: x -?0.\d\d ± 0.\d\d, y -?0.\d\d ± 0.\d\d, zoom 0.50 ± 0.00", caplog.text)
