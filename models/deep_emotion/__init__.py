"""Deep-Emotion: localisation network and features, one file each; `deep_emotion.py` connects them."""

from edram_fer.models.deep_emotion.deep_emotion import DeepEmotion

__all__ = ["DeepEmotion"]
