"""How the weights of Deep-Emotion are drawn."""

import keras

PUBLISHED_SD = 0.05  # Minaee, Abdolrashidi 2019: weights drawn from N(0, .05)


def make_initializer(initializer, rate=1.0):
    """Keras initializer of a kernel W = rate * V: for V, so that W is N(0, .05) ("normal") or He et al. 2015 ("he").

    A new object for every kernel: one object gives the same numbers each time.
    """
    if initializer == "normal":
        return keras.initializers.RandomNormal(stddev=PUBLISHED_SD / rate)
    return keras.initializers.VarianceScaling(2.0 / rate**2, "fan_in", "truncated_normal")
