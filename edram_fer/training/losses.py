"""Losses: emotion, affect and location (Forch et al. 2019), averaged over the steps; regions (Wang et al. 2020);
places that glimpses are guided to (ours)."""

import keras
import numpy as np
from keras import ops

from edram_fer.errors import UserError

ZOOM_ENTRIES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
ALL_ENTRIES = ((1.0, 0.5, 1.0), (0.5, 1.0, 1.0))


def class_weights(counts):
    """w_i = sqrt(N / (N_i * K)) from the images per class of the training split in use; 0 for an empty class.

    Args:
        counts: images per class, K numbers.

    Returns: NumPy float32 [K].

    Raises ValueError when there is no image at all.
    """
    counts = np.asarray(counts, "float64")
    if counts.sum() <= 0:
        raise UserError("class weights: the training split holds no image of any class")
    present = counts > 0
    return np.sqrt(counts.sum() / (np.where(present, counts, 1) * len(counts)) * present).astype("float32")


def are_probabilities(y_true, classes):
    """Whether the true emotion is given as probabilities [B, K], not as classes [B] or [B, 1]."""
    return len(y_true.shape) == 2 and y_true.shape[-1] == classes


@keras.saving.register_keras_serializable(package="edram_fer")
class EmotionLoss(keras.losses.Loss):
    """Cross-entropy at every step, averaged over the steps, times the weight of the image's true class.

    Of probabilities p in the place of a class it is sum_k p_k times the loss of class k, its weight and smoothing
    included: that of mixed labels is the mixture of their losses.

    Args:
        weights: K class weights; None: 1.
        label_smoothing: share of the target spread evenly over the classes.

    Call: y_true int [B], or probabilities [B, K]; y_pred logits [B, T, K] -> [B], then the mean over the batch.
    """

    def __init__(self, weights=None, label_smoothing=0.0, name="emotion", **kwargs):
        super().__init__(name=name, **kwargs)
        self.weights = None if weights is None else [float(w) for w in weights]
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        logits = ops.cast(y_pred, "float32")
        classes = logits.shape[-1]
        if are_probabilities(y_true, classes):
            return self._of_probabilities(ops.cast(y_true, "float32"), logits)
        labels = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        target = ops.one_hot(labels, classes, dtype="float32")
        target = target * (1 - self.label_smoothing) + self.label_smoothing / classes
        loss = -ops.mean(ops.sum(target[:, None] * ops.log_softmax(logits, axis=-1), axis=-1), axis=-1)
        if self.weights is None:
            return loss
        return loss * ops.take(ops.convert_to_tensor(np.array(self.weights, "float32")), labels, axis=0)

    def _of_probabilities(self, target, logits):
        if self.weights is not None:
            target = target * np.array(self.weights, "float32")
        spread = ops.sum(target, axis=-1, keepdims=True) / logits.shape[-1]
        target = target * (1 - self.label_smoothing) + self.label_smoothing * spread
        return -ops.mean(ops.sum(target[:, None] * ops.log_softmax(logits, axis=-1), axis=-1), axis=-1)

    def get_config(self):
        return {**super().get_config(), "weights": self.weights, "label_smoothing": self.label_smoothing}


@keras.saving.register_keras_serializable(package="edram_fer")
class AffectLoss(keras.losses.Loss):
    """Squared error of valence and arousal, summed over the two, mean over the steps, over the images that have both.

    An image with an unknown value, -2, counts neither in the sum nor in the number. Call: y_true [B, 2]; y_pred
    [B, T, 2].
    """

    def __init__(self, name="affect", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        known = ops.cast(ops.all(y_true >= -1.0, axis=-1), "float32")
        error = ops.mean(ops.sum(ops.square(y_pred - y_true[:, None]), axis=-1), axis=-1)
        # Keras averages over the batch: scale so that the result is the mean over the known ones.
        share = ops.mean(known)
        return ops.where(known > 0, error, 0.0) / ops.maximum(share, 1e-7)


@keras.saving.register_keras_serializable(package="edram_fer")
class LocationLoss(keras.losses.Loss):
    """Squared error of the emitted matrices, mean over all of them, A_0 to A_T.

    Args:
        weights: of the six entries, [2][3]. ZOOM_ENTRIES (faces: shear and translation are free) or ALL_ENTRIES
            (digits of known position). A weighted sum over the entries, as published.
        measure: "entries": a0 and a4 as they are; "extent": the extents |a0| + |a1| and |a3| + |a4| take their place,
            so that no rotation evades the loss.

    Call: y_true target matrices [B, 2, 3]; y_pred emitted [B, T + 1, 2, 3] -> [B].
    """

    def __init__(self, weights=ZOOM_ENTRIES, measure="entries", name="location", **kwargs):
        super().__init__(name=name, **kwargs)
        if measure not in ("entries", "extent"):
            raise UserError(f"measure: expected 'entries' or 'extent', got {measure!r}")
        self.weights, self.measure = [[float(w) for w in row] for row in weights], measure

    def call(self, y_true, y_pred):
        emitted = ops.cast(y_pred, "float32")
        if self.measure == "extent":
            extent = ops.sum(ops.abs(emitted[..., :2]), axis=-1)
            x_row = ops.stack([extent[..., 0], emitted[..., 0, 1], emitted[..., 0, 2]], axis=-1)
            y_row = ops.stack([emitted[..., 1, 0], extent[..., 1], emitted[..., 1, 2]], axis=-1)
            emitted = ops.stack([x_row, y_row], axis=-2)
        weights = ops.convert_to_tensor(np.array(self.weights, "float32"))
        error = ops.square(emitted - ops.cast(y_true, "float32")[:, None]) * weights
        return ops.mean(ops.sum(error, axis=(-2, -1)), axis=-1)

    def get_config(self):
        return {**super().get_config(), "weights": self.weights, "measure": self.measure}


@keras.saving.register_keras_serializable(package="edram_fer")
class GuideLoss(keras.losses.Loss):
    """Squared distance of the windows' centres from where they are guided to, mean over the places that are known.

    Ours: what the location loss of Ablavatski et al. 2017 does for digits, for parts of the face. A place that is nan
    counts neither in the sum nor in the number.

    Call: y_true places (x, y) [B, N, 2] in [-1, 1]; y_pred windows [B, N, 2, 3] -> [B].
    """

    def __init__(self, name="guide", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        places, centres = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")[..., 2]
        known = ops.cast(ops.logical_not(ops.isnan(places)), "float32")
        error = ops.square(centres - ops.nan_to_num(places)) * known
        # Keras averages over the batch: scale so that the result is the mean over the known places, x and y each a half
        return 2 * ops.mean(error, axis=(1, 2)) / ops.maximum(ops.mean(known), 1e-7)


@keras.saving.register_keras_serializable(package="edram_fer")
class RegionBiasedLoss(keras.losses.Loss):
    """max(0, margin - (mu_max - mu_0)): some crop shall weigh more than the whole face (Wang et al. 2020).

    mu_max is the maximum over the crops only.

    Args:
        margin: by how much.

    Call: y_true is not looked at; y_pred self-attention weights mu [B, k + 1], the whole face first -> [B].
    """

    def __init__(self, margin=0.1, name="region", **kwargs):
        super().__init__(name=name, **kwargs)
        self.margin = float(margin)

    def call(self, y_true, y_pred):
        mu = ops.cast(y_pred, "float32")
        return ops.relu(self.margin - (ops.max(mu[:, 1:], axis=1) - mu[:, 0]))

    def get_config(self):
        return {**super().get_config(), "margin": self.margin}
