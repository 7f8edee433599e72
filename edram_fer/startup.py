"""Import of Keras and its backend without the notes that TensorFlow's libraries write to the screen."""


def load_keras() -> None:
    """Import Keras and its backend silently. If that fails, their output is shown before the error."""
    from edram_fer.preprocessing import quiet

    quiet.import_module("keras")
