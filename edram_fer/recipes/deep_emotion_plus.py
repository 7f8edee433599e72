"""Our variant `plus` of Deep-Emotion on FER2013, which shows how far a single window on the feature map can go.

    edram-fer prepare fer2013 --source SOURCE
    python train.py deep_emotion_plus

Instead of layers with ten filters it has a trunk of four stages with batch normalisation, each of which halves the map;
the transformer samples the map after the second stage. Training from scratch on small faces uses SGD with Nesterov
momentum, warm-up and cosine, label smoothing, mixup and random erasing. `--set transformer=false` trains the same
network without attention.
Measured times and scores: docs/measurements.md.
"""

from edram_fer.data.augment import Augmentation
from edram_fer.recipes.recipe import Recipe

RECIPE = Recipe(
    name="deep_emotion_plus",
    data="fer2013",
    model="deep_emotion",
    options={"variant": "plus", "trunk_filters": (32, 64, 128, 256), "l2_penalty": 1e-4},
    dtype="auto",
    epochs=40,
    batch_size=128,
    optimizer="sgd",
    learning_rate=0.05,
    schedule="cosine",
    min_learning_rate=1e-4,
    weight_decay=5e-4,
    monitor="val_emotion_accuracy",
    class_weights="none",
    label_smoothing=0.1,
    mixup=0.2,
    augmentation=Augmentation(rotation=10, shift=0.06, zoom=0.1, shear=0, flip=0.5, erase=0.25),
)
