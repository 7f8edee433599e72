"""Deep-Emotion on FERG with the paper's random split: 34, 14 and 7 thousand images.

    edram-fer prepare ferg --source SOURCE --size 48 --set split=published
    python train.py deep_emotion_ferg

Source: Minaee, Abdolrashidi 2019, who report 99.3 %, with hyperparameters that are "similar" for every data set; here
they are those of `deep_emotion_fer2013`. All six characters occur in every split: compare
`deep_emotion_ferg_characters`.
"""

import dataclasses

from edram_fer.recipes.deep_emotion_fer2013 import RECIPE as FER2013

RECIPE = dataclasses.replace(
    FER2013,
    name="deep_emotion_ferg",
    data="ferg/grey48-published",
)
