"""Batch normalisation over the steps of a recurrent glimpse model."""

import keras

CHOICES = ("per_step", "shared_affine", "shared")


@keras.saving.register_keras_serializable(package="edram_fer")
class StepBatchNormalization(keras.layers.Layer):
    """Batch normalisation that knows the step: a whole-face glimpse and a close-up have other statistics.

    Choices:
        per_step: gamma, beta, mean and variance of its own for each step (Forch et al. 2019).
        shared_affine: gamma and beta shared, population statistics for each step (Ablavatski et al. 2017).
        shared: one of everything. Averaging the statistics over the steps is known to break evaluation; it is here to
            show that.

    Args:
        steps: number of steps T, at least 1.
        choice: one of the above.
        momentum: of the moving statistics. Keras' .99 leaves validation far behind training for many epochs; .9 follows.
        epsilon: added to the variance.
        beta_initializer: start of beta.

    Call arguments: x [B, ..., C]; step, a Python int in [0, T); training.
    """

    def __init__(self, steps, choice="per_step", momentum=0.9, epsilon=1e-3, beta_initializer="zeros", **kwargs):
        super().__init__(**kwargs)
        if choice not in CHOICES:
            raise ValueError(f"batch_norm: expected one of {', '.join(CHOICES)}, got {choice!r}")
        self.steps, self.choice, self.momentum, self.epsilon = steps, choice, momentum, epsilon
        self.beta_initializer = keras.initializers.get(beta_initializer)
        own_affine = choice != "shared_affine"
        self.norms = [
            keras.layers.BatchNormalization(
                momentum=momentum,
                epsilon=epsilon,
                center=own_affine,
                scale=own_affine,
                beta_initializer=self.beta_initializer.clone(),
                dtype=self.dtype_policy,
            )
            for _ in range(1 if choice == "shared" else steps)
        ]

    def build(self, input_shape):
        for norm in self.norms:
            norm.build(input_shape)
        if self.choice == "shared_affine":
            self.gamma = self.add_weight(name="gamma", shape=input_shape[-1:], initializer="ones")
            self.beta = self.add_weight(name="beta", shape=input_shape[-1:], initializer=self.beta_initializer)

    def call(self, x, step, training=False):
        x = self.norms[0 if self.choice == "shared" else step](x, training=training)
        return x * self.gamma + self.beta if self.choice == "shared_affine" else x

    def compute_output_shape(self, input_shape, step=None):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "steps": self.steps,
            "choice": self.choice,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "beta_initializer": keras.initializers.serialize(self.beta_initializer),
        }
