"""EDRAM on FER2013: first the whole face, then two glimpses of half its size without rotation.

    edram-fer prepare fer2013 --source SOURCE
    python train.py fer2013

Our settings for a CPU with two cores: a glimpse CNN with fewer filters than the published one on large maps and more on
small maps, mixed_bfloat16 on processors that have it, AdamW with warm-up and cosine. `--set model=cnn` trains the
parameter-matched CNN baseline in the same way. Measured times and scores: docs/measurements.md.
"""

from edram_fer.data.augment import Augmentation
from edram_fer.recipes.recipe import Recipe

RECIPE = Recipe(
    name="fer2013",
    data="fer2013",
    options={
        "glimpses": 3,
        "glimpse_size": 24,
        "first_glimpse": "whole",
        "rotation": False,
        "zoom_measure": "extent",
        "context_activation": "tanh",
        "affect": False,
        "glimpse_filters": (24, 48, 112, 112, 160, 224),
        "dropout": 0.2,
    },
    dtype="auto",
    epochs=30,
    batch_size=128,
    optimizer="adamw",
    learning_rate=1e-3,
    schedule="cosine",
    min_learning_rate=1e-5,
    weight_decay=3e-2,
    monitor="val_emotion_accuracy",
    class_weights="none",
    label_smoothing=0.1,
    zoom_target=0.5,
    augmentation=Augmentation(rotation=10, shift=0.06, zoom=0.1, shear=0, flip=0.5),
)
