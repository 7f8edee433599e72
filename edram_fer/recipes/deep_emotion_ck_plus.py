"""Deep-Emotion on CK+ with the paper's random split: 70, 10 and 20 % of the images.

    edram-fer prepare ck_plus --source SOURCE --size 48 --set split=published
    python train.py deep_emotion_ck_plus

Source: Minaee, Abdolrashidi 2019, who report 98.0 %. As in the paper, the hyperparameters are the same for every data
set, see `deep_emotion_fer2013`; the batch size is ours. Frames of one sequence occur in every split, so the score says
little about new faces: compare `deep_emotion_ck_plus_subjects`. Eight classes: the first frames are neutral.
"""

import dataclasses

from edram_fer.recipes.deep_emotion_fer2013 import RECIPE as FER2013

RECIPE = dataclasses.replace(
    FER2013,
    name="deep_emotion_ck_plus",
    data="ck_plus/grey48-published",
    emotions="eight",
    batch_size=64,
)
