"""Which folder receives the results of a model on a data set: no evaluation takes the place of another."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edram_fer import files, models, weights
from edram_fer.errors import ExistingRunError, MissingFileError, UserError
from edram_fer.evaluation.evaluate import evaluate
from edram_fer.run import checkpoints, evaluation_folder, layout
from edram_fer.run.evaluated_run import EvaluatedRun
from edram_fer.run.evaluation_folder import open_folder
from edram_fer.studies.observer import Observer

EMOTIONS = ("neutral", "happy", "sad")


def write_images(path, seed, fingerprint):
    rng = np.random.default_rng(seed)
    features = {
        "image": rng.integers(0, 256, (12, 48, 48, 1), dtype=np.uint8),
        "emotion": np.arange(12) % 3,
        "affect": np.full((12, 2), -2, np.float32),
        "id": np.array([f"{seed}-{row}" for row in range(12)]),
    }
    metadata = {"source": path.stem, "version": "1", "fingerprint": fingerprint, "emotions": np.array(EMOTIONS)}
    np.savez(path, **metadata, **{f"test/{name}": values for name, values in features.items()})
    return str(path)


@pytest.fixture(scope="module")
def model():
    return models.build("deep_emotion", image_size=(48, 48), emotions=EMOTIONS, trunk_filters=(3, 4, 5))


@pytest.fixture
def place(tmp_path, monkeypatch, model):
    """A run, its data set, a copy of it under another name, other data, and an included model; tmp_path is current."""
    monkeypatch.chdir(tmp_path)
    names = {"faces": (0, "one"), "copy": (0, "one"), "others": (1, "two")}
    data = {name: write_images(tmp_path / f"{name}.npz", *content) for name, content in names.items()}
    recipe = {"name": "made_up", "model": "deep_emotion", "data": data["faces"]}
    run = tmp_path / "run"
    files.write_json(run / layout.RECIPE, recipe)
    files.write_json(run / layout.ENVIRONMENT, {"data": {"fingerprint": "one"}, "data_dir": None})
    checkpoints.save(model, run / layout.MODEL)
    included = tmp_path / "weights"
    checkpoints.save(model, included / "kept.keras")
    entry = {
        "file": "kept.keras",
        "sha256": files.digest(included / "kept.keras"),
        "model": "deep_emotion",
        "recipe": recipe,
        "seed": 0,
        "commit": "abc",
        "data": {"source": data["faces"], "fingerprint": "one"},
    }
    files.write_json(included / weights.REGISTRY, {"kept": entry})
    monkeypatch.setattr(weights, "FOLDER", included)
    return SimpleNamespace(run=run, **data)


def test_the_run_receives_the_evaluation_on_its_own_data(place):
    for data in (None, place.faces, place.copy):
        assert open_folder(place.run, data=data).path == place.run
    assert open_folder(place.run / layout.MODEL).path == place.run
    assert open_folder(place.run, out=place.run).path == place.run
    assert not (place.run / layout.EVALUATIONS).exists()


def test_relative_paths_count_from_the_folder_in_which_training_began(place, monkeypatch):
    here = place.run.parent
    files.write_json(place.run / layout.RECIPE, {"name": "made_up", "model": "deep_emotion", "data": "faces.npz"})
    known = {"data": {"fingerprint": "one"}, "data_dir": None, layout.WORKING_FOLDER: str(here)}
    files.write_json(place.run / layout.ENVIRONMENT, known)
    assert open_folder(place.run) == (place.run, "faces.npz", None)
    other = here / "other"
    other.mkdir()
    monkeypatch.chdir(other)
    assert open_folder(place.run) == (place.run, place.faces, None)
    write_images(other / "faces.npz", 1, "two")
    assert open_folder(place.run) == (place.run, place.faces, None)  # another file of that name
    assert open_folder(place.run, data="faces.npz").path.name == "faces"  # an option counts from here
    assert open_folder(place.run, data="../copy.npz", out="result").path == Path("result")
    assert layout.locate(place.run, "other") == "other"  # may be the name of a data set
    assert layout.locate(place.run, "other", folder=True) == str(other)
    monkeypatch.chdir(here)
    assert layout.run_data("other/result") == (str(other / "../copy.npz"), None)
    assert layout.locate(place.run, "fer2013") == "fer2013" and layout.locate(place.run, "other") == "other"
    files.write_json(place.run / layout.ENVIRONMENT, {**known, layout.WORKING_FOLDER: str(here / "gone")})
    assert layout.locate(place.run, "faces.npz") == "faces.npz"
    files.write_json(place.run / layout.ENVIRONMENT, {**known, layout.WORKING_FOLDER: 3})
    assert layout.locate(place.run, "faces.npz") == "faces.npz"


@pytest.mark.slow
def test_other_data_have_a_folder_that_works_like_a_run(place):
    evaluate(place.run)
    kept = {path: path.read_bytes() for path in place.run.rglob("*") if path.is_file()}
    metrics = evaluate(place.run, data=place.others)
    folder = place.run / "evaluations" / "others"
    assert metrics["run"]["data"] == place.others
    assert {path: path.read_bytes() for path in kept} == kept
    assert EvaluatedRun(folder).features("test")["id"][0] == "1-0"
    assert json.loads((folder / layout.RECIPE).read_text())["data"] == place.faces  # the recipe of the training
    observer = Observer(folder)
    assert observer.run == folder and observer.ids[0].startswith("1-")  # its default data are the evaluated ones
    assert Observer(place.run, data=place.others).run == folder
    assert Observer(place.run).ids[0].startswith("0-")
    for data_dir in (None, "elsewhere", place.run):
        assert open_folder(folder, data=place.others, data_dir=data_dir).path == folder
    assert evaluate(folder)["run"]["data"] == place.others
    assert not (folder / layout.EVALUATIONS).exists()


@pytest.mark.slow
def test_an_included_model_is_evaluated_by_name(place):
    evaluate("kept")
    assert EvaluatedRun("kept").folder.as_posix() == "evaluations/kept"
    evaluate("kept", data=place.others)
    assert EvaluatedRun("evaluations/kept-others").metrics["run"]["data"] == place.others
    evaluate("kept", data=place.others, out="here")
    assert EvaluatedRun("here").recipe["name"] == "made_up"
    with pytest.raises(MissingFileError, match="run first, with edram-fer evaluate kept$"):
        (place.run.parent / "evaluations" / "kept" / layout.METRICS).unlink()
        EvaluatedRun("kept")


def test_a_file_needs_its_data(place):
    file = place.run.parent / "alone.keras"
    (place.run / layout.MODEL).rename(file)
    with pytest.raises(UserError, match="alone.keras does not name the data set .*: expected --data"):
        evaluate(file)
    evaluate(file, data=place.others)
    assert EvaluatedRun("evaluations/alone-others").recipe == {"model": "DeepEmotion"}


def test_a_folder_that_holds_something_else_is_refused(place):
    with pytest.raises(ExistingRunError, match="run holds a run: expected another folder"):
        open_folder(place.run, data=place.others, out=place.run)
    with pytest.raises(ExistingRunError, match="run holds a run: expected another folder"):
        open_folder("kept", out=place.run)
    open_folder("kept", out="here")
    open_folder("kept", out="here")
    with pytest.raises(ExistingRunError, match="here holds the evaluation of kept on .*faces.npz"):
        open_folder("kept", data=place.others, out="here")
    with pytest.raises(ExistingRunError, match="here holds the evaluation of kept on .*faces.npz"):
        open_folder(place.run, out="here")


@pytest.mark.parametrize("source, data", [("nobody", None), ("kept", "missing.npz"), ("run", "missing.npz")])
def test_nothing_is_written_for_what_does_not_exist(place, source, data):
    with pytest.raises(MissingFileError):
        open_folder(source, data=data, out="here")
    assert not (place.run.parent / "here").exists()


def test_a_path_comes_before_a_name(place):
    place.run.rename("kept")
    assert evaluation_folder.find("kept").as_posix() == "kept"
    assert open_folder("kept").path.as_posix() == "kept"


def test_commands_in_messages_are_quoted(tmp_path):
    run = tmp_path / "my run"
    with pytest.raises(MissingFileError, match=f"with edram-fer evaluate '{run}'$"):
        EvaluatedRun(run)
    run.touch()
    with pytest.raises(UserError, match=f"which `edram-fer evaluate '{run}'` makes"):
        evaluation_folder.find(run)
