"""Deep-Emotion on FER2013 as the common public code trains it: variant `release`, Adam at .005, 100 epochs.

    edram-fer prepare fer2013 --source SOURCE
    edram-fer train deep_emotion_release

No weight decay, penalty, clipping or augmentation; batch size 128. The code keeps the last epoch and leaves the dropout
on when it evaluates; here the best epoch on PublicTest is kept, and the dropout is off.

Source: github.com/omarsayed7/Deep-Emotion (docs/fidelity.md).
"""

from edram_fer.data.augment import NONE
from edram_fer.recipes.recipe import Recipe

RECIPE = Recipe(
    name="deep_emotion_release",
    data="fer2013",
    model="deep_emotion",
    options={"variant": "release"},
    epochs=100,
    batch_size=128,
    learning_rate=5e-3,
    schedule="constant",
    clip_norm=0.0,
    monitor="val_emotion_accuracy",
    class_weights="none",
    augmentation=NONE,
)
