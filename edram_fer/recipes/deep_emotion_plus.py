"""Deep-Emotion's variant `plus` on FER2013: ours, to see how far a single glimpse at the feature map can go.

    edram-fer prepare fer2013 --source SOURCE
    python train.py deep_emotion_plus

Instead of layers of ten filters, a trunk with batch normalisation in four stages, each of which halves the map; the
transformer samples the map after the second of them. The training is what small faces from scratch need: SGD with
Nesterov momentum, warm-up and cosine, label smoothing, mixup and random erasing; mixed_bfloat16 (for processors with
avx512_bf16; `--set dtype=float32` elsewhere). `--set transformer=false` is the same network without attention. Measured
times and scores: docs/results.md.
"""

from edram_fer.data.augment import Augmentation
from edram_fer.recipes.recipe import Recipe

RECIPE = Recipe(
    name="deep_emotion_plus",
    data="fer2013",
    model="deep_emotion",
    options={"variant": "plus", "trunk_filters": (32, 64, 128, 256), "l2_penalty": 1e-4},
    dtype="mixed_bfloat16",
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
