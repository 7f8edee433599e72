"""Deep-Emotion on JAFFE with the paper's numbers: 120 training, 23 validation and 70 test images, ten of each emotion
in the test split.

    edram-fer prepare jaffe --source SOURCE --size 48 --set split=published
    python train.py deep_emotion_jaffe

Source: Minaee, Abdolrashidi 2019, who report 92.8 %, with hyperparameters that are "similar" for every data set; here
they are those of `deep_emotion_fer2013`, with a batch size of 24. All ten women occur in every split: compare
`deep_emotion_jaffe_subjects`.
"""

import dataclasses

from edram_fer.recipes.deep_emotion_fer2013 import RECIPE as FER2013

RECIPE = dataclasses.replace(
    FER2013,
    name="deep_emotion_jaffe",
    data="jaffe/grey48-published",
    batch_size=24,
)
