"""edram-fer: recurrent and spatial attention in facial expression recognition."""

from edram_fer import installation

__version__ = installation.version()


def load(source):
    """Load a trained model: a run folder, a .keras file, or the name of one that comes with the package.

    `model.emotions` names its classes in order; `edram_fer.weights.names()` what comes with the package.

    Raises FileNotFoundError where there is none, ValueError naming a damaged file.
    """
    from edram_fer.run import checkpoints  # Keras only where a model is wanted

    return checkpoints.load(source)
