"""Import Keras and its backend without the startup messages of TensorFlow's libraries."""


def load_keras() -> None:
    """Import Keras and its backend silently. If that fails, their output is shown before the error."""
    from edram_fer.preprocessing import quiet

    quiet.import_module("keras")
