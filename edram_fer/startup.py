"""The start of Keras and its backend, without the notes that TensorFlow's libraries write to the screen."""


def load_keras():
    """Import Keras and its backend silently. Where that fails, what they wrote is shown before the error."""
    from edram_fer.preprocessing import quiet

    quiet.import_module("keras")
