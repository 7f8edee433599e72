"""Batches with mixup, erasing, soft labels and landmarks: tf.data compared with NumPy and with their parts."""

import itertools

import keras
import numpy as np
import pytest

from edram_fer import data
from edram_fer.data import augment, batches, erasing, landmarks, mixup
from edram_fer.data.augment import Augmentation
from edram_fer.data.batches import Batches
from edram_fer.data.guides import Guide
from edram_fer.preprocessing.emotions import EIGHT, SEVEN

EVERYTHING = {"augmentation": Augmentation(erase=0.5), "mixup": 0.4, "soft": True, "landmarks": True}


@pytest.fixture(scope="module")
def source(contents, tmp_path_factory):
    """An NPZ file with soft labels and landmarks, some of them missing."""
    path, rng = tmp_path_factory.mktemp("arrays") / "rich.npz", np.random.default_rng(0)
    content = {"emotions": np.array(EIGHT), "source": "rich", "version": "1", "fingerprint": "f"}
    for split, features in contents.items():
        count = len(features["image"])
        soft = rng.dirichlet(np.full(8, 0.3), count).astype("float32")
        points = rng.uniform(0, 27, (count, 68, 2)).astype("float32")
        points[1] = np.nan
        extra_features = {"emotion": soft.argmax(axis=1), "soft_label": soft, "landmarks": points}
        content |= {f"{split}/{name}": values for name, values in {**features, **extra_features}.items()}
    np.savez(path, **content)
    return str(path)


def in_numpy(numpy_batches, epoch=0, step=0):
    stream = batches._ArrayBatches(numpy_batches, epoch, step)
    return map(stream.__getitem__, itertools.count())


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.data is TensorFlow's way")
@pytest.mark.parametrize("options", [EVERYTHING, {**EVERYTHING, "soft": False}, {**EVERYTHING, "mixup": 0}])
def test_tf_data_gives_the_numpy_batches_from_any_step(source, options):
    training = Batches(source, "train", SEVEN, 10, seed=2, **options)
    actual = [*itertools.islice(training.start(1, 3).as_numpy_iterator(), training.steps)]  # into the next epoch
    for (x, y), (other_x, other_y) in zip(actual, in_numpy(training, 1, 3)):
        assert set(x) == {"image", "landmarks"} and set(y) == {"emotion", "affect"}
        for name, values in {**x, **y}.items():
            np.testing.assert_allclose(values, {**other_x, **other_y}[name], atol=2e-5, err_msg=name)
    skipped = itertools.islice(training.start(1).as_numpy_iterator(), 3, None)
    for (x, y), (other_x, other_y) in zip(actual, skipped):
        for name, values in {**x, **y}.items():
            np.testing.assert_array_equal(values, {**other_x, **other_y}[name])


@pytest.mark.parametrize("options", [EVERYTHING, {"augmentation": augment.NONE, "affect": False}])
def test_batches_made_on_the_device_are_the_numpy_batches(source, options):
    training = Batches(source, "train", SEVEN, 10, seed=2, device_data=True, **options)
    prepare, stream = training.preparation(), training.start(1, 3)
    taken = iter(stream) if keras.backend.backend() == "tensorflow" else map(stream.__getitem__, itertools.count())
    for _, (x, y) in zip(range(training.steps), in_numpy(training, 1, 3)):  # into the next epoch
        (arguments,) = next(taken)
        other_x, other_y = prepare(**arguments)
        assert set(x) == set(other_x) and set(y) == set(other_y)
        for name, values in {**x, **y}.items():
            np.testing.assert_allclose({**other_x, **other_y}[name], values, atol=2e-5, err_msg=name)
    assert Batches(source, "train", SEVEN, 10, device_data=True).preparation() is None  # evaluation


@pytest.mark.parametrize("on_gpu", [True, False])
def test_images_that_do_not_fit_into_a_gpu_stay_outside(source, monkeypatch, on_gpu):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(batches.devices, "has_accelerator", lambda: on_gpu)
    pixels = 28 * 28 * len(Batches(source, "train", SEVEN, 10).kept)
    for memory, forced in itertools.product((2 * pixels, 2 * pixels - 1), (True, False)):
        monkeypatch.setattr(batches.devices, "memory", lambda memory=memory: memory)
        training = Batches(source, "train", SEVEN, 10, augmentation=augment.NONE, device_data=forced)
        assert training.on_device == (forced or (on_gpu and memory == 2 * pixels))


def test_a_batch_is_made_of_its_parts(source):
    training = Batches(source, "train", SEVEN, 10, seed=2, **EVERYTHING)
    images, order, count = data.load_split(source, "train"), training.order(4)[:10], 80
    x, y = next(in_numpy(training, 4))
    numbers, shares = augment.draw(2, 4, count)[order], mixup.draw(2, 4, count, 0.4)[order]
    boxes = erasing.draw(2, 4, count, 0.5, (28, 28))[order]
    image = augment.apply(training.augmentation, images["image"][order].astype("float32") / 255, numbers, boxes)
    soft = images["soft_label"][order][:, :7]  # SEVEN are the first of EIGHT
    soft = soft / soft.sum(axis=1, keepdims=True)
    image, expected = mixup.mix(image, {"emotion": soft, "affect": images["affect"][order]}, shares)
    np.testing.assert_allclose(x["image"], image, atol=1e-6)
    np.testing.assert_allclose(y["emotion"], expected["emotion"], atol=1e-6)
    np.testing.assert_array_equal(y["affect"], expected["affect"])
    np.testing.assert_allclose(y["emotion"].sum(axis=1), 1, atol=1e-6)
    windows = augment.matrices(training.augmentation, numbers)
    np.testing.assert_allclose(x["landmarks"], landmarks.warp(images["landmarks"][order], windows, (28, 28)), atol=1e-5)


@pytest.mark.parametrize("with_inputs", [False, True])
def test_glimpses_are_guided_to_the_moved_landmarks(source, with_inputs):
    guide = Guide(("free", "nose", "eyes"))
    guided = Batches(source, "train", SEVEN, 10, augmentation=Augmentation(), guide=guide, landmarks=with_inputs)
    moved = Batches(source, "train", SEVEN, 10, augmentation=Augmentation(), landmarks=True)
    (x, y), (other_x, other_y) = next(in_numpy(guided, 2)), next(in_numpy(moved, 2))
    assert set(x) == {"image", "landmarks"} if with_inputs else {"image"}
    expected = guide.targets(other_x["landmarks"], None, np.ones(10, "float32"), (28, 28))
    np.testing.assert_array_equal(y["windows"], expected)
    np.testing.assert_array_equal(x["image"], other_x["image"])
    assert y["windows"].shape == (10, 3, 3) and np.isfinite(y["windows"][:, 1]).any() and "windows" not in other_y
    if keras.backend.backend() == "tensorflow":
        tf_x, tf_y = next(guided.start(2).as_numpy_iterator())
        np.testing.assert_allclose(tf_y["windows"], y["windows"], atol=2e-5)
        assert set(tf_x) == set(x)


def test_glimpses_that_follow_people_are_drawn_anew_in_each_epoch(source, tmp_path):
    path = tmp_path / "fixations.csv"
    path.write_text(
        "subject,image,start_x,start_y,duration\n"
        + "".join(f"P{i},AF01HAS.JPG,{x},{y},200\n" for i, (x, y) in enumerate([(210, 392), (335, 392), (275, 540)]))
    )
    guide = Guide(("free", "people", "people by emotion"), str(path), epochs=4)
    training = Batches(source, "train", SEVEN, 10, augmentation=Augmentation(), guide=guide)
    (_, first), (_, second) = next(in_numpy(training, 0)), next(in_numpy(training, 2))
    assert np.isnan(first["windows"][:, 0, :2]).all() and first["windows"][..., 2].max() == 1
    assert np.allclose(second["windows"][..., 2], 0.5)
    drawn, order = training.draw(2, 80), training.order(2)[:10]
    windows = augment.matrices(training.augmentation, drawn["augmentation"][order])
    expected = landmarks.warp_points(drawn["looked_at"][order], windows, (28, 28)) / 13.5 - 1
    np.testing.assert_allclose(second["windows"][:, 1:, :2], expected, atol=1e-5)
    assert not np.array_equal(drawn["looked_at"], training.draw(3, 80)["looked_at"], equal_nan=True)
    np.testing.assert_array_equal(training.draw(2, 80)["looked_at"], drawn["looked_at"])
    validation = Batches(source, "validation", SEVEN, 10, guide=guide)
    (_, once), (_, again) = next(in_numpy(validation)), next(iter(validation.start()))
    np.testing.assert_allclose(again["windows"], once["windows"], atol=2e-5)
    assert not once["windows"][..., 2].any() and np.isfinite(once["windows"][:, 1:]).any()  # as after the last epoch
    if keras.backend.backend() == "tensorflow":
        _, other = next(training.start(2).as_numpy_iterator())
        np.testing.assert_allclose(other["windows"], second["windows"], atol=2e-5)


def test_hard_labels_become_probabilities_with_mixup_alone(source):
    plain = Batches(source, "train", EIGHT, 8, augmentation=Augmentation())
    mixed = Batches(source, "train", EIGHT, 8, augmentation=Augmentation(), mixup=0.2)
    (_, y), (_, z) = next(in_numpy(plain)), next(in_numpy(mixed))
    assert y["emotion"].dtype == np.int32 and y["emotion"].shape == (8,)
    shares = mixup.draw(0, 0, 80, 0.2)[mixed.order(0)[:8]][:, None]
    one_hot = np.eye(8)[y["emotion"]]
    np.testing.assert_allclose(z["emotion"], shares * one_hot + (1 - shares) * np.roll(one_hot, -1, axis=0), atol=1e-6)


def test_evaluation_leaves_landmarks_unchanged(source):
    evaluation = Batches(source, "test", EIGHT, 8, landmarks=True)
    actual = [batches._ArrayBatches(evaluation, 0, 0)[i][0]["landmarks"] for i in range(3)]
    np.testing.assert_array_equal(np.concatenate(actual), data.load_split(source, "test")["landmarks"])
    if keras.backend.backend() == "tensorflow":
        actual = [x["landmarks"] for x, _ in evaluation.start().as_numpy_iterator()]
        np.testing.assert_array_equal(np.concatenate(actual), data.load_split(source, "test")["landmarks"])


def test_missing_features_of_a_source_are_named(npz_file):
    with pytest.raises(ValueError, match=r"noise.npz holds no landmarks, which .* `prepare ... --landmarks`"):
        Batches(str(npz_file), "train", SEVEN, 8, landmarks=True)
    with pytest.raises(ValueError, match="noise.npz holds no soft_label, which labels=soft trains on"):
        Batches(str(npz_file), "train", SEVEN, 8, soft=True)


def test_empty_landmarks_and_hard_soft_labels_are_rejected(source, tmp_path, caplog):
    Batches(source, "test", SEVEN, 8, landmarks=True, soft=True)
    assert "rich.npz, split test: 1 of " in caplog.text and "faces have no landmarks" in caplog.text
    with np.load(source) as content:
        content = dict(content)
    content["test/landmarks"][:] = np.nan
    content["test/soft_label"] = np.eye(8, dtype="float32")[content["test/emotion"]]
    np.savez(tmp_path / "poor.npz", **content)
    with pytest.raises(ValueError, match="split test: none of .* faces has landmarks"):
        Batches(str(tmp_path / "poor.npz"), "test", SEVEN, 8, landmarks=True)
    with pytest.raises(ValueError, match="split test: labels=soft needs soft labels, these are all hard"):
        Batches(str(tmp_path / "poor.npz"), "test", SEVEN, 8, soft=True)
