"""A model that trains in seconds, and a comparison of two runs."""

import csv

import keras
import numpy as np
from keras import ops

import edram_fer
from edram_fer.models.batch_norm import StepBatchNormalization
from edram_fer.models.contract import FERModel
from edram_fer.run import checkpoints, layout

STEPS = 5  # of an epoch of the recipe `toy`


@keras.saving.register_keras_serializable(package="tests")
class Toy(FERModel):
    """A model with the contract of all models in two dense layers with dropout: two windows, quick to trace.

    With `normalised` it begins with a batch normalisation.
    """

    def __init__(self, image_size=(28, 28), channels=1, classes=7, dropout=0.3, seed=0, normalised=False, **kwargs):
        super().__init__(**kwargs)
        self.arguments = dict(image_size=image_size, channels=channels, classes=classes, dropout=dropout, seed=seed)
        self.arguments["normalised"] = normalised
        self.drop = keras.layers.Dropout(dropout, seed=seed)
        self.look, self.answer = keras.layers.Dense(4, "tanh"), keras.layers.Dense(classes)
        self.norm = StepBatchNormalization() if normalised else None
        size = image_size[0] * image_size[1] * channels
        if normalised:
            self.norm.build((None, size))
        self.look.build((None, size))
        self.answer.build((None, size))
        self.build_for_image()

    def call(self, inputs, training=False):
        x = ops.reshape(inputs["image"], (-1, self.look.kernel.shape[0]))
        x = x if self.norm is None else self.norm(x, training=training)
        x = self.drop(x, training=training)
        centres = ops.reshape(self.look(x), (-1, 2, 2, 1))
        zoom = 0.5 * ops.eye(2)[None, None] + 0 * centres
        return {
            "emotion": self.answer(x)[:, None] + ops.sum(centres, axis=(1, 2))[:, None],
            "windows": ops.concatenate([zoom, centres], axis=-1),
            "weights": 0 * centres[:, :, 0, 0] + 0.5,
        }


def history(run):
    """The rows of history.csv without the seconds."""
    with open(run / "history.csv", newline="") as file:
        return [{k: float(v) for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def assert_same_run(run, expected):
    """Assert that two runs are equal bit for bit: weights, optimizer, schedule, best value, history and best model."""
    arrays, meta = checkpoints.read_state(run / layout.LATEST)
    others, expected_meta = checkpoints.read_state(expected / layout.LATEST)
    for key in ("epoch", "step", "ended", "callbacks"):
        assert meta[key] == expected_meta[key]
    assert len(arrays) == len(others)
    for value, other in zip(arrays, others, strict=True):
        np.testing.assert_array_equal(value, other)
    assert history(run) == history(expected)
    for value, other in zip(edram_fer.load(run).weights, edram_fer.load(expected).weights, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(value), ops.convert_to_numpy(other))
