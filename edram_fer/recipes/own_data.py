"""A small EDRAM for data sets of your own, with the classes that the data set has.

    edram-fer prepare folder --source FOLDER --name mine
    edram-fer train own_data --set data=folder/mine

Three glimpses without landmarks: the whole face, then two windows that the model learns to place. Valence and arousal
are learnt where the data set has them. Rare classes count more (`class_weights`), and training ends after ten epochs
without a better accuracy on validation. For more than ten thousand faces the recipe `fer2013` is the better start.
"""

from edram_fer.data.augment import Augmentation
from edram_fer.recipes.recipe import Recipe

RECIPE = Recipe(
    name="own_data",
    data="folder",
    emotions="data",
    options={
        "glimpses": 3,
        "glimpse_size": 24,
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
    epochs=30,
    batch_size=32,
    optimizer="adamw",
    learning_rate=2e-3,
    schedule="cosine",
    weight_decay=1e-3,
    patience=10,
    monitor="val_emotion_accuracy",
    zoom_target=0.35,
    location_weight=2.0,
    augmentation=Augmentation(rotation=10, shift=0.06, zoom=0.1, shear=0, flip=0.5),
)
