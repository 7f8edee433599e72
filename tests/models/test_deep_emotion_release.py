"""Deep-Emotion's variant `release` against a restatement of the common PyTorch code in its own layout, [B, C, H, W]."""

import keras
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from support.oracles import array, relu
from support.tiny import draw_weights, make_images

from edram_fer import models
from edram_fer.models.spatial_transformer import sample

SIZE = 48


def build(**options):
    """A model with random weights whose windows reach beyond the image, and images for it."""
    model = draw_weights(models.build("deep_emotion", image_size=(SIZE, SIZE), variant="release", **options), seed=4)
    model.localisation.theta.kernel.assign(0.3 * array(model.localisation.theta.kernel))
    model.localisation.theta.bias.assign(np.array([1.1, 0.2, -0.3, -0.1, 0.8, 0.4]))
    model.emotion_head.kernel.assign(0.3 * array(model.emotion_head.kernel))  # logits near 1: float32 has 7 digits
    return model, make_images(4, SIZE, SIZE, 1, seed=5)


# PyTorch's functions in NumPy


def affine_grid(theta, height, width):
    """[B, 2, 3] -> (x, y) [B, H, W, 2], align_corners=False: the centres of pixels, the image from edge to edge."""
    x, y = ((2 * np.arange(side) + 1) / side - 1 for side in (width, height))
    base = np.stack([*np.meshgrid(x, y), np.ones((height, width))], axis=-1)
    return np.einsum("hwk,bik->bhwi", base, theta)


def grid_sample(x, grid):
    """[B, C, H, W] at [B, h, w, 2], bilinear, padding_mode="zeros", align_corners=False, point by point."""
    batch, channels, height, width = x.shape
    out = np.zeros((batch, channels, *grid.shape[1:3]))
    for b, i, j in np.ndindex(grid.shape[:3]):
        column, row = ((grid[b, i, j] + 1) * (width, height) - 1) / 2
        for r, c in np.ndindex(2, 2):
            r, c = int(np.floor(row)) + r, int(np.floor(column)) + c
            if 0 <= r < height and 0 <= c < width:
                out[b, :, i, j] += (1 - abs(row - r)) * (1 - abs(column - c)) * x[b, :, r, c]
    return out


def conv2d(x, layer):
    kernel = array(layer.kernel)  # [h, w, C, F]
    windows = sliding_window_view(x, kernel.shape[:2], axis=(2, 3))
    return np.einsum("bcyxij,ijcf->bfyx", windows, kernel) + array(layer.bias)[:, None, None]


def max_pool2d(x):
    batch, channels, height, width = x.shape
    return (
        x[:, :, : height // 2 * 2, : width // 2 * 2].reshape(batch, channels, height // 2, 2, width // 2, 2).max((3, 5))
    )


def rows(layer, maps):
    """The kernel of the dense layer behind `maps` [B, C, H, W] for their entries in PyTorch's order."""
    channels, height, width = maps.shape[1:]
    kernel = array(layer.kernel).reshape(height, width, channels, -1)
    return kernel.transpose(2, 0, 1, 3).reshape(channels * height * width, -1)


def batch_norm2d(x, layer):
    weights = (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)
    weight, bias, mean, variance = (array(w)[0][:, None, None] for w in weights)
    return weight * (x - mean) / np.sqrt(variance + 1e-5) + bias


def forward(model, images):
    """Logits [B, K] and theta [B, 2, 3] of the public code in evaluation, with its dropout switched off."""
    x = (images.astype("float64").transpose(0, 3, 1, 2) - 0.5) / 0.5
    located = model.localisation
    maps = x
    for layer in located.convolutions:
        maps = relu(max_pool2d(conv2d(maps, layer)))
    hidden = relu(maps.reshape(len(x), -1) @ rows(located.hidden, maps) + array(located.hidden.bias))
    theta = (hidden @ array(located.theta.kernel) + array(located.theta.bias)).reshape(-1, 2, 3)
    x = grid_sample(x, affine_grid(theta, SIZE, SIZE))
    first, second, third, fourth = model.after.convolutions
    x = relu(max_pool2d(conv2d(relu(conv2d(x, first)), second)))
    x = relu(max_pool2d(batch_norm2d(conv2d(relu(conv2d(x, third)), fourth), model.after.norm)))
    hidden = relu(x.reshape(len(x), -1) @ rows(model.hidden, x) + array(model.hidden.bias))
    return hidden @ array(model.emotion_head.kernel) + array(model.emotion_head.bias), theta


def test_forward_pass_equals_the_public_code():
    model, images = build()
    logits, theta = forward(model, images)
    outputs = model({"image": images})
    np.testing.assert_allclose(array(outputs["windows"])[:, 0], theta, atol=1e-5)
    np.testing.assert_allclose(array(outputs["emotion"])[:, 0], logits, atol=1e-5)
    assert np.std(theta, axis=0).min() > 1e-2 and np.std(logits, axis=0).max() > 1e-2
    corners = np.abs(theta @ [[-1, -1, 1, 1], [-1, 1, -1, 1], [1, 1, 1, 1]])
    assert (corners > 1).any()  # so that the zeros outside count


def test_forward_pass_equals_pytorch():
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    model, images = build()

    def tensor(values):
        return torch.tensor(np.ascontiguousarray(values), dtype=torch.float64)

    def convolution(x, layer):
        return functional.conv2d(x, tensor(array(layer.kernel).transpose(3, 2, 0, 1)), tensor(array(layer.bias)))

    def dense(x, layer, kernel=None):
        return functional.linear(
            x, tensor((array(layer.kernel) if kernel is None else kernel).T), tensor(array(layer.bias))
        )

    x = (tensor(images.transpose(0, 3, 1, 2)) - 0.5) / 0.5
    maps = x
    for layer in model.localisation.convolutions:
        maps = functional.relu(functional.max_pool2d(convolution(maps, layer), 2, 2))
    theta = functional.relu(dense(maps.flatten(1), model.localisation.hidden, rows(model.localisation.hidden, maps)))
    theta = dense(theta, model.localisation.theta).view(-1, 2, 3)
    x = functional.grid_sample(x, functional.affine_grid(theta, x.size(), align_corners=False), align_corners=False)
    first, second, third, fourth = model.after.convolutions
    x = functional.relu(functional.max_pool2d(convolution(functional.relu(convolution(x, first)), second), 2, 2))
    norm = model.after.norm
    weights = (norm.moving_mean, norm.moving_variance, norm.gamma, norm.beta)
    x = convolution(functional.relu(convolution(x, third)), fourth)
    x = functional.batch_norm(x, *(tensor(array(weight)[0]) for weight in weights))
    x = functional.relu(functional.max_pool2d(x, 2, 2))
    logits = dense(functional.relu(dense(x.flatten(1), model.hidden, rows(model.hidden, x))), model.emotion_head)
    np.testing.assert_allclose(array(model({"image": images})["emotion"])[:, 0], logits.numpy(), atol=1e-5)
    np.testing.assert_allclose(forward(model, images)[0], logits.numpy(), atol=1e-10)


@pytest.mark.parametrize("shape", [(5, 7, 5, 7), (6, 4, 3, 8), (1, 5, 2, 1)])
def test_its_sampler_on_sides_that_differ(shape):
    height, width, h, w = shape
    rng = np.random.default_rng(0)
    maps, theta = rng.random((3, 2, height, width)), rng.normal(0, 0.8, (3, 2, 3)).astype("float32")
    expected = grid_sample(maps, affine_grid(theta, h, w)).transpose(0, 2, 3, 1)
    actual = sample(maps.transpose(0, 2, 3, 1).astype("float32"), theta[:, None], (h, w), "pytorch")
    np.testing.assert_allclose(array(actual)[:, 0], expected, atol=1e-5)
    assert (expected == 0).any() and (expected > 0.1).any()


def test_its_sampler_is_black_far_outside_and_keeps_nan():
    image, windows = np.ones((1, 4, 4, 1), "float32"), np.zeros((1, 3, 2, 3), "float32")
    windows[0, :, 0, 2] = 1e9, -1e9, np.nan
    glimpses = array(sample(image, windows, 2, "pytorch"))
    np.testing.assert_array_equal(glimpses[0, :2], 0)
    assert np.isnan(glimpses[0, 2]).all()


@pytest.mark.parametrize(
    ("variant", "option"),
    [
        ("image", {"sampler": "pytorch"}),
        ("image", {"input_range": (-1, 1)}),
        ("image", {"batch_norm_epsilon": 0.1}),
        ("image", {"batch_norm": False}),
        ("paper", {"sampler": "pytorch"}),
        ("paper", {"batch_norm": True}),
    ],
    ids=str,
)
def test_each_option_can_be_set_alone(variant, option):
    """It changes the logits of the same weights and leaves the other options of the variant."""
    default, changed = (models.build("deep_emotion", image_size=(20, 20), variant=variant, **o) for o in ({}, option))
    assert changed.arguments == default.arguments | option
    image, logits = make_images(3, 20, 20, 1), []
    for model in (draw_weights(default), draw_weights(changed)):
        model.localisation.theta.bias.assign(np.array([1.3, 0.2, 0.3, -0.1, 1.2, 0.4]))
        logits.append(array(model({"image": image})["emotion"]))
    assert np.abs(logits[0] - logits[1]).max() > 1e-3


def test_initial_values_are_those_of_pytorch():
    """Kernels and biases uniform within 1 / sqrt(fan-in); theta is the identity."""
    keras.utils.set_random_seed(0)
    model = models.build("deep_emotion", image_size=(SIZE, SIZE), variant="release", affect=True, localisation_rate=0.5)
    network = model.localisation
    layers = [
        (layer, 1.0) for layer in (*model.after.convolutions, model.hidden, model.emotion_head, model.affect_head)
    ]
    layers += [(layer, 0.5) for layer in (*network.convolutions, network.hidden)]
    for weight in ("kernel", "bias"):
        shares = [
            rate * array(getattr(layer, weight)).ravel() * np.sqrt(np.prod(layer.kernel.shape[:-1]))
            for layer, rate in layers
        ]
        assert all(0 < np.abs(share).max() <= 1.00001 for share in shares)
        assert np.concatenate(shares).std() == pytest.approx(1 / np.sqrt(3), rel=0.15)
    assert not array(network.theta.kernel).any()
    np.testing.assert_array_equal(0.5 * array(network.theta.bias), [1, 0, 0, 0, 1, 0])


def test_a_file_written_before_these_options_computes_the_same():
    for variant in ("paper", "image", "plus"):
        model = models.build("deep_emotion", image_size=(20, 20), variant=variant, trunk_filters=(3, 4, 5))
        config = model.get_config()
        for option in ("batch_norm", "batch_norm_epsilon", "sampler", "input_range"):
            del config[option]
        assert type(model).from_config(config).arguments == model.arguments
