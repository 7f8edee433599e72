"""Deep-Emotion on JAFFE with disjoint subjects: eight women for training, one for choosing the epoch, one for testing.

    edram-fer prepare jaffe --source SOURCE --size 48
    python train.py deep_emotion_jaffe_subjects --out RUN
    python evaluate.py RUN --split YM

Everything else is as in `deep_emotion_jaffe`. To test on another woman, change `train_split` and `validation_split`.
The images of one woman say nothing about other people, so their scores have no intervals: train once for each of the
ten women, test on her, and report the spread between the women.
"""

import dataclasses

from edram_fer.recipes.deep_emotion_jaffe import RECIPE as JAFFE

RECIPE = dataclasses.replace(
    JAFFE,
    name="deep_emotion_jaffe_subjects",
    data="jaffe/grey48",
    train_split="KA+KL+KM+KR+MK+NA+NM+TM",
    validation_split="UY",
)
