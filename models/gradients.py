"""Gradients of a model's answer with respect to its inputs and to its last maps, on both backends."""

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from edram_fer.errors import UserError
from edram_fer.models.contract import FERModel
from edram_fer.models.tensor import Tensor

SCORES = ("probability", "logit")


class InputGradient:
    """The gradient of an image's score, such as the probability of its class, with respect to one of the inputs.

    It passes through the sensor: also through the windows, which a model chooses from the image.

    Args:
        model: one of `edram_fer.models`.
        of: "image", or "windows", whose values must then be given.
        score: "probability" (calibrated, if the model is) or "logit" of the class after the last step.

    Call arguments: inputs, {"image": [n, H, W, C] in [0, 1], ...}; labels int [n], classes.
    Returns: scores float32 [n], and their gradient, float32 in the shape of the input.

    Raises:
        UserError: the model has no gradient, such as one from an exported file, or another score.

    >>> import edram_fer
    >>> model = edram_fer.build("cnn", image_size=(18, 18), classes=2, glimpse_units=8)
    >>> scores, gradient = InputGradient(model)({"image": np.zeros((3, 18, 18, 1))}, [0, 0, 1])
    >>> scores.shape, gradient.shape
    ((3,), (3, 18, 18, 1))
    """

    def __init__(self, model: FERModel, of: str = "image", score: str = "probability") -> None:
        _check(model, score)
        self._of = of

        def total(values: Tensor, others: dict[str, Tensor], labels: Tensor) -> tuple[Tensor, Tensor]:
            chosen = _scores(model, model({**others, of: values}, training=False), labels, score)
            return ops.sum(chosen), chosen

        self._call = _compiled(model, total)

    def __call__(self, inputs: Mapping[str, Any], labels: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        tensors = {name: ops.convert_to_tensor(values, "float32") for name, values in inputs.items()}
        values = tensors.pop(self._of)
        chosen, gradient = self._call(values, tensors, ops.convert_to_tensor(np.asarray(labels), "int32"))
        return ops.convert_to_numpy(chosen), ops.convert_to_numpy(gradient)


class LastMaps:
    """The last maps of a model, with two spatial axes, and the gradient of an image's score with respect to them.

    An EDRAM has one map for each glimpse, the region attention network one for each region, the others have one. A map
    lies in the coordinates of its window.

    Args:
        model, score: see `InputGradient`.

    Call arguments: inputs, {"image": [n, H, W, C] in [0, 1], ...}; labels int [n].
    Returns: maps and gradients float32 [n, N, h, w, D], and windows float32 [n, N, 2, 3].

    Raises:
        UserError: see `InputGradient`.
    """

    def __init__(self, model: FERModel, score: str = "logit") -> None:
        _check(model, score)
        self._model = model

        def total(added: list[Tensor], inputs: dict[str, Tensor], labels: Tensor) -> tuple[Tensor, Any]:
            with _reading(model.last_map_reader, added) as maps:
                outputs = model(inputs, training=False)
            return ops.sum(_scores(model, outputs, labels, score)), (maps, outputs["windows"])

        self._call = _compiled(model, total)

    def __call__(
        self, inputs: Mapping[str, Any], labels: Sequence[int] | np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        tensors = {name: ops.convert_to_tensor(values, "float32") for name, values in inputs.items()}
        count = len(tensors["image"])
        with _reading(self._model.last_map_reader, None) as maps:
            keras.Model.__call__(self._model, {name: values[:1] for name, values in tensors.items()}, training=False)
        zeros = [ops.zeros((count * one.shape[0], *one.shape[1:]), one.dtype) for one in maps]
        (maps, windows), gradients = self._call(zeros, tensors, ops.convert_to_tensor(np.asarray(labels), "int32"))
        return _by_window(maps, count), _by_window(gradients, count), ops.convert_to_numpy(windows)


def _by_window(maps: Sequence[Tensor], count: int) -> np.ndarray:
    """[n, N, h, w, D]: of one map for each window, or of one in which the windows of an image follow each other."""
    arrays = [ops.convert_to_numpy(ops.cast(values, "float32")) for values in maps]
    return np.concatenate([values.reshape(count, -1, *values.shape[1:]) for values in arrays], axis=1)


def _check(model: FERModel, score: str) -> None:
    if score not in SCORES:
        raise UserError(f"score: expected {' or '.join(SCORES)}, got {score!r}")
    if not isinstance(model, FERModel) or model.last_map_reader is None:
        raise UserError(f"gradients need a model of edram_fer in a .keras file, got {type(model).__name__}")


def _scores(model: FERModel, outputs: Mapping[str, Tensor], labels: Tensor, score: str) -> Tensor:
    logits = ops.cast(outputs["emotion"][:, -1], "float32")
    values = ops.softmax(logits / model.temperature[-1]) if score == "probability" else logits
    return ops.sum(values * ops.one_hot(labels, values.shape[-1]), axis=-1)


@contextlib.contextmanager
def _reading(layer: keras.layers.Layer, added: Sequence[Tensor] | None) -> Generator[list[Tensor], None, None]:
    """Record what a layer reads in each of its calls, after adding the next of `added` to it."""
    call, seen = layer.call, []

    def read(x: Tensor, *arguments: Any, **options: Any) -> Tensor:
        x = x if added is None else x + added[len(seen)]
        seen.append(x)
        return call(x, *arguments, **options)

    layer.call = read
    try:
        yield seen
    finally:
        layer.call = call


def _compiled(model: FERModel, function: Callable[..., tuple[Tensor, Any]]) -> Callable[..., tuple[Any, Any]]:
    """(others, gradient) of a function (variable, ...) -> (scalar, others), which calls the model, with respect to its
    first argument."""
    if keras.backend.backend() == "jax":
        import jax

        def stateless(variable: Any, weights: Sequence[Any], *arguments: Any) -> tuple[Tensor, Any]:
            with keras.StatelessScope(state_mapping=list(zip(model.variables, weights, strict=True))):
                return function(variable, *arguments)

        differentiated = jax.jit(jax.grad(stateless, has_aux=True))

        def call(variable: Any, *arguments: Any) -> tuple[Any, Any]:
            # As arguments: what a compiled function finds elsewhere stays in it as it was at the first call.
            weights = [weight.value for weight in model.variables]
            gradient, others = differentiated(variable, weights, *arguments)
            return others, gradient

        return call
    import tensorflow as tf

    @tf.function(autograph=False, reduce_retracing=True)
    def traced(variable: Any, *arguments: Any) -> tuple[Any, Any]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variable)
            total, others = function(variable, *arguments)
        return others, tape.gradient(total, variable, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    return traced
