"""The .keras files of trained models: what they hold, those of version 0.1, and what cannot be loaded."""

import io
import json
import subprocess
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest
from support.paths import ROOT
from support.tiny import TINIES, TINY, draw_weights, make_images

import edram_fer
from edram_fer import files, keras_file, models
from edram_fer.errors import UserError
from edram_fer.models.contract import FERModel
from edram_fer.run import checkpoints

NAMES = ("happy", "sad", "anger")
PREPROCESSING = {"size": 48, "colour": False, "clahe": 2.0}


@pytest.fixture(scope="module")
def model():
    return models.build("deep_emotion", image_size=(48, 48), emotions=NAMES, preprocessing=PREPROCESSING)


@pytest.fixture
def saved(model, tmp_path):
    checkpoints.save(model, tmp_path / "model.keras")
    return tmp_path / "model.keras"


def rewrite(path, changes):
    """Replace members of a .keras file: {name: bytes, or None to leave it out}."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()} | changes
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            if content is not None:
                archive.writestr(name, content)


def test_a_file_of_version_0_1_loads(saved, model):
    """It named its classes in emotions.json, and its preprocessing only in the run."""
    content = keras_file.read(saved)
    config = content["config.json"]
    assert config["module"] == "edram_fer.models.deep_emotion.deep_emotion"
    config["module"] = "models.deep_emotion.deep_emotion"
    for name in ("emotions", "preprocessing", "calibration"):
        del config["config"][name]
    rewrite(saved, {"config.json": json.dumps(config).encode(), "emotions.json": json.dumps(NAMES).encode()})
    old = edram_fer.load(saved)
    assert old.emotions == NAMES and old.preprocessing is None and old.temperature == (1.0,)
    files.write_json(saved.with_name("environment.json"), {"data": {"faces": PREPROCESSING}, "data_dir": None})
    for source in (saved, saved.parent):
        loaded = edram_fer.load(source)
        assert loaded.emotions == NAMES and loaded.preprocessing == PREPROCESSING
    images = make_images(2, 48, 48, 1)
    np.testing.assert_array_equal(old(images)["emotion"], model(images)["emotion"])
    checkpoints.save(loaded, saved.with_name("new.keras"))
    assert set(keras_file.read(saved.with_name("new.keras"))) == {"config.json", "metadata.json"}
    assert edram_fer.load(saved.with_name("new.keras")).emotions == NAMES


@pytest.mark.slow
def test_keras_alone_loads_a_trained_model(trained):
    """Only the classes of the models are registered, none of those that train."""
    code = (
        "import sys, keras, edram_fer.models; model = keras.saving.load_model(sys.argv[1]); "
        "print(*model.emotions, model.preprocessing)"
    )
    call = [sys.executable, "-c", code, trained.run / "model.keras"]
    process = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert process.stdout.split() == [*trained.recipe.classes, "None"]


def test_a_trained_model_is_kept_without_its_optimizer(trained):
    with zipfile.ZipFile(trained.run / "model.keras") as archive:
        assert "compile_config" not in json.loads(archive.read("config.json"))
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as weights:
            assert "optimizer" not in weights and "emotion_head" in weights


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config.json": None}, "is not a .keras file: it lacks config.json"),
        ({"model.weights.h5": None}, "is not a .keras file: it lacks model.weights.h5"),
        ({"config.json": b'{"module": '}, "is damaged or not a .keras file: Expecting value"),
        ({"config.json": b"\xff\xff"}, "is damaged or not a .keras file: 'utf-8' codec"),
        ({"model.weights.h5": b"not HDF5"}, "is damaged: model.weights.h5: "),
    ],
)
def test_damaged_files_are_named(changes, message, saved):
    rewrite(saved, changes)
    with pytest.raises(UserError, match=f"model.keras {message}"):
        edram_fer.load(saved)


def test_damage_anywhere_in_the_archive_is_named(saved):
    content = saved.read_bytes()
    for damaged in (content[:3000], b"", b"text", content[:2000] + bytes(500) + content[2500:], content[:-30]):
        saved.write_bytes(damaged)
        with pytest.raises(UserError, match="model.keras is damaged or not a .keras file: "):
            edram_fer.load(saved)
        with pytest.raises(UserError, match="model.keras is damaged or not a .keras file: "):
            checkpoints.initialise_from(models.build("deep_emotion", image_size=(48, 48)), saved)


@pytest.mark.parametrize(
    ("name", "option", "options"),
    [
        ("edram", "emission_rate", TINY | {"glimpses": 1, "affect": False, "context_activation": "tanh"}),
        ("deep_emotion", "localisation_rate", TINIES["deep_emotion"] | {"variant": "plus"}),
    ],
)
def test_slow_layers_compute_what_they_computed_at_another_rate(name, option, options, tmp_path):
    trained = draw_weights(models.build(name, **options | {option: 0.25}))
    checkpoints.save(trained, tmp_path / "trained.keras")
    model = models.build(name, **options)
    checkpoints.initialise_from(model, tmp_path / "trained.keras")
    image = make_images(2, *TINY["image_size"], 1)
    np.testing.assert_allclose(model(image)["windows"], trained(image)["windows"], atol=1e-5)


def test_models_without_class_names_and_of_other_packages_are_refused(tmp_path):
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
    with pytest.raises(UserError, match="other.keras holds a Sequential: expected one of the models of edram_fer"):
        edram_fer.load(tmp_path / "other.keras")
    models.build("deep_emotion", image_size=(48, 48)).save(tmp_path / "unnamed.keras")
    with pytest.raises(UserError, match="unnamed.keras holds a DeepEmotion without class names: set model.emotions"):
        edram_fer.load(tmp_path / "unnamed.keras")


def test_a_missing_class_is_no_damage(tmp_path):
    class Unregistered(FERModel):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.arguments = {"image_size": (4, 4), "channels": 1}
            self.build_for_image()

        def call(self, inputs, training=False):
            return {"emotion": keras.ops.mean(inputs["image"], axis=1)}

    Unregistered(emotions=["happy"]).save(tmp_path / "mine.keras")
    expected = f"mine.keras: Keras {keras.__version__} cannot load it: Could not locate class 'Unregistered'"
    with pytest.raises(UserError, match=expected):
        edram_fer.load(tmp_path / "mine.keras")


@pytest.mark.parametrize(
    "names",
    [None, 7, {"happy": 1}, [["happy"], ["sad"], ["anger"]], "happy", ["happy"], ["happy", "sad", "face"], [1, 2, 3]],
)
@pytest.mark.parametrize("old", [True, False])
def test_class_names_of_a_file_are_checked(names, old, saved):
    config = keras_file.read(saved)["config.json"]
    config["config"]["emotions"] = list(NAMES) if old else names
    changes = {"config.json": json.dumps(config).encode()}
    rewrite(saved, changes | ({"emotions.json": json.dumps(names).encode()} if old else {}))
    with pytest.raises(UserError, match="model.keras"):
        edram_fer.load(saved)


@pytest.mark.parametrize(
    ("name", "value"),
    [("units", 10**9), ("units", "a"), ("image_size", [1e9, 48]), ("image_size", {}), ("channels", -1), ("classes", 1)],
)
def test_arguments_of_a_file_are_checked_before_a_model_is_built(name, value, saved):
    config = keras_file.read(saved)["config.json"]
    config["config"][name] = value
    rewrite(saved, {"config.json": json.dumps(config).encode()})
    with pytest.raises(UserError, match="model.keras"):
        edram_fer.load(saved)
