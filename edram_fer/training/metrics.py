"""Metrics for the training log."""

from typing import Any

import keras
from keras import ops

from edram_fer.training.losses import are_probabilities


@keras.saving.register_keras_serializable(package="edram_fer")
class FinalAccuracy(keras.metrics.Mean):
    """Share of the images whose true class has the largest logit in the last step.

    Call: y_true int [B], or probabilities [B, K], the largest of which is the true class; y_pred [B, T, K].
    """

    def __init__(self, name: str = "accuracy", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        if are_probabilities(y_true, y_pred.shape[-1]):
            y_true = ops.argmax(y_true, axis=-1)
        labels = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        correct = ops.equal(ops.cast(ops.argmax(y_pred[:, -1], axis=-1), "int32"), labels)
        super().update_state(ops.cast(correct, "float32"), sample_weight)


@keras.saving.register_keras_serializable(package="edram_fer")
class DominantClassShare(keras.metrics.Metric):
    """Share of the images that are predicted as the most frequently predicted class: 1 for a model that has collapsed
    to one class.

    Args:
        classes: Number of classes K.

    Call: y_true is ignored; y_pred [B, T, K], of which the last step counts.
    """

    NAME = "dominant_class_share"

    def __init__(self, classes: int, name: str = NAME, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.classes = classes
        self.counts = self.add_variable((classes,), "zeros", name="counts")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        predicted = ops.one_hot(ops.argmax(y_pred[:, -1], axis=-1), self.classes, dtype="float32")
        self.counts.assign_add(ops.sum(predicted, axis=0))

    def result(self) -> Any:
        return ops.max(self.counts) / ops.maximum(ops.sum(self.counts), 1.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "classes": self.classes}


@keras.saving.register_keras_serializable(package="edram_fer")
class WindowStatistics(keras.metrics.Metric):
    """Mean and standard deviation over the images of each window's centre and zoom = sqrt(area).

    `result` is a dict with "glimpse_t_x", "glimpse_t_y" and "glimpse_t_zoom" for each window t from 1, and the same
    with "_sd": centres in [-1, 1], zoom as a share of the image's side.

    Args:
        windows: Number of windows N.

    Call: y_true is ignored; y_pred windows [B, N, 2, 3].
    """

    def __init__(self, windows: int, name: str = "windows", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.windows = windows
        self.count = self.add_variable((), "zeros", name="count")
        self.sums = self.add_variable((windows, 3), "zeros", name="sums")
        self.squares = self.add_variable((windows, 3), "zeros", name="squares")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        a = ops.cast(y_pred, "float32")
        area = ops.abs(a[:, :, 0, 0] * a[:, :, 1, 1] - a[:, :, 0, 1] * a[:, :, 1, 0])
        values = ops.stack([a[:, :, 0, 2], a[:, :, 1, 2], ops.sqrt(area)], axis=-1)
        self.count.assign_add(ops.cast(ops.shape(values)[0], "float32"))
        self.sums.assign_add(ops.sum(values, axis=0))
        self.squares.assign_add(ops.sum(ops.square(values), axis=0))

    def result(self) -> dict[str, Any]:
        count = ops.maximum(self.count, 1.0)
        mean = self.sums / count
        sd = ops.sqrt(ops.maximum(self.squares / count - mean * mean, 0.0))
        logs = {}
        for step in range(self.windows):
            for i, name in enumerate(("x", "y", "zoom")):
                logs[f"glimpse_{step + 1}_{name}"] = mean[step, i]
                logs[f"glimpse_{step + 1}_{name}_sd"] = sd[step, i]
        return logs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "windows": self.windows}
