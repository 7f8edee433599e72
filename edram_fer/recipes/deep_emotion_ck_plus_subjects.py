"""Deep-Emotion on CK+ with disjoint subjects: eight folds for training, one for choosing the epoch, one for testing.

    edram-fer prepare ck_plus --source SOURCE --size 48
    python train.py deep_emotion_ck_plus_subjects --out RUN
    python evaluate.py RUN --split fold_9

Everything else is as in `deep_emotion_ck_plus`. For the other folds: `--set train_split=fold_1+...  --set
validation_split=fold_9` and `--split fold_0`, and so on.
"""

import dataclasses

from edram_fer.recipes.deep_emotion_ck_plus import RECIPE as CK_PLUS

RECIPE = dataclasses.replace(
    CK_PLUS,
    name="deep_emotion_ck_plus_subjects",
    data="ck_plus/grey48",
    train_split="fold_0+fold_1+fold_2+fold_3+fold_4+fold_5+fold_6+fold_7",
    validation_split="fold_8",
)
