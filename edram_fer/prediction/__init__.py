"""A trained model on new images: the faces in them, their emotions, and where in each the model looked."""

from edram_fer.prediction.table import predict

__all__ = ["predict"]
