"""From prepared data to scores: RAN with landmark crops, FERPlus with its votes, Deep-Emotion on its splits."""

import dataclasses

import numpy as np
import pytest
from support import toy
from support.dummy_data import DUMMY_DATA
from support.toy import history

from edram_fer import data, models
from edram_fer.data.batches import Batches
from edram_fer.evaluation import evaluate
from edram_fer.models.region_attention.iresnet import IResNet
from edram_fer.models.region_attention.ran import BACKBONES
from edram_fer.preprocessing import datasets, emotions, synthetic
from edram_fer.recipes import recipe
from edram_fer.run import predictions
from edram_fer.studies import window_ablation
from edram_fer.training import loop

tfds = pytest.importorskip("tensorflow_datasets")


@pytest.fixture(scope="module", autouse=True)
def small():
    """A toy among the models, a backbone of one block, no TensorBoard, no progress bars."""
    tfds.disable_progress_bar()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(models.MODELS, "toy", toy.Toy)
        patch.setitem(BACKBONES, "iresnet18", (IResNet, (1, 0, 0, 0)))
        patch.setattr("edram_fer.training.loop._tensorboard", lambda run: [])
        yield


def prepared(dummy, folder, **options):
    report = {"report": lambda line: None}
    return datasets.prepare(dummy.dataset, dummy.folder, folder, **options, **report)


def find_dummy(dataset, subfolder=""):
    return next(dummy for dummy in DUMMY_DATA if dummy.dataset == dataset and dummy.subfolder == subfolder)


@pytest.mark.slow
def test_ran_with_landmark_crops_learns_from_drawn_faces(tmp_path):
    content = {"emotions": np.array(emotions.SEVEN), "source": "drawn", "version": "1", "fingerprint": "f"}
    for split, count, start in (("train", 24, 0), ("validation", 14, 100), ("test", 10, 200)):
        faces = [*synthetic.generate(count, 0, start=start, size=32)]
        points = np.stack([face.landmarks for face in faces])
        points[0] = np.nan  # the whole face then
        content |= {
            f"{split}/image": np.stack([face.image for face in faces]),
            f"{split}/emotion": np.array([emotions.SEVEN.index(face.emotion) for face in faces]),
            f"{split}/affect": np.array([(face.valence, face.arousal) for face in faces], "float32"),
            f"{split}/id": np.array([face.id for face in faces]),
            f"{split}/landmarks": points,
        }
    np.savez(tmp_path / "drawn.npz", **content)
    settings = ["crops=landmarks", "backbone_filters=(4,4,4,4)", "crop_size=16", "emotions=seven", "epochs=1",
                "batch_size=8", f"data={tmp_path}/drawn.npz", "landmark_radius=0.2"]  # fmt: skip
    resolved = recipe.override(recipe.get("ran_ferplus_small"), settings)
    loop.train(resolved, tmp_path / "run", verbose=0)
    (row,) = history(tmp_path / "run")
    assert all(np.isfinite(value) for value in row.values())
    assert row["val_glimpse_2_x_sd"] > 0  # crops follow the landmarks
    metrics = evaluate.evaluate(tmp_path / "run", flip=True, ten_crop=0.9)
    assert list(metrics["splits"]) == ["test", "test_flip", "test_ten_crop"]
    rows = predictions.read(tmp_path / "run" / "predictions.parquet")
    windows = predictions.unpack(rows.slice(0, 10))["windows"]
    eye = content["test/landmarks"][1, 36:42].mean(axis=0)
    np.testing.assert_allclose(windows[1, 1, :, 2], np.clip(eye / 31 * 2 - 1, -0.6, 0.6), atol=1e-5)
    np.testing.assert_allclose(windows[0], np.tile(np.eye(2, 3), (6, 1, 1)), atol=1e-6)
    assert window_ablation.ablate_windows(tmp_path / "run", draws=1)["images"] == 10
    lacking = {name: values for name, values in content.items() if not name.endswith("landmarks")}
    np.savez(tmp_path / "lacking.npz", **lacking)
    with pytest.raises(ValueError, match="lacking.npz holds no landmarks"):
        loop.train(dataclasses.replace(resolved, data=f"{tmp_path}/lacking.npz"), tmp_path / "other")
    with pytest.raises(ValueError, match="split test: the model needs landmarks"):
        evaluate.evaluate(tmp_path / "run", data=f"{tmp_path}/lacking.npz")


def test_landmarks_of_a_prepared_data_set_reach_training(tmp_path):
    prepared(find_dummy("affectnet", "csv2017"), tmp_path, size=24, workers=1, validation=0)
    batches = Batches("affectnet", "test", emotions.EIGHT, 3, landmarks=True, data_dir=tmp_path)
    actual = np.concatenate([x["landmarks"] for x, _ in batches.start().as_numpy_iterator()])
    np.testing.assert_array_equal(
        actual, data.load_split("affectnet", "test", data_dir=tmp_path)["landmarks"][batches.kept]
    )


@pytest.mark.parametrize(
    ("mode", "labels"), [pytest.param("majority", "hard", marks=pytest.mark.slow), ("probability", "soft")]
)
def test_ferplus_is_trained_on_labels_or_votes_and_evaluated_on_its_subsets(mode, labels, tmp_path):
    name, source = f"ferplus/{mode}", find_dummy("ferplus").folder
    datasets.prepare(name, source, tmp_path / "data", report=lambda line: None)
    splits = data.splits(name, data_dir=tmp_path / "data")
    shipped = recipe.get("ran_ferplus_iresnet50")
    settings = {key: getattr(shipped, key) for key in ("optimizer", "weight_decay", "label_smoothing", "mixup", "ema")}
    resolved = recipe.Recipe(
        model="toy", data=name, labels=labels, emotions="eight", epochs=1, batch_size=3, learning_rate=0.01, **settings
    )
    loop.train(resolved, tmp_path / "run", data_dir=tmp_path / "data", verbose=0)
    assert np.isfinite(history(tmp_path / "run")[0]["val_loss"])
    test_splits = [split for split in splits if split.startswith("test")]
    assert {"test_occlusion", "test_pose30", "test_pose45"} <= set(test_splits)
    metrics = evaluate.evaluate(tmp_path / "run", splits=test_splits)
    assert {split: metrics["splits"][split]["images"] for split in test_splits} == {
        split: splits[split] for split in test_splits
    }


@pytest.mark.parametrize(("name", "subfolder", "end"), [
    ("jaffe", "", "subjects"), ("ck_plus", "sequences", "subjects"), ("ferg", "", "characters")])  # fmt: skip
def test_published_and_strict_splits_exist_side_by_side(name, subfolder, end, tmp_path):
    shared, strict = recipe.get(f"deep_emotion_{name}"), recipe.get(f"deep_emotion_{name}_{end}")
    same = {"name": "", "data": "", "train_split": "train", "validation_split": "validation"}
    assert dataclasses.replace(strict, **same) == dataclasses.replace(shared, **same)
    people = {}
    for resolved, split in ((strict, "strict"), (shared, "published")):
        prepared(
            find_dummy(name, subfolder), tmp_path, split=split, size=48, detectors=("none",), workers=1, validation=0
        )
        parts = data.splits(resolved.data, data_dir=tmp_path)
        actual = {part: data.load_split(resolved.data, part, data_dir=tmp_path) for part in parts}
        ids = [row for part, features in actual.items() if part != "test_clean" for row in features["id"]]
        assert len(set(ids)) == len(ids)
        people[split] = set(ids), {part: set(features["subject"]) for part, features in actual.items()}
    assert people["strict"][0] == people["published"][0]
    assert set(people["published"][1]) <= {"train", "validation", "test", "test_clean"}
    assert sum(map(len, people["strict"][1].values())) == len(set.union(*people["strict"][1].values()))
    trained = set(strict.train_split.split("+"))
    assert strict.validation_split not in trained and trained.isdisjoint({"YM", "fold_9", "ray"})
