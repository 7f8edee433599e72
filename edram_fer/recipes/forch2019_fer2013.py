"""The published zoom experiment at FER2013's size: the model and the losses of the recipe `forch2019`, made smaller.

    edram-fer sweep forch2019_fer2013 --zoom-limit none,.5,.3

Images of 48x48 instead of 100x100 pixels, four glimpses of 26x26 points, about a fifth of the published multiplications
per glimpse, mixed precision, and the augmentation of `fer2013`, whose faces are cropped more tightly than AffectNet's.
The recipe `zoom_free` is our version of the same experiment.
"""

import dataclasses

from edram_fer.recipes.fer2013 import RECIPE as FER2013
from edram_fer.recipes.forch2019 import RECIPE as FORCH2019

RECIPE = dataclasses.replace(
    FORCH2019,
    name="forch2019_fer2013",
    data="fer2013",
    options={
        "variant": "forch2019",
        "glimpses": 4,
        "affect": False,
        "glimpse_filters": (24, 48, 96, 96, 128, 192),
        "glimpse_units": 512,
        "classification_units": 256,
        "location_units": 256,
        "context_filters": (16, 16, 16),  # 4 * 4 * 16 = 256: as published, the vector needs no further layer
        "head_units": 512,
    },
    dtype="auto",
    epochs=16,
    batch_size=64,
    learning_rate=3e-4,
    augmentation=FER2013.augmentation,
)
