"""The initialisers of Deep-Emotion."""

import keras

PUBLISHED_SD = 0.05  # Minaee, Abdolrashidi 2019: weights drawn from N(0, .05)


def make_initializer(initializer: str, rate: float = 1.0) -> keras.initializers.Initializer:
    """Make the initialiser of a kernel.

    Args:
        initializer: "normal", N(0, .05), or "he" (He et al. 2015).
        rate: rate of a slow kernel W = rate * V, see `edram_fer.models.slow`.

    Returns:
        Keras initialiser for V that gives W this distribution. Use a new one for every kernel, because one object draws
        the same numbers each time.
    """
    if initializer == "normal":
        return keras.initializers.RandomNormal(stddev=PUBLISHED_SD / rate)
    return keras.initializers.VarianceScaling(2.0 / rate**2, "fan_in", "truncated_normal")
