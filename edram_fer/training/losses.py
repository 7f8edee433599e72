"""Losses: emotion, affect and location (Forch et al. 2019), averaged over the steps; the region-biased loss (Wang et
al. 2020); the guide loss, which is ours."""

import itertools
from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from edram_fer.errors import UserError

# Output of a model -> name of its loss, where the two differ.
NAMES = {"emitted": "location", "windows": "guide", "attention": "region"}

ZOOM_ENTRIES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
ALL_ENTRIES = ((1.0, 0.5, 1.0), (0.5, 1.0, 1.0))

# How the losses are reduced, as arguments of the classes below, by output. "forch2019": the means of the code of Forch
# et al. 2019, over valence and arousal (weighted with 1.17 and .83) and over all six entries of a matrix, of which only
# the zooms have a weight. "ablavatski2017": the sums of the 2017 code, without the matrix after the last glimpse.
FORMS: dict[str, dict[str, dict[str, Any]]] = {
    "ours": {"emotion": {}, "affect": {}, "emitted": {}},
    "forch2019": {
        "emotion": {},
        "affect": {"weights": (1.17 / 2, 0.83 / 2)},
        "emitted": {"weights": tuple(tuple(entry / 6 for entry in row) for row in ZOOM_ENTRIES)},
    },
    "ablavatski2017": {
        "emotion": {"steps": "sum"},
        "affect": {"steps": "sum"},
        "emitted": {"steps": "sum", "last": False},
    },
}


def class_weights(counts: ArrayLike, root: bool = True) -> np.ndarray:
    """w_i = sqrt(N / (N_i * K)) from the images per class of the training split; 0 for an empty class.

    Args:
        counts: Images per class, K numbers.
        root: False: w_i = N / (N_i * K).

    Returns:
        float32 [K].

    Raises:
        UserError: There are no images.

    >>> class_weights([20, 5, 0]).round(2)
    array([0.65, 1.29, 0.  ], dtype=float32)
    """
    counts = np.asarray(counts, "float64")
    if counts.sum() <= 0:
        raise UserError("class weights: the training split holds no image of any class")
    present = counts > 0
    weights = counts.sum() / (np.where(present, counts, 1) * len(counts)) * present
    return (np.sqrt(weights) if root else weights).astype("float32")


def _reduce_steps(values: Any, steps: str) -> Any:
    """[B, T] -> [B]."""
    return ops.sum(values, axis=-1) if steps == "sum" else ops.mean(values, axis=-1)


def _check_steps(steps: str) -> None:
    if steps not in ("mean", "sum"):
        raise UserError(f"steps: expected 'mean' or 'sum', got {steps!r}")


def are_probabilities(y_true: Any, classes: int) -> bool:
    """Whether the true emotions are probabilities [B, K] rather than classes [B] or [B, 1]."""
    return len(y_true.shape) == 2 and y_true.shape[-1] == classes


@keras.saving.register_keras_serializable(package="edram_fer")
class EmotionLoss(keras.losses.Loss):
    """Cross-entropy at every step, averaged over the steps, times the weight of the image's true class.

    For probabilities p instead of a class it is the sum over k of p_k times the loss of class k, with its weight and
    smoothing: the loss of mixed labels is the mixture of their losses.

    Args:
        weights: K class weights; None: 1.
        label_smoothing: Share of the target that is distributed evenly over the classes.
        steps: "mean" over the steps, or "sum".

    Call: y_true int [B] or probabilities [B, K]; y_pred logits [B, T, K] -> [B], then the mean over the batch.
    """

    def __init__(
        self,
        weights: ArrayLike | None = None,
        label_smoothing: float = 0.0,
        steps: Literal["mean", "sum"] = "mean",
        name: str = "emotion",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        _check_steps(steps)
        self.steps = steps
        self.weights = None if weights is None else np.asarray(weights, float).tolist()
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        logits = ops.cast(y_pred, "float32")
        classes = logits.shape[-1]
        if are_probabilities(y_true, classes):
            return self._soft_loss(ops.cast(y_true, "float32"), logits)
        labels = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        target = ops.one_hot(labels, classes, dtype="float32")
        target = target * (1 - self.label_smoothing) + self.label_smoothing / classes
        loss = self._cross_entropy(target, logits)
        if self.weights is None:
            return loss
        return loss * ops.take(ops.convert_to_tensor(np.array(self.weights, "float32")), labels, axis=0)

    def _soft_loss(self, target, logits):
        if self.weights is not None:
            target = target * np.array(self.weights, "float32")
        spread = ops.sum(target, axis=-1, keepdims=True) / logits.shape[-1]
        target = target * (1 - self.label_smoothing) + self.label_smoothing * spread
        return self._cross_entropy(target, logits)

    def _cross_entropy(self, target, logits):
        return -_reduce_steps(ops.sum(target[:, None] * ops.log_softmax(logits, axis=-1), axis=-1), self.steps)

    def get_config(self) -> dict[str, Any]:
        config = {"weights": self.weights, "label_smoothing": self.label_smoothing, "steps": self.steps}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable(package="edram_fer")
class AffectLoss(keras.losses.Loss):
    """Squared error of valence and arousal: their sum, averaged over the steps and over the images that have both.

    Images with an unknown value, -2 or nan, are ignored.

    Args:
        weights: Of valence and arousal in the sum.
        steps: "mean" over the steps, or "sum".

    Call: y_true [B, 2]; y_pred [B, T, 2] -> [B].
    """

    def __init__(
        self,
        weights: Sequence[float] = (1.0, 1.0),
        steps: Literal["mean", "sum"] = "mean",
        name: str = "affect",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        _check_steps(steps)
        self.weights, self.steps = [float(weight) for weight in weights], steps

    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        is_known = ops.all(y_true >= -1.0, axis=-1)
        # Replaced before the subtraction: a nan would reach the gradient even through a branch that is not taken.
        y_true = ops.where(is_known[:, None], y_true, 0.0)
        squares = ops.square(y_pred - y_true[:, None]) * np.array(self.weights, "float32")
        error = _reduce_steps(ops.sum(squares, axis=-1), self.steps)
        # Keras averages over the batch: scale so that the result is the mean over the known images.
        known = ops.cast(is_known, "float32")
        return known * error / ops.maximum(ops.mean(known), 1e-7)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weights": self.weights, "steps": self.steps}


@keras.saving.register_keras_serializable(package="edram_fer")
class LocationLoss(keras.losses.Loss):
    """Squared error of the emitted matrices A_0 to A_T: a weighted sum over the entries, averaged over the matrices.

    Args:
        weights: Weights of the six entries, [2][3]: ZOOM_ENTRIES (faces: shear and translation are free) or ALL_ENTRIES
            (digits of known position).
        measure: "entries": a0 and a4 themselves; "extent": the extents |a0| + |a1| and |a3| + |a4| instead, so that a
            rotation cannot evade the loss.
        steps: "mean" over the matrices, or "sum".
        last: whether A_T, which is emitted after the last glimpse and never used, counts.

    Call: y_true target matrices [B, 2, 3]; y_pred emitted [B, T + 1, 2, 3] -> [B].

    Raises:
        UserError: The measure is unknown.
    """

    def __init__(
        self,
        weights: Sequence[Sequence[float]] = ZOOM_ENTRIES,
        measure: Literal["entries", "extent"] = "entries",
        steps: Literal["mean", "sum"] = "mean",
        last: bool = True,
        name: str = "location",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        if measure not in ("entries", "extent"):
            raise UserError(f"measure: expected 'entries' or 'extent', got {measure!r}")
        _check_steps(steps)
        self.weights, self.measure = [[float(w) for w in row] for row in weights], measure
        self.steps, self.last = steps, last

    def call(self, y_true: Any, y_pred: Any) -> Any:
        emitted = ops.cast(y_pred if self.last else y_pred[:, :-1], "float32")
        if self.measure == "extent":
            extent = ops.sum(ops.abs(emitted[..., :2]), axis=-1)
            x_row = ops.stack([extent[..., 0], emitted[..., 0, 1], emitted[..., 0, 2]], axis=-1)
            y_row = ops.stack([emitted[..., 1, 0], extent[..., 1], emitted[..., 1, 2]], axis=-1)
            emitted = ops.stack([x_row, y_row], axis=-2)
        weights = ops.convert_to_tensor(np.array(self.weights, "float32"))
        error = ops.square(emitted - ops.cast(y_true, "float32")[:, None]) * weights
        return _reduce_steps(ops.sum(error, axis=(-2, -1)), self.steps)

    def get_config(self) -> dict[str, Any]:
        config = {"weights": self.weights, "measure": self.measure, "steps": self.steps, "last": self.last}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable(package="edram_fer")
class GuideLoss(keras.losses.Loss):
    """Squared distance between the centres of the windows and their targets, averaged over the known targets.

    This loss is ours: it plays the role for parts of the face that the location loss of Ablavatski et al. 2017 plays
    for digits. Targets that are nan are ignored.

    Targets of `exchangeable` glimpses are an unordered set: each goes to the glimpse for which the sum of all squared
    distances is least. Sampled from a density of places, they make the centres what k-means would make them, places
    that represent this density, where a fixed order would pull each of them to its mean.

    Args:
        exchangeable: indices of the glimpses whose targets may be exchanged, all known or all unknown in an image.

    Call: y_true targets (x, y, weight) [B, N, 3] in [-1, 1]; y_pred windows [B, N, 2, 3] -> [B].
    """

    def __init__(self, exchangeable: Sequence[int] = (), name: str = "guide", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.exchangeable = [int(glimpse) for glimpse in exchangeable]

    def call(self, y_true: Any, y_pred: Any) -> Any:
        targets, centres = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")[..., 2]
        places, weights = targets[..., :2], targets[..., 2]
        known = ops.cast(ops.logical_not(ops.any(ops.isnan(places), axis=-1)), "float32")
        places = ops.nan_to_num(places)
        error = known * weights * ops.sum(ops.square(centres - places), axis=-1)
        total = ops.sum(error * self._ordered(error.shape[1]), axis=1)
        if self.exchangeable:
            places, centres, shares = (
                ops.take(values, np.array(self.exchangeable), axis=1) for values in (places, centres, known * weights)
            )
            distances = ops.sum(ops.square(centres[:, :, None] - places[:, None]), axis=-1) * shares[:, None]
            orders = np.array(list(itertools.permutations(range(len(self.exchangeable)))))
            sums = sum(ops.take(distances[:, i], orders[:, i], axis=1) for i in range(orders.shape[1]))
            total = total + ops.min(sums, axis=1)
        # Keras averages over the batch: scale so that the result is the mean over the known targets.
        return total / known.shape[1] / ops.maximum(ops.mean(known), 1e-7)

    def _ordered(self, glimpses):
        """1 for each glimpse whose target is its own."""
        return np.array([glimpse not in self.exchangeable for glimpse in range(glimpses)], "float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "exchangeable": self.exchangeable}


@keras.saving.register_keras_serializable(package="edram_fer")
class RegionBiasedLoss(keras.losses.Loss):
    """max(0, margin - (mu_max - mu_0)): at least one crop should weigh more than the whole face (Wang et al. 2020).

    mu_max is the maximum over the crops alone.

    Args:
        margin: The least difference of the weights.

    Call: y_true is ignored; y_pred self-attention weights mu [B, k + 1], the whole face first -> [B].
    """

    def __init__(self, margin: float = 0.1, name: str = "region", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.margin = float(margin)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        mu = ops.cast(y_pred, "float32")
        return ops.relu(self.margin - (ops.max(mu[:, 1:], axis=1) - mu[:, 0]))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "margin": self.margin}
