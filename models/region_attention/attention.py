"""Self-attention and relation-attention over the regions of a face (Wang et al. 2020)."""

from typing import Any

import keras
from keras import ops

from edram_fer.models.region_attention.layers import dense
from edram_fer.models.tensor import Shape, Tensor

NORMS = ("sigmoid", "softmax")


def log_attention(scores: Tensor, norm: str) -> Tensor:
    """Logarithms of the attention weights of N regions, so that no sum of weights can underflow to 0.

    Args:
        scores: float32 [B, N].
        norm: "sigmoid" as in the paper, or "softmax" of the sigmoids over the regions as in the released code, which
            restricts the weights of six regions to [.069, .352].

    Returns:
        float32 [B, N].
    """
    if norm == "sigmoid":
        return ops.log_sigmoid(scores)
    return ops.log_softmax(ops.sigmoid(scores), axis=1)


def weighted_mean(features: Tensor, log_weights: Tensor) -> tuple[Tensor, Tensor]:
    """(sum_i w_i F_i / sum_i w_i [B, D], w_i / sum_i w_i [B, N]) of features [B, N, D] and log w [B, N]."""
    weights = ops.softmax(log_weights, axis=1)
    return ops.einsum("bn,bnd->bd", weights, features), weights


@keras.saving.register_keras_serializable(package="edram_fer")
class SelfAttention(keras.layers.Layer):
    """mu_i = sigmoid(F_i . q0 + b0); F_m = sum(mu_i F_i) / sum(mu_i).

    Always in float32.

    Args:
        norm: "sigmoid" or "softmax", see log_attention.
        initialisation: "ours" or "pytorch", see LayerOptions.

    Call arguments: features F [B, N, D]. Returns F_m [B, D], log mu [B, N], mu / sum(mu) [B, N].
    """

    def __init__(self, norm: str = "sigmoid", initialisation: str = "ours", **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.norm, self.initialisation = norm, initialisation
        self.score = dense(1, initialisation, dtype="float32")

    def build(self, features_shape: Shape) -> None:
        pass

    def call(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        log_mu = log_attention(self.score(features)[..., 0], self.norm)
        summary, weights = weighted_mean(features, log_mu)
        return summary, log_mu, weights

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "norm": self.norm, "initialisation": self.initialisation}


@keras.saving.register_keras_serializable(package="edram_fer")
class RelationAttention(keras.layers.Layer):
    """nu_i = sigmoid([F_i : F_m] . q1 + b1); P_RAN = sum(mu_i nu_i [F_i : F_m]) / sum(mu_i nu_i).

    Always in float32.

    Args:
        norm: "sigmoid" or "softmax", see log_attention.
        initialisation: "ours" or "pytorch", see LayerOptions.

    Call arguments: features F [B, N, D]; summary F_m [B, D]; log_mu [B, N]. Returns P_RAN [B, 2 D] and the weights
    mu nu / sum(mu nu) [B, N].
    """

    def __init__(self, norm: str = "sigmoid", initialisation: str = "ours", **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.norm, self.initialisation = norm, initialisation
        self.score = dense(1, initialisation, dtype="float32")

    def build(
        self, features_shape: Shape, summary_shape: Shape | None = None, log_mu_shape: Shape | None = None
    ) -> None:
        pass

    def call(self, features: Tensor, summary: Tensor, log_mu: Tensor) -> tuple[Tensor, Tensor]:
        repeated = ops.broadcast_to(summary[:, None], ops.shape(features))
        related = ops.concatenate([features, repeated], axis=-1)
        log_nu = log_attention(self.score(related)[..., 0], self.norm)
        return weighted_mean(related, log_mu + log_nu)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "norm": self.norm, "initialisation": self.initialisation}
