"""Augmentation compared with NumPy and scikit-image; the same results eagerly and inside tf.data."""

import keras
import numpy as np
import pytest
from skimage.transform import AffineTransform

from edram_fer.data import augment, erasing
from edram_fer.data.augment import NONE, Augmentation
from edram_fer.models.spatial_transformer import sample

OFF = {"rotation": 0, "shift": 0, "zoom": 0, "shear": 0, "flip": 0}
EVERYTHING = Augmentation(contrast=0.5, brightness=0.3, erase=0.7)
IMAGES = np.random.default_rng(0).random((6, 20, 23, 3)).astype("float32")
NUMBERS = augment.draw(seed=3, epoch=1, count=6)
BOXES = erasing.draw(seed=3, epoch=1, count=6, probability=0.7, size=(20, 23))


def applied(augmentation, images=IMAGES, numbers=NUMBERS, boxes=BOXES):
    return keras.ops.convert_to_numpy(augment.apply(augmentation, images, numbers, boxes))


def test_draw_is_a_function_of_seed_and_epoch():
    numbers = augment.draw(7, 2, 1000)
    assert numbers.shape == (1000, augment.NUMBERS) and numbers.dtype == np.float32
    assert numbers.min() >= -1 and numbers.max() < 1 and abs(numbers.mean()) < 0.05
    np.testing.assert_array_equal(numbers, augment.draw(7, 2, 1000))
    assert not np.array_equal(numbers, augment.draw(8, 2, 1000)) and not np.array_equal(
        numbers, augment.draw(7, 3, 1000)
    )


@pytest.mark.parametrize("per_axis", [False, True])
def test_matrices_are_rotation_zoom_shear_mirror_and_shift(per_axis):
    augmentation = Augmentation(rotation=30, shift=0.2, zoom=0.4, shear=12, flip=0.5, zoom_per_axis=per_axis)
    actual = keras.ops.convert_to_numpy(augment.matrices(augmentation, NUMBERS))
    mirrored = 0
    for matrix, n in zip(actual, NUMBERS, strict=True):
        turn = AffineTransform(rotation=np.radians(30 * n[0])).params
        slant = np.array([[1, np.tan(np.radians(12 * n[1])), 0], [0, 1, 0], [0, 0, 1]])
        zoom = AffineTransform(scale=(1 + 0.4 * n[2], 1 + 0.4 * n[8 if per_axis else 2])).params
        mirror = np.diag([-1 if n[7] < 0 else 1, 1, 1])
        shift = AffineTransform(translation=2 * 0.2 * n[3:5]).params
        np.testing.assert_allclose(matrix, (shift @ turn @ slant @ zoom @ mirror)[:2], atol=1e-5)
        mirrored += n[7] < 0
    assert 0 < mirrored < len(NUMBERS)


def test_images_that_are_not_square_are_turned_without_distortion():
    augmentation, half = Augmentation(**OFF | {"rotation": 30}), np.array([15, 5])
    linear = keras.ops.convert_to_numpy(augment.matrices(augmentation, NUMBERS, (11, 31)))[:, :, :2]
    angles = np.radians(30 * NUMBERS[:, 0])
    turns = np.moveaxis(np.array([[np.cos(angles), -np.sin(angles)], [np.sin(angles), np.cos(angles)]]), -1, 0)
    np.testing.assert_allclose(linear * half[:, None] / half, turns, atol=1e-5)  # in pixels
    images, quarter = np.random.default_rng(0).random((6, 11, 31, 1), np.float32), np.ones_like(NUMBERS)
    turned = applied(Augmentation(**OFF | {"rotation": 90}), images, quarter)
    np.testing.assert_allclose(turned[:, :, 10:21], np.rot90(images[:, :, 10:21], axes=(1, 2)), atol=1e-4)


def test_coordinates_are_no_product_of_matrices(monkeypatch):
    """GPUs round the factors of such products to 11 significant bits, those of float16."""
    product, ops = keras.ops.matmul, keras.ops
    rounded = lambda *factors: product(*(ops.cast(ops.cast(f, "float16"), "float32") for f in factors))  # noqa: E731
    monkeypatch.setattr(ops, "matmul", rounded)
    ramp = np.tile(np.arange(224, dtype="float32"), (1, 224, 1))[..., None]
    np.testing.assert_allclose(augment.warp(ramp, np.eye(2, 3, dtype="float32")[None]), ramp, atol=1e-3)


@pytest.mark.parametrize("size", [(20, 23), (48, 48), (1, 5)])
def test_images_are_warped_as_by_the_sensor_of_the_models(size):
    rng = np.random.default_rng(0)
    images, windows = rng.random((50, *size, 2), np.float32), rng.normal(0, 0.8, (50, 2, 3)).astype("float32")
    expected = sample(images, windows[:, None], size)[:, 0]
    np.testing.assert_allclose(augment.warp(images, windows), expected, atol=2e-5)


def test_none_changes_nothing():
    np.testing.assert_allclose(applied(NONE), IMAGES, atol=1e-5)


def test_a_flip_is_the_exact_mirror_image():
    always = Augmentation(**{**OFF, "flip": 1})
    np.testing.assert_allclose(applied(always), IMAGES[:, :, ::-1], atol=1e-5)
    half = applied(Augmentation(**{**OFF, "flip": 0.5}))
    for image, before, n in zip(half, IMAGES, NUMBERS, strict=True):
        np.testing.assert_allclose(image, before[:, ::-1] if n[7] < 0 else before, atol=1e-5)


def test_a_shift_moves_whole_pixels_and_repeats_the_border():
    numbers = np.zeros_like(NUMBERS)
    numbers[:, 3] = 1.0  # the window moves right by a quarter of the image's 17 - 1 intervals: 4 pixels
    images = IMAGES[:, :, :17]
    actual = applied(Augmentation(**{**OFF, "shift": 0.25}), images, numbers)
    np.testing.assert_allclose(actual[:, :, :13], images[:, :, 4:], atol=1e-5)
    np.testing.assert_allclose(actual[:, :, 13:], np.repeat(images[:, :, 16:], 4, axis=2), atol=1e-5)


def test_contrast_and_brightness_change_tones_about_the_mean():
    images = 0.4 + 0.2 * IMAGES  # nothing is clipped
    actual = applied(Augmentation(**OFF, contrast=0.5, brightness=0.1), images)
    mean = images.mean(axis=(1, 2, 3), keepdims=True)
    factor, added = (NUMBERS[:, i, None, None, None] for i in (5, 6))
    np.testing.assert_allclose(actual, (images - mean) * (1 + 0.5 * factor) + mean + 0.1 * added, atol=1e-5)


def test_a_seed_draws_the_same_numbers_as_in_older_runs():
    numbers = np.random.default_rng([3, 1, 1]).uniform(-1, 1, (6, 11)).astype("float32")
    np.testing.assert_array_equal(NUMBERS, numbers[:, : augment.NUMBERS])


def test_a_box_is_erased_after_the_geometry_and_before_the_tones():
    images = 0.4 + 0.2 * IMAGES
    turned = applied(Augmentation(rotation=20, shift=0, zoom=0, shear=0, flip=0), images)
    mean = turned.mean(axis=(1, 2, 3), keepdims=True)
    erased = keras.ops.convert_to_numpy(erasing.erase(turned, BOXES))
    assert (erased != turned).any()
    actual = applied(Augmentation(rotation=20, shift=0, zoom=0, shear=0, flip=0, erase=0.7, brightness=0.1), images)
    np.testing.assert_allclose(actual, erased - mean + mean + 0.1 * NUMBERS[:, 6, None, None, None], atol=1e-5)


def test_values_stay_in_range_and_each_image_changes_differently():
    actual = applied(EVERYTHING)
    assert actual.shape == IMAGES.shape and actual.min() >= 0 and actual.max() <= 1
    same = applied(EVERYTHING, np.repeat(IMAGES[:1], 6, axis=0))
    assert all(not np.allclose(same[0], other) for other in same[1:])


def test_an_image_does_not_depend_on_its_batch():
    alone = applied(EVERYTHING, IMAGES[2:3], NUMBERS[2:3], BOXES[2:3])
    np.testing.assert_allclose(alone[0], applied(EVERYTHING)[2], atol=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.data runs the TensorFlow backend's operations")
def test_the_same_inside_tf_data():
    tf = pytest.importorskip("tensorflow")
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, NUMBERS, BOXES)).batch(6)
    [actual] = dataset.map(lambda *batch: augment.apply(EVERYTHING, *batch)).as_numpy_iterator()
    np.testing.assert_allclose(actual, applied(EVERYTHING), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "value"),
    [("rotation", 181), ("rotation", -1), ("shear", 61), ("flip", 1.5), ("zoom", "much"), ("erase", float("nan"))],
)
def test_values_out_of_range_are_rejected_by_name(name, value):
    with pytest.raises(ValueError, match=f"augmentation.{name}: expected a number in .*, got {value!r}"):
        Augmentation(**{name: value})
