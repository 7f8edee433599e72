"""EDRAM for data sets of your own, with the classes that the data set has; it begins with the weights for FER2013.

    edram-fer prepare folder --source FOLDER --name mine
    edram-fer train own_data --set data=folder/mine

The architecture of the recipe `fer2013`, which needs no landmarks. A few hundred images are too few to learn from
nothing: every layer starts with the weights of the included model `fer2013-edram`, except where the data set's classes
or colour channels give it another shape. Rare classes count more (`class_weights`), and training ends after eight
epochs without a better accuracy on validation. `--set affect=true` also learns valence and arousal.
"""

import dataclasses

from edram_fer.recipes import fer2013

RECIPE = dataclasses.replace(
    fer2013.RECIPE,
    name="own_data",
    data="folder",
    emotions="data",
    initial_weights="fer2013-edram",
    dtype="float32",
    epochs=20,
    batch_size=32,
    learning_rate=5e-4,
    class_weights="sqrt",
    patience=8,
)
