"""A small EDRAM on drawn faces: the first recipe to try, three to five minutes on two cores.

    make demo

Three glimpses of 18x18 points: the whole face, then the mouth and the eyes, two windows of about a third of the side.
The landmarks of the drawn faces guide them during training; with `--set "guide=()"` the model learns their positions
without landmarks. Scores of both: docs/measurements.md.
"""

from edram_fer.data.augment import Augmentation
from edram_fer.recipes.recipe import Recipe

RECIPE = Recipe(
    name="demo",
    data="drawn_faces/grey48",
    options={
        "glimpses": 3,
        "glimpse_size": 18,
        "first_glimpse": "whole",
        "rotation": False,
        "zoom_measure": "extent",
        "context_activation": "tanh",
        "affect": True,
        "glimpse_filters": (16, 24, 32, 48, 64, 96),
        "glimpse_units": 256,
        "classification_units": 128,
        "location_units": 128,
        "head_units": 128,
    },
    epochs=10,
    batch_size=64,
    optimizer="adamw",
    learning_rate=3e-3,
    schedule="cosine",
    weight_decay=1e-3,
    monitor="val_emotion_accuracy",
    zoom_target=0.35,
    location_weight=2.0,
    guide=("free", "mouth", "eyes"),
    augmentation=Augmentation(rotation=5, shift=0.04, zoom=0.05, shear=0, flip=0.5),
)
