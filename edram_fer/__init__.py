"""edram-fer: recurrent and spatial attention in facial expression recognition."""


def load(source):
    """Load a trained model from a run folder or a .keras file; `model.emotions` names its classes in order.

    Raises FileNotFoundError where there is none, ValueError naming a damaged file.
    """
    from edram_fer import checkpoints  # Keras only where a model is wanted

    return checkpoints.load(source)
