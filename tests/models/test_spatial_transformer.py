"""The affine sensor against SciPy, finite differences, and windows whose glimpse is known."""

import keras
import numpy as np
import pytest
from keras import ops
from support import oracles

from edram_fer.models.spatial_transformer import grid, sample

IDENTITY = np.array([[1.0, 0, 0], [0, 1, 0]])
METHODS = ("gather", "separable")


def make_images(*shape, seed=0, dtype="float64"):
    return np.random.default_rng(seed).random(shape).astype(dtype)


def random_windows(*shape, seed=0, scale=0.6, rotation=True):
    windows = np.random.default_rng(seed).normal(0, scale, (*shape, 2, 3))
    return windows if rotation else windows * np.array([[1, 0, 1], [0, 1, 1]])


def glimpse(image, window, size, method="gather"):
    """One window of one image, [H, W] -> [h, w], in float64."""
    image, window = np.asarray(image)[None, ..., None], np.asarray(window, "float64")[None, None]
    return ops.convert_to_numpy(sample(image, window, size, method))[0, 0, ..., 0]


@pytest.fixture(autouse=True)
def float64(monkeypatch):
    """JAX computes in float64 only on request."""
    if keras.backend.backend() == "jax":
        import jax

        with jax.enable_x64():
            yield
    else:
        yield


@pytest.mark.parametrize("scale", [0.2, 0.8, 3.0])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-5), ("float64", 1e-12)])
def test_equals_scipy(scale, dtype, tolerance):
    images, windows = make_images(2, 9, 13, 3), random_windows(2, 4, scale=scale)
    glimpses = sample(images.astype(dtype), windows.astype(dtype), (5, 7))
    np.testing.assert_allclose(ops.convert_to_numpy(glimpses), oracles.sample(images, windows, (5, 7)), atol=tolerance)


@pytest.mark.parametrize("method", METHODS)
def test_gradients_equal_finite_differences(method):
    """At generic points: bilinear interpolation has kinks where a sample falls on a pixel."""
    images, windows = make_images(1, 6, 7, 2), random_windows(1, 2, scale=0.4, seed=3, rotation=method == "gather")
    places = (windows @ grid((3, 4)).T + 1) / 2 * np.array([[6], [5]])
    inside = (places > 0) & (places < np.array([[6], [5]]))
    assert inside.mean() > 0.5 and np.abs(places - places.round())[inside].min() > 1e-4
    direction = make_images(1, 2, 3, 4, 2, seed=1)

    def loss(images, windows):
        return ops.sum(sample(images, windows, (3, 4), method) * direction)

    gradients = oracles.gradients(loss, [images, windows])
    for i, (value, step) in enumerate(((images, 1e-3), (windows, 1e-6))):
        # Each entry in turn a little larger, then a little smaller: one batch of images and windows.
        changes = step * np.concatenate([np.eye(value.size), -np.eye(value.size)]).reshape(-1, *value.shape[1:])
        batch = [
            np.repeat(v, len(changes), axis=0) + (changes if i == j else 0) for j, v in enumerate((images, windows))
        ]
        glimpses = ops.convert_to_numpy(sample(*batch, (3, 4), method))
        plus, minus = (glimpses * direction).sum(axis=(1, 2, 3, 4)).reshape(2, *value.shape)
        np.testing.assert_allclose(gradients[i], (plus - minus) / (2 * step), atol=1e-7)
        assert np.abs(gradients[i]).max() > 0.1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(8, 8), (7, 12), (1, 5), (1, 1)])
def test_identity_is_the_image(shape, method):
    image = make_images(*shape)
    np.testing.assert_allclose(glimpse(image, IDENTITY, shape, method), image, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_flips_and_corners(method):
    image = make_images(6, 9)
    np.testing.assert_allclose(glimpse(image, IDENTITY * [[-1], [1]], (6, 9), method), image[:, ::-1], atol=1e-12)
    np.testing.assert_allclose(glimpse(image, IDENTITY * [[1], [-1]], (6, 9), method), image[::-1], atol=1e-12)
    np.testing.assert_allclose(glimpse(image, IDENTITY, 2, method), image[:: 6 - 1, :: 9 - 1], atol=1e-12)


def test_rotation_by_a_right_angle():
    """x = -v, y = u: the glimpse's top edge runs down the image's right edge."""
    image = make_images(7, 7)
    np.testing.assert_allclose(glimpse(image, [[0, -1, 0], [1, 0, 0]], 7), np.rot90(image), atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_beyond_the_border_the_border_is_repeated(method):
    image = make_images(5, 6)
    assert (glimpse(image, [[0.5, 0, 9], [0, 0.5, 9]], 4, method) == image[-1, -1]).all()
    assert (glimpse(image, [[0.5, 0, -9], [0, 0.5, -9]], 4, method) == image[0, 0]).all()
    right = glimpse(image, [[1, 0, 9], [0, 1, 0]], (5, 3), method)
    np.testing.assert_allclose(right, np.repeat(image[:, -1:], 3, axis=1), atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_one_sample_point_lies_at_the_centre_of_the_window(method):
    image, window = make_images(5, 5), [[0.3, 0, 0.5], [0, 0.3, -1.0]]
    np.testing.assert_allclose(glimpse(image, window, 1, method), [[image[0, 3]]], atol=1e-12)
    row = glimpse(image, window, (1, 3), method)
    expected = oracles.sample(image[None, ..., None], np.array([[window]]), (1, 3))
    np.testing.assert_allclose(row, expected[0, 0, ..., 0], atol=1e-12)


def test_an_image_of_one_row_or_column():
    for shape in ((1, 6), (6, 1), (1, 1)):
        image, windows = make_images(2, *shape, 1), random_windows(2, 3)
        glimpses = ops.convert_to_numpy(sample(image, windows, (3, 4)))
        np.testing.assert_allclose(glimpses, oracles.sample(image, windows, (3, 4)), atol=1e-12)


def test_gather_and_separable_agree_without_rotation():
    images, windows = make_images(3, 11, 8, 2), random_windows(3, 5, scale=1.0, rotation=False)
    one, other = (ops.convert_to_numpy(sample(images, windows, (6, 5), method)) for method in METHODS)
    np.testing.assert_allclose(one, other, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_glimpses_do_not_depend_on_the_rest_of_the_batch(method):
    images, windows = make_images(4, 10, 10, 1, dtype="float32"), random_windows(4, 2, rotation=False).astype("float32")
    together = ops.convert_to_numpy(sample(images, windows, 5, method))
    for i in range(4):
        alone = ops.convert_to_numpy(sample(images[i : i + 1], windows[i : i + 1], 5, method))[0]
        np.testing.assert_allclose(alone, together[i], atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("method", METHODS)
def test_a_window_that_is_not_finite_gives_nan_and_leaves_the_others(method, bad):
    images, windows = make_images(2, 6, 6, 1), random_windows(2, 3, rotation=False)
    expected = ops.convert_to_numpy(sample(images, windows, 4, method))
    windows[0, 1] = bad
    glimpses = ops.convert_to_numpy(sample(images, windows, 4, method))
    assert np.isnan(glimpses[0, 1]).any() if bad == np.inf else np.isnan(glimpses[0, 1]).all()
    glimpses[0, 1] = expected[0, 1]
    np.testing.assert_allclose(glimpses, expected, atol=1e-12)


def test_coordinates_are_float32_whatever_the_images_are():
    """In bfloat16 the two windows, a fifth of a pixel apart, would be one."""
    images = make_images(1, 100, 100, 1, dtype="float32")
    windows = np.float32([[[[0.3, 0, 0.5], [0, 0.3, 0.5]], [[0.3, 0, 0.5039], [0, 0.3, 0.5]]]])
    coarse = ops.cast(images, "bfloat16")
    glimpses = sample(coarse, windows, 26)
    assert ops.dtype(glimpses) == "float32"
    expected = sample(ops.cast(coarse, "float32"), windows, 26)
    np.testing.assert_array_equal(ops.convert_to_numpy(glimpses), ops.convert_to_numpy(expected))
    assert np.abs(np.diff(ops.convert_to_numpy(glimpses), axis=1)).mean() > 0.02
    whole = (images * 255).round().astype("uint8")
    np.testing.assert_allclose(ops.convert_to_numpy(sample(whole, windows, 26)) / 255, expected, atol=0.01)


def test_coordinates_are_no_product_of_matrices(monkeypatch):
    """GPUs round the factors of such products to 11 significant bits, those of float16."""
    product = ops.matmul
    rounded = lambda *factors: product(*(ops.cast(ops.cast(f, "float16"), "float32") for f in factors))  # noqa: E731
    monkeypatch.setattr(ops, "matmul", rounded)
    ramp = np.tile(np.arange(224, dtype="float32"), (1, 224, 1))[..., None]  # shows the column that is sampled
    windows = random_windows(1, 3).astype("float32")
    expected = oracles.sample(ramp, windows, (26, 26))
    np.testing.assert_allclose(ops.convert_to_numpy(sample(ramp, windows, 26)), expected, atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *(({"size": size}, "size: expected") for size in (0, (3, 0), (3,), (2.5, 3))),
        ({"size": 3, "method": "cubic"}, "method"),
        ({"size": 3, "images": make_images(1, 4, 4, 1)[0]}, "images: expected .* got the shape .4, 4, 1."),
        ({"size": 3, "windows": random_windows(1, 1).transpose(0, 1, 3, 2)}, "windows: expected .*, got .*1, 1, 3, 2."),
        ({"size": 3, "windows": random_windows(1, 1)[0]}, "windows: expected .* got the shape .1, 2, 3."),
    ],
)
def test_errors_name_the_argument(arguments, message):
    with pytest.raises(ValueError, match=message):
        sample(**{"images": make_images(1, 4, 4, 1), "windows": random_windows(1, 1), **arguments})
