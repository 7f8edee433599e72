"""Deep-Emotion on CK+ with the paper's random split: 70, 10 and 20 % of the images.

    edram-fer prepare ck_plus --source SOURCE --size 48 --set split=published
    python train.py deep_emotion_ck_plus

Source: Minaee, Abdolrashidi 2019, who report 98.0 %, with hyperparameters that are "similar" for every data set; here
they are those of `deep_emotion_fer2013`, with a batch size of 64. Eight classes: the first frame of each labelled
sequence is neutral, the last three show its emotion. The paper does not say how many frames of a sequence it takes;
it mentions the last frame as the choice of most earlier work (`prepare ck_plus ... --set last_frames=1`). Frames of one
sequence occur in every split, so that the score says little about new faces: compare `deep_emotion_ck_plus_subjects`.
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
