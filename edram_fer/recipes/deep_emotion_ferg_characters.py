"""Deep-Emotion on FERG with disjoint characters: four for training, one for choosing the epoch, one for testing.

    edram-fer prepare ferg --source SOURCE --size 48
    python train.py deep_emotion_ferg_characters --out RUN
    python evaluate.py RUN --split ray

Everything else is as in `deep_emotion_ferg`. The images of one character say nothing about others, so their scores have
no intervals: test on each of the six characters in turn, and report the spread between them.
"""

import dataclasses

from edram_fer.recipes.deep_emotion_ferg import RECIPE as FERG

RECIPE = dataclasses.replace(
    FERG,
    name="deep_emotion_ferg_characters",
    data="ferg/grey48",
    train_split="aia+bonnie+jules+malcolm",
    validation_split="mery",
)
