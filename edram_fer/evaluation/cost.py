"""What an answer costs a model, told without a clock."""

import math

import keras


def parameters(model):
    """How many numbers of a model are trained: the moving statistics of batch normalisation are none of them."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def operations(model):
    """Floating point operations of one forward pass of one image, each multiplication and addition counted.

    Args:
        model: one of `models`; it tells by `input_shapes()` what it sees.

    Returns: int, TensorFlow's own count, as its profiler sees them in the graph; None on another backend, which has no
    such count.
    """
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf  # not installed with every backend

    shape = {name: tf.TensorSpec((1, *shape[1:]), tf.float32) for name, shape in model.input_shapes().items()}
    graph = tf.function(lambda inputs: model(inputs, training=False)).get_concrete_function(shape).graph
    profiler = tf.compat.v1.profiler
    options = profiler.ProfileOptionBuilder(profiler.ProfileOptionBuilder.float_operation()).with_empty_output()
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")  # the profiler warns that it calls an old function of TensorFlow's own
    try:
        return profiler.profile(graph, options=options.build()).total_float_ops
    finally:
        logger.setLevel(level)
