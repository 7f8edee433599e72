"""Mixed precision over the steps of a recurrent model: one cast of a weight for all steps."""

import contextlib

import keras
from keras import ops


@contextlib.contextmanager
def cast_once(layer, users):
    """Within, `users`, sub-layers of `layer`, find their weights in the compute dtype.

    Keras casts a weight whenever a layer reads it, so T steps cost T casts and T float32 gradients of each; this is
    one, with the sum of the gradients taken in the compute dtype. XLA finds the repeated casts by itself: there, in
    float32, and while the layers are not built yet nothing is done.

    Args:
        layer: whose other variables (moving statistics) are updated within.
        users: layers under one mixed precision policy.
    """
    weights = [weight for user in users if user.built for weight in user.trainable_variables]
    mixed = users[0].compute_dtype != users[0].variable_dtype
    if not mixed or not weights or keras.backend.backend() != "tensorflow":
        yield
        return
    scope = keras.StatelessScope()
    for weight in weights:
        scope.add_update((weight, ops.cast(weight, users[0].compute_dtype)))
    with scope:
        yield
    for variable in layer.non_trainable_variables:
        if (value := scope.get_current_value(variable)) is not None:
            variable.assign(value)
