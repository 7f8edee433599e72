"""Keras' Adam and AdamW with an update that TensorFlow does in one pass over the memory."""

import keras


class _OnePass:
    """The update of Kingma, Ba 2015 (arXiv 1412.6980, end of section 2), as keras.optimizers.Adam writes it.

    There it is ten operations, each a pass over all weights: a fifth of an EDRAM's training step on a CPU. TensorFlow
    has one operation for it. On other backends the compiler makes one pass of them, and Keras' own is taken.
    """

    def update_step(self, gradient, variable, learning_rate):
        if keras.backend.backend() != "tensorflow":
            return super().update_step(gradient, variable, learning_rate)
        import tensorflow as tf

        index, step = self._get_variable_index(variable), tf.cast(self.iterations + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(tf.cast(self.beta_1, variable.dtype), step),
            beta2_power=tf.pow(tf.cast(self.beta_2, variable.dtype), step),
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=tf.cast(self.beta_1, variable.dtype),
            beta2=tf.cast(self.beta_2, variable.dtype),
            epsilon=tf.cast(self.epsilon, variable.dtype),
            grad=tf.cast(gradient, variable.dtype),
        )


@keras.saving.register_keras_serializable(package="edram_fer")
class Adam(_OnePass, keras.optimizers.Adam):
    """keras.optimizers.Adam."""


@keras.saving.register_keras_serializable(package="edram_fer")
class AdamW(_OnePass, keras.optimizers.AdamW):
    """keras.optimizers.AdamW."""
