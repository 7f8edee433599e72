"""Deep-Emotion on CK+ in the shares of the paper, 70, 10 and 20 % of the images at random.

    edram-fer prepare ck_plus --source SOURCE --size 48 --set split=published
    python train.py deep_emotion_ck_plus

Source: Minaee, Abdolrashidi 2019, who print 98.0 %; the hyper-parameters are those of `deep_emotion_fer2013`, as theirs
are the same for every data set; the batch size is ours. The frames of one sequence are on all sides, so that this says
little about a new face: `deep_emotion_ck_plus_subjects` stands beside it. Eight classes: the first frames are neutral.
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
