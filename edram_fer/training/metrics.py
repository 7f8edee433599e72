"""What the training log counts beside the losses."""

import keras
from keras import ops

from edram_fer.training.losses import are_probabilities


@keras.saving.register_keras_serializable(package="edram_fer")
class FinalAccuracy(keras.metrics.Mean):
    """Share of images whose class is the largest logit of the last step.

    y_true int [B], or probabilities [B, K], of which the class is the largest; y_pred [B, T, K].
    """

    def __init__(self, name="accuracy", **kwargs):
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true, y_pred, sample_weight=None):
        if are_probabilities(y_true, y_pred.shape[-1]):
            y_true = ops.argmax(y_true, axis=-1)
        labels = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        right = ops.equal(ops.cast(ops.argmax(y_pred[:, -1], axis=-1), "int32"), labels)
        super().update_state(ops.cast(right, "float32"), sample_weight)


@keras.saving.register_keras_serializable(package="edram_fer")
class DominantClassShare(keras.metrics.Metric):
    """Share of the images that are called what most are called by the last step: 1 of a model that knows one class.

    y_true is not looked at; y_pred [B, T, K].
    """

    NAME = "dominant_class_share"

    def __init__(self, classes, name=NAME, **kwargs):
        super().__init__(name=name, **kwargs)
        self.classes = classes
        self.counts = self.add_variable((classes,), "zeros", name="counts")

    def update_state(self, y_true, y_pred, sample_weight=None):
        said = ops.one_hot(ops.argmax(y_pred[:, -1], axis=-1), self.classes, dtype="float32")
        self.counts.assign_add(ops.sum(said, axis=0))

    def result(self):
        return ops.max(self.counts) / ops.maximum(ops.sum(self.counts), 1.0)

    def get_config(self):
        return {**super().get_config(), "classes": self.classes}


@keras.saving.register_keras_serializable(package="edram_fer")
class WindowStatistics(keras.metrics.Metric):
    """Mean and standard deviation over the images of each window's centre and zoom = sqrt(area).

    `result` is a dict with, for each step t from 1, "x_t", "y_t" and "zoom_t" and the same with "_sd": centres in
    [-1, 1], zoom as a share of the image's side. Call: y_true is not looked at; y_pred windows [B, N, 2, 3].
    """

    def __init__(self, windows, name="windows", **kwargs):
        super().__init__(name=name, **kwargs)
        self.windows = windows
        self.count = self.add_variable((), "zeros", name="count")
        self.sums = self.add_variable((windows, 3), "zeros", name="sums")
        self.squares = self.add_variable((windows, 3), "zeros", name="squares")

    def update_state(self, y_true, y_pred, sample_weight=None):
        a = ops.cast(y_pred, "float32")
        area = ops.abs(a[:, :, 0, 0] * a[:, :, 1, 1] - a[:, :, 0, 1] * a[:, :, 1, 0])
        values = ops.stack([a[:, :, 0, 2], a[:, :, 1, 2], ops.sqrt(area)], axis=-1)
        self.count.assign_add(ops.cast(ops.shape(values)[0], "float32"))
        self.sums.assign_add(ops.sum(values, axis=0))
        self.squares.assign_add(ops.sum(ops.square(values), axis=0))

    def result(self):
        count = ops.maximum(self.count, 1.0)
        mean = self.sums / count
        sd = ops.sqrt(ops.maximum(self.squares / count - mean * mean, 0.0))
        logs = {}
        for step in range(self.windows):
            for i, name in enumerate(("x", "y", "zoom")):
                logs[f"{name}_{step + 1}"] = mean[step, i]
                logs[f"{name}_{step + 1}_sd"] = sd[step, i]
        return logs

    def get_config(self):
        return {**super().get_config(), "windows": self.windows}
