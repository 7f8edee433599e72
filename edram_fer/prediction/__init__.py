"""Apply a trained model to new images: detect faces, predict emotions, and report where the model looked."""

from edram_fer.prediction.images import InputImage
from edram_fer.prediction.predictor import Predictor, predict
from edram_fer.prediction.video import camera

__all__ = ["InputImage", "Predictor", "camera", "predict"]
