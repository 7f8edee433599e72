"""Models from elsewhere: a Keras, ONNX or LiteRT file and a card that describes its input and its classes.

A `ForeignModel` follows the contract of all models, with one step and the whole image as its only window, so everything
that evaluates, perturbs or compares models takes it.
"""

from edram_fer.foreign.card import Card, copy_model, is_card, read_card, set_calibration
from edram_fer.foreign.model import ForeignModel, load, prepare

__all__ = [
    "Card",
    "ForeignModel",
    "copy_model",
    "is_card",
    "load",
    "prepare",
    "read_card",
    "set_calibration",
]
