"""Deep-Emotion: slow layers, localisation network and features, one file each; `deep_emotion.py` wires them."""

from edram_fer.models.deep_emotion.deep_emotion import DeepEmotion

__all__ = ["DeepEmotion"]
