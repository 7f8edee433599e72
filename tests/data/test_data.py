"""Batches: tf.data compared with NumPy, any step of any epoch, labels by name, damaged and unknown sources."""

import itertools

import keras
import numpy as np
import pytest
from support.fer2013_files import write_csv

from edram_fer import data
from edram_fer.data import augment
from edram_fer.data import batches as batching
from edram_fer.data.batches import Batches
from edram_fer.preprocessing import datasets
from edram_fer.preprocessing.emotions import EIGHT, SEVEN

CONSTANTS = {"emitted": np.eye(2, 3, dtype="float32"), "weights": np.zeros((), "float32")}
tensorflow_only = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.data is TensorFlow's way")


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """Prepared data sets: FER2013 made of 26 drawn faces for training, 9 for validation, 8 for testing."""
    folder = tmp_path_factory.mktemp("prepared")
    usages = ["Training"] * 26 + ["PublicTest"] * 9 + ["PrivateTest"] * 8
    rows = [(usage, SEVEN[number % 7], number) for number, usage in enumerate(usages)]
    datasets.prepare("fer2013", write_csv(folder / "faces.csv", rows), folder / "data", report=lambda line: None)
    return folder / "data"


@pytest.fixture(params=["arrays", "prepared"])
def source(request, npz_file):
    """(source, data_dir) of an NPZ file or a prepared data set."""
    if request.param == "arrays":
        return str(npz_file), None
    return "fer2013", request.getfixturevalue("data_dir")


def training(source, **changes):
    name, data_dir = source
    settings = {"classes": SEVEN, "batch_size": 4, "seed": 3, "augmentation": augment.Augmentation()}
    return Batches(name, "train", data_dir=data_dir, **{**settings, "constants": CONSTANTS, **changes})


def in_numpy(batches, epoch=0, step=0):
    """Batches of the backends without tf.data, endless in training."""
    stream = batching._ArrayBatches(batches, epoch, step)
    return map(stream.__getitem__, itertools.count() if stream.num_batches is None else range(stream.num_batches))


def same(actual, expected):
    (x, targets), (expected_x, expected_targets) = actual, expected
    np.testing.assert_allclose(x["image"], expected_x["image"], atol=1e-5)
    assert set(targets) == set(expected_targets)
    for name, values in targets.items():
        np.testing.assert_array_equal(values, expected_targets[name])
        assert np.asarray(values).dtype == np.asarray(expected_targets[name]).dtype, name


@tensorflow_only
def test_tf_data_gives_the_numpy_batches(source):
    batches = training(source)
    pairs = list(zip(batches.start(2).as_numpy_iterator(), itertools.islice(in_numpy(batches, 2), 2 * batches.steps)))
    assert len(pairs) == 2 * batches.steps  # epochs 2 and 3
    for actual, expected in pairs:
        same(actual, expected)
        assert actual[0]["image"].dtype == np.float32 and 0 <= actual[0]["image"].min() <= actual[0]["image"].max() <= 1
        assert actual[1]["emitted"].shape == (4, 2, 3) and actual[1]["emotion"].dtype == np.int32


@tensorflow_only
def test_starting_at_a_step_skips_the_earlier_ones(source):
    batches = training(source)
    skipped = itertools.islice(batches.start(1).as_numpy_iterator(), 3, None)
    pairs = list(zip(range(batches.steps), batches.start(1, 3).as_numpy_iterator(), in_numpy(batches, 1, 3), skipped))
    for _, actual, in_arrays, expected in pairs:  # into the next epoch
        same(actual, expected)
        same(actual, in_arrays)


def test_every_image_occurs_once_per_epoch_in_a_new_order(npz_file):
    batches = training((str(npz_file), None), batch_size=7)
    assert len(batches.kept) == 70 == 7 * batches.steps
    orders = [batches.order(epoch) for epoch in range(3)]
    for order in orders:
        assert sorted(order) == batches.kept.tolist()
    assert not np.array_equal(orders[0], orders[1]) and not np.array_equal(orders[0], batches.kept)
    np.testing.assert_array_equal(orders[1], training((str(npz_file), None), batch_size=7).order(1))
    assert not np.array_equal(orders[1], training((str(npz_file), None), batch_size=7, seed=4).order(1))
    plain = training((str(npz_file), None), batch_size=7, augmentation=augment.NONE)
    actual = [x["image"] for x, _ in itertools.islice(in_numpy(plain), plain.steps)]
    expected = data.load_split(npz_file, "train")["image"][orders[0]] / 255
    np.testing.assert_allclose(np.concatenate(actual), expected, atol=1e-5)


def test_evaluation_keeps_the_order_and_ends_with_a_short_batch(source):
    name, data_dir = source
    images = data.load_split(name, "validation", data_dir=data_dir)
    names = data.emotions(name, data_dir=data_dir)
    batches = Batches(name, "validation", SEVEN, 4, data_dir=data_dir)
    kept = [i for i, label in enumerate(images["emotion"]) if names[label] in SEVEN]
    actual = [(np.asarray(x["image"]), {k: np.asarray(v) for k, v in y.items()}) for x, y in in_numpy(batches)]
    assert batches.steps == len(actual) == -(-len(kept) // 4)
    assert [len(found_images) for found_images, _ in actual[:-1]] == [4] * (len(actual) - 1)
    found_images = np.concatenate([found_images for found_images, _ in actual])
    np.testing.assert_allclose(found_images, images["image"][kept].astype("float32") / 255, atol=1e-7)
    expected = [SEVEN.index(names[images["emotion"][i]]) for i in kept]
    assert np.concatenate([targets["emotion"] for _, targets in actual]).tolist() == expected
    np.testing.assert_array_equal(np.concatenate([y["affect"] for _, y in actual]), images["affect"][kept])
    if keras.backend.backend() == "tensorflow":
        for one, other in zip(batches.start().as_numpy_iterator(), actual, strict=True):
            same(one, ({"image": other[0]}, other[1]))


def test_labels_are_converted_by_name(npz_file, contents):
    labels = np.array(data.emotions(npz_file))[contents["train"]["emotion"]]
    for classes in (SEVEN, EIGHT, ("happy", "contempt")):
        batches = Batches(str(npz_file), "train", classes, 5)
        assert len(batches.kept) == np.isin(labels, classes).sum()
        actual = np.concatenate([targets["emotion"] for _, targets in in_numpy(batches)])
        assert np.array(classes)[actual].tolist() == labels[np.isin(labels, classes)].tolist()
        assert dict(zip(classes, batches.counts)) == {name: (labels == name).sum() for name in classes}


def test_images_without_a_label_are_left_out(contents, tmp_path):
    labels = contents["test"]["emotion"].copy()
    labels[:5] = -1
    features = {f"test/{name}": values for name, values in {**contents["test"], "emotion": labels}.items()}
    np.savez(tmp_path / "some.npz", emotions=np.array(EIGHT), version="1", fingerprint="f", **features)
    assert Batches(str(tmp_path / "some.npz"), "test", EIGHT, 4).kept.tolist() == list(range(5, 24))
    assert sum(data.class_counts(tmp_path / "some.npz", "test").values()) == 19


@pytest.mark.parametrize(
    ("feature", "values", "message"),
    [
        ("emotion", [*range(23), -2], "test/emotion: expected numbers from 0 to 7, .*, or -1 for an .* label, got 8"),
        ("emotion", [-2] * 24, "got -2"),
        ("image", np.zeros((24, 8, 8, 1), np.uint16), "test/image: expected 4 dimensions.* got uint16"),
    ],
)
def test_labels_and_images_out_of_range_are_named(contents, tmp_path, feature, values, message):
    features = {f"test/{name}": values for name, values in {**contents["test"], feature: values}.items()}
    np.savez(tmp_path / "odd.npz", emotions=np.array(EIGHT), version="1", fingerprint="f", **features)
    with pytest.raises(ValueError, match=f"odd.npz: {message}" if "test/" in message else message):
        data.describe(tmp_path / "odd.npz")


def test_images_of_different_sizes_in_one_file_are_named(contents, tmp_path):
    features = {f"{split}/{name}": values for split in contents for name, values in contents[split].items()}
    features["validation/image"] = np.zeros((40, 8, 9, 1), np.uint8)
    np.savez(tmp_path / "odd.npz", emotions=np.array(EIGHT), version="1", fingerprint="f", **features)
    with pytest.raises(ValueError, match="odd.npz: expected images of one size .* in all splits, got 28x28x1, 8x9x1"):
        data.describe(tmp_path / "odd.npz")


def test_without_an_affect_head_there_is_no_affect_target(source):
    _, targets = next(in_numpy(training(source, affect=False)))
    assert set(targets) == {"emotion", *CONSTANTS}


@pytest.mark.parametrize("batch_size", [81, 71])
def test_too_few_images_are_an_error_with_their_number(npz_file, batch_size):
    with pytest.raises(ValueError, match=f"split train: expected at least {batch_size} images of neutral.*found 70"):
        training((str(npz_file), None), batch_size=batch_size)
    with pytest.raises(ValueError, match="expected at least 1 images of joy, found 0 among 80"):
        Batches(str(npz_file), "train", ("joy",), 4)


def test_written_arrays_are_read_back(data_dir, tmp_path):
    described = data.write_arrays("fer2013", tmp_path / "fer2013.npz", data_dir=data_dir)
    assert described == data.describe("fer2013", data_dir=data_dir) | {"source": str(tmp_path / "fer2013.npz")}
    assert described["emotions"] == list(SEVEN)
    assert described["splits"] == {"train": 26, "validation": 9, "test": 8, "test_clean": 8}
    for split in described["splits"]:
        before, after = (data.load_split(s, split, data_dir=data_dir) for s in ("fer2013", tmp_path / "fer2013.npz"))
        assert set(before) == set(after) >= {"image", "emotion", "affect", "id", "duplicate"}
        for name, values in before.items():
            np.testing.assert_array_equal(values, after[name])
    with pytest.raises(ValueError, match="an NPZ file ends in .npz"):
        data.write_arrays("fer2013", tmp_path / "faces.zip", data_dir=data_dir)


def test_describe_and_class_counts(npz_file, data_dir):
    described = data.describe(npz_file)
    assert described["image_size"] == [28, 28] and described["channels"] == 1 and described["fingerprint"] == "abc"
    assert data.splits(npz_file) == {"train": 80, "validation": 40, "test": 24}
    assert data.class_counts(npz_file, "test") == dict.fromkeys(described["emotions"], 3)
    assert sum(data.class_counts("fer2013", "train", data_dir=data_dir).values()) == 26


def test_a_sum_of_splits_is_one_after_the_other(source):
    name, data_dir = source
    parts = [data.load_split(name, split, data_dir=data_dir) for split in ("validation", "train")]
    whole = data.load_split(name, "validation+train", data_dir=data_dir)
    for feature, values in whole.items():
        np.testing.assert_array_equal(values, np.concatenate([part[feature] for part in parts]))
    counts = [data.class_counts(name, split, data_dir=data_dir) for split in ("validation", "train")]
    assert data.class_counts(name, "train+validation", data_dir=data_dir) == {
        emotion: count + counts[1][emotion] for emotion, count in counts[0].items()}  # fmt: skip
    batches = Batches(name, "validation+train", SEVEN, 4, data_dir=data_dir)
    images = np.concatenate([x["image"] for x, _ in in_numpy(batches)])
    np.testing.assert_allclose(images, whole["image"][batches.kept] / 255, atol=1e-6)
    if keras.backend.backend() == "tensorflow":
        for actual, expected in zip(batches.start().as_numpy_iterator(), in_numpy(batches), strict=True):
            same(actual, expected)
    with pytest.raises(ValueError, match="got 'dev' in 'train.dev'"):
        data.load_split(name, "train+dev", data_dir=data_dir)
    with pytest.raises(ValueError, match="'train' occurs in .train.train. more than once"):
        data.load_split(name, "train+train", data_dir=data_dir)


def test_unknown_splits_and_sources(source, tmp_path):
    name, data_dir = source
    with pytest.raises(ValueError, match="split: expected one of train, validation, test.*, got 'dev'"):
        data.load_split(name, "dev", data_dir=data_dir)
    with pytest.raises(FileNotFoundError, match="fer2013 is not prepared"):
        data.describe("fer2013", data_dir=tmp_path)
    with pytest.raises(ValueError, match="unknown data set 'fer'"):
        data.describe("fer", data_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match="faces.npz is missing; expected an NPZ file"):
        data.describe(tmp_path / "faces.npz")


def test_damaged_npz_files_are_named(npz_file, tmp_path):
    content, path = npz_file.read_bytes(), tmp_path / "faces.npz"

    def refused(message):
        with pytest.raises(ValueError, match=f"{path}.*{message}"):
            Batches(str(path), "train", SEVEN, 4)
            data.load_split(path, "train")

    path.write_bytes(content[: len(content) // 2])
    refused("is damaged or not an NPZ file")
    path.write_bytes(b"emotion,pixels\n")
    refused("is damaged or not an NPZ file")
    path.write_bytes(b"")
    refused("is damaged or not an NPZ file")
    path.write_bytes(content[:9000] + bytes(4000) + content[13000:])  # in the middle of the training images
    refused("is damaged or not an NPZ file")
    np.savez(path, emotions=["sad"], version="1", fingerprint="f", **{"train/emotion": [0], "train/image": [[0]]})
    refused("lacks train/affect, train/id")
    np.savez(path, emotions=["sad"], version="1", fingerprint="f")
    refused("lacks any <split>/emotion")
    with open(path, "wb") as target:
        np.save(target, np.zeros(3))
    refused("is damaged or not an NPZ file")
