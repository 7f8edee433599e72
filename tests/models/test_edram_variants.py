"""The variants of EDRAM compared with restatements in NumPy of the released codes that they are named after."""

import numpy as np
import pytest
from keras import ops
from PIL import Image
from support import oracles
from support.oracles import array, convolution, max_pool, relu, sigmoid
from support.tiny import TINY, draw_weights, make_images

from edram_fer import models
from edram_fer.errors import UserError
from edram_fer.models.edram.context import triangle_matrix
from edram_fer.models.edram.emission import EmissionNetwork
from edram_fer.models.edram.variants import VARIANTS
from edram_fer.models.spatial_transformer import sample

SMALL = TINY | {"image_size": (30, 30), "location_units": 64}  # 64: no projection of the context, as in both codes


def build(variant, **options):
    model = draw_weights(models.build("edram", variant=variant, **SMALL | options), seed=4)
    # Windows that reach beyond the image, and zooms of either sign.
    dense = model.cell.emission.dense
    dense.kernel.assign(0.5 * array(dense.kernel))
    dense.bias.assign(np.array([0.6, 0.4, -0.5, 0.3, 0.2, 0.5]))
    return model, make_images(4, 30, 30, 1, seed=5)


def per_step(norm, step):
    """Gamma, beta, mean and variance of a step; weights that all steps share have one row."""
    weights = (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
    return [w[min(step, len(w) - 1)] if w.ndim == 2 else w for w in map(array, weights)]


def normalise(x, norm, epsilon, step=0):
    gamma, beta, mean, variance = per_step(norm, step)
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def position_bias(bias, shape):
    return array(bias.bias).reshape(shape[1:])


def affine(x, layer):
    return x @ array(layer.kernel) + array(layer.bias)


# Ablavatski et al. 2017


def interpolate_2017(image, window, side):
    """`transform` and `interpolate` of the 2017 code for one image [H, W]: clip to [-1, 1], then four taps."""
    height, width = image.shape
    glimpse = np.zeros((side, side))
    for i, v in enumerate(np.linspace(-1, 1, side)):
        for j, u in enumerate(np.linspace(-1, 1, side)):
            x, y = np.clip(window @ (u, v, 1), -1, 1)
            x, y = (x + 1) / 2 * (width - 1), (y + 1) / 2 * (height - 1)
            x0, y0 = int(np.floor(x)), int(np.floor(y))
            x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
            glimpse[i, j] = (
                (x0 + 1 - x) * (y0 + 1 - y) * image[y0, x0]
                + (x0 + 1 - x) * (y - y0) * image[y1, x0]
                + (x - x0) * (y0 + 1 - y) * image[y0, x1]
                + (x - x0) * (y - y0) * image[y1, x1]
            )
    return glimpse


def peephole_lstm(x, state, layer):
    """A step of the LSTM of Blocks."""
    (h, c), (to_input, to_forget, to_output) = state, array(layer.peepholes)
    i, f, candidate, o = np.split(
        x @ array(layer.kernel) + array(layer.bias) + h @ array(layer.recurrent_kernel), 4, -1
    )
    next_c = sigmoid(f + c * to_forget) * c + sigmoid(i + c * to_input) * np.tanh(candidate)
    return sigmoid(o + next_c * to_output) * np.tanh(next_c), next_c


def forward_2017(model, image):
    """Logits by step and windows, with the weights of a model."""
    epsilon, side = 1e-4, model.arguments["glimpse_size"]
    pillow = [np.asarray(Image.fromarray(face[..., 0]).resize((12, 12), Image.Resampling.BILINEAR)) for face in image]
    x, context = np.stack(pillow)[..., None].astype(float), model.context
    for layer, bias, norm in zip(context.convolutions, context.biases, context.norms, strict=True):
        x = convolution(x, array(layer.kernel))
        x = normalise(x + position_bias(bias, x.shape), norm, epsilon)
    h2 = x.reshape(len(x), -1)

    def emit(h):
        matrix = np.tanh(affine(h, model.cell.emission.dense))
        matrix[:, [0, 4]] = np.clip(matrix[:, [0, 4]], 0, 1)
        return matrix

    glimpse_network = model.cell.glimpse
    state1 = (np.zeros((len(x), SMALL["classification_units"])),) * 2
    state2, matrix, logits, windows = (h2, np.zeros_like(h2)), emit(h2), [], []
    for step in range(SMALL["glimpses"]):
        windows.append(matrix.reshape(-1, 2, 3))
        x = np.stack([interpolate_2017(f[..., 0], w, side) for f, w in zip(image, windows[-1], strict=True)])[..., None]
        cnn = glimpse_network.cnn
        for i, (layer, bias, norm) in enumerate(zip(cnn.convolutions, cnn.biases, cnn.norms, strict=True)):
            x = convolution(x, array(layer.kernel), "valid" if i in (1, 5) else "same")
            x = relu(normalise(x + position_bias(bias, x.shape), norm, epsilon, step))
            x = max_pool(x) if i in (1, 3) else x
        flat = x.reshape(len(x), -1)
        what = relu(normalise(affine(flat, glimpse_network.what), glimpse_network.what_norm, epsilon, step))
        where = relu(normalise(affine(matrix, glimpse_network.where), glimpse_network.where_norm, epsilon, step))
        state1 = peephole_lstm(what * where, state1, model.cell.lstm1)
        x, head = state1[0], model.emotion_head
        for dense, norm in zip(head.hidden, head.norms, strict=True):
            x = relu(normalise(affine(x, dense), norm, epsilon, step))
        logits.append(affine(x, head.output_layer))
        state2 = peephole_lstm(state1[0], state2, model.cell.lstm2)
        matrix = emit(state2[0])
    return np.stack(logits, axis=1), np.stack(windows, axis=1)


def test_ablavatski2017():
    model, image = build("ablavatski2017")
    outputs = model(image)
    logits, windows = forward_2017(model, image)
    np.testing.assert_allclose(array(outputs["windows"]), windows, atol=1e-5)
    np.testing.assert_allclose(array(outputs["emotion"]), logits, atol=1e-5)
    assert (np.abs(windows[..., :2]).sum(axis=-1) + np.abs(windows[..., 2])).max() > 1  # outside the image
    assert (windows[..., [0, 1], [0, 1]] == 0).any()  # clipped
    assert (array(outputs["affect"]) == -2).all()
    norm = model.cell.glimpse.cnn.norms[0]
    assert (norm.gamma.shape[0], norm.moving_mean.shape[0]) == (1, 2)  # shared by the steps; of each step


def test_the_reduction_of_the_context_is_pillow_s():
    rng = np.random.default_rng(0)
    for source in (12, 30, 48, 100, 7):
        image = rng.random((source, source)).astype("float32")
        expected = np.asarray(Image.fromarray(image).resize((12, 12), Image.Resampling.BILINEAR))
        weights = triangle_matrix(source, 12)
        np.testing.assert_allclose(weights @ image @ weights.T, expected, atol=1e-6)


# Forch et al. 2019


def interpolate_forch(image, window, side):
    """`_interpolate` of the Keras code for one image [S, S]: scaled by S, truncated, taps and weights clipped apart."""
    size = len(image)
    glimpse = np.zeros((side, side))
    for i, v in enumerate(np.linspace(-1, 1, side)):
        for j, u in enumerate(np.linspace(-1, 1, side)):
            x, y = 0.5 * (window @ (u, v, 1) + 1) * size
            x0, y0 = np.clip(int(x), 0, size - 1), np.clip(int(y), 0, size - 1)
            x1, y1 = np.clip(int(x) + 1, 0, size - 1), np.clip(int(y) + 1, 0, size - 1)
            glimpse[i, j] = (
                (x1 - x) * (y1 - y) * image[y0, x0]
                + (x1 - x) * (y - y0) * image[y1, x0]
                + (x - x0) * (y1 - y) * image[y0, x1]
                + (x - x0) * (y - y0) * image[y1, x1]
            )
    return glimpse


def forward_forch(model, image, clip_value=1.0):
    """Logits and affect by step, emitted matrices and windows, with the weights of a model."""
    epsilon, side = 1e-3, model.arguments["glimpse_size"]
    identity = np.eye(2, 3)
    x = np.stack([interpolate_forch(face[..., 0], identity, 12) for face in image])[..., None]
    context = model.context
    for layer, bias, norm in zip(context.convolutions, context.biases, context.norms, strict=True):
        x = convolution(x, array(layer.kernel))
        x = normalise(x + position_bias(bias, x.shape), norm, epsilon)
    h2 = x.reshape(len(x), -1)

    def emit(h):
        return np.tanh(affine(h, model.cell.emission.dense))

    def head(layers, h, step):
        for dense, norm in zip(layers.hidden, layers.norms, strict=True):
            h = normalise(relu(affine(h, dense)), norm, epsilon, step)
        return affine(h, layers.output_layer)

    glimpse_network = model.cell.glimpse
    state1 = (np.zeros((len(x), SMALL["classification_units"])),) * 2
    state2, emitted, logits, affect, windows = (h2, np.zeros_like(h2)), [emit(h2)], [], [], []
    for step in range(SMALL["glimpses"]):
        window = emitted[-1].copy()
        if clip_value < 1:
            window[:, [0, 4]] = np.clip(window[:, [0, 4]], 0, clip_value)
        windows.append(window.reshape(-1, 2, 3))
        x = np.stack([interpolate_forch(f[..., 0], w, side) for f, w in zip(image, windows[-1], strict=True)])[
            ..., None
        ]
        cnn = glimpse_network.cnn
        for i, (layer, bias, norm) in enumerate(zip(cnn.convolutions, cnn.biases, cnn.norms, strict=True)):
            x = relu(convolution(x, array(layer.kernel), "valid" if i in (1, 5) else "same"))
            x = normalise(x + position_bias(bias, x.shape), norm, epsilon, step)
            x = max_pool(x) if i in (1, 3) else x
        what = normalise(
            relu(affine(x.reshape(len(x), -1), glimpse_network.what)), glimpse_network.what_norm, epsilon, step
        )
        where = normalise(relu(affine(emitted[-1], glimpse_network.where)), glimpse_network.where_norm, epsilon, step)
        state1 = oracles.lstm(what * where, state1, model.cell.lstm1)
        state2 = oracles.lstm(state1[0], state2, model.cell.lstm2)
        logits.append(head(model.emotion_head, state1[0], step))
        affect.append(np.tanh(head(model.affect_head, state1[0], step)))
        emitted.append(emit(state2[0]))
    matrices = np.stack(emitted, axis=1).reshape(len(image), -1, 2, 3)
    return np.stack(logits, 1), np.stack(affect, 1), matrices, np.stack(windows, 1)


@pytest.mark.parametrize("limit", [None, 0.5, 1.0])
def test_forch2019(limit):
    model, image = build("forch2019", zoom_limit=limit)
    outputs = model(image)
    logits, affect, emitted, windows = forward_forch(model, image, clip_value=limit or 1.0)
    for name, expected in {"emotion": logits, "affect": affect, "emitted": emitted, "windows": windows}.items():
        np.testing.assert_allclose(array(outputs[name]), expected, rtol=1e-5, atol=1e-5, err_msg=name)
    zooms = emitted[..., [0, 1], [0, 1]]
    assert zooms.min() < 0 and zooms.max() > 0.5  # both ends of the limit matter
    assert (windows[..., [0, 1], [0, 1]].min() < 0) == (limit != 0.5)


def test_its_sensor_blackens_what_lies_outside_and_the_last_row_and_column():
    image = np.ones((1, 20, 20, 1), "float32")
    window = np.array([[[[1, 0, 0.5], [0, 1, 0.5]]]], "float32")
    glimpse = array(sample(image, window, 21, "forch2019"))[0, 0, ..., 0]
    expected = interpolate_forch(image[0, ..., 0], window[0, 0], 21)
    np.testing.assert_allclose(glimpse, expected, atol=1e-5)
    assert (glimpse[-1] == 0).all() and (glimpse[:, -1] == 0).all() and glimpse[0, 0] == pytest.approx(1)
    whole = array(sample(image, np.eye(2, 3, dtype="float32")[None, None], 20, "forch2019"))[0, 0, ..., 0]
    assert (whole[-1] == 0).all() and (whole[:, -1] == 0).all() and whole[:-1, :-1] == pytest.approx(1)


def test_its_emission_has_a_gradient_at_negative_zooms():
    raw = np.full((1, 6), -0.5, "float32")

    def slope(emitted_zoom):
        layer = EmissionNetwork(emitted_zoom=emitted_zoom)
        layer.dense.build((None, 6))
        layer.dense.kernel.assign(np.eye(6, dtype="float32"))
        layer.dense.bias.assign(np.zeros(6, "float32"))
        [gradient] = oracles.gradients(lambda x: ops.sum(layer(x)[:, 0, 0]), [raw])
        return float(gradient[0, 0])

    assert slope("clipped") == 0
    assert slope("raw") == pytest.approx(1 - np.tanh(0.5) ** 2, rel=1e-5)


# All


def test_ours_is_the_default_and_an_option_can_be_set_alone():
    default = models.build("edram", **TINY).arguments
    assert models.build("edram", variant="ours", **TINY).arguments == default
    keras_code = models.build("edram", variant="forch2019", **TINY, sensor="gather", biases=False).arguments
    assert keras_code == default | VARIANTS["forch2019"] | {"sensor": "gather", "biases": False}
    peepholes = models.build("edram", **TINY, peepholes=True, context_input="bilinear").arguments
    assert peepholes == default | {"peepholes": True, "context_input": "bilinear"}


@pytest.mark.parametrize("variant", ["ablavatski2017", "forch2019"])
def test_a_variant_is_saved_as_its_options(variant, tmp_path):
    model, image = build(variant)
    model.save(tmp_path / "model.keras")
    loaded = models.keras.saving.load_model(tmp_path / "model.keras")
    assert {name: loaded.arguments[name] for name in VARIANTS[variant]} == VARIANTS[variant]
    for name, value in model(image).items():
        np.testing.assert_array_equal(array(loaded(image)[name]), array(value), err_msg=name)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"variant": "theirs"}, "variant: expected one of ours, ablavatski2017, forch2019, got 'theirs'"),
        ({"batch_norm_position": "first"}, "batch_norm_position: expected one of before_relu, after_relu"),
        ({"initialisation": "ones"}, "initialisation: expected one of he_normal, glorot_uniform, ablavatski2017"),
        ({"batch_norm_epsilon": 0}, "batch_norm_epsilon: expected a number between 0 and 1, got 0"),
        ({"biases": "yes"}, "biases: expected true or false"),
        ({"peepholes": 1}, "peepholes: expected true or false"),
        ({"emitted_zoom": "any"}, "emitted_zoom: expected one of clipped, raw"),
        ({"context_input": "mean"}, "context_input: expected one of area, bilinear, points"),
        ({"sensor": "their"}, "sensor: expected 'gather', 'forch2019', 'pytorch' or"),
    ],
)
def test_options_out_of_range_are_named(option, message):
    with pytest.raises(UserError, match=message):
        models.build("edram", **TINY, **option)


def test_initial_values():
    """The 2017 code: uniform in -.1 to .1 and -.01 to .01, normal with .001, no forget bias; Forch: Keras' defaults."""
    wide = SMALL | {"glimpse_units": 400, "classification_units": 100}
    old = models.build("edram", variant="ablavatski2017", **wide)
    kernel = array(old.cell.glimpse.cnn.convolutions[0].kernel)
    assert np.abs(kernel).max() <= 0.1 and kernel.std() == pytest.approx(0.2 / np.sqrt(12), rel=0.3)
    recurrent = array(old.cell.lstm1.recurrent_kernel)
    assert np.abs(recurrent).max() <= 0.01 and recurrent.std() == pytest.approx(0.02 / np.sqrt(12), rel=0.03)
    assert np.abs(array(old.cell.lstm1.peepholes)).max() <= 0.01
    for weight in (old.cell.glimpse.what.kernel, old.cell.lstm1.kernel, old.emotion_head.hidden[0].kernel):
        assert array(weight).std() == pytest.approx(0.001, rel=0.1)
    assert not array(old.cell.lstm1.bias).any()
    keras_code = models.build("edram", variant="forch2019", **wide)
    what = array(keras_code.cell.glimpse.what.kernel)
    limit = np.sqrt(6 / sum(what.shape))
    assert np.abs(what).max() <= limit and what.std() == pytest.approx(limit / np.sqrt(3), rel=0.03)
    np.testing.assert_array_equal(array(keras_code.cell.lstm1.bias)[100:200], 1)
    assert not array(keras_code.cell.glimpse.where_norm.beta).any()
    assert array(old.cell.glimpse.where_norm.beta).all()
