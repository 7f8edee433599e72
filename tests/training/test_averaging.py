"""The moving average of the weights: its values, its validation, and the model that is saved."""

import dataclasses

import keras
import numpy as np
import pytest
from support.scratch import AUGMENTATION, SCRATCH
from support.toy import history

import edram_fer
from edram_fer import data
from edram_fer.run import checkpoints, layout
from edram_fer.training import loop
from edram_fer.training.averaging import MovingAverage


class Weights(keras.callbacks.Callback):
    """The weights after each step."""

    def on_train_begin(self, logs=None):
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()
        self.seen.append([np.array(keras.ops.convert_to_numpy(weight)) for weight in self.model.weights])


@pytest.fixture
def normalised():
    """A model with kernels, biases and the moving statistics of a batch normalisation, compiled."""
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4), keras.layers.BatchNormalization(), keras.layers.Dense(2)]
    )
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
    return model


def test_the_average_covers_all_steps_and_is_validated(normalised):
    rng = np.random.default_rng(0)
    x, y = rng.normal(0, 1, (40, 3)), rng.normal(0, 1, (40, 2))
    expected = [np.array(weight.value) for weight in normalised.weights]
    average, weights_seen = MovingAverage(normalised, 0.5), Weights()
    log = normalised.fit(x, y, 8, 3, 0, [weights_seen, average], validation_data=(x, y), shuffle=False).history
    for step, weights in enumerate(weights_seen.seen, 1):
        decay = min(0.5, (1 + step) / (10 + step))
        expected = [decay * old + (1 - decay) * new for old, new in zip(expected, weights, strict=True)]
    assert len(expected) == len(average.variables) == 8  # two kernels, two biases, beta, gamma, mean and variance
    for actual, values in zip(average.variables, expected, strict=True):
        np.testing.assert_allclose(actual.value, values, rtol=1e-4, atol=1e-6)
    for actual, values in zip(normalised.weights, weights_seen.seen[-1], strict=True):
        np.testing.assert_array_equal(actual.value, values)  # after validation the weights are their own again
    normalised.set_weights(expected)
    assert normalised.evaluate(x, y, verbose=0) == pytest.approx(log["val_loss"][-1], rel=1e-4)


def test_the_best_model_holds_the_average(toy_recipe, tmp_path):
    recipe = dataclasses.replace(toy_recipe, epochs=1, augmentation=AUGMENTATION, **SCRATCH)
    run = tmp_path / "run"
    loop.train(recipe, run, verbose=0)
    arrays, meta = checkpoints.read_state(run / layout.LATEST)
    averages = [array for array, (path, _) in zip(arrays, meta["variables"], strict=False) if path == "average"]
    model = edram_fer.load(run)
    assert len(averages) == len(model.weights)
    for average, weight, trained in zip(averages, model.weights, arrays, strict=False):
        np.testing.assert_array_equal(np.array(weight.value), average)
        assert not np.array_equal(trained, average)
    setting = loop._TrainingSetup(recipe, run, data.describe(recipe.data), None)
    setting.model.set_weights(averages)
    actual = setting.model.evaluate(setting.validation, verbose=0, return_dict=True)
    assert actual["loss"] == pytest.approx(history(run)[0]["val_loss"], rel=1e-5)
