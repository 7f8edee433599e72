"""Deep-Emotion on JAFFE in the numbers of the paper: 120 images for training, 23 and 70, 10 of each emotion in test.

    edram-fer prepare jaffe --source SOURCE --size 48 --set split=published
    python train.py deep_emotion_jaffe

Source: Minaee, Abdolrashidi 2019, who print 92.8 %; the hyper-parameters are those of `deep_emotion_fer2013`, as theirs
are the same for every data set; the batch size is ours. All ten women are on all sides: `deep_emotion_jaffe_subjects`
stands beside it.
"""

import dataclasses

from edram_fer.recipes.deep_emotion_fer2013 import RECIPE as FER2013

RECIPE = dataclasses.replace(
    FER2013,
    name="deep_emotion_jaffe",
    data="jaffe/grey48-published",
    batch_size=24,
)
