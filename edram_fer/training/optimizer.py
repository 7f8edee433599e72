"""The optimizers that recipes name."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from edram_fer.recipes.recipe import Recipe

# Parts of the paths of variables without decay; decay in the emission network would pull glimpses to the centre.
UNDECAYED = ("bias", "beta", "gamma", "alpha", "emission")


class _Decayed(keras.optimizers.Optimizer):
    """An optimizer whose weight decay is part of the gradient: g + decay * w for each kernel, or each variable, w.

    The papers define it this way for Adam and for gradient descent. Keras' `weight_decay` is decoupled: it subtracts
    rate * decay * w from the weights in addition to the step, so with momentum the same value decays the weights only
    1 - momentum times as much.

    Args:
        learning_rate: Rate or schedule.
        decay: Weight decay of the variables.
        decay_all: Whether all variables decay, or only kernels, see UNDECAYED.
        kwargs: Arguments of the Keras optimizer.
    """

    def __init__(self, learning_rate: Any, *, decay: float = 0.0, decay_all: bool = False, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)
        self.decay, self.decay_all, self.decayed = decay, decay_all, ()

    def build(self, variables: Sequence[keras.Variable]) -> None:
        self.decayed = tuple(self.decay_all or _is_decayed(variable) for variable in variables)
        super().build(variables)

    def add_decay(self, gradient: Any, variable: keras.Variable) -> Any:
        """The gradient plus the decay of the variable."""
        if self.decay and self.decayed[self._get_variable_index(variable)]:
            return gradient + self.decay * ops.cast(variable, gradient.dtype)
        return gradient

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "decay": self.decay, "decay_all": self.decay_all}


@keras.saving.register_keras_serializable(package="edram_fer")
class SGD(_Decayed, keras.optimizers.SGD):
    """Gradient descent with momentum."""

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        super().update_step(self.add_decay(gradient, variable), variable, learning_rate)


@keras.saving.register_keras_serializable(package="edram_fer")
class Adam(_Decayed, keras.optimizers.Adam):
    """Keras' Adam, or AdamW with `weight_decay`; on TensorFlow in one pass over the memory for each variable.

    Keras computes the update in a dozen operations, each of which reads and writes all weights. TensorFlow has a kernel
    for the same formula, which takes two fifths of the time on a CPU. Other backends fuse the operations themselves.
    """

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        gradient = self.add_decay(gradient, variable)
        if keras.backend.backend() != "tensorflow":
            return super().update_step(gradient, variable, learning_rate)
        import tensorflow as tf

        index = self._get_variable_index(variable)
        dtype, step = variable.dtype, tf.cast(self.iterations.value + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(tf.cast(self.beta_1, dtype), step),
            beta2_power=tf.pow(tf.cast(self.beta_2, dtype), step),
            lr=tf.cast(learning_rate, dtype),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, dtype),
        )


def make(recipe: Recipe, steps: int, variables: Sequence[keras.Variable]) -> keras.optimizers.Optimizer:
    """Adam, AdamW or SGD with the recipe's schedule and gradient clipping.

    Args:
        recipe: The recipe.
        steps: Steps per epoch.
        variables: The variables to train.
    """
    rate, limit, decay_all = _learning_rate(recipe, steps), recipe.clip_norm or None, recipe.decayed == "all"
    in_gradient = {"decay": recipe.weight_decay, "decay_all": decay_all}
    if recipe.optimizer == "sgd":
        options = {"momentum": recipe.momentum, "nesterov": recipe.nesterov}
        return SGD(rate, global_clipnorm=limit, **options, **in_gradient)
    if recipe.optimizer == "adam":
        return Adam(rate, global_clipnorm=limit, **in_gradient)
    optimizer = Adam(rate, weight_decay=recipe.weight_decay, global_clipnorm=limit)
    if not decay_all:
        # Passed as variables: Keras compares names with the variable's name alone ("kernel"), without its layer.
        optimizer.exclude_from_weight_decay([variable for variable in variables if not _is_decayed(variable)])
    return optimizer


def _is_decayed(variable):
    return not any(part in variable.path for part in UNDECAYED)


def _learning_rate(recipe, steps):
    if recipe.schedule == "steps":
        last = [round(epoch * steps) - 1 for epoch in recipe.step_epochs]  # the rate changes after these steps
        rates = [recipe.learning_rate / 10**i for i in range(len(last) + 1)]
        return keras.optimizers.schedules.PiecewiseConstantDecay(last, rates)
    if recipe.schedule != "cosine":
        return recipe.learning_rate
    warmup = round(recipe.warmup_epochs * steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else recipe.learning_rate,
        max(recipe.epochs * steps - warmup, 1),
        alpha=recipe.min_learning_rate / recipe.learning_rate,
        warmup_target=recipe.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
