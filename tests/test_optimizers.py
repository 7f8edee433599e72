"""The one-pass Adam against Keras' own: weights, moments, decay, clipping, schedule."""

import keras
import numpy as np
import pytest

from edram_fer import optimizers


def updated(optimizer, steps=5):
    """Two weights after some steps with random gradients, and the optimizer's variables."""
    rng = np.random.default_rng(0)
    weights = [keras.Variable(rng.normal(size=shape).astype("float32"), name=name) for name, shape in SHAPES.items()]
    optimizer.build(weights)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    for _ in range(steps):
        gradients = [keras.ops.convert_to_tensor(rng.normal(size=shape).astype("float32")) for shape in SHAPES.values()]
        optimizer.apply(gradients, weights)
    return [np.asarray(keras.ops.convert_to_numpy(value)) for value in [*weights, *optimizer.variables]]


SHAPES = {"kernel": (3, 4), "bias": (4,)}


@pytest.mark.parametrize("name", ["Adam", "AdamW"])
@pytest.mark.parametrize("clip", [None, 0.5])
def test_equal_to_keras(name, clip):
    def options():
        rate = keras.optimizers.schedules.CosineDecay(0.1, 4)
        decay = {"weight_decay": 0.3} if name == "AdamW" else {}
        return {"learning_rate": rate, "global_clipnorm": clip, "beta_1": 0.8, "epsilon": 1e-3, **decay}

    found = updated(getattr(optimizers, name)(**options()))
    expected = updated(getattr(keras.optimizers, name)(**options()))
    assert len(found) == len(expected)
    for value, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, other, rtol=2e-5, atol=1e-6)


def test_saved_by_name():
    optimizer = optimizers.AdamW(0.01, weight_decay=0.2, global_clipnorm=3.0)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert type(again) is optimizers.AdamW and again.get_config() == optimizer.get_config()
