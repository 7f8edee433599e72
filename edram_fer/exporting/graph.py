"""A model as one TensorFlow function, with constant weights or with weights as inputs, from which files are written."""

from collections.abc import Callable, Mapping
from typing import Any

import cv2
import keras
import numpy as np

from edram_fer.errors import UserError
from edram_fer.models import FERModel
from edram_fer.runtime.description import WINDOWS_INPUT

LANDMARKS_MEANING = "(x, y) of dlib's 68 landmarks in pixels of the face, nan where unknown"
WINDOWS_MEANING = "matrices that map a window's [-1, 1]^2 onto the image's, used instead of the model's windows"
MEANINGS = {
    "emotion": "logits after each step, in the order of `emotions`; divide them by the temperature before the softmax",
    "affect": "valence and arousal in [-1, 1] after each step; -2 if they are not predicted",
    "windows": "where it looked: matrices that map a window's [-1, 1]^2 onto the image's",
    "weights": "the weight of each window",
    "emitted": "the matrices that the emission network returned, before the zoom restriction",
    "attention": "the attention weight of each region, before its normalisation",
}


def inputs(model: FERModel, *, uint8: bool, windows: bool) -> dict[str, dict[str, Any]]:
    """{name: {"shape", "dtype", "meaning"}} of the inputs of an exported model.

    Args:
        model: the model.
        uint8: the images are uint8, otherwise float32.
        windows: the windows are one of the inputs.
    """
    described: dict[str, dict[str, Any]] = {}
    for name, shape in model.input_shapes().items():
        described[name] = {"shape": list(shape), "dtype": "float32"}
    grey = "grey" if model.image_shape[-1] == 1 else "RGB"
    described["image"]["meaning"] = f"{grey}, uint8 in 0 to 255" if uint8 else f"{grey}, from 0 to 1"
    if uint8:
        described["image"]["dtype"] = "uint8"
    if "landmarks" in described:
        described["landmarks"]["meaning"] = LANDMARKS_MEANING
    if windows:
        shape = list(model.output_shapes["windows"])
        described[WINDOWS_INPUT] = {"shape": shape, "dtype": "float32", "meaning": WINDOWS_MEANING}
    return described


def outputs(model: FERModel) -> dict[str, dict[str, Any]]:
    """{name: {"shape", "dtype", "meaning"}} of the outputs of an exported model."""
    return {
        name: {"shape": list(shape), "dtype": "float32", "meaning": MEANINGS.get(name, "")}
        for name, shape in sorted(model.output_shapes.items())
    }


def frozen(model: FERModel, described_inputs: Mapping[str, Mapping[str, Any]]) -> Any:
    """A concrete function of TensorFlow with the weights as constants; its outputs are in the order of their names.

    LiteRT's converter silently leaves out the weights of a function that refers to Keras' variables.

    Args:
        model: computes in float32.
        described_inputs: as `inputs` returns them.

    Raises:
        UserError: Keras' backend is not TensorFlow.
    """
    return _concrete(lambda batch: model(for_model(batch), training=False), _input_specs(described_inputs))


def with_weights_as_inputs(
    model: FERModel, described_inputs: Mapping[str, Mapping[str, Any]]
) -> tuple[Any, dict[str, np.ndarray]]:
    """Like `frozen`, but the weights are further inputs, so that a converter never copies them.

    Args:
        model, described_inputs: as for `frozen`.

    Returns:
        the concrete function, and {name of an input: the weight}, with the names of `variables`.

    Raises:
        UserError: as for `frozen`.
    """
    weights = {name: keras.ops.convert_to_numpy(variable) for name, variable in variables(model).items()}
    start = len(model.trainable_variables)

    def call(batch: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        ordered = [values[name] for name in weights]
        return model.stateless_call(ordered[:start], ordered[start:], for_model(batch), training=False)[0]

    described = {name: {"shape": values.shape, "dtype": values.dtype} for name, values in weights.items()}
    return _concrete(call, _input_specs(described_inputs), _input_specs(described)), weights


def variables(model: FERModel) -> dict[str, Any]:
    """The variables of a model as {"weight_0": the first one, ...}: trainable ones, then the others."""
    return {f"weight_{n}": v for n, v in enumerate([*model.trainable_variables, *model.non_trainable_variables])}


def _input_specs(described: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    if keras.backend.backend() != "tensorflow":
        raise UserError(
            f"export needs Keras' TensorFlow backend, and this is {keras.backend.backend()}: install "
            f"'edram-fer[tensorflow]' and set KERAS_BACKEND=tensorflow; a .keras file is the same for both"
        )
    import tensorflow as tf

    return {name: tf.TensorSpec(entry["shape"], entry["dtype"], name) for name, entry in described.items()}


def _concrete(call: Callable[..., Any], *signature: dict[str, Any]) -> Any:
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    traced = tf.function(call, input_signature=signature, autograph=False)
    return convert_variables_to_constants_v2(traced.get_concrete_function())


def for_model(batch: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of an exported model as those of the model itself."""
    return {"windows" if name == WINDOWS_INPUT else name: values for name, values in batch.items()}


def examples(described_inputs: Mapping[str, Mapping[str, Any]], count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Random inputs: smooth images, landmarks of which some are unknown, windows inside the image.

    Noise and sharp edges would not do: where they end at the border of a glimpse, a rounding error in its position
    becomes an error of 1e-4 in the logits, in any runtime.
    """
    rng = np.random.default_rng(seed)
    shape = described_inputs["image"]["shape"][1:]
    height, width, channels = shape
    patches = rng.random((count, 4, 4, channels)).astype(np.float32)
    image = np.stack([cv2.resize(patch, (width, height)).reshape(shape) for patch in patches])
    batch: dict[str, np.ndarray] = {"image": image}
    if described_inputs["image"]["dtype"] == "uint8":
        batch["image"] = (image * 255).round().astype(np.uint8)
    if "landmarks" in described_inputs:
        batch["landmarks"] = rng.uniform(0, (width - 1, height - 1), (count, 68, 2)).astype(np.float32)
        batch["landmarks"][0] = np.nan
    if WINDOWS_INPUT in described_inputs:
        windows = rng.uniform(-0.3, 0.3, (count, *described_inputs[WINDOWS_INPUT]["shape"][1:]))
        batch[WINDOWS_INPUT] = (windows + [[0.6, 0, 0], [0, 0.6, 0]]).astype(np.float32)
    return batch
