"""Apply a trained model to new images: detect faces, predict emotions, and report where the model looked."""

from edram_fer.prediction.table import predict

__all__ = ["predict"]
