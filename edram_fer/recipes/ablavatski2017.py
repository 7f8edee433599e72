"""EDRAM as the 2017 code trains it, on faces: eight glimpses, Adam 1e-4, batch size 128, 200 epochs.

    edram-fer train ablavatski2017 --set data=fer2013

Faces have no known place in their image, so no target for the windows: the location loss is off, and only the loss of
the emotions, a sum over the steps, moves them. With digits, and all losses: `benchmarks/cluttered_digits.py`.

Source: Ablavatski, Lu, Cai, "Enriched Deep Recurrent Visual Attention Model", WACV 2017, and its code
(docs/fidelity.md). The code keeps the model of the lowest test error; here it is that of the validation split.
"""

from edram_fer.data.augment import NONE
from edram_fer.recipes.recipe import Recipe

RECIPE = Recipe(
    name="ablavatski2017",
    options={"variant": "ablavatski2017", "glimpses": 8},
    epochs=200,
    batch_size=128,
    schedule="constant",
    monitor="val_emotion_accuracy",
    class_weights="none",
    location_weight=0.0,
    loss_form="ablavatski2017",
    augmentation=NONE,
)
