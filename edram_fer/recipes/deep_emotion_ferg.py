"""Deep-Emotion on FERG in the shares of the paper, 34 : 14 : 7 thousand images at random.

    edram-fer prepare ferg --source SOURCE --size 48 --set split=published
    python train.py deep_emotion_ferg

Source: Minaee, Abdolrashidi 2019, who print 99.3 %; the hyper-parameters are those of `deep_emotion_fer2013`, as theirs
are the same for every data set. All six characters are on all sides: `deep_emotion_ferg_characters` stands beside it.
"""

import dataclasses

from edram_fer.recipes.deep_emotion_fer2013 import RECIPE as FER2013

RECIPE = dataclasses.replace(
    FER2013,
    name="deep_emotion_ferg",
    data="ferg/grey48-published",
)
