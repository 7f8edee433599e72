"""The cost of a model: its parameters, operations and time."""

import math
import time

import keras
import numpy as np

from edram_fer.evaluation import inference
from edram_fer.foreign import ForeignModel
from edram_fer.models import FERModel
from edram_fer.runtime import ExportedModel


def parameters(model: FERModel | ExportedModel) -> int | None:
    """Number of trainable parameters, without the moving statistics of batch normalisation; None if it is not known."""
    if isinstance(model, ExportedModel):
        return None
    if isinstance(model, ForeignModel):
        return model.parameters
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def flops(model: FERModel | ExportedModel) -> int | None:
    """Floating point operations in one forward pass of one image; a multiplication and an addition count as two.

    Args:
        model: One of `edram_fer.models`; its `input_shapes()` describe its inputs.

    Returns:
        The count of TensorFlow's profiler, which covers the operations in the graph; None on another backend, for
        models from elsewhere and for exported files.
    """
    if keras.backend.backend() != "tensorflow" or isinstance(model, (ForeignModel, ExportedModel)):
        return None
    import tensorflow as tf  # may not be installed with other backends

    shapes = {name: tf.TensorSpec((1, *shape[1:]), tf.float32) for name, shape in model.input_shapes().items()}
    forward = tf.function(lambda inputs: model(inputs, training=False), autograph=False)
    graph = forward.get_concrete_function(shapes).graph
    profiler = tf.compat.v1.profiler
    options = profiler.ProfileOptionBuilder(profiler.ProfileOptionBuilder.float_operation()).with_empty_output()
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")  # the profiler warns that it calls a deprecated function of TensorFlow itself
    try:
        return profiler.profile(graph, options=options.build()).total_float_ops
    finally:
        logger.setLevel(level)


def seconds_per_image(model: FERModel | ExportedModel, batch_size: int, repeats: int = 3) -> float:
    """Time per image of a batch: the shortest of several measurements, because other processes can only add to it.

    The images are black, because the time of a forward pass does not depend on their content.
    """
    shapes = model.input_shapes()
    images = np.zeros((batch_size, *model.image_shape), np.uint8)
    landmarks = np.zeros((batch_size, 68, 2)) if "landmarks" in shapes else None
    seconds = []
    for _ in range(repeats + 1):  # the first call may compile the model
        begin = time.perf_counter()
        inference.predict(model, images, batch_size, landmarks=landmarks)
        seconds.append(time.perf_counter() - begin)
    return min(seconds) / batch_size
