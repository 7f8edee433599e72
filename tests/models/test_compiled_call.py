"""A loaded model's calls are compiled once, and compute what the model itself does."""

import keras
import numpy as np
import pytest
from keras import ops

from edram_fer import models

OPTIONS = {"image_size": (16, 16), "emotions": ["happy", "sad", "anger"]}


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(3)
    return models.build("edram", glimpses=2, glimpse_size=14, glimpse_filters=(4,) * 6, classification_units=8,
                        location_units=8, context_filters=(4,) * 3, head_units=8, **OPTIONS)  # fmt: skip


def images(count):
    return np.random.default_rng(count).random((count, 16, 16, 1)).astype("float32")


def test_all_batch_sizes_are_one_function(model, monkeypatch):
    calls = []
    original = type(model).call
    expected = {count: model(images(count)) for count in (1, 3, 8)}
    monkeypatch.setattr(type(model), "call", lambda self, *a, **k: calls.append(1) or original(self, *a, **k))
    model.compile_calls()
    for count in (3, 1, 8, 3):
        outputs = model({"image": images(count)})
        for name, values in expected[count].items():
            np.testing.assert_allclose(outputs[name], values, atol=1e-5)
        np.testing.assert_array_equal(model.predict_on_batch(images(count))["emotion"], outputs["emotion"])
    assert model(images(8)[:0])["emotion"].shape == (0, 2, 3)
    assert len(calls) == 1
    window = np.tile(np.array([[0.4, 0, 0.1], [0, 0.4, 0]]), (1, 2, 1, 1))  # float64
    np.testing.assert_allclose(model({"image": images(1), "windows": window})["windows"], window, atol=1e-6)
    assert len(calls) == 2
    model.compiled_call = None


@pytest.mark.slow
def test_it_has_the_weights_and_gradients_of_the_model(model):
    import tensorflow as tf

    kernel = next(v for v in model.trainable_variables if v.shape == (8, 3))  # of the emotion logits

    def answer():
        image = tf.constant(images(2))
        with tf.GradientTape() as tape:
            tape.watch(image)
            loss = ops.sum(model(image)["emotion"][:, -1, 0])
        return [loss, *tape.gradient(loss, [image, kernel.value])]

    before = answer()
    model.compile_calls()
    for compiled, eager in zip(answer(), before, strict=True):
        np.testing.assert_allclose(compiled, eager, atol=1e-5)
    weights = model.get_weights()
    model.set_weights([weight * 1.2 for weight in weights])
    changed = answer()
    model.compiled_call = None
    for compiled, eager in zip(changed, answer(), strict=True):
        np.testing.assert_allclose(compiled, eager, atol=1e-5)
    assert abs(changed[0] - before[0]) > 1e-3
    model.set_weights(weights)


def test_training_and_symbols_go_to_the_model_itself(model, monkeypatch):
    model.compile_calls()
    monkeypatch.setattr(model, "compiled_call", lambda inputs: pytest.fail("compiled"))
    model(images(2), training=True)
    assert model(keras.Input((16, 16, 1)))["emotion"].shape == (None, 2, 3)
    model.compiled_call = None
