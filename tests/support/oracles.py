"""The models in plain NumPy (float64), from the papers' equations, and gradients on either backend."""

import keras
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import map_coordinates


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def relu(x):
    return np.maximum(x, 0)


def sample(images, windows, size):
    """Glimpses by SciPy: [B, H, W, C], [B, N, 2, 3] -> [B, N, h, w, C]."""
    h, w = size
    v, u = np.meshgrid(*(np.linspace(-1, 1, n) if n > 1 else [0.0] for n in (h, w)), indexing="ij")
    glimpses = np.empty((*windows.shape[:2], h, w, images.shape[-1]))
    for b, n in np.ndindex(*windows.shape[:2]):
        x, y = (row[0] * u + row[1] * v + row[2] for row in windows[b, n])
        places = [(y + 1) / 2 * (images.shape[1] - 1), (x + 1) / 2 * (images.shape[2] - 1)]
        for c in range(images.shape[-1]):
            glimpses[b, n, ..., c] = map_coordinates(images[b, ..., c].astype(float), places, order=1, mode="nearest")
    return glimpses


def area_average(images, side):
    """[B, H, W, C] -> [B, side, side, C]: each pixel is split into side x side small ones, and blocks are averaged."""
    batch, height, width, channels = images.shape
    fine = images.astype(float).repeat(side, axis=1).repeat(side, axis=2)
    return fine.reshape(batch, side, height, side, width, channels).mean(axis=(2, 4))


def convolution(x, kernel, padding="valid"):
    """Correlation of [B, H, W, C] with [h, w, C, F]."""
    h, w = kernel.shape[:2]
    if padding == "same":
        x = np.pad(x, ((0, 0), (h // 2, h // 2), (w // 2, w // 2), (0, 0)))
    return np.einsum("byxcij,ijcf->byxf", sliding_window_view(x, (h, w), axis=(1, 2)), kernel)


def max_pool(x):
    """2x2 maxima; an odd last row or column is dropped."""
    batch, height, width, channels = x.shape
    x = x[:, : height // 2 * 2, : width // 2 * 2]
    return x.reshape(batch, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))


def normalised(x, gamma, beta, mean, variance, epsilon=1e-3):
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def lstm(x, state, layer):
    """One LSTM step without peepholes, gates in the order input, forget, candidate, output."""
    h, c = state
    gates = x @ array(layer.kernel) + h @ array(layer.recurrent_kernel) + array(layer.bias)
    i, f, candidate, o = np.split(gates, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(candidate)
    return sigmoid(o) * np.tanh(c), c


def emission(raw, zoom_limit=None, zoom_mode="squash", zoom_measure="entries", rotation=True):
    """Pre-activations [B, 6] (or [B, 4]: zoom and shift of x, then of y) -> emitted [B, 2, 3], one window at a time."""
    rows = raw.reshape(len(raw), 2, -1)
    emitted = np.zeros((len(raw), 2, 3))
    for b, axis in np.ndindex(len(raw), 2):
        zoom, shift = rows[b, axis, [axis if rotation else 0, -1]]
        shear = np.tanh(rows[b, axis, 1 - axis]) if rotation else 0.0
        if zoom_limit is None or zoom_mode == "clip":
            zoom = np.clip(np.tanh(zoom), 0, 1)
        elif zoom_measure == "entries":
            zoom = zoom_limit * sigmoid(zoom)
        else:  # the row's extent is c * sigmoid(zoom), divided between zoom and shear
            extent, total = zoom_limit * sigmoid(zoom), sigmoid(zoom) + abs(shear)
            zoom, shear = sigmoid(zoom) / total * extent, shear / total * extent
        emitted[b, axis, axis], emitted[b, axis, 1 - axis], emitted[b, axis, 2] = zoom, shear, np.tanh(shift)
    return emitted


def restricted(emitted, zoom_limit=None, zoom_mode="squash", zoom_measure="entries"):
    """Emitted [B, 2, 3] -> the window that the sensor uses."""
    windows = np.array(emitted, dtype=float)
    if zoom_limit is None or zoom_mode == "squash":
        return windows
    for b, axis in np.ndindex(len(windows), 2):
        if zoom_measure == "entries":
            windows[b, axis, axis] = min(windows[b, axis, axis], zoom_limit)
        elif (extent := np.abs(windows[b, axis, :2]).sum()) > zoom_limit:
            windows[b, axis, :2] *= zoom_limit / extent
    return windows


def array(weight):
    """A Keras weight or tensor as float64."""
    return np.asarray(keras.ops.convert_to_numpy(weight), "float64")


def _norm(x, layer, step):
    """Inference of a StepBatchNormalization, or of a Keras BatchNormalization (step None)."""
    weights = [array(w) for w in (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)]
    return normalised(x, *(weights if step is None else [w[min(step, len(w) - 1)] for w in weights]))


def _context(model, image):
    size, stride = model.arguments["context_size"], model.arguments["context_size"] // 12
    x = area_average(image, size)
    for i, (layer, norm) in enumerate(zip(model.context.convolutions, model.context.norms)):
        x = convolution(x, array(layer.kernel)) + array(layer.bias if layer.use_bias else 0.0)
        x = _norm(x if i else x[:, ::stride, ::stride], norm, None)
        x = relu(x) if model.arguments["context_relu"] else x
    x = x.reshape(len(x), -1)
    if model.context.projection is not None:
        x = x @ array(model.context.projection.kernel) + array(model.context.projection.bias)
    return np.tanh(x) if model.arguments["context_activation"] == "tanh" else x


def _trunk(model, image):
    x = image
    for i, (layer, norm) in enumerate(zip(model.trunk.convolutions, model.trunk.norms, strict=True)):
        x = relu(_norm(convolution(x, array(layer.kernel), "same"), norm, 0))
        x = max_pool(x) if i % 2 else x
    return x


def _merged(glimpse_network, x, matrix, step):
    layers = zip(glimpse_network.cnn.convolutions, glimpse_network.cnn.norms, strict=True)
    for i, (layer, norm) in enumerate(layers):
        x = relu(_norm(convolution(x, array(layer.kernel), "valid" if i in (1, 5) else "same"), norm, step))
        x = max_pool(x) if i in (1, 3) else x
    what = x.reshape(len(x), -1) @ array(glimpse_network.what.kernel)
    where = matrix.reshape(-1, 6) @ array(glimpse_network.where.kernel)
    return relu(_norm(what, glimpse_network.what_norm, step)) * relu(_norm(where, glimpse_network.where_norm, step))


def _head(head, x, step):
    for dense, norm in zip(head.hidden, head.norms):
        x = relu(_norm(x @ array(dense.kernel), norm, step))
    return x @ array(head.output_layer.kernel) + array(head.output_layer.bias)


def edram(model, image):
    """The forward pass of an EDRAM at inference, with its weights: images [B, H, W, C] -> its outputs."""
    options = {name: model.arguments[name] for name in ("zoom_limit", "zoom_mode", "zoom_measure")}
    dense = model.cell.emission.dense

    def emit(hidden):
        return emission(
            hidden @ array(dense.kernel) + array(dense.bias), **options, rotation=model.arguments["rotation"]
        )

    context, seen = _context(model, image), image if model.trunk is None else _trunk(model, image)
    state1 = (np.zeros((len(image), model.arguments["classification_units"])),) * 2
    state2 = context, np.zeros_like(context)
    whole = np.tile(np.eye(2, 3) * (options["zoom_limit"] or 1), (len(image), 1, 1))
    emitted = [emit(context) if model.arguments["first_glimpse"] == "context" else whole]
    outputs = {"windows": [], "emotion": [], "affect": []}
    for step in range(model.arguments["glimpses"]):
        window = restricted(emitted[-1], **options)
        glimpse = sample(seen, window[:, None], (model.arguments["glimpse_size"],) * 2)[:, 0]
        state1 = lstm(_merged(model.cell.glimpse, glimpse, emitted[-1], step), state1, model.cell.lstm1)
        state2 = lstm(state1[0], state2, model.cell.lstm2)
        outputs["windows"].append(window)
        outputs["emotion"].append(_head(model.emotion_head, state1[0], step))
        head = model.affect_head
        unknown = np.full((len(image), 2), -2.0)
        outputs["affect"].append(unknown if head is None else np.tanh(_head(head, state1[0], step)))
        emitted.append(emit(state2[0]))
    outputs["weights"] = [np.full(len(image), 1 / len(outputs["emotion"]))] * len(outputs["emotion"])
    return {name: np.stack(values, axis=1) for name, values in {**outputs, "emitted": emitted}.items()}


def gradients(loss, values):
    """d loss(*values) / d values as NumPy arrays, by automatic differentiation of the backend in use."""
    if keras.backend.backend() == "jax":
        import jax

        def stateless(*values):
            with keras.StatelessScope():
                return loss(*values)

        return [np.asarray(g) for g in jax.grad(stateless, argnums=tuple(range(len(values))))(*values)]
    import tensorflow as tf

    values = [tf.convert_to_tensor(value) for value in values]
    with tf.GradientTape() as tape:
        tape.watch(values)
        result = loss(*values)
    return [tf.convert_to_tensor(g).numpy() for g in tape.gradient(result, values)]


def weight_gradients(loss, weights):
    """d loss() / d weights for variables of a model, as NumPy arrays; 0 where a weight has no influence."""
    if keras.backend.backend() == "jax":

        def of_values(*values):
            with keras.StatelessScope(state_mapping=list(zip(weights, values))):
                return loss()

        return gradients(of_values, [w.value for w in weights])
    import tensorflow as tf

    with tf.GradientTape() as tape:
        result = loss()
    results = tape.gradient(result, [w.value for w in weights], unconnected_gradients="zero")
    return [tf.convert_to_tensor(g).numpy() for g in results]
